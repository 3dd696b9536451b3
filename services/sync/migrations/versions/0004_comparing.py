"""What rows of several resources, or several rows of one, say of the same: in digests, and where they do not agree."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "compared_sides",
        sa.Column("check", sa.Text, primary_key=True),
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("side", sa.SmallInteger, primary_key=True, autoincrement=False),
        schema="sync",
    )
    op.create_table(
        "compared_rows",
        sa.Column("check", sa.Text, primary_key=True),
        sa.Column("side", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("subject", sa.LargeBinary, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        schema="sync",
    )
    op.create_index("ix_compared_rows_subject", "compared_rows", ["check", "subject"], schema="sync")
    op.create_table(
        "inconsistencies",
        sa.Column("number", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("check", sa.Text, nullable=False),
        sa.Column("subject", sa.LargeBinary, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("rule", sa.String(40), nullable=False),
        sa.Column("resource", sa.String(40), nullable=False, index=True),
        sa.Column("owner", sa.String(40), nullable=False, index=True),
        sa.Column("other", sa.String(40), nullable=False),
        sa.Column("other_owner", sa.String(40), nullable=False, index=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.DateTime(timezone=True)) for name in ("told_at", "ended_at")),
        sa.Column("places", JSONB, nullable=False),
        schema="sync",
    )
    op.create_index(
        "ix_inconsistencies_open", "inconsistencies", ["check", "subject"], unique=True, schema="sync",
        postgresql_where=sa.text("ended_at is null"),
    )  # fmt: skip


def downgrade() -> None:
    for table in ("inconsistencies", "compared_rows", "compared_sides"):
        op.drop_table(table, schema="sync")
