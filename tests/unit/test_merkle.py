"""Trees, against the specification's own words."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from services.core import merkle


def rfc_6962_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, letter by letter; `leaves` are hashed already."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + rfc_6962_root(leaves[:split]) + rfc_6962_root(leaves[split:])).digest()


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_the_root_is_that_of_rfc_6962(entries: list[bytes]) -> None:
    leaves = [merkle.leaf_hash(entry) for entry in entries]
    assert merkle.root(leaves) == rfc_6962_root(leaves)


def test_a_tombstone_is_not_an_empty_value_and_lengths_are_bound() -> None:
    entries = {merkle.record_entry(b"k", None), merkle.record_entry(b"k", b""), merkle.record_entry(b"", b"k")}
    assert len(entries | {merkle.record_entry(b"k\x01", b"")}) == 4
