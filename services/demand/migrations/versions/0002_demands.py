"""Demands and their steps; keys of posts that may be repeated."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "demands",
        sa.Column("id", sa.String(20), primary_key=True),
        sa.Column("thread", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("department", sa.String(40), nullable=False),
        sa.Column("supplier", sa.String(40)),
        sa.Column("resource", sa.String(40), index=True),
        sa.Column("wanted", sa.Text),
        sa.Column("items", JSONB, nullable=False),
        sa.Column("masks", JSONB, nullable=False),
        sa.Column("row_filter", sa.Text),
        sa.Column("channels", JSONB, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("scenario", sa.Text),
        sa.Column("legal_basis", sa.Text),
        sa.Column("frequency", sa.String(20), nullable=False),
        sa.Column("until", _MOMENT),
        sa.Column("emergency", JSONB),
        sa.Column("applicants", JSONB, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("path", sa.String(20), nullable=False),
        sa.Column("interrupted", sa.String(20)),
        sa.Column("returned", sa.Boolean, nullable=False),
        sa.Column("approvals", JSONB, nullable=False),
        sa.Column("needed", sa.Integer, nullable=False),
        sa.Column("level", sa.String(20), nullable=False),
        sa.Column("ruled", sa.Boolean, nullable=False),
        sa.Column("papers", sa.String(20), nullable=False),
        sa.Column("grade", sa.String(20)),
        sa.Column("grant", sa.String(40), index=True),
        sa.Column("clock", sa.String(20)),
        sa.Column("due_on", sa.Date),
        sa.Column("overdue", sa.Boolean, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("submitted_at", _MOMENT),
        sa.Column("updated_at", _MOMENT, nullable=False),
        schema="demand",
    )
    for column in ("department", "supplier", "state", "clock", "due_on"):
        op.create_index(f"ix_demands_{column}_id", "demands", [column, "id"], schema="demand")
    op.create_index(
        "ix_demands_until", "demands", ["until"], schema="demand", postgresql_where=sa.text("until is not null")
    )
    op.create_table(
        "demand_steps",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("demand", sa.String(20), sa.ForeignKey("demand.demands.id"), nullable=False, index=True),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("target", sa.String(20), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("party", sa.String(20), nullable=False),
        sa.Column("given", JSONB, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        schema="demand",
    )
    op.create_table(
        "idempotency",
        sa.Column("caller", sa.String(64), primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("headers", JSONB),
        sa.Column("body", sa.LargeBinary),
        sa.Column("created_at", _MOMENT, nullable=False, server_default=sa.func.now()),
        schema="demand",
    )


def downgrade() -> None:
    for table in ("idempotency", "demand_steps", "demands"):
        op.drop_table(table, schema="demand")
