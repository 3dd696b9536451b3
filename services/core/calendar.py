"""Working days of the official calendar: when a clock runs out.

The calendar is data of the place: the national arrangement of holidays and make-up working days comes from a library,
what a place enters itself goes before it. A year that nobody has announced yet is said to be unknown, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import chinese_calendar

# Clocks count the days of the place, which has one time zone.
PLACE = ZoneInfo("Asia/Shanghai")


def today() -> date:
    """The day it is at the place."""
    return datetime.now(PLACE).date()


class CalendarUnknown(Exception):
    """The calendar has no data for a year that is needed; the message names it."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """The national calendar with a place's own days: `entered` says of a day whether it is a working day."""

    entered: Mapping[date, bool] = field(default_factory=dict)

    def is_working_day(self, day: date) -> bool:
        """Raises CalendarUnknown when neither the place nor the national arrangement knows."""
        if day in self.entered:
            return self.entered[day]
        try:
            return bool(chinese_calendar.is_workday(day))
        except NotImplementedError as error:
            raise CalendarUnknown(f"the working days of {day.year} have not been announced") from error


@dataclass(frozen=True, slots=True)
class WeekdaysWhereUnknown(Calendar):
    """For a date that must be named though the year is not announced yet: Monday to Friday, to be set right later."""

    def is_working_day(self, day: date) -> bool:
        try:
            return Calendar.is_working_day(self, day)
        except CalendarUnknown:
            return day.weekday() < 5


def working_days_after(start: date, days: int, calendar: Calendar) -> date:
    """The date on which a clock of `days` working days that began on `start` runs out (start day not counted).

    Raises CalendarUnknown when the calendar has no data for a year it needs.
    Source: Order 809; the calendar is data of the place (holidays and make-up days).
    """
    if days < 0:
        raise ValueError("a clock cannot run backwards")
    day = start
    while days:
        day += timedelta(days=1)
        days -= calendar.is_working_day(day)
    return day


def due(start: date, days: int, calendar: Calendar) -> tuple[date, bool]:
    """When the clock runs out, and whether that is provisional (it reaches a year that is not announced yet)."""
    try:
        return working_days_after(start, days, calendar), False
    except CalendarUnknown:
        return working_days_after(start, days, WeekdaysWhereUnknown(calendar.entered)), True
