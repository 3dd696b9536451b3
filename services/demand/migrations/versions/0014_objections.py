"""Objections to delivered records."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0014"
down_revision = "0013"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "objections",
        sa.Column("id", sa.String(20), primary_key=True),
        sa.Column("number", sa.BigInteger, sa.Identity(), nullable=False, unique=True),
        sa.Column("grant", sa.String(40), nullable=False, index=True),
        sa.Column("thread", sa.String(40), nullable=False),
        *(
            sa.Column(name, sa.String(40), nullable=False, index=True)
            for name in ("resource", "department", "provider")
        ),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("record", sa.String(64), nullable=False, index=True),
        sa.Column("items", JSONB, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.String(20), nullable=False, index=True),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("due_on", sa.Date, nullable=False),
        *(sa.Column(name, sa.Boolean, nullable=False) for name in ("provisional", "overdue")),
        sa.Column("scanned", JSONB, nullable=False),
        sa.Column("raised_by", sa.Text, nullable=False),
        sa.Column("raised_at", _MOMENT, nullable=False),
        sa.Column("answered_by", sa.Text),
        sa.Column("answered_at", _MOMENT),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("closed_at", _MOMENT),
        sa.Column("outcome", sa.String(20)),
        sa.Column("proof", JSONB),
        sa.Column("revision", sa.Integer, nullable=False),
        schema="demand",
    )


def downgrade() -> None:
    op.drop_table("objections", schema="demand")
