"""Administrative divisions (行政区划, GB/T 2260) in time: what a code once named, and where that lies today."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

_LEVELS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What a code stands for from `valid_from` until the day before `valid_to` (None: until further notice)."""

    code: str
    name: str
    parent: str | None
    valid_from: date
    valid_to: date | None
    successor: str | None

    def holds(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


def level(code: str) -> int:
    """1 province, 2 prefecture, 3 county: how many pairs of the code are not 00 at its end."""
    return 1 if code[2:] == "0000" else 2 if code[4:] == "00" else _LEVELS


class Divisions:
    """All divisions that there are and were."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans: dict[str, list[Span]] = {}
        for span in spans:
            self._spans.setdefault(span.code, []).append(span)

    def now(self, code: str, day: date) -> Span | None:
        """The division that on `day` is where `code` once was; None where the trail ends or there was no such code."""
        seen: set[str] = set()
        while code not in seen:
            seen.add(code)
            mine = [span for span in self._spans.get(code, ()) if span.valid_from <= day]
            if in_force := [span for span in mine if span.holds(day)]:
                return in_force[0]
            if not mine:
                return None
            last = max(mine, key=lambda span: span.valid_from)
            if last.successor is None:
                return None
            code = last.successor
        return None

    def within(self, division: str, day: date) -> frozenset[str]:
        """Every code, of today or of before, of what on `day` is `division` or lies below it."""
        return frozenset(code for code in self._spans if division in self._above(code, day))

    def _above(self, code: str, day: date) -> list[str]:
        """The division in force where `code` once was, and those above it."""
        found: list[str] = []
        here = self.now(code, day)
        while here is not None and len(found) < _LEVELS:
            found.append(here.code)
            here = self.now(here.parent, day) if here.parent else None
        return found
