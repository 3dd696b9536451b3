"""What is wrong with something that was handed in, field by field: all of it is told at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that must be mended; `pointer` names the field as a JSON pointer."""

    pointer: str
    detail: str
