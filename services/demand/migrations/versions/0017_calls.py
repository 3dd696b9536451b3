"""Use counts calls of the row API, and bytes."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

_ADDED = ("bytes", "calls", "rows", "refused", "call_sum_us", "call_max_us")


def upgrade() -> None:
    for name in _ADDED:
        column = sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
        op.add_column("usage", column, schema="demand")
        op.alter_column("usage", name, server_default=None, schema="demand")


def downgrade() -> None:
    for name in _ADDED:
        op.drop_column("usage", name, schema="demand")
