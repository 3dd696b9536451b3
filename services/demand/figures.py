"""Figures as they are reckoned from what tracking keeps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.core.calendar import PLACE
from services.demand import store
from services.demand.domain.assessment import Assessment, DayUse, Period, assess
from services.demand.domain.usage import Granularity
from services.demand.norms import norm


def days_of(session: Session, period: Period) -> list[DayUse]:
    query = select(store.Usage).where(
        store.Usage.granularity == Granularity.DAY,
        store.Usage.start >= int(period.begin.timestamp()),
        store.Usage.start < int(period.end.timestamp()),
    )
    return [
        DayUse(
            grant=one.grant,
            department=one.department,
            start=datetime.fromtimestamp(one.start, UTC),
            records=one.records,
            errors=one.errors,
            timed=one.timed,
            timely=one.timely,
        )
        for one in session.scalars(query.order_by(store.Usage.start, store.Usage.grant))
    ]


def assessments(session: Session, period: Period) -> dict[str, Assessment]:
    """Each department's figures of the period, as far as tracking has come."""
    query = (
        select(
            store.Happening.type,
            store.Happening.subject,
            store.Happening.department,
            store.Happening.thread,
            store.Happening.occurred_at,
            store.Happening.data,
        )
        .where(store.Happening.occurred_at < period.end)
        .order_by(store.Happening.partition, store.Happening.offset)
    )
    events = (row._asdict() for row in session.execute(query))
    firsts = dict(session.execute(select(store.Delivered.grant, store.Delivered.first_at)).tuples().all())
    return assess(events, days_of(session, period), firsts, period, norm(session, "minute_level"))


def daily_records(days: Sequence[DayUse], period: Period, today: date) -> list[tuple[date, int]]:
    """The records delivered on each day of the period, up to today."""
    sums: dict[date, int] = {}
    for day in days:
        on = day.start.astimezone(PLACE).date()
        sums[on] = sums.get(on, 0) + day.records
    begin, end = period.begin.date(), min(period.end.date(), today + timedelta(days=1))
    return [(begin + timedelta(days=n), sums.get(begin + timedelta(days=n), 0)) for n in range((end - begin).days)]
