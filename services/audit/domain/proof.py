"""Proofs from tiles: that an entry is in a tree, and that one tree grew from another.

Source: RFC 6962, sections 2.1.1 and 2.1.2. How they are checked is in `services/audit/verifier.py`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from services.audit.verifier import WIDTH, Hashing

Tile = Callable[[int, int], bytes]
_HEIGHT = 8


class Prover:
    """Makes proofs in a log whose tiles `tile(level, index)` gives, a begun one as far as it has come.

    What a tile holds never changes, it only grows; so of `remembered` tiles all inner nodes are kept.
    """

    def __init__(self, tile: Tile, hashing: Hashing, remembered: int = 1_024) -> None:
        self._tile, self._hashing, self._remembered = tile, hashing, remembered
        self._nodes: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """From the sibling of the `index`th leaf up to the child of the root of the first `size` leaves.

        Raises ValueError when there is no such leaf in that tree.
        """
        if not 0 <= index < size:
            raise ValueError(f"a tree of {size} entries has no entry {index}")
        return [self._range(*where) for where in reversed(list(_siblings(index, size)))]

    def consistency(self, first: int, second: int) -> list[bytes]:
        """That the tree of `second` leaves begins with that of `first`; raises ValueError when it cannot."""
        if not 0 <= first <= second:
            raise ValueError(f"a tree of {second} entries does not begin with one of {first}")
        if first in (0, second):
            return []
        low, high, whole, path = 0, second, True, list[tuple[int, int]]()
        while first != high:
            middle = low + _split(high - low)
            if first <= middle:
                path.append((middle, high))
                high = middle
            else:
                path.append((low, middle))
                low, whole = middle, False
        if not whole:
            path.append((low, high))
        return [self._range(*where) for where in reversed(path)]

    def root(self, size: int) -> bytes:
        """The root of the first `size` leaves."""
        return self._range(0, size) if size else bytes(self._hashing.new(b"").digest())

    def _range(self, low: int, high: int) -> bytes:
        """The root over the leaves from `low` up to `high`, where the tree splits so."""
        node: bytes | None = None
        end = high
        while end > low:
            # the complete subtrees that the range is made of, the smallest, which is the last, first
            height = ((end - low) & (low - end)).bit_length() - 1
            end -= 1 << height
            left = self._node(height, end >> height)
            node = left if node is None else self._hashing.nodes(left + node)
        assert node is not None
        return node

    def _node(self, height: int, index: int) -> bytes:
        level, inner = divmod(height, _HEIGHT)
        number, place = divmod(index << inner, WIDTH)
        at = (place >> inner) * 32
        found = self._expanded(level, number)[inner][at : at + 32]
        if not found:
            raise ValueError(f"tile {number} of level {level} does not reach as far as the tree")
        return found

    def _expanded(self, level: int, index: int) -> list[bytes]:
        """A tile with its complete inner nodes, level by level."""
        kept = self._nodes.get((level, index))
        if kept is not None and len(kept[0]) == WIDTH * 32:
            self._nodes.move_to_end((level, index))
            return kept
        raw = self._tile(level, index)
        if kept is not None and len(kept[0]) == len(raw):
            return kept
        nodes = [raw]
        while len(raw) > 32:
            raw = self._hashing.nodes(raw)
            nodes.append(raw)
        self._nodes[level, index] = nodes
        if len(self._nodes) > self._remembered:
            self._nodes.popitem(last=False)
        return nodes


def _split(count: int) -> int:
    """The largest power of two below `count`: where RFC 6962 splits."""
    return 1 << (count - 1).bit_length() - 1


def _siblings(index: int, size: int) -> Iterator[tuple[int, int]]:
    """The ranges beside the way from the root down to the leaf."""
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            yield middle, high
            high = middle
        else:
            yield low, middle
            low = middle
