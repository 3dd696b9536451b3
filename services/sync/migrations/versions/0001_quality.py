"""The outbox, what was set aside, and scores."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None


def upgrade() -> None:
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
        schema="sync",
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
        schema="sync",
    )
    op.create_table(
        "positions",
        sa.Column("topic", sa.String(200), primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("following", sa.BigInteger, nullable=False),
        schema="sync",
    )
    op.create_table(
        "quarantined",
        sa.Column("number", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("grant", sa.String(40), nullable=False),
        sa.Column("resource", sa.String(40), index=True),
        sa.Column("owner", sa.String(40), index=True),
        sa.Column("reason", sa.String(40)),
        sa.Column("detail", sa.Text),
        sa.Column("rules", JSONB),
        sa.Column("key_digest", sa.LargeBinary),
        sa.Column("digest", sa.LargeBinary),
        sa.Column("size", sa.BigInteger),
        sa.Column("state", sa.String(20), nullable=False, index=True),
        sa.Column("quarantined_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("ended_by", sa.Text),
        sa.Column("by_offset", sa.BigInteger),
        sa.Column("release_reason", sa.Text),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.UniqueConstraint("topic", "partition", "offset", "grant"),
        schema="sync",
    )
    op.create_table(
        "counted_scores",
        sa.Column("worker", sa.Text, primary_key=True),
        sa.Column("resource", sa.String(40), primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        schema="sync",
    )
    op.create_table(
        "quality_hours",
        sa.Column("resource", sa.String(40), primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("department", sa.String(40), nullable=False, index=True),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("judged", "incomplete", "inaccurate", "late", "set_aside", "corrected")
        ),
        schema="sync",
    )
    op.create_table(
        "broken_rules",
        sa.Column("resource", sa.String(40), primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
        schema="sync",
    )


def downgrade() -> None:
    for table in (
        "broken_rules", "quality_hours", "counted_scores", "quarantined", "positions", "idempotency", "outbox",
    ):  # fmt: skip
        op.drop_table(table, schema="sync")
