"""Notices are about objections and grants, too, not of demands only."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("notices", sa.Column("subject", sa.String(40)), schema="demand")
    op.alter_column("notices", "demand", nullable=True, schema="demand")


def downgrade() -> None:
    """Back to 0014, which knows notices of demands only: the others are forgotten."""
    others = "select id from demand.notices where demand is null"
    op.execute(f"delete from demand.dispatches where notice in ({others})")
    op.execute("delete from demand.notices where demand is null")
    op.alter_column("notices", "demand", nullable=False, schema="demand")
    op.drop_column("notices", "subject", schema="demand")
