"""What was seen when an alert was opened."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("alerts", sa.Column("evidence", JSONB, nullable=False, server_default="{}"), schema="watch")
    op.alter_column("alerts", "evidence", server_default=None, schema="watch")


def downgrade() -> None:
    op.drop_column("alerts", "evidence", schema="watch")
