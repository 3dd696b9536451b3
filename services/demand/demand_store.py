"""How demands, their clocks and the notices about them are kept: more tables of the schema `demand`.

Moments are kept in UTC; days are days of the place. A thing that is changed through the API has a `revision`, which its
entity tag shows.
"""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.core.following import positions_table
from services.core.idempotency import idempotency_table
from services.core.sending import Dispatched, Subscribed
from services.demand.store import Base

_MOMENT = DateTime(timezone=True)
idempotency = idempotency_table(Base.metadata)


class Demand(Base):
    """A demand: what is asked for, by whom, and where it stands (`domain/demand.py` says what these mean).

    `id` begins with the moment of its making, so that ids sort by it. `clock`, `due_on` and `overdue` are those of the
    clock that runs out first, kept here for lists; they are null where none runs.
    """

    __tablename__ = "demands"
    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    thread: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(20))
    title: Mapped[str] = mapped_column(Text)
    department: Mapped[str] = mapped_column(String(40))
    supplier: Mapped[str | None] = mapped_column(String(40))
    resource: Mapped[str | None] = mapped_column(String(40), index=True)
    wanted: Mapped[str | None] = mapped_column(Text)
    items: Mapped[list[str]] = mapped_column(JSONB)
    masks: Mapped[dict[str, Any]] = mapped_column(JSONB)
    row_filter: Mapped[str | None] = mapped_column(Text)
    channels: Mapped[list[str]] = mapped_column(JSONB)
    table: Mapped[dict[str, str] | None] = mapped_column(JSONB(none_as_null=True))
    purpose: Mapped[str] = mapped_column(Text)
    scenario: Mapped[str | None] = mapped_column(Text)
    legal_basis: Mapped[str | None] = mapped_column(Text)
    frequency: Mapped[str] = mapped_column(String(20))
    until: Mapped[datetime | None] = mapped_column(_MOMENT)
    emergency: Mapped[dict[str, str] | None] = mapped_column(JSONB(none_as_null=True))
    applicants: Mapped[list[str]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(String(20))
    path: Mapped[str] = mapped_column(String(20))
    interrupted: Mapped[str | None] = mapped_column(String(20))
    returned: Mapped[bool] = mapped_column(Boolean, default=False)
    approvals: Mapped[list[str]] = mapped_column(JSONB, default=list)
    needed: Mapped[int] = mapped_column(Integer, default=1)
    level: Mapped[str] = mapped_column(String(20), default="none")
    ruled: Mapped[bool] = mapped_column(Boolean, default=False)
    papers: Mapped[str] = mapped_column(String(20), default="none")
    grade: Mapped[str | None] = mapped_column(String(20))
    grant: Mapped[str | None] = mapped_column(String(40), index=True)
    clock: Mapped[str | None] = mapped_column(String(20))
    due_on: Mapped[date | None] = mapped_column(Date)
    overdue: Mapped[bool] = mapped_column(Boolean, default=False)
    revision: Mapped[int] = mapped_column(Integer, default=1)
    created_at: Mapped[datetime] = mapped_column(_MOMENT)
    submitted_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    updated_at: Mapped[datetime] = mapped_column(_MOMENT)
    __table_args__ = (
        Index("ix_demands_department_id", "department", "id"),
        Index("ix_demands_supplier_id", "supplier", "id"),
        Index("ix_demands_state_id", "state", "id"),
        Index("ix_demands_clock_id", "clock", "id"),
        Index("ix_demands_due_on_id", "due_on", "id"),
        Index("ix_demands_until", "until", postgresql_where=text("until is not null")),
    )


class Step(Base):
    """A step of a demand's life: who did what as whom, when, and what was given with it."""

    __tablename__ = "demand_steps"
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    demand: Mapped[str] = mapped_column(ForeignKey(Demand.id), index=True)
    action: Mapped[str] = mapped_column(String(20))
    source: Mapped[str] = mapped_column(String(20))
    target: Mapped[str] = mapped_column(String(20))
    actor: Mapped[str] = mapped_column(Text)
    party: Mapped[str] = mapped_column(String(20))
    given: Mapped[dict[str, Any]] = mapped_column(JSONB)
    at: Mapped[datetime] = mapped_column(_MOMENT)


# -- clocks ----------------------------------------------------------------------------------------------------------


class ClockLength(Base):
    """How many working days a clock runs here, how long before its end one is warned, and where that is from."""

    __tablename__ = "clock_lengths"
    clock: Mapped[str] = mapped_column(String(20), primary_key=True)
    working_days: Mapped[int] = mapped_column(Integer)
    warned_before: Mapped[int] = mapped_column(Integer)
    urged_every: Mapped[int] = mapped_column(Integer)
    source: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(Integer, default=1)


class DemandClock(Base):
    """A clock of a demand. `stretches` are the days on which it runs, as pairs; `due_on` is null while it is paused.

    `warned_on`, `breached_on` and `urged` say how far warnings went; a clock that moved out of its breach begins anew.
    """

    __tablename__ = "demand_clocks"
    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    demand: Mapped[str] = mapped_column(ForeignKey(Demand.id), index=True)
    clock: Mapped[str] = mapped_column(String(20))
    department: Mapped[str] = mapped_column(String(40))
    working_days: Mapped[int] = mapped_column(Integer)
    warned_before: Mapped[int] = mapped_column(Integer)
    urged_every: Mapped[int] = mapped_column(Integer)
    stretches: Mapped[list[list[str | None]]] = mapped_column(JSONB)
    due_on: Mapped[date | None] = mapped_column(Date)
    provisional: Mapped[bool] = mapped_column(Boolean, default=False)
    warned_on: Mapped[date | None] = mapped_column(Date)
    breached_on: Mapped[date | None] = mapped_column(Date)
    urged: Mapped[str] = mapped_column(String(20), default="nobody")
    opened_at: Mapped[datetime] = mapped_column(_MOMENT)
    closed_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    __table_args__ = (
        Index("ix_demand_clocks_open", "demand", "clock", unique=True, postgresql_where=text("closed_at is null")),
        Index("ix_demand_clocks_due", "due_on", "id", postgresql_where=text("closed_at is null")),
        Index("ix_demand_clocks_department_due", "department", "due_on", "id"),
    )


class ClockMark(Base):
    """What happened to a clock: started, paused, resumed, moved, warned, breached, urged, stopped."""

    __tablename__ = "clock_marks"
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    clock: Mapped[uuid.UUID] = mapped_column(ForeignKey(DemandClock.id), index=True)
    what: Mapped[str] = mapped_column(String(20))
    due_on: Mapped[date | None] = mapped_column(Date)
    detail: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(_MOMENT)


class CalendarDay(Base):
    """A day that the place has entered itself, as the catalogue tells it."""

    __tablename__ = "calendar_days"
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    working: Mapped[bool] = mapped_column(Boolean)


class DepartmentName(Base):
    """A department, as the catalogue tells it."""

    __tablename__ = "departments"
    slug: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    division: Mapped[str | None] = mapped_column(String(6))


class Division(Base):
    """An administrative division in a span of time (`core.divisions.Span`), as the catalogue tells it."""

    __tablename__ = "divisions"
    code: Mapped[str] = mapped_column(String(6), primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    parent: Mapped[str | None] = mapped_column(String(6))
    valid_to: Mapped[date | None]
    successor: Mapped[str | None] = mapped_column(String(6))


positions = positions_table(Base.metadata)


# -- notices ---------------------------------------------------------------------------------------------------------


class Notice(Base):
    """What a department (empty: the data authority) is told; `role` is who of it must see it.

    It is about a demand or, with `subject`, about an objection or a grant.
    """

    __tablename__ = "notices"
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    department: Mapped[str] = mapped_column(String(40))
    role: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str] = mapped_column(String(40))
    demand: Mapped[str | None] = mapped_column(ForeignKey(Demand.id), index=True)
    subject: Mapped[str | None] = mapped_column(String(40))
    facts: Mapped[dict[str, str]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(_MOMENT)
    read_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    read_by: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (Index("ix_notices_department_id", "department", "id"),)


class Subscription(Subscribed, Base):
    """Where a department wants its notices sent."""

    __tablename__ = "subscriptions"
    department: Mapped[str] = mapped_column(String(40), index=True)


class Dispatch(Dispatched, Base):
    """A notice on its way."""

    __tablename__ = "dispatches"
    notice: Mapped[int] = mapped_column(ForeignKey(Notice.id))
    __table_args__ = (Index("ix_dispatches_next_at", "next_at", postgresql_where=text("next_at is not null")),)
