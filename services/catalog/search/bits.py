"""Sets of resources as bits of an integer: bit n is the resource with ordinal n.

Python's integers intersect, unite and count a set of 100,000 in microseconds, which is why every hit can be counted for
every facet. In the database a set lies in chunks, each a bytea of fixed length, the least bit first (as `set_bit` of
Postgres counts).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

CHUNK_BITS = 32_768
CHUNK_BYTES = CHUNK_BITS // 8


def place(ordinal: int) -> tuple[int, int]:
    """`(chunk, bit within it)`."""
    return divmod(ordinal, CHUNK_BITS)


def single(bit: int) -> bytes:
    """A chunk with one bit."""
    return (1 << bit).to_bytes(CHUNK_BYTES, "little")


def joined(chunks: Iterable[tuple[int, bytes]]) -> int:
    """The set whose chunks are `(chunk, its bytes)`."""
    found = 0
    for chunk, content in chunks:
        found |= int.from_bytes(content, "little") << (chunk * CHUNK_BITS)
    return found


def replaced(found: int, chunk: int, content: bytes) -> int:
    """`found` with one chunk of it replaced."""
    shift = chunk * CHUNK_BITS
    before = (found >> shift) & ((1 << CHUNK_BITS) - 1)
    return found ^ ((before ^ int.from_bytes(content, "little")) << shift)


def members(found: int, after: int = -1) -> Iterator[int]:
    """The members of a set that are greater than `after`, in ascending order."""
    found = found >> (after + 1)
    base = after + 1
    while found:
        step = (found & -found).bit_length()
        yield base + step - 1
        found >>= step
        base += step


def at_least(sets: Sequence[int], count: int) -> int:
    """What is in `count` or more of `sets`."""
    if count <= 0:
        raise ValueError("count must be positive")
    reached = [0] * (count + 1)
    for one in sets:
        for level in range(count, 1, -1):
            reached[level] |= reached[level - 1] & one
        reached[1] |= one
    return reached[count]
