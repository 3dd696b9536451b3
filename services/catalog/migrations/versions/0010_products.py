"""Data products: the views that fill resources."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "products",
        sa.Column("resource", sa.String(40), nullable=False),
        sa.Column("sql", sa.Text, nullable=False),
        sa.Column("inputs", JSONB, nullable=False),
        sa.Column("columns", JSONB, nullable=False),
        sa.Column("revision", sa.Uuid, nullable=False),
        sa.Column("rows", sa.Integer),
        sa.Column("evaluated_at", sa.DateTime(timezone=True)),
        sa.Column("milliseconds", sa.Integer),
        sa.Column("failure", JSONB),
        sa.PrimaryKeyConstraint("resource", name="pk_products"),
        sa.ForeignKeyConstraint(["resource"], ["catalog.resources.code"], name="fk_products_resource_resources"),
        schema="catalog",
    )


def downgrade() -> None:
    op.drop_table("products", schema="catalog")
