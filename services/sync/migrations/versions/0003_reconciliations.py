"""Reconciliations: what a consumer has against what it should have."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "reconciliations",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("grant", sa.String(40), nullable=False, index=True),
        sa.Column("resource", sa.String(40), nullable=False),
        *(sa.Column(name, sa.String(40), nullable=False, index=True) for name in ("department", "provider")),
        sa.Column("thread", sa.String(40), nullable=False),
        sa.Column("heal", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(20), nullable=False, index=True),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("replay", sa.String(40)),
        sa.Column("report", JSONB),
        schema="sync",
    )


def downgrade() -> None:
    op.drop_table("reconciliations", schema="sync")
