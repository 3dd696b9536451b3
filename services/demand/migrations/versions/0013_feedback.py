"""Feedback on grants; what was given is never changed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("number", sa.BigInteger, sa.Identity(), nullable=False, unique=True),
        *(sa.Column(name, sa.String(40), nullable=False, index=True) for name in ("grant", "resource", "department")),
        sa.Column("score", sa.Integer, nullable=False),
        sa.Column("reasons", JSONB, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("effect", "comment")),
        sa.Column("records", sa.BigInteger, nullable=False),
        sa.Column("period_end", sa.DateTime(timezone=True)),
        sa.Column("given_by", sa.Text, nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        schema="demand",
    )
    op.create_table(
        "feedback_requests",
        sa.Column("grant", sa.String(40), primary_key=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("records", sa.BigInteger, nullable=False),
        schema="demand",
    )
    op.execute(
        "create function demand.feedback_stays() returns trigger language plpgsql as"
        " $$ begin raise exception 'feedback is never changed'; end $$"
    )
    op.execute(
        "create trigger feedback_stays before update or delete or truncate on demand.feedback"
        " execute function demand.feedback_stays()"
    )


def downgrade() -> None:
    for table in ("feedback_requests", "feedback"):
        op.drop_table(table, schema="demand")
    op.execute("drop function demand.feedback_stays()")
