"""The category tree: 类 / 项 / 目 / 细目, each level's code carrying the ones above it (编制指南 2017)."""

from __future__ import annotations

from collections.abc import Sequence

from services.core.defects import Defect
from services.core.words import Words

LEVELS = 4
_WIDTHS = (1, 2, 3)


def code_defects(code: str, path: Sequence[str]) -> list[Defect]:
    """What is wrong with a code below `path` (the codes from the class down to its parent).

    类 has 1 digit, 项 adds 2, 目 adds 3, 细目 any number; a place with another scheme chooses wider classes only.
    """
    level = len(path)
    if level >= LEVELS:
        return [Defect("/parent", Words(f"lies {LEVELS} levels deep already", f"已是第 {LEVELS} 级"))]
    above = path[-1] if path else ""
    own = code[len(above) :]
    if not code.startswith(above) or not own.isdigit() or not own.isascii():
        detail = Words(f"begins with {above!r} and goes on with digits", f"应以“{above}”开头，后接数字")
        return [Defect("/code", detail)]
    if level < len(_WIDTHS) and len(own) != _WIDTHS[level]:
        width = _WIDTHS[level]
        detail = Words(f"has {width} digits of its own on this level", f"本级代码应为 {width} 位数字")
        return [Defect("/code", detail)]
    return []
