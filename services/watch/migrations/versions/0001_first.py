"""Alerts and what was done about them, the outbox and the idempotency keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("rule", sa.String(40), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("department", sa.String(40)),
        sa.Column("severity", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("text_zh", sa.Text, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        schema="watch",
    )
    op.create_index(
        "ix_alerts_cause", "alerts", ["rule", "subject"], unique=True, schema="watch",
        postgresql_where=sa.text("state <> 'closed'"),
    )  # fmt: skip
    op.create_table(
        "alert_steps",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("alert", sa.BigInteger, sa.ForeignKey("watch.alerts.id"), nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("taken_by", sa.Text, nullable=False),
        sa.Column("handed_to", sa.Text),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        schema="watch",
    )
    op.create_index("ix_alert_steps_alert", "alert_steps", ["alert"], schema="watch")
    _for_requests()


def _for_requests() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in (
                "ce_specversion", "ce_type", "ce_source", "ce_subject", "ce_time", "ce_correlationid", "content_type",
                "traceparent",
            )
        ),
        schema="watch",
    )  # fmt: skip
    op.create_table(
        "idempotency",
        sa.Column("caller", sa.String(64), primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("headers", JSONB),
        sa.Column("body", sa.LargeBinary),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="watch",
    )


def downgrade() -> None:
    for table in ("idempotency", "outbox", "alert_steps", "alerts"):
        op.drop_table(table, schema="watch")
