"""Use: what was delivered, summed by the minute, the hour and the day, per grant.

The sums come from delivery manifests and from the account of calls. Each counts once, by the run of the process that
told it, its grant and its number there, so that sums are the same however often the log is read. Days, and with them
all windows, begin as the place's clocks say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Any

from services.core.calendar import PLACE

# Within a minute of the source's commit: what makes a delivery count for the minute-level satisfaction rate.
MINUTE_US = 60_000_000


class Granularity(StrEnum):
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


# How long windows are kept, in seconds; days are kept for ever.
KEPT_SECONDS = {Granularity.MINUTE: 3 * 86_400, Granularity.HOUR: 90 * 86_400}

Run = tuple[str, str]
"""A run of a relay worker or of the row API, and a grant."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A grant's minute, hour or day; `start` in seconds since 1970 (UTC)."""

    grant: str
    granularity: Granularity
    start: int


# The figures that are sums.
ADDED = (
    "deliveries", "records", "bytes", "errors", "calls", "rows", "refused", "call_sum_us", "timed", "timely",
    "latency_sum_us",
)  # fmt: skip


@dataclass(slots=True)
class Figures:
    """What a window holds. Latencies run from the source's commit to the delivering transaction, in microseconds.

    `latency_sum_us` adds the longest latency of each delivery that has one (snapshot rows have none), `timed` counts
    those, `timely` those of them within a minute. `errors` are changes that went to quarantine. `calls` of the row API
    were answered with `rows`, or `refused` for whatever reason; how long they took is `call_sum_us` and `call_max_us`.
    `bytes` are those of the delivered records and of the answers.
    """

    deliveries: int = 0
    records: int = 0
    bytes: int = 0
    errors: int = 0
    calls: int = 0
    rows: int = 0
    refused: int = 0
    call_sum_us: int = 0
    call_max_us: int = 0
    timed: int = 0
    timely: int = 0
    latency_sum_us: int = 0
    latency_min_us: int | None = None
    latency_max_us: int | None = None

    def add(self, other: Figures) -> None:
        for name in ADDED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.call_max_us = max(self.call_max_us, other.call_max_us)
        self.latency_min_us = _of(min, self.latency_min_us, other.latency_min_us)
        self.latency_max_us = _of(max, self.latency_max_us, other.latency_max_us)


def _of(choose: Any, one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else choose(one, other)


@dataclass(frozen=True, slots=True)
class Party:
    """Whose use it is: what a grant is about."""

    resource: str
    department: str


@dataclass(slots=True)
class Span:
    """A grant's first and last delivery, and all its records."""

    first: datetime
    last: datetime
    records: int


@dataclass(slots=True)
class Sums:
    """What a stretch of the log adds. `counted` holds the highest number that was counted of each run and grant."""

    counted: dict[Run, int] = field(default_factory=dict)
    windows: dict[Window, Figures] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    parties: dict[str, Party] = field(default_factory=dict)

    def deliver(self, manifest: Mapping[str, Any]) -> bool:
        """Count a manifest; False when it was counted before."""
        grant, at = str(manifest["grant"]), manifest["delivered_at"]
        run = (str(manifest["worker"]), grant)
        if manifest["sequence"] <= self.counted.get(run, 0):
            return False
        self.counted[run] = manifest["sequence"]
        self.parties[grant] = Party(manifest["resource"], manifest["department"])
        self._add(grant, at, _figures(manifest))
        span = self.spans.setdefault(grant, Span(at, at, 0))
        span.first, span.last = min(span.first, at), max(span.last, at)
        span.records += manifest["records"]
        return True

    def call(self, account: Mapping[str, Any]) -> bool:
        """Count the calls of a record of `sync.access`; False when they were counted before, or had no grant."""
        grant, number = account["grant"], account["sequence"] + 1  # runs of the row API number from 0
        if grant is None or number <= self.counted.get((account["worker"], grant), 0):
            return False
        self.counted[account["worker"], grant] = number
        self.parties[grant] = Party(account["resource"], account["department"])
        # a record holds up to a thousand calls, of one minute mostly
        for minute, calls in groupby(account["calls"], lambda one: one["at"].replace(second=0, microsecond=0)):
            self._add(grant, minute, _figures_of_calls(list(calls)))
        return True

    def quarantine(self, grant: str, party: Party, at: datetime) -> None:
        """Count a change that could not be relayed under `grant`."""
        self.parties[grant] = party
        self._add(grant, at, Figures(errors=1))

    def _add(self, grant: str, at: datetime, figures: Figures) -> None:
        for granularity, start in starts(at).items():
            self.windows.setdefault(Window(grant, granularity, start), Figures()).add(figures)


def starts(at: datetime) -> dict[Granularity, int]:
    """When the minute, the hour and the day of `at` began at the place."""
    local = at.astimezone(PLACE)
    minute = local.replace(second=0, microsecond=0)
    hour = minute.replace(minute=0)
    day = hour.replace(hour=0)
    return {
        Granularity.MINUTE: int(minute.timestamp()),
        Granularity.HOUR: int(hour.timestamp()),
        Granularity.DAY: int(day.timestamp()),
    }


def sums_of(manifests: Iterable[Mapping[str, Any]]) -> Sums:
    """All sums of a log, from nothing."""
    sums = Sums()
    for manifest in manifests:
        sums.deliver(manifest)
    return sums


def _figures(manifest: Mapping[str, Any]) -> Figures:
    shortest, longest = manifest["latency_min_us"], manifest["latency_max_us"]
    timed = longest >= 0
    return Figures(
        deliveries=1,
        records=manifest["records"],
        bytes=manifest["bytes"],
        timed=int(timed),
        timely=int(timed and longest <= MINUTE_US),
        latency_sum_us=longest if timed else 0,
        latency_min_us=shortest if timed else None,
        latency_max_us=longest if timed else None,
    )


def _figures_of_calls(calls: Sequence[Mapping[str, Any]]) -> Figures:
    took = [call["took_us"] for call in calls]
    return Figures(
        calls=len(calls),
        rows=sum(call["rows"] for call in calls),
        bytes=sum(call["bytes"] for call in calls),
        refused=sum(call["outcome"] != "answered" for call in calls),
        call_sum_us=sum(took),
        call_max_us=max(took),
    )


def is_silent(last: datetime, now: datetime, hours: float) -> bool:
    """Whether a grant has been silent: nothing delivered for longer than its resource's update cycle lets expect."""
    return (now - last).total_seconds() > hours * 3_600
