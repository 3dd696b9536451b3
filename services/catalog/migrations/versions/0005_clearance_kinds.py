"""What kind of mount left what is still to be removed: a table's connector and slot, or a topic's user."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    kind = sa.Column("kind", sa.String(10), nullable=False, server_default="table")
    op.add_column("clearances", kind, schema="catalog")


def downgrade() -> None:
    """Back to 0004, which knows tables only: users that are still to be removed have to be removed by hand."""
    op.execute("delete from catalog.clearances where kind <> 'table'")
    op.drop_column("clearances", "kind", schema="catalog")
