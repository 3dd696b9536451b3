"""The clocks of demands as they are kept: started, paused, resumed and stopped by steps, moved by the calendar.

`look` is what the watch does every so often: warn before a clock runs out, tell the breach after, urge one rung higher
as it gets later. All of it is written down as marks, which make the clock's timeline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.core.calendar import PLACE, Calendar
from services.demand import demand_store as store
from services.demand.domain import clock as domain
from services.demand.domain.clock import Clock, Owner, Stretch, Urged
from services.demand.domain.demand import Level

AUTHORITY = ""  # what stands for the data authority where a department would be


def day_of(moment: datetime) -> date:
    """The day it is at the place."""
    return moment.astimezone(PLACE).date()


def calendar(session: Session) -> Calendar:
    """The national calendar with the days that the place has entered."""
    return Calendar({row.day: row.working for row in session.scalars(select(store.CalendarDay))})


def plant(session: Session) -> None:
    """Give every clock that has no length yet its default."""
    known = set(session.scalars(select(store.ClockLength.clock)))
    for clock, (days, warned, source) in domain.DEFAULTS.items():
        if clock not in known:
            session.add(
                store.ClockLength(
                    clock=clock, working_days=days, warned_before=warned, urged_every=2, source=source, revision=1
                )
            )


def stretches_of(row: store.DemandClock) -> list[Stretch]:
    return [
        Stretch(date.fromisoformat(str(since)), date.fromisoformat(until) if until else None)
        for since, until in row.stretches
    ]


def _kept(stretches: Iterable[Stretch]) -> list[list[str | None]]:
    return [[one.since.isoformat(), one.until.isoformat() if one.until else None] for one in stretches]


def owner_of(demand: store.Demand, clock: Clock) -> str:
    """The department whose clock it is; empty: the data authority's."""
    owner = domain.OWNERS[clock]
    if clock is Clock.DISPUTE and demand.level != Level.PARTIES:
        owner = Owner.AUTHORITY
    if owner is Owner.APPLICANT:
        return demand.department
    return (demand.supplier or AUTHORITY) if owner is Owner.SUPPLIER else AUTHORITY


def start(session: Session, demand: store.Demand, clock: Clock, now: datetime) -> None:
    """Begin a clock of a locked demand, with the length it has at this place now."""
    length = session.get_one(store.ClockLength, clock.value)
    made = store.DemandClock(
        demand=demand.id,
        clock=clock.value,
        department=owner_of(demand, clock),
        working_days=length.working_days,
        warned_before=length.warned_before,
        urged_every=length.urged_every,
        stretches=_kept([Stretch(day_of(now))]),
        urged=Urged.NOBODY,
        provisional=False,
        opened_at=now,
    )
    reckon(made, calendar(session))
    session.add(made)
    session.flush()
    mark(session, made, "started", now)


def running(session: Session, demand: store.Demand) -> list[store.DemandClock]:
    """The clocks of a demand that are not stopped, paused ones included."""
    query = select(store.DemandClock).where(
        store.DemandClock.demand == demand.id, store.DemandClock.closed_at.is_(None)
    )
    return list(session.scalars(query.order_by(store.DemandClock.due_on, store.DemandClock.id)))


def stop(session: Session, demand: store.Demand, clocks: Iterable[Clock], now: datetime) -> None:
    wanted = set(clocks)
    for row in running(session, demand):
        if Clock(row.clock) in wanted:
            row.stretches = _kept(domain.pause(stretches_of(row), day_of(now)))
            row.closed_at = now
            mark(session, row, "stopped", now)
    # one of a kind is open at a time: what is stopped is so before another of its kind is started
    session.flush()


def pause(session: Session, demand: store.Demand, now: datetime) -> None:
    """Pause all clocks of the demand."""
    own = calendar(session)
    for row in running(session, demand):
        row.stretches = _kept(domain.pause(stretches_of(row), day_of(now)))
        reckon(row, own)
        mark(session, row, "paused", now)


def resume(session: Session, demand: store.Demand, now: datetime) -> None:
    """Let all clocks of the demand that are paused go on."""
    own = calendar(session)
    for row in running(session, demand):
        if row.stretches[-1][1] is not None:
            row.stretches = _kept(domain.resume(stretches_of(row), day_of(now)))
            reckon(row, own)
            mark(session, row, "resumed", now)


def reckon(row: store.DemandClock, own: Calendar) -> None:
    """Say anew when a clock runs out."""
    found = domain.due(stretches_of(row), row.working_days, own)
    row.due_on, row.provisional = found.on, found.provisional


def show(session: Session, demand: store.Demand, now: datetime) -> None:
    """Keep with the demand which clock runs out first, for lists."""
    session.flush()
    first = next((row for row in running(session, demand) if row.due_on is not None), None)
    demand.clock = first.clock if first else None
    demand.due_on = first.due_on if first else None
    demand.overdue = domain.is_overdue(demand.due_on, day_of(now))


def mark(session: Session, row: store.DemandClock, what: str, now: datetime, detail: str = "") -> None:
    session.add(store.ClockMark(clock=row.id, what=what, due_on=row.due_on, detail=detail, at=now))


def move(session: Session, row: store.DemandClock, own: Calendar, now: datetime) -> bool:
    """Reckon an open clock anew by another calendar; whether its end has moved.

    A breach that is none any more is taken back: warnings and urging begin anew.
    """
    before = row.due_on
    reckon(row, own)
    if row.due_on == before:
        return False
    if row.breached_on is not None and not domain.is_overdue(row.due_on, day_of(now)):
        row.breached_on, row.warned_on, row.urged = None, None, Urged.NOBODY
    mark(session, row, "moved", now, before.isoformat() if before else "")
    return True


def look(session: Session, row: store.DemandClock, own: Calendar, now: datetime) -> Iterator[tuple[str, Urged]]:
    """What is due to be said of a locked clock now, written down: `(what, who must be told)`."""
    today = day_of(now)
    if row.due_on is None or row.closed_at is not None:
        return
    if domain.is_overdue(row.due_on, today):
        if row.breached_on is None:
            row.breached_on = today
            mark(session, row, "breached", now)
            yield "clock_breached", Urged.HANDLER
        reached = domain.rung(row.due_on, today, row.urged_every, own)
        for next_rung in domain.RUNGS[domain.RUNGS.index(Urged(row.urged)) + 1 : domain.RUNGS.index(reached) + 1]:
            row.urged = next_rung
            mark(session, row, "urged", now, next_rung)
            yield "clock_urged", next_rung
    elif row.warned_on is None and today >= domain.warn_from(row.due_on, row.warned_before, own):
        row.warned_on = today
        mark(session, row, "warned", now)
        yield "clock_warned", Urged.HANDLER
