"""Demands may ask for a table of the department's own database."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("demands", sa.Column("table", JSONB, nullable=True), schema="demand")


def downgrade() -> None:
    op.drop_column("demands", "table", schema="demand")
