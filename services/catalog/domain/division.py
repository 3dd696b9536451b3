"""Administrative divisions (GB/T 2260) in time: spans of a code, and which division has taken its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from services.core.defects import Defect
from services.core.words import Words


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
    return 1 if code[2:] == "0000" else 2 if code[4:] == "00" else 3


def now_called(spans: Sequence[Span], code: str, day: date) -> Span | None:
    """The division that on `day` is where `code` once was; None where the trail ends or there never was such a code."""
    seen: set[str] = set()
    while code not in seen:
        seen.add(code)
        mine = [span for span in spans if span.code == code and span.valid_from <= day]
        if any(span.holds(day) for span in mine):
            return next(span for span in mine if span.holds(day))
        if not mine:
            return None
        last = max(mine, key=lambda span: span.valid_from)
        if last.successor is None:
            return None
        code = last.successor
    return None


def defects(entered: Sequence[Span], every: Sequence[Span]) -> list[Defect]:
    """All that is wrong with `entered`, when `every` is what there will be."""
    codes = {span.code for span in every}
    found = []
    for index, span in enumerate(entered):
        at = f"/divisions/{index}"
        if span.valid_to is not None and span.valid_to <= span.valid_from:
            found.append(Defect(f"{at}/valid_to", Words("is not after valid_from", "应晚于 valid_from")))
        if span.successor is not None and span.valid_to is None:
            detail = Words("only what has ended has a successor", "未撤销的区划没有后继")
            found.append(Defect(f"{at}/successor", detail))
        for name in ("parent", "successor"):
            other = getattr(span, name)
            if other is not None and other not in codes:
                found.append(Defect(f"{at}/{name}", Words(f"there is no division {other}", f"没有行政区划 {other}")))
        if span.parent is not None and level(span.parent) >= level(span.code):
            detail = Words("is not of a higher level", "不是上级区划")
            found.append(Defect(f"{at}/parent", detail))
        others = [one for one in every if one.code == span.code and one.valid_from != span.valid_from]
        if any(_overlap(span, one) for one in others):
            detail = Words("overlaps another span of the same code", "与同一代码的其他时段重叠")
            found.append(Defect(f"{at}/valid_from", detail))
    return found


def _overlap(one: Span, other: Span) -> bool:
    return (one.valid_to is None or other.valid_from < one.valid_to) and (
        other.valid_to is None or one.valid_from < other.valid_to
    )
