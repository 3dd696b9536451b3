"""Divisions, grants by division, and orders that return rows to lower levels."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    for name in ("divisions", "divisions_before"):
        op.add_column("grants", sa.Column(name, JSONB, nullable=False, server_default="[]"), schema="demand")
    op.add_column("departments", sa.Column("division", sa.String(6)), schema="demand")
    op.create_table(
        "divisions",
        sa.Column("code", sa.String(6), primary_key=True),
        sa.Column("valid_from", sa.Date, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("parent", sa.String(6)),
        sa.Column("valid_to", sa.Date),
        sa.Column("successor", sa.String(6)),
        schema="demand",
    )
    op.create_table(
        "return_orders",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("resource", sa.String(40), nullable=False, index=True),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("departments", JSONB),
        sa.Column("items", JSONB, nullable=False),
        sa.Column("masks", JSONB, nullable=False),
        sa.Column("channels", JSONB, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("ordered_by", sa.Text, nullable=False),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        schema="demand",
    )
    op.create_table(
        "returned",
        sa.Column("order", sa.String(40), primary_key=True),
        sa.Column("department", sa.String(40), primary_key=True),
        sa.Column("division", sa.String(6), primary_key=True),
        sa.Column("grant", sa.String(40), nullable=False, index=True),
        schema="demand",
    )


def downgrade() -> None:
    for table in ("returned", "return_orders", "divisions"):
        op.drop_table(table, schema="demand")
    op.drop_column("departments", "division", schema="demand")
    for name in ("divisions_before", "divisions"):
        op.drop_column("grants", name, schema="demand")
