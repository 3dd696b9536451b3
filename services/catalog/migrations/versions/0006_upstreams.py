"""The APIs that fill resources, and what became of asking them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "upstreams",
        sa.Column("resource", sa.String(40), sa.ForeignKey("catalog.resources.code"), primary_key=True),
        sa.Column("form", JSONB, nullable=False),
        sa.Column("secret", sa.LargeBinary),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("last_modified", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("rows", sa.Integer),
        sa.Column("asked_at", MOMENT),
        sa.Column("next_at", MOMENT, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("failure", JSONB),
        schema="catalog",
    )
    op.create_index("ix_upstreams_next_at", "upstreams", ["next_at"], schema="catalog")


def downgrade() -> None:
    """Back to 0005, which asks no API: the mounts stay, and nothing fills them until they are mounted again."""
    op.drop_table("upstreams", schema="catalog")
