"""How far rows are read again, and whether those that are gone are still to be found."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("mount_states", sa.Column("reading", JSONB), schema="catalog")
    reconcile = sa.Column("reconcile", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("mount_states", reconcile, schema="catalog")
    op.alter_column("mount_states", "reconcile", server_default=None, schema="catalog")


def downgrade() -> None:
    for name in ("reading", "reconcile"):
        op.drop_column("mount_states", name, schema="catalog")
