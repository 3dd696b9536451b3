"""Since when a source's server counts what it decodes; connectors are no longer told by signals to read again."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("mount_states", sa.Column("counted_since", sa.DateTime(timezone=True)), schema="catalog")
    op.drop_column("mount_states", "signals", schema="catalog")


def downgrade() -> None:
    signals = sa.Column("signals", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("mount_states", signals, schema="catalog")
    op.alter_column("mount_states", "signals", server_default=None, schema="catalog")
    op.drop_column("mount_states", "counted_since", schema="catalog")
