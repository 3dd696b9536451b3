"""Notices, and where departments want them sent."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "notices",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("department", sa.String(40), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("demand", sa.String(20), sa.ForeignKey("demand.demands.id"), nullable=False, index=True),
        sa.Column("facts", JSONB, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("read_at", _MOMENT),
        sa.Column("read_by", sa.Text),
        schema="demand",
    )
    op.create_index("ix_notices_department_id", "notices", ["department", "id"], schema="demand")
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("department", sa.String(40), nullable=False, index=True),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT),
        schema="demand",
    )
    op.create_table(
        "dispatches",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("notice", sa.BigInteger, sa.ForeignKey("demand.notices.id"), nullable=False),
        sa.Column("subscription", sa.Uuid, sa.ForeignKey("demand.subscriptions.id"), nullable=False, index=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", _MOMENT),
        sa.Column("delivered_at", _MOMENT),
        sa.Column("failure", sa.Text),
        schema="demand",
    )
    op.create_index(
        "ix_dispatches_next_at", "dispatches", ["next_at"],
        schema="demand", postgresql_where=sa.text("next_at is not null"),
    )  # fmt: skip


def downgrade() -> None:
    for table in ("dispatches", "subscriptions", "notices"):
        op.drop_table(table, schema="demand")
