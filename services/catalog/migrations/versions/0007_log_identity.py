"""By what the publication and the slot of a mount are known again."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    for name in ("publication", "decoded"):
        op.add_column("mount_states", sa.Column(name, sa.BigInteger), schema="catalog")


def downgrade() -> None:
    for name in ("publication", "decoded"):
        op.drop_column("mount_states", name, schema="catalog")
