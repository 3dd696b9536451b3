"""Clocks of demands, in working days of the official calendar.

A clock runs in stretches: from a day (not counted) until a day (counted) or until now. It runs out on the day on which
its working days are used up. So pausing and resuming on one day changes nothing, days between a pause and its end do
not count, and when somebody edits the calendar the same stretches are simply counted anew: days in the past included.
How long each clock is, and how long before its end one is warned, is data of the place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from services.core.calendar import Calendar, CalendarUnknown, WeekdaysWhereUnknown


class Clock(StrEnum):
    ACCEPT = "accept"  # accept a demand for processing, or return it
    MATCH = "match"  # find who supplies it
    REPLY = "reply"  # decide a demand
    PROVIDE = "provide"  # data flows, after agreement
    SUPPLEMENT = "supplement"  # mend what was returned
    PAPERS = "papers"  # hand in the papers of an emergency
    DISPUTE = "dispute"  # settle a dispute on one level


class Owner(StrEnum):
    """Whose clock it is: who is urged when it runs out."""

    APPLICANT = "applicant"
    SUPPLIER = "supplier"
    AUTHORITY = "authority"


OWNERS = {
    Clock.ACCEPT: Owner.AUTHORITY,
    Clock.MATCH: Owner.AUTHORITY,
    Clock.REPLY: Owner.SUPPLIER,
    Clock.PROVIDE: Owner.SUPPLIER,
    Clock.SUPPLEMENT: Owner.APPLICANT,
    Clock.PAPERS: Owner.APPLICANT,
    Clock.DISPUTE: Owner.SUPPLIER,
}

# A demand whose clock of this kind runs out is over; of all others the owner is urged.
FATAL = frozenset({Clock.SUPPLEMENT, Clock.PAPERS})


class Urged(StrEnum):
    """Who has been urged (督办): it climbs, one rung each time the clock is overdue by so many working days more."""

    NOBODY = "nobody"
    HANDLER = "handler"
    RESPONSIBLE = "responsible"
    SUPERIOR = "superior"


RUNGS = (Urged.NOBODY, Urged.HANDLER, Urged.RESPONSIBLE, Urged.SUPERIOR)

# (working days, warned so many before, where that is from); a place may say otherwise.
DEFAULTS: dict[Clock, tuple[int, int, str]] = {
    Clock.ACCEPT: (2, 1, "default of this exchange"),
    Clock.MATCH: (5, 1, "default of this exchange"),
    Clock.REPLY: (10, 2, "Order 809: reply to an application for conditional data"),
    Clock.PROVIDE: (20, 3, "Order 809: provide after agreement"),
    Clock.SUPPLEMENT: (10, 2, "default of this exchange"),
    Clock.PAPERS: (5, 1, "default of this exchange"),
    Clock.DISPUTE: (10, 2, "default of this exchange"),
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days on which a clock runs: after `since`, until `until` included; None: it runs now."""

    since: date
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """When a clock runs out; `on` is None while it is paused and not used up before.

    `provisional` says that it reaches into a year whose working days are not announced yet.
    """

    on: date | None
    provisional: bool = False


def due(stretches: Sequence[Stretch], days: int, calendar: Calendar) -> Due:
    """When the working days of a clock that runs in `stretches` (in order) are used up."""
    try:
        return Due(_used_up(stretches, days, calendar))
    except CalendarUnknown:
        return Due(_used_up(stretches, days, WeekdaysWhereUnknown(calendar.entered)), provisional=True)


def _used_up(stretches: Sequence[Stretch], days: int, calendar: Calendar) -> date | None:
    if days == 0 and stretches:
        return stretches[0].since
    left = days
    for stretch in stretches:
        day = stretch.since
        while stretch.until is None or day < stretch.until:
            day += timedelta(days=1)
            left -= calendar.is_working_day(day)
            if left <= 0:
                return day
    return None


def working_days_between(first: date, last: date, calendar: Calendar) -> int:
    """Working days after `first` until `last` included; 0 where `last` is not later."""
    known = WeekdaysWhereUnknown(calendar.entered)
    return sum(known.is_working_day(first + timedelta(days=1 + step)) for step in range((last - first).days))


def pause(stretches: Sequence[Stretch], day: date) -> list[Stretch]:
    """The stretches of a clock that stops to run on `day`; unchanged where it does not run."""
    if not stretches or stretches[-1].until is not None:
        return list(stretches)
    return [*stretches[:-1], Stretch(stretches[-1].since, day)]


def resume(stretches: Sequence[Stretch], day: date) -> list[Stretch]:
    """The stretches of a clock that goes on to run on `day`; unchanged where it runs."""
    if stretches and stretches[-1].until is None:
        return list(stretches)
    return [*stretches, Stretch(day)]


def is_overdue(on: date | None, today: date) -> bool:
    """Whether a clock that runs out `on` a day has done so; that day itself is still in time."""
    return on is not None and today > on


def warn_from(on: date, before: int, calendar: Calendar) -> date:
    """The day from which its end is warned of: the `before`th working day before `on`."""
    known, day = WeekdaysWhereUnknown(calendar.entered), on
    while before > 0:
        day -= timedelta(days=1)
        before -= known.is_working_day(day)
    return day


def rung(on: date, today: date, every: int, calendar: Calendar) -> Urged:
    """Who must have been urged by `today` about a clock that ran out `on`: a rung more every `every` working days."""
    if not is_overdue(on, today):
        return Urged.NOBODY
    late = max(0, working_days_between(on, today, calendar) - 1)
    return RUNGS[min(len(RUNGS) - 1, 1 + late // max(1, every))]
