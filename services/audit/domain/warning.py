"""Warnings: what in the log is out of the ordinary, as rules over counts and times of its entries.

A rule is a judgement on figures that `services/audit/watch.py` takes from the index; its thresholds are data. What it
finds is an alert with evidence, told once for each cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta

# two decisions that one person must not take on one subject: a part of the type of each
BOTH_SIDES = (
    ("catalog.resource_submitted", "catalog.resource_published"),
    ("demand.demand_submitted", "demand.demand_approved"),
    ("demand.demand_submitted", "demand.grant_opened"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What is still ordinary."""

    window: timedelta = timedelta(hours=1)
    usual_days: int = 7
    volume_factor: float = 10.0
    volume_least: int = 100_000
    silent_days: int = 7
    silent_least: int = 1_000
    denials: int = 20
    denial_window: timedelta = timedelta(minutes=10)
    office_begins: time = time(7)
    office_ends: time = time(21)


def is_unusual_volume(records: int, usual: float, rules: Thresholds) -> bool:
    """Whether `records` in a window are far more than the `usual` number of a window under the same grant."""
    return records >= rules.volume_least and records > usual * rules.volume_factor


def is_sudden(records: int, before: int, rules: Thresholds) -> bool:
    """Whether a grant under which nothing was delivered `before` (for days) is suddenly used for `records`."""
    return before == 0 and records >= rules.silent_least


def is_outside_hours(at: datetime, rules: Thresholds) -> bool:
    """Whether a person's step at `at` (in the place's time) fell outside office hours, or on a weekend."""
    return at.weekday() >= 5 or not rules.office_begins <= at.time() < rules.office_ends


def is_spike(denials: int, rules: Thresholds) -> bool:
    return denials >= rules.denials


def both_sides_of(kind: str) -> list[str]:
    """The types (in part) of the decisions that whoever did `kind` must not have taken too, earlier."""
    return [first for first, second in BOTH_SIDES if second in kind]
