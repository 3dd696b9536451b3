"""Grants and the outbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "grants",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("thread", sa.String(40), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("resource", sa.String(40), nullable=False, index=True),
        sa.Column("contract_version", sa.String(20), nullable=False),
        sa.Column("department", sa.String(40), nullable=False, index=True),
        sa.Column("items", JSONB, nullable=False),
        sa.Column("row_filter", sa.Text),
        sa.Column("channels", JSONB, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True)),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("granted_by", sa.Text, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        schema="demand",
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.Column("ce_specversion", sa.Text, nullable=False),
        sa.Column("ce_type", sa.Text, nullable=False),
        sa.Column("ce_source", sa.Text, nullable=False),
        sa.Column("ce_subject", sa.Text, nullable=False),
        sa.Column("ce_time", sa.Text, nullable=False),
        sa.Column("ce_correlationid", sa.Text, nullable=False),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False),
        schema="demand",
    )


def downgrade() -> None:
    for table in ("outbox", "grants"):
        op.drop_table(table, schema="demand")
