"""What one side holds of a grant: rows by key, as digests; and what differs between two sides.

Keys are spread over ranges by their digests. Counts and checksums of ranges tell where two sides differ without
looking at any key, and the keys of those ranges which rows it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from hashlib import sha256

RANGES = 256
_MODULUS = 1 << 64


@dataclass(frozen=True, slots=True)
class Row:
    """A row: the digest of what the grant shows of it; `key` stands for its key as the share topic has it.

    `place` is where the share topic has it: partition and offset.
    """

    digest: bytes
    key: bytes
    place: tuple[int, int] | None = None


Rows = Mapping[bytes, Row | None]
"""By the digest of the key; None for a row that is set aside, of which nothing can be said."""


@dataclass(frozen=True, slots=True)
class Range:
    """How many rows a range has, and the sum of their digests: the same for the same rows in any order."""

    rows: int = 0
    checksum: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """Keys that the target lacks, has too many, or has with another row."""

    missing: frozenset[bytes] = field(default_factory=frozenset)
    surplus: frozenset[bytes] = field(default_factory=frozenset)
    differing: frozenset[bytes] = field(default_factory=frozenset)

    def __bool__(self) -> bool:
        return bool(self.missing or self.surplus or self.differing)

    @property
    def keys(self) -> frozenset[bytes]:
        return self.missing | self.surplus | self.differing

    def among(self, keys: Set[bytes]) -> Difference:
        """What of it concerns these keys."""
        return Difference(self.missing & keys, self.surplus & keys, self.differing & keys)


def range_of(key: bytes) -> int:
    return key[0]


def ranges(rows: Rows, beside: Rows) -> dict[int, Range]:
    """Count and checksum of each range that is not empty; what is set aside on either side is left out."""
    sums: dict[int, list[int]] = {}
    for key, row in rows.items():
        if row is not None and beside.get(key, row) is not None:
            one = sums.setdefault(range_of(key), [0, 0])
            one[0] += 1
            one[1] += int.from_bytes(sha256(key + row.digest).digest()[:8], "big")
    return {place: Range(count, total % _MODULUS) for place, (count, total) in sums.items()}


def compare(source: Rows, target: Rows) -> tuple[Difference, dict[int, tuple[Range, Range]]]:
    """What differs, and the ranges in which it does: what each side has there."""
    there, here = ranges(source, target), ranges(target, source)
    unlike = {
        place: (there.get(place, Range()), here.get(place, Range()))
        for place in there.keys() | here.keys()
        if there.get(place) != here.get(place)
    }
    missing, surplus, differing = set(), set(), set()
    for key, row in source.items():
        if row is None or range_of(key) not in unlike:
            continue
        found = target.get(key)
        if found is None:
            if key not in target:
                missing.add(key)
        elif found.digest != row.digest:
            differing.add(key)
    for key, found in target.items():
        if found is not None and range_of(key) in unlike and key not in source:
            surplus.add(key)
    return Difference(frozenset(missing), frozenset(surplus), frozenset(differing)), unlike
