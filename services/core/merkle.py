"""Merkle trees as in RFC 6962, section 2.1: SHA-256, 0x00 before a leaf, 0x01 before a node.

The relay proves what it delivered with them, the audit what it sealed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a tree that only grows: enough to add leaves and to know the root, in log2(size) hashes."""

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        """Raises ValueError when `hashes` are not as many as a tree of `size` leaves has complete subtrees."""
        self.size, self.hashes = size, list(hashes)
        if len(self.hashes) != size.bit_count():
            raise ValueError(
                f"a tree of {size} leaves has {size.bit_count()} complete subtrees, not {len(self.hashes)}"
            )

    def append(self, leaf: bytes) -> None:
        """Add the hash of one more leaf."""
        node, size = leaf, self.size
        while size & 1:
            node = node_hash(self.hashes.pop(), node)
            size >>= 1
        self.hashes.append(node)
        self.size += 1

    def root(self) -> bytes:
        if not self.hashes:
            return EMPTY_ROOT
        node = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            node = node_hash(left, node)
        return node


def root(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes in their order."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


_LENGTH = struct.Struct(">I")


def record_entry(key: bytes, value: bytes | None) -> bytes:
    """A Kafka record as the entry of a leaf: both lengths are bound in, and a tombstone differs from an empty value."""
    if value is None:
        return _LENGTH.pack(len(key)) + key + b"\x00"
    return _LENGTH.pack(len(key)) + key + b"\x01" + value
