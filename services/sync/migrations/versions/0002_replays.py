"""Replays: what a grant is delivered once more."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "replays",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("grant", sa.String(40), nullable=False, index=True),
        *(sa.Column(name, sa.String(40), nullable=False) for name in ("resource", "department", "thread")),
        sa.Column("mode", sa.String(10), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True)),
        *(sa.Column(name, JSONB, nullable=False) for name in ("keys", "ghosts", "read_to")),
        sa.Column("reconciliation", sa.String(40)),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("records", sa.BigInteger, nullable=False),
        sa.Column("served", JSONB, nullable=False),
        sa.Column("partitions", sa.Integer),
        schema="sync",
    )


def downgrade() -> None:
    op.drop_table("replays", schema="sync")
