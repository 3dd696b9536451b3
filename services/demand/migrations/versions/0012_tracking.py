"""What tracking counts: use by minute, hour and day, and the events that figures are made of."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"


def _time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _parties() -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.String(40), nullable=False, index=True) for name in ("resource", "department")]


def upgrade() -> None:
    op.create_table(
        "counted",
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
        schema="demand",
    )
    op.create_table(
        "counted_runs",
        sa.Column("worker", sa.Text, primary_key=True),
        sa.Column("grant", sa.String(40), primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        schema="demand",
    )
    op.create_table(
        "usage",
        sa.Column("grant", sa.String(40), primary_key=True),
        sa.Column("granularity", sa.String(10), primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
        *_parties(),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("deliveries", "records", "errors", "timed", "timely", "latency_sum_us")
        ),
        *(sa.Column(name, sa.BigInteger) for name in ("latency_min_us", "latency_max_us")),
        schema="demand",
    )
    op.create_table(
        "delivered",
        sa.Column("grant", sa.String(40), primary_key=True),
        *_parties(),
        _time("first_at"),
        _time("last_at"),
        sa.Column("records", sa.BigInteger, nullable=False),
        _time("told_at", nullable=True),
        schema="demand",
    )
    op.create_table("silences", sa.Column("grant", sa.String(40), primary_key=True), _time("since"), schema="demand")
    op.create_table(
        "happenings",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("offset", sa.BigInteger, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Text, nullable=False, index=True) for name in ("type", "subject")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("actor", "department", "thread")),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("data", JSONB, nullable=False),
        schema="demand",
    )
    op.create_table(
        "norms",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", JSONB, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        schema="demand",
    )


def downgrade() -> None:
    for table in ("norms", "happenings", "silences", "delivered", "usage", "counted_runs", "counted"):
        op.drop_table(table, schema="demand")
