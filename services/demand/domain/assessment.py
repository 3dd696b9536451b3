"""Figures (KPI) per department and period, from what happened and what was delivered, and from nothing else.

All of it is a function of `demand.events` and of the sums of `sync.deliveries`, so that whoever has the two logs can
reckon it again. A department is assessed as who provides: which demands for its data were satisfied, how soon data
flowed, whether it answered in time, how good its data is, how much it is used and how content its consumers are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from services.core.calendar import PLACE
from services.demand.domain.norms import MinuteLevel, Weights

FIGURES = ("on_demand", "minute_level", "timeliness", "answers", "quality", "use", "satisfaction")
# What makes a yearly score; timeliness shows beside them how deliveries fared one by one.
SCORED = ("on_demand", "minute_level", "answers", "quality", "use", "satisfaction")


class PeriodUnknown(ValueError):
    """Text that names no month (2026-11), quarter (2026-Q4) or year (2026)."""


@dataclass(frozen=True, slots=True)
class Period:
    """A month, quarter or year of the place's calendar: from `begin` until before `end`."""

    name: str
    begin: datetime
    end: datetime

    def holds(self, moment: datetime) -> bool:
        return self.begin <= moment < self.end


def period_of(name: str) -> Period:
    """Raises PeriodUnknown."""
    found = re.fullmatch(r"(2[0-9]{3})(?:-(0[1-9]|1[0-2])|-Q([1-4]))?", name)
    if found is None:
        raise PeriodUnknown(f"{name!r} is no month (2026-11), quarter (2026-Q4) or year (2026)")
    year, month, quarter = int(found[1]), found[2], found[3]
    first, months = (int(month), 1) if month else (int(quarter) * 3 - 2, 3) if quarter else (1, 12)
    after = first + months
    begin = datetime(year, first, 1, tzinfo=PLACE)
    end = datetime(year + (after > 12), after - 12 if after > 12 else after, 1, tzinfo=PLACE)
    return Period(name, begin, end)


@dataclass(slots=True)
class Rate:
    """So many of so many; without any, there is no rate."""

    part: float = 0
    whole: float = 0

    @property
    def value(self) -> float | None:
        return self.part / self.whole if self.whole else None

    def count(self, holds: bool) -> None:
        self.part += holds
        self.whole += 1

    def add(self, other: Rate) -> None:
        self.part += other.part
        self.whole += other.whole


@dataclass(slots=True)
class Assessment:
    """A department's figures in a period; what it received as a consumer stands beside them."""

    rates: dict[str, Rate] = field(default_factory=lambda: {name: Rate() for name in FIGURES})
    provided: int = 0
    received: int = 0
    feedback: int = 0
    objections: int = 0

    def add(self, other: Assessment) -> None:
        for name, rate in other.rates.items():
            self.rates[name].add(rate)
        self.provided += other.provided
        self.received += other.received
        self.feedback += other.feedback
        self.objections += other.objections

    def score(self, weights: Weights) -> float | None:
        """The weighted mean of the rates that there are, in hundredths; None where there is none."""
        total = known = 0.0
        for name in SCORED:
            value, weight = self.rates[name].value, float(getattr(weights, name))
            if value is not None:
                total, known = total + weight * value, known + weight
        return round(100 * total / known, 1) if known else None


@dataclass(frozen=True, slots=True)
class DayUse:
    """What was delivered under a grant on a day that began at `start`."""

    grant: str
    department: str
    start: datetime
    records: int
    errors: int
    timed: int
    timely: int


@dataclass(slots=True)
class _Case:
    """A demand, with the grant that came of it; what the data authority granted by itself is a case of its own."""

    asked_at: datetime
    provider: str = ""
    withdrawn: bool = False
    grant: str = ""
    granted_at: datetime | None = None
    begins_at: datetime | None = None
    ended_at: datetime | None = None
    breached: bool = False


_ENDS = frozenset({"grant_revoked", "grant_expired", "grant_reopened"})


def assess(
    events: Iterable[Mapping[str, Any]],
    days: Iterable[DayUse],
    firsts: Mapping[str, datetime],
    period: Period,
    norm: MinuteLevel,
) -> dict[str, Assessment]:
    """Each department's figures; `events` in their order, `firsts` each grant's first delivery."""
    book = _Book(period)
    for event in events:
        if event["occurred_at"] < period.end:
            book.take(event)
    book.deliver([day for day in days if period.holds(day.start)], firsts, norm)
    return dict(sorted(book.found.items()))


class _Book:
    """Folds events into figures."""

    def __init__(self, period: Period) -> None:
        self._period = period
        self.found: dict[str, Assessment] = {}
        self._cases: dict[str, _Case] = {}
        self._providers: dict[str, str] = {}
        self._overdue: set[str] = set()

    def of(self, department: str) -> Assessment:
        return self.found.setdefault(department, Assessment())

    def take(self, event: Mapping[str, Any]) -> None:
        kind = str(event["type"]).removeprefix("cn.tongshu.demand.").removesuffix(".v1")
        data, at = event["data"], event["occurred_at"]
        if data.get("provider") and data.get("resource"):
            self._providers[data["resource"]] = data["provider"]
        if kind.startswith(("demand_", "emergency_", "clock_", "grant_")):
            self._follow(kind, event)
        if kind == "objection_overdue":
            self._overdue.add(event["subject"])
        if not self._period.holds(at):
            return
        if kind == "objection_overdue":
            self.of(data["provider"]).rates["answers"].count(False)
        elif kind in ("objection_accepted", "objection_refused"):
            # one that was overdue has counted already, when it became so
            if event["subject"] not in self._overdue:
                self.of(data["provider"]).rates["answers"].count(data["in_time"] == "true")
        elif kind == "objection_raised":
            self.of(data["provider"]).objections += 1
        elif kind == "objection_closed":
            self.of(data["provider"]).rates["quality"].part -= 1
        elif kind == "feedback_given":
            self.of(event["department"]).feedback += 1
            self.of(self._providers.get(data["resource"], "")).rates["satisfaction"].add(
                Rate(int(data["score"]) - 1, 4)
            )

    def _follow(self, kind: str, event: Mapping[str, Any]) -> None:
        """What an event means for its case."""
        data, at = event["data"], event["occurred_at"]
        case = self._cases.get(event["thread"])
        if case is None:
            if kind not in ("demand_submitted", "grant_opened"):
                return
            case = self._cases[event["thread"]] = _Case(at)
        case.provider = data.get("supplier") or data.get("provider") or case.provider
        if kind == "grant_opened":
            case.grant, case.granted_at, case.ended_at = event["subject"], at, None
            case.begins_at = datetime.fromisoformat(data["valid_from"]) if "valid_from" in data else at
        elif kind in _ENDS and event["subject"] == case.grant:
            case.ended_at = at
        elif kind == "demand_withdrawn":
            case.withdrawn = True
        elif kind == "clock_breached" and data["clock"] == "reply":
            case.breached = True
            if self._period.holds(at):  # late from now on, whether it is ever answered or not
                self.of(case.provider).rates["answers"].count(False)
        elif kind in ("demand_approved", "demand_refused"):
            if self._period.holds(at) and not case.breached:
                self.of(case.provider).rates["answers"].count(True)
            case.breached = False

    def deliver(self, days: list[DayUse], firsts: Mapping[str, datetime], norm: MinuteLevel) -> None:
        """Count the cases of the period, by what was delivered under their grants."""
        used: dict[str, list[DayUse]] = {}
        for day in days:
            used.setdefault(day.grant, []).append(day)
            self.of(day.department).received += day.records
        for case in self._cases.values():
            if case.withdrawn:
                continue
            mine = used.get(case.grant, [])
            one = self.of(case.provider)
            if self._period.holds(case.asked_at):
                one.rates["on_demand"].count(bool(case.grant))
            if case.grant:
                self._use(one, case, mine, firsts.get(case.grant), norm)

    def _use(self, one: Assessment, case: _Case, days: list[DayUse], first: datetime | None, norm: MinuteLevel) -> None:
        records, errors = sum(day.records for day in days), sum(day.errors for day in days)
        timed, timely = sum(day.timed for day in days), sum(day.timely for day in days)
        one.provided += records
        one.rates["quality"].add(Rate(records, records + errors))
        one.rates["timeliness"].add(Rate(timely, timed))
        granted, ended = case.granted_at, case.ended_at
        if granted is not None and granted < self._period.end and not (ended and ended < self._period.begin):
            one.rates["use"].count(bool(days))
        if granted is not None and case.begins_at is not None and self._period.holds(granted):
            within = timedelta(seconds=norm.first_record_seconds)
            soon = first is not None and first - max(granted, case.begins_at) <= within
            one.rates["minute_level"].count(soon and timely >= norm.share * timed)


def total(found: Mapping[str, Assessment]) -> Assessment:
    """The figures of the whole place."""
    whole = Assessment()
    for one in found.values():
        whole.add(one)
    return whole
