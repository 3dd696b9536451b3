#!/usr/bin/env python3
"""Verifies the audit log of a Tongshu exchange: needs nothing but Python's standard library and `cryptography`.

    python3 verifier.py FOLDER [--key KEY]      an exported log: every entry, leaf, tile, root and signature
    python3 verifier.py FILE.json [--key KEY]   an excerpt with proofs: each entry is in the tree that was signed

KEY is what `GET /api/audit/v1/key` answers (`name+id+base64`), which you should have from elsewhere; without it, the
key that lies in the export is believed, and that is said. Exit 0: all holds; 1: something does not; 2: wrong use.

Sources: RFC 6962 section 2.1 and RFC 9162 section 2.1.3.2 and 2.1.4.2 (trees and proofs); C2SP signed-note,
tlog-checkpoint, tlog-cosignature and tlog-tiles; GB/T 32918.2 and 32918.5 (SM2), GM/T 0009 (who signs).
"""

from __future__ import annotations

import argparse
import base64
import collections
import hashlib
import json
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

WIDTH = 256
_TILE_BYTES = WIDTH * 32
ED25519, COSIGNATURE, UNASSIGNED = 0x01, 0x04, 0xFF
# An exchange may keep its own chain in SM3 (GB/T 32905): then its origin ends so, and public tools do not apply.
SM3_SUFFIX = "/sm3"
# So it may sign with SM2; signed-note wants a long name in front of keys of a kind that it has no number for.
SM2_NAME = b"tongshu.exchange/sm2-with-sm3/v1"

New = Callable[[bytes], Any]
Read = Callable[[str], bytes | None]


class NotSigned(Exception):
    """A note that is malformed, or that no key we trust has signed."""


# -- trees -----------------------------------------------------------------------------------------------------------


def digest_of(origin: str) -> New:
    """The digest of the log `origin`."""
    return partial(hashlib.new, "sm3") if origin.endswith(SM3_SUFFIX) else sha256


def leaf_hashes(entries: Iterable[bytes], new: New = sha256) -> bytes:
    """The leaf hashes of entries, one after another; 32 bytes each, as all hashes here."""
    return b"".join([new(b"\x00" + entry).digest() for entry in entries])


def node_hashes(hashes: bytes, new: New = sha256) -> bytes:
    """The hashes of the nodes over each two of `hashes`; one without another is left out."""
    return b"".join([new(b"\x01" + hashes[at : at + 64]).digest() for at in range(0, len(hashes) - 63, 64)])


@dataclass(frozen=True, slots=True)
class Hashing:
    """What is done to every entry of a log, as this file says it; an exchange may bring what does the same, quicker."""

    new: New
    leaves: Callable[[list[bytes]], bytes]
    nodes: Callable[[bytes], bytes]
    split: Callable[[bytes], list[bytes]]
    numbered: Callable[[list[bytes], int], bool]

    def fold(self, hashes: bytes) -> bytes:
        """The root over at least one hash; an odd one out is taken up a level as it is, as RFC 6962 splits."""
        while len(hashes) > 32:
            hashes = self.nodes(hashes) + hashes[len(hashes) & ~63 :]
        return hashes


def hashing_of(origin: str) -> Hashing:
    """How the log `origin` is hashed."""
    new = digest_of(origin)
    return Hashing(new, partial(leaf_hashes, new=new), partial(node_hashes, new=new), split, numbered)


class Edge:
    """The right edge of a tree: of each level the hashes of the tile that is not full yet. It only grows."""

    def __init__(self, hashing: Hashing, levels: Iterable[bytes] = ()) -> None:
        self.hashing, self.levels = hashing, list(levels)
        self.size = sum(len(level) // 32 * WIDTH**number for number, level in enumerate(self.levels))

    def append(self, leaves: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Take in leaf hashes; gives `(level, index, hashes)` of each tile that became full, the lower ones first.

        Nothing is taken in unless the iterator is used up.
        """
        self.size += len(leaves) // 32
        yield from self._rise(0, leaves, self.size)

    def _rise(self, number: int, hashes: bytes, units: int) -> Iterator[tuple[int, int, bytes]]:
        if number == len(self.levels):
            self.levels.append(b"")
        hashes = self.levels[number] + hashes
        first, full = (units - len(hashes) // 32) // WIDTH, len(hashes) // _TILE_BYTES
        roots = []
        for place in range(full):
            tile = hashes[place * _TILE_BYTES : (place + 1) * _TILE_BYTES]
            roots.append(self.hashing.fold(tile))
            yield number, first + place, tile
        self.levels[number] = hashes[full * _TILE_BYTES :]
        if full:
            yield from self._rise(number + 1, b"".join(roots), units // WIDTH)

    def partial(self) -> Iterator[tuple[int, int, bytes]]:
        """`(level, index, hashes)` of each tile that has begun."""
        for number, level in enumerate(self.levels):
            if level:
                yield number, self.size // WIDTH ** (number + 1), level

    def root(self) -> bytes:
        ragged = b""
        for level in self.levels:
            if level or ragged:
                ragged = self.hashing.fold(level + ragged)
        return ragged or bytes(self.hashing.new(b"").digest())


def root_from_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], new: New = sha256) -> bytes | None:
    """The root that `proof` leads to from the `index`th of `size` leaves; None when it has not the right length."""
    if not 0 <= index < size:
        return None
    place, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return None
        if place & 1 or place == last:
            node = new(b"\x01" + sibling + node).digest()
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            node = new(b"\x01" + node + sibling).digest()
        place, last = place >> 1, last >> 1
    return node if last == 0 else None


def is_consistent(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes], new: New = sha256
) -> bool:
    """Whether `proof` shows that the tree of `second` leaves grew from that of `first` leaves."""
    if first == second:
        return not proof and first_root == second_root
    if not 0 <= first < second or (first == 0) != (not proof):
        return False
    if first == 0:
        return bool(first_root == new(b"").digest())
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = grown = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, grown = new(b"\x01" + sibling + old).digest(), new(b"\x01" + sibling + grown).digest()
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            grown = new(b"\x01" + grown + sibling).digest()
        place, last = place >> 1, last >> 1
    return last == 0 and old == first_root and grown == second_root


# -- notes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log `origin` has `size` entries, and `root` is the root of their tree."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class Key:
    """A public key that may sign notes: the log's, or that of a witness.

    One of SM2 is its name and the point (0x04, and both coordinates).
    """

    name: str
    kind: int
    public: bytes

    def id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def text(self) -> str:
        """As others configure it: `name+id+base64`."""
        return f"{self.name}+{self.id().hex()}+{base64.b64encode(bytes([self.kind]) + self.public).decode()}"


def parse_key(text: str) -> Key:
    """The key that `text` names; raises NotSigned when it is none."""
    name, _, rest = text.strip().partition("+")
    told, _, encoded = rest.partition("+")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise NotSigned(f"{text!r} is no verifier key") from error
    is_plain = len(raw) == 33 and raw[0] in (ED25519, COSIGNATURE)
    if not is_plain and not (raw[:1] == bytes([UNASSIGNED]) and raw[1:-65] == SM2_NAME):
        raise NotSigned(f"{text!r} is no verifier key of a kind we know")
    key = Key(name, raw[0], raw[1:])
    if not name or key.id().hex() != told:
        raise NotSigned(f"{text!r} does not have the id that it tells")
    return key


@dataclass(frozen=True, slots=True)
class Note:
    """A checkpoint that the log has signed; `witnesses` have cosigned it, each at a time in seconds."""

    checkpoint: Checkpoint
    witnesses: dict[str, int] = field(default_factory=dict)


def open_note(note: str, log: Key, witnesses: Sequence[Key] = ()) -> Note:
    """The checkpoint in `note`, once `log` has signed it. Raises NotSigned.

    Signatures of others are passed over, as the specification says; a bad one of a key that we know is not.
    """
    text, separator, signatures = note.rpartition("\n\n")
    text += "\n"
    checkpoint = _parse_checkpoint(text) if separator else None
    if checkpoint is None or checkpoint.origin != log.name:
        raise NotSigned(f"this is no checkpoint of {log.name}")
    known = {(key.name, key.id()): key for key in (log, *witnesses)}
    signed, seen = False, dict[str, int]()
    for line in signatures.splitlines():
        mark, name, encoded = [*line.split(" "), "", "", ""][:3]
        try:
            raw = base64.b64decode(encoded, validate=True)
        except ValueError as error:
            raise NotSigned("a signature line is malformed") from error
        key = known.get((name, raw[:4]))
        if mark != "—" or key is None:
            continue
        try:
            if key.kind == COSIGNATURE:
                seen[name] = _check_cosignature(key, raw[4:], text)
            elif key.kind == UNASSIGNED:
                if not is_signed_with_sm2(key.public[len(SM2_NAME) :], raw[4:], text.encode()):
                    raise InvalidSignature
                signed = signed or key is log
            else:
                Ed25519PublicKey.from_public_bytes(key.public).verify(raw[4:], text.encode())
                signed = signed or key is log
        except (InvalidSignature, struct.error) as error:
            raise NotSigned(f"the signature of {name} does not hold") from error
    if not signed:
        raise NotSigned(f"{log.name} has not signed this with the key that we trust")
    return Note(checkpoint, seen)


def cosigned_text(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _check_cosignature(key: Key, raw: bytes, text: str) -> int:
    (seconds,) = struct.unpack_from(">Q", raw)
    Ed25519PublicKey.from_public_bytes(key.public).verify(raw[8:], cosigned_text(text, seconds))
    return int(seconds)


def _parse_checkpoint(text: str) -> Checkpoint | None:
    lines = text.split("\n")
    try:
        root = base64.b64decode(lines[2], validate=True) if len(lines) >= 4 else b""
    except ValueError:
        return None
    size = lines[1] if len(lines) > 1 else ""
    if len(root) != 32 or not size.isascii() or not size.isdigit() or str(int(size)) != size:
        return None
    return Checkpoint(lines[0], int(size), root)


# -- SM2 ------------------------------------------------------------------------------------------------------------

# The curve y² = x³ + ax + b over the field of p, a point of order n on it, and the identifier of who signs.
_P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
_A = _P - 3
_B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
_N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
_G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
_SIGNER = b"1234567812345678"

Point = tuple[int, int] | None


def is_signed_with_sm2(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` (r and s) of `message` is one of the key `public`. Nothing here is secret, nor hurried."""
    if len(public) != 65 or public[0] != 4 or len(signature) != 64:
        return False
    r, s, x, y = (int.from_bytes(raw, "big") for raw in (signature[:32], signature[32:], public[1:33], public[33:]))
    t = (r + s) % _N
    if max(x, y) >= _P or (y * y - x * x * x - _A * x - _B) % _P or not (0 < r < _N and 0 < s < _N and t):
        return False
    curve = b"".join(number.to_bytes(32, "big") for number in (_A, _B, *_G))
    signer = hashlib.new("sm3", (len(_SIGNER) * 8).to_bytes(2, "big") + _SIGNER + curve + public[1:]).digest()
    digest = int.from_bytes(hashlib.new("sm3", signer + message).digest(), "big")
    # s times the curve's point and t times the key's, both bit by bit
    sums, found = (None, _G, (x, y), _plus(_G, (x, y))), None
    for bit in reversed(range(256)):
        found = _plus(_plus(found, found), sums[(s >> bit & 1) + 2 * (t >> bit & 1)])
    return found is not None and (digest + found[0]) % _N == r


def _plus(one: Point, other: Point) -> Point:
    """The sum of two points; None is the one at infinity."""
    if one is None or other is None:
        return one or other
    (x, y), (u, v) = one, other
    if x == u and (y + v) % _P == 0:
        return None
    slope = (3 * x * x + _A) * pow(2 * y, -1, _P) if one == other else (v - y) * pow(u - x, -1, _P)
    sum_x = (slope * slope - x - u) % _P
    return sum_x, (slope * (x - sum_x) - y) % _P


# -- files -----------------------------------------------------------------------------------------------------------


def tile_path(level: int | str, index: int, width: int = WIDTH) -> str:
    """Where a tile (or, with level `entries`, a bundle of entries) lies; `width` is how many it holds."""
    groups = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        groups.insert(0, f"x{index % 1000:03}")
    return f"tile/{level}/{'/'.join(groups)}" + (f".p/{width}" if width < WIDTH else "")


def split(bundle: bytes) -> list[bytes]:
    """The entries of a bundle, each behind its length in two bytes; raises ValueError when one is cut off."""
    entries, at, end = [], 0, len(bundle)
    while at < end:
        begin = at + 2
        at = begin + int.from_bytes(bundle[at:begin], "big")
        entries.append(bundle[begin:at])
    if at != end:
        raise ValueError("the last entry is cut off")
    return entries


def sequence_of(entry: bytes) -> int | None:
    """The number that an entry gives itself: Avro's first field (zigzag varint) behind the 5 bytes of the wire format.

    None for what is no entry.
    """
    value, shift = 0, 0
    for byte in entry[5:15]:
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1)
        shift += 7
    return None


def numbered(entries: Sequence[bytes], first: int) -> bool:
    """Whether the entries give themselves their numbers, from `first` on."""
    return all(sequence_of(entry) == number for number, entry in enumerate(entries, first))


# -- the whole log ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that breaks the log: `kind` for programs, `where` it is, and what it is in words."""

    kind: str
    where: str
    detail: str

    def __str__(self) -> str:
        return f"{self.where}: {self.detail} [{self.kind}]"


def check_notes(notes: Iterable[str], log: Key, witnesses: Sequence[Key], faults: list[Fault]) -> list[Note]:
    """The notes that hold, in the order in which they were made; what does not hold goes into `faults`."""
    held: list[Note] = []
    for number, text in enumerate(notes):
        try:
            note = open_note(text, log, witnesses)
        except NotSigned as error:
            faults.append(Fault("signature", f"checkpoint {number}", str(error)))
            continue
        new = note.checkpoint
        if held and new.size < held[-1].checkpoint.size:
            before = held[-1].checkpoint.size
            faults.append(Fault("rollback", f"checkpoint {number}", f"{new.size} entries, after one of {before}"))
        elif held and new.size == held[-1].checkpoint.size and new.root != held[-1].checkpoint.root:
            faults.append(Fault("fork", f"checkpoint {number}", f"another tree of {new.size} entries was signed too"))
        held.append(note)
    return held


class Walk:
    """Goes through a log from its first entry, tile by tile, and collects what does not hold.

    `read` gives the file of a path, None where there is none.
    """

    def __init__(
        self,
        read: Read,
        log: Key,
        notes: Iterable[str],
        witnesses: Sequence[Key] = (),
        hashing: Hashing | None = None,
    ) -> None:
        self.faults: list[Fault] = []
        self._hashing = hashing or hashing_of(log.name)
        self._read = read
        held = check_notes(notes, log, witnesses, self.faults)
        self.checkpoints = sorted({note.checkpoint for note in held}, key=lambda one: one.size)
        self.cosigned = sum(1 for note in held if note.witnesses)
        self.size = self.checkpoints[-1].size if self.checkpoints else 0
        if not self.checkpoints:
            self.faults.append(Fault("signature", "checkpoints", "there is no checkpoint that the log has signed"))
        # the tree as the tiles say, and as the entries say where that is another one
        self._tiles = Edge(self._hashing)
        self._entries: Edge | None = None
        self._doubtful: list[tuple[int, str]] = []
        self._due = self._good = 0
        self._lost = False

    def run(self, on_bundle: Callable[[int, list[bytes]], None] = lambda first, entries: None) -> Iterator[int]:
        """Check all; gives how many entries are done. `on_bundle` is shown the entries, with the first one's number."""
        for first in range(0, self.size, WIDTH):
            width = min(WIDTH, self.size - first)
            entries = self._bundle(first, width)
            leaves = self._hashing.leaves(entries)
            self._check_sequence(first, entries)
            hashes = self._tile(0, first // WIDTH, width)
            if hashes is None:
                hashes = leaves
            elif leaves != hashes and entries:
                self._compare(first, leaves, hashes)
            self._grow(first, width, leaves if len(leaves) == width * 32 else hashes, hashes)
            on_bundle(first, entries)
            yield first + width
        for level, index, tile in self._tiles.partial():
            if level:
                self._same_tile(level, index, tile)

    def _fault(self, kind: str, where: str, detail: str) -> None:
        self.faults.append(Fault(kind, where, detail))

    def _bundle(self, first: int, width: int) -> list[bytes]:
        path = tile_path("entries", first // WIDTH, width)
        raw = self._read(path)
        if raw is None:
            self._fault("missing", path, f"entries {first} to {first + width - 1} are not there")
            return []
        try:
            entries = self._hashing.split(raw)
        except ValueError as error:
            self._fault("malformed", path, str(error))
            return []
        if len(entries) < width:
            self._fault("truncated", path, f"it holds {len(entries)} of its {width} entries")
        elif len(entries) > width:
            self._fault("inserted", path, f"it holds {len(entries)} entries where there are {width}")
        return entries

    def _tile(self, level: int, index: int, width: int) -> bytes | None:
        path = tile_path(level, index, width)
        raw = self._read(path)
        if raw is None:
            self._fault("missing", path, "the tile is not there")
            return None
        if len(raw) != width * 32:
            self._fault("malformed", path, f"it is {len(raw)} bytes long, not {width * 32}")
            return None
        return raw

    def _check_sequence(self, first: int, entries: list[bytes]) -> None:
        if self._hashing.numbered(entries, first):
            return
        for number, entry in enumerate(entries, first):
            if (told := sequence_of(entry)) != number:
                self._fault("sequence", f"entry {number}", f"it says that it is number {told}")

    def _compare(self, first: int, leaves: bytes, hashes: bytes) -> None:
        for at in range(0, min(len(leaves), len(hashes)), 32):
            if leaves[at : at + 32] != hashes[at : at + 32]:
                number = first + at // 32
                self._doubtful.append((number, tile_path(0, number // WIDTH)))

    def _grow(self, first: int, width: int, leaves: bytes, hashes: bytes) -> None:
        """The tree grows over a bundle, and stops at each size that was signed."""
        if self._entries is None and leaves != hashes:
            self._entries = Edge(self._hashing, self._tiles.levels)
        done = 0
        while done < width:
            due = self.checkpoints[self._due].size - first if self._due < len(self.checkpoints) else width
            until = min(max(due, 0), width)
            for level, index, tile in self._tiles.append(hashes[done * 32 : until * 32]):
                if level:
                    self._same_tile(level, index, tile)
            if self._entries is not None:
                collections.deque(self._entries.append(leaves[done * 32 : until * 32]), 0)
            done = until
            while self._due < len(self.checkpoints) and self.checkpoints[self._due].size == first + done:
                self._check_root(self.checkpoints[self._due])
                self._due += 1

    def _same_tile(self, level: int, index: int, tile: bytes) -> None:
        path = tile_path(level, index, len(tile) // 32)
        raw = self._read(path)
        if raw is None:
            self._fault("missing", path, "the tile is not there")
        elif raw != tile:
            place = next((at for at in range(0, len(tile), 32) if raw[at : at + 32] != tile[at : at + 32]), 0) // 32
            self._fault("tile", path, f"hash {place} is not that of the tiles below it")

    def _check_root(self, signed: Checkpoint) -> None:
        """Which of the two trees was signed says who is wrong where they differ."""
        covered = [one for one in self._doubtful if one[0] < signed.size]
        self._doubtful = self._doubtful[len(covered) :]
        by_tiles = self._tiles.root() == signed.root
        by_entries = by_tiles if self._entries is None else self._entries.root() == signed.root
        for number, path in covered:
            if by_tiles:
                self._fault("entry", f"entry {number}", "it is not the one that was sealed")
            elif by_entries:
                self._fault("tile", path, f"its hash of entry {number} is not that of the entry")
            else:
                self._fault("entry", f"entry {number}", f"neither it nor its hash in {path} is what was sealed")
        if not (by_tiles or by_entries or self._lost):
            # told once: no later root can hold either
            self._lost = True
            between = f"entries {self._good} to {signed.size - 1}" if signed.size > self._good else "the entries"
            self._fault("root", f"checkpoint of {signed.size}", f"{between} are not those that were signed")
        # from here on, what was signed is what counts, so that one fault is not told of every later checkpoint
        if by_entries and not by_tiles and self._entries is not None:
            self._tiles = self._entries
        if by_tiles or by_entries:
            self._entries = Edge(self._hashing, self._tiles.levels) if self._doubtful else None
            self._good = signed.size


def check_excerpt(excerpt: Any, log: Key, witnesses: Sequence[Key] = ()) -> Iterator[Fault]:
    """What does not hold of an excerpt: its checkpoint, and of each entry that it is in the tree that was signed."""
    try:
        signed = open_note(excerpt["checkpoint"], log, witnesses).checkpoint
        new = digest_of(signed.origin)
        for one in excerpt["entries"]:
            where, entry = f"entry {one['index']}", base64.b64decode(one["entry"], validate=True)
            proof = [base64.b64decode(sibling, validate=True) for sibling in one["proof"]]
            leaf = new(b"\x00" + entry).digest()
            if sequence_of(entry) != one["index"]:
                yield Fault("sequence", where, f"it says that it is number {sequence_of(entry)}")
            if root_from_inclusion(one["index"], signed.size, leaf, proof, new) != signed.root:
                yield Fault("proof", where, "it is not in the tree that was signed")
            yield from _check_record(where, one, entry, new)
    except NotSigned as error:
        yield Fault("signature", "checkpoint", str(error))
    except (KeyError, TypeError, ValueError) as error:
        yield Fault("malformed", "excerpt", f"it is not whole ({type(error).__name__}: {error})")


def _check_record(where: str, one: Any, entry: bytes, new: New) -> Iterator[Fault]:
    """That the record an excerpt brings along is the one whose digest was sealed (an entry holds it as it is)."""
    if one.get("record") is None:
        return
    key, value = base64.b64decode(one["record"]["key"]), base64.b64decode(one["record"]["value"])
    if new(struct.pack(">I", len(key)) + key + b"\x01" + value).digest() not in entry:
        yield Fault("record", where, "the record beside it is not the one whose digest was sealed")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path)
    parser.add_argument("--key", action="append", default=[], help="the log's key first, then those of witnesses")
    told = parser.parse_args(arguments)
    folder = told.export if told.export.is_dir() else None
    try:
        if folder:
            keys = told.key or (folder / "key").read_text().split()
        else:
            excerpt = json.loads(told.export.read_text())
            keys = told.key or [excerpt["key"]]
        log, *witnesses = [parse_key(text) for text in keys]
        if not told.key:
            print(f"No --key was given: the key in the export is believed ({log.text()}).", file=sys.stderr)
        faults, checked = check_folder(folder, log, witnesses) if folder else _checked(excerpt, log, witnesses)
    except (OSError, ValueError, KeyError, TypeError, NotSigned) as error:
        print(f"{told.export}: {error}", file=sys.stderr)
        return 2
    for fault in faults:
        print(fault)
    print(f"{checked}: {f'{len(faults)} faults' if faults else 'all holds'}")
    return 1 if faults else 0


def _checked(excerpt: Any, log: Key, witnesses: Sequence[Key]) -> tuple[list[Fault], str]:
    return list(check_excerpt(excerpt, log, witnesses)), f"{len(excerpt['entries'])} entries"


def file_reader(folder: Path) -> Read:
    """Reads the tiles that lie in `folder`."""

    def read(path: str) -> bytes | None:
        try:
            return (folder / path).read_bytes()
        except OSError:
            return None

    return read


def check_folder(
    folder: Path, log: Key, witnesses: Sequence[Key] = (), hashing: Hashing | None = None
) -> tuple[list[Fault], str]:
    """All of an exported log: its faults, and what was checked."""
    notes = [json.loads(line) for line in (folder / "checkpoints").read_text().splitlines()]
    head = (folder / "checkpoint").read_text()
    walk = Walk(file_reader(folder), log, [*notes, head], witnesses, hashing)
    for done in walk.run():
        if sys.stderr.isatty() and done % (WIDTH * 64) == 0:
            print(f"\r{done:,} of {walk.size:,}", end="", file=sys.stderr)
    told = f"{walk.size:,} entries, {len(walk.checkpoints):,} checkpoints, {walk.cosigned:,} of them cosigned"
    return walk.faults, told


if __name__ == "__main__":
    sys.exit(main())
