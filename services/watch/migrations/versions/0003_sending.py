"""Where alerts are sent, what is on its way there, and what a day was like."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("alerts", sa.Column("told_at", _MOMENT), schema="watch")
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("department", sa.String(40), index=True),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("daily", sa.Boolean, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT),
        schema="watch",
    )
    op.create_table(
        "dispatches",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("subscription", sa.Uuid, sa.ForeignKey("watch.subscriptions.id"), nullable=False, index=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("told", JSONB, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", _MOMENT),
        sa.Column("delivered_at", _MOMENT),
        sa.Column("failure", sa.Text),
        sa.Column("created_at", _MOMENT, nullable=False),
        schema="watch",
    )
    op.create_index(
        "ix_dispatches_next_at", "dispatches", ["next_at"],
        schema="watch", postgresql_where=sa.text("next_at is not null"),
    )  # fmt: skip
    op.create_table(
        "days",
        sa.Column("since", _MOMENT, primary_key=True),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("deliveries", "records", "timed", "late", "counted_to")
        ),
        sa.Column("longest", sa.Double),
        sa.Column("is_whole", sa.Boolean, nullable=False),
        sa.Column("worst_seconds", sa.Double),
        sa.Column("worst_group", sa.Text),
        sa.Column("worst_at", _MOMENT),
        sa.Column("told_at", _MOMENT),
        schema="watch",
    )


def downgrade() -> None:
    for table in ("days", "dispatches", "subscriptions"):
        op.drop_table(table, schema="watch")
    op.drop_column("alerts", "told_at", schema="watch")
