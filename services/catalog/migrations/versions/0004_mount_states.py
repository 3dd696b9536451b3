"""How each mount is, and what mounts that ended have left in their sources."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "mount_states",
        sa.Column("resource", sa.String(40), sa.ForeignKey("catalog.resources.code"), primary_key=True),
        sa.Column("condition", sa.String(10), nullable=False),
        sa.Column("findings", JSONB, nullable=False),
        sa.Column("columns", JSONB),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("stopped", sa.Boolean, nullable=False),
        sa.Column("signals", sa.Boolean, nullable=False),
        sa.Column("reread", sa.Boolean, nullable=False),
        sa.Column("retained_bytes", sa.BigInteger),
        sa.Column("checked_at", MOMENT),
        schema="catalog",
    )
    op.create_table(
        "clearances",
        sa.Column("resource", sa.String(40), sa.ForeignKey("catalog.resources.code"), primary_key=True),
        sa.Column("system", sa.String(40), sa.ForeignKey("catalog.systems.code"), primary_key=True),
        sa.Column("connector_deleted", sa.Boolean, nullable=False),
        sa.Column("not_before", MOMENT, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.func.now()),
        schema="catalog",
    )


def downgrade() -> None:
    """Back to 0002: what is still to be removed from sources is forgotten, and has to be removed by hand."""
    op.drop_table("clearances", schema="catalog")
    op.drop_table("mount_states", schema="catalog")
