"""Clocks, the calendar and the departments as the catalogue tells them, and how far topics have been read."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "clock_lengths",
        sa.Column("clock", sa.String(20), primary_key=True),
        sa.Column("working_days", sa.Integer, nullable=False),
        sa.Column("warned_before", sa.Integer, nullable=False),
        sa.Column("urged_every", sa.Integer, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        schema="demand",
    )
    op.create_table(
        "demand_clocks",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("demand", sa.String(20), sa.ForeignKey("demand.demands.id"), nullable=False, index=True),
        sa.Column("clock", sa.String(20), nullable=False),
        sa.Column("department", sa.String(40), nullable=False),
        sa.Column("working_days", sa.Integer, nullable=False),
        sa.Column("warned_before", sa.Integer, nullable=False),
        sa.Column("urged_every", sa.Integer, nullable=False),
        sa.Column("stretches", JSONB, nullable=False),
        sa.Column("due_on", sa.Date),
        sa.Column("provisional", sa.Boolean, nullable=False),
        sa.Column("warned_on", sa.Date),
        sa.Column("breached_on", sa.Date),
        sa.Column("urged", sa.String(20), nullable=False),
        sa.Column("opened_at", _MOMENT, nullable=False),
        sa.Column("closed_at", _MOMENT),
        schema="demand",
    )
    is_open = sa.text("closed_at is null")
    op.create_index(
        "ix_demand_clocks_open", "demand_clocks", ["demand", "clock"],
        unique=True, schema="demand", postgresql_where=is_open,
    )  # fmt: skip
    op.create_index(
        "ix_demand_clocks_due", "demand_clocks", ["due_on", "id"], schema="demand", postgresql_where=is_open
    )
    op.create_index("ix_demand_clocks_department_due", "demand_clocks", ["department", "due_on", "id"], schema="demand")
    op.create_table(
        "clock_marks",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("clock", sa.Uuid, sa.ForeignKey("demand.demand_clocks.id"), nullable=False, index=True),
        sa.Column("what", sa.String(20), nullable=False),
        sa.Column("due_on", sa.Date),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        schema="demand",
    )
    op.create_table(
        "calendar_days",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("working", sa.Boolean, nullable=False),
        schema="demand",
    )
    op.create_table(
        "departments",
        sa.Column("slug", sa.String(40), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_en", sa.Text, nullable=False),
        schema="demand",
    )
    op.create_table(
        "positions",
        sa.Column("topic", sa.String(200), primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("following", sa.BigInteger, nullable=False),
        schema="demand",
    )


def downgrade() -> None:
    for table in ("positions", "departments", "calendar_days", "clock_marks", "demand_clocks", "clock_lengths"):
        op.drop_table(table, schema="demand")
