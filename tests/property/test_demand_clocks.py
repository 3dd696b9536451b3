"""Clocks of demands: when they run out, by a count of days that a clerk would make; and what an edit of days does."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.core.calendar import Calendar, WeekdaysWhereUnknown, working_days_after
from services.demand.domain.clock import (
    RUNGS,
    Stretch,
    Urged,
    due,
    is_overdue,
    pause,
    resume,
    rung,
    warn_from,
)

DAYS = st.dates(date(2026, 1, 1), date(2026, 9, 30))
EDITS = st.dictionaries(st.dates(date(2026, 1, 1), date(2026, 12, 20)), st.booleans(), max_size=30)
LENGTHS = st.integers(1, 25)
# gaps in days between a start, a pause, a resumption, a pause …
GAPS = st.lists(st.integers(0, 15), max_size=6)


def stretches_of(start: date, gaps: list[int]) -> list[Stretch]:
    """What pausing and resuming after each gap makes of a clock that begins on `start`."""
    made, day = [Stretch(start)], start
    for place, gap in enumerate(gaps):
        day += timedelta(days=gap)
        made = pause(made, day) if place % 2 == 0 else resume(made, day)
    return made


def ticked_off(start: date, gaps: list[int], length: int, calendar: Calendar) -> date | None:
    """The day on which `length` working days have been ticked off, day by day; None if the clock stands still."""
    turns = [start]
    for gap in gaps:
        turns.append(turns[-1] + timedelta(days=gap))
    left, day = length, start
    while (day - start).days < 400:
        day += timedelta(days=1)
        # the turns before this day say whether the clock ran when it began: an even number of them, and it did
        ran = sum(turn < day for turn in turns[1:]) % 2 == 0
        left -= ran and calendar.is_working_day(day)
        if left == 0:
            return day
    return None


@given(DAYS, GAPS, LENGTHS, EDITS)
def test_a_clock_runs_out_when_its_days_are_ticked_off(
    start: date, gaps: list[int], length: int, edits: dict[date, bool]
) -> None:
    calendar = WeekdaysWhereUnknown(edits)
    assert due(stretches_of(start, gaps), length, calendar).on == ticked_off(start, gaps, length, calendar)


@given(DAYS, LENGTHS, EDITS)
def test_a_clock_that_never_pauses_is_the_catalogue_s(start: date, length: int, edits: dict[date, bool]) -> None:
    calendar = WeekdaysWhereUnknown(edits)
    assert due([Stretch(start)], length, calendar).on == working_days_after(start, length, calendar)


@given(DAYS, GAPS, st.integers(0, 20), LENGTHS)
def test_pausing_and_resuming_on_one_day_changes_nothing(start: date, gaps: list[int], gap: int, length: int) -> None:
    running = stretches_of(start, gaps[: len(gaps) // 2 * 2])
    day = running[-1].since + timedelta(days=gap)
    assert due(resume(pause(running, day), day), length, Calendar()) == due(running, length, Calendar())
    assert pause(pause(running, day), day + timedelta(days=3)) == pause(running, day)
    assert resume(running, day) == running


@given(DAYS, LENGTHS, EDITS, DAYS, st.booleans())
def test_an_edit_moves_a_clock_one_way_only(
    start: date, length: int, edits: dict[date, bool], day: date, working: bool
) -> None:
    before = due([Stretch(start)], length, WeekdaysWhereUnknown(edits)).on
    after = due([Stretch(start)], length, WeekdaysWhereUnknown({**edits, day: working})).on
    assert before is not None and after is not None
    if working:
        assert after <= before
    else:
        assert after >= before
    if not start < day <= max(before, after):
        assert after == before, "a day that the clock does not reach cannot matter"


@given(DAYS, st.integers(0, 5), EDITS)
def test_warnings_come_before_and_urging_climbs_after(on: date, before: int, edits: dict[date, bool]) -> None:
    calendar = WeekdaysWhereUnknown(edits)
    assert warn_from(on, before, calendar) <= on
    seen = [rung(on, on + timedelta(days=late), 2, calendar) for late in range(30)]
    assert seen[0] is Urged.NOBODY and seen[1] is Urged.HANDLER
    assert seen == sorted(seen, key=RUNGS.index), "urging never climbs down"
    assert not is_overdue(on, on) and is_overdue(on, on + timedelta(days=1)) and not is_overdue(None, on)


def test_the_national_days_count() -> None:
    # National Day 2026: 1 to 7 October are off, Saturday 10 October is a make-up working day
    assert due([Stretch(date(2026, 9, 30))], 3, Calendar()).on == date(2026, 10, 10)
    unknown = due([Stretch(date(2026, 12, 25))], 30, Calendar())
    assert unknown.provisional and unknown.on is not None and unknown.on.year == 2027
