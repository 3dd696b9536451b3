"""A contract's rules on the stream: what a row breaks, read from a change as its source spelt it.

Rules that judge a row by itself are judged here; those that need others are followed beside the stream and open a case
(`services/sync/comparing`). Freshness only counts: a row that is late is delivered all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import structlog

from services.core import quality
from services.core.quality import Broken, Checker, CodeLists, RuleError
from services.sync.projection.plan import Column, Columns, NotAnEnvelope
from services.sync.projection.reference import UnavailableValue, read
from services.sync.projection.values import WrongType

log = structlog.get_logger()


class Dimension(StrEnum):
    """What a score is about."""

    COMPLETENESS = "completeness"
    ACCURACY = "accuracy"
    TIMELINESS = "timeliness"


_DIMENSIONS = {"required": Dimension.COMPLETENESS, "freshness": Dimension.TIMELINESS}
_NOT_HERE = frozenset({"unique", "consistent"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a row breaks: rules that stop it, all rules by name, and the dimensions they are of."""

    stopping: tuple[Broken, ...] = ()
    rules: tuple[str, ...] = ()
    dimensions: frozenset[Dimension] = frozenset()


SOUND = Verdict()


class Judge:
    """The rules of one resource for changes written with one schema."""

    def __init__(self, rules: Sequence[Mapping[str, Any]], columns: Columns, code_lists: CodeLists) -> None:
        """Rules that cannot be, or need what is not here, are left out: the catalogue has refused or said so."""
        compiled, self.rules, self._kinds = [], list[Mapping[str, Any]](), dict[str, str]()
        items: set[str] = set()
        for rule in rules:
            if rule["kind"] in _NOT_HERE:
                continue
            try:
                one = quality.compile_rule(rule, columns.types, code_lists)
                needed = set(one.items) | (one.when.items() if one.when else frozenset())
                self._columns_of(columns, needed)
            except (RuleError, NotAnEnvelope, KeyError) as why:
                log.warning("a quality rule is not checked", rule=rule["id"], why=str(why))
                continue
            compiled.append(one)
            self.rules.append(rule)
            items |= needed
            self._kinds[rule["id"]] = rule["kind"]
        self._columns = self._columns_of(columns, items)
        self._checker = Checker(compiled)

    @staticmethod
    def _columns_of(columns: Columns, items: set[str]) -> list[Column]:
        return [columns.column(item) for item in sorted(items)]

    @property
    def is_needed(self) -> bool:
        """Whether there is any rule to judge by."""
        return bool(self._kinds)

    def judge(self, row: Mapping[str, Any], before: Mapping[str, Any] | None, now: datetime) -> Verdict | None:
        """What `row` breaks; None where a value that is needed is not there or is of another type.

        Such a change is for the projection to refuse. `before` gives large values that an update did not touch.
        """
        try:
            values = {one.item: read(one, row, before) for one in self._columns}
            broken = self._checker.check(values, now)
        except (WrongType, UnavailableValue, KeyError, TypeError, ValueError, OverflowError):
            return None
        if not broken:
            return SOUND
        kinds = [self._kinds[one.rule] for one in broken]
        stops = [one.severity == "error" and kind != "freshness" for one, kind in zip(broken, kinds, strict=True)]
        return Verdict(
            tuple(one for one, stop in zip(broken, stops, strict=True) if stop),
            tuple(one.rule for one in broken),
            frozenset(_DIMENSIONS.get(kind, Dimension.ACCURACY) for kind in kinds),
        )


@dataclass(slots=True)
class Score:
    """What the relay found of one resource in one transaction: rows judged, and those that fell short."""

    judged: int = 0
    incomplete: int = 0
    inaccurate: int = 0
    late: int = 0
    set_aside: int = 0
    corrected: int = 0
    broken: dict[str, int] | None = None

    def count(self, verdict: Verdict) -> None:
        """A row that was judged."""
        self.judged += 1
        if verdict is SOUND:
            return
        self.incomplete += Dimension.COMPLETENESS in verdict.dimensions
        self.inaccurate += Dimension.ACCURACY in verdict.dimensions
        self.late += Dimension.TIMELINESS in verdict.dimensions
        self.set_aside += bool(verdict.stopping)
        self.broken = self.broken or {}
        for rule in verdict.rules:
            self.broken[rule] = self.broken.get(rule, 0) + 1

    def record(self) -> dict[str, Any]:
        """In the fields of `sync.quality`."""
        return {**asdict(self), "broken": self.broken or {}}
