"""What is wrong with administrative divisions (GB/T 2260) that are entered."""

from __future__ import annotations

from collections.abc import Sequence

from services.core.defects import Defect
from services.core.divisions import Span, level
from services.core.words import Words


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
