"""What the channels of a grant need: the digests of its API keys, the table that it fills."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0004"


def upgrade() -> None:
    digests = sa.Column("api_key_digests", JSONB, nullable=False, server_default="[]")
    op.add_column("grants", digests, schema="demand")
    op.add_column("grants", sa.Column("table_target", JSONB), schema="demand")


def downgrade() -> None:
    for column in ("table_target", "api_key_digests"):
        op.drop_column("grants", column, schema="demand")
