"""What must be on the broker: departments' users, and share topics by their identity."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("grants", sa.Column("fill", sa.Integer, nullable=False, server_default="0"), schema="demand")
    op.create_table(
        "broker_users",
        sa.Column("department", sa.String(40), primary_key=True),
        sa.Column("iterations", sa.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        schema="demand",
    )
    op.create_table(
        "share_topics",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("identity", sa.Text, nullable=False),
        schema="demand",
    )


def downgrade() -> None:
    for table in ("share_topics", "broker_users"):
        op.drop_table(table, schema="demand")
    op.drop_column("grants", "fill", schema="demand")
