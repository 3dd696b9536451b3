"""Trees and signed checkpoints, against the specifications' own words."""

from __future__ import annotations

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from services.audit.domain.note import Checkpoint, NotSigned, sign, verify
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


@given(st.lists(st.binary(max_size=4), max_size=40), st.lists(st.binary(max_size=4), max_size=40))
def test_a_tree_grows_on_from_its_frontier(first: list[bytes], more: list[bytes]) -> None:
    grown = merkle.Frontier()
    for entry in first:
        grown.append(merkle.leaf_hash(entry))
    resumed = merkle.Frontier(grown.size, grown.hashes)
    for entry in more:
        resumed.append(merkle.leaf_hash(entry))
    assert resumed.root() == merkle.root(merkle.leaf_hash(entry) for entry in first + more)


def test_a_frontier_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2 complete subtrees, not 1"):
        merkle.Frontier(3, [b"x" * 32])


def test_a_tombstone_is_not_an_empty_value_and_lengths_are_bound() -> None:
    entries = {merkle.record_entry(b"k", None), merkle.record_entry(b"k", b""), merkle.record_entry(b"", b"k")}
    assert len(entries | {merkle.record_entry(b"k\x01", b"")}) == 4


@given(st.integers(0, 2**60), st.binary(min_size=32, max_size=32), st.data())
def test_a_checkpoint_holds_for_its_key_and_no_changed_letter(size: int, root: bytes, data: st.DataObject) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    public = key.public_key().public_bytes_raw()
    note = sign(Checkpoint("example.org/log", size, root), key)
    assert verify(note, "example.org/log", public) == Checkpoint("example.org/log", size, root)
    place = data.draw(st.integers(0, len(note.split("\n\n")[0]) - 1))
    changed = note[:place] + ("A" if note[place] != "A" else "B") + note[place + 1 :]
    with pytest.raises(NotSigned):
        verify(changed, "example.org/log", public)
    other = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32).public_key().public_bytes_raw()
    with pytest.raises(NotSigned):
        verify(note, "example.org/log", other)
