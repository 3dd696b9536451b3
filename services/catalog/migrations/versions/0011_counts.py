"""Since when a source's server counts what it decodes; connectors are no longer told by signals to read again."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("mount_states", sa.Column("counted_since", sa.DateTime(timezone=True)), schema="catalog")
    op.alter_column("mount_states", "signals", new_column_name="tells", schema="catalog")


def downgrade() -> None:
    op.alter_column("mount_states", "tells", new_column_name="signals", schema="catalog")
    op.drop_column("mount_states", "counted_since", schema="catalog")
