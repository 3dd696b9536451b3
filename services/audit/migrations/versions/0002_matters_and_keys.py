"""Findings, alerts and incidents; where keys occur, and which manifest covers what."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "matters",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("department", sa.String(40)),
        sa.Column("rule", sa.String(40)),
        sa.Column("cause", sa.Text),
        sa.Column("evidence", JSONB, nullable=False),
        sa.Column("due", sa.Date),
        sa.Column("opened_by", sa.Text, nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("came_from", sa.BigInteger),
        sa.Column("revision", sa.Integer, nullable=False),
        schema="audit",
    )
    op.create_index("ix_matters_department", "matters", ["department", "id"], schema="audit")
    op.create_index("ix_matters_cause", "matters", ["cause"], unique=True, schema="audit")
    op.create_table(
        "matter_steps",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("matter", sa.BigInteger, sa.ForeignKey("audit.matters.id"), nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("taken_by", sa.Text, nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        schema="audit",
    )
    op.create_index("ix_matter_steps_matter", "matter_steps", ["matter"], schema="audit")
    op.create_table(
        "manifests",
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("first", sa.BigInteger, primary_key=True),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("manifest", sa.BigInteger, nullable=False),
        schema="audit",
    )
    op.create_table(
        "key_places",
        sa.Column("hash", sa.BigInteger, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("offset", sa.BigInteger, primary_key=True),
        schema="audit",
    )


def downgrade() -> None:
    for table in ("key_places", "manifests", "matter_steps", "matters"):
        op.drop_table(table, schema="audit")
