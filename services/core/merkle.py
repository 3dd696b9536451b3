"""Merkle trees as in RFC 6962, section 2.1: SHA-256, 0x00 before a leaf, 0x01 before a node.

The relay proves what it delivered with them, the audit what it sealed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def root(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes in their order; an odd one out is taken up a level as it is, as RFC 6962 splits."""
    hashes: Sequence[bytes] = list(leaves)
    if not hashes:
        return EMPTY_ROOT
    while len(hashes) > 1:
        pairs = [sha256(b"\x01" + a + b).digest() for a, b in zip(hashes[::2], hashes[1::2], strict=False)]
        if len(hashes) & 1:
            pairs.append(hashes[-1])
        hashes = pairs
    return hashes[0]


_LENGTH = struct.Struct(">I")


def record_entry(key: bytes, value: bytes | None) -> bytes:
    """A Kafka record as the entry of a leaf: both lengths are bound in, and a tombstone differs from an empty value."""
    if value is None:
        return _LENGTH.pack(len(key)) + key + b"\x00"
    return _LENGTH.pack(len(key)) + key + b"\x01" + value
