"""Entries of the log: who did what, when, on whose behalf, how it ended, and the digest of the record that tells it.

An entry holds no personal data. Names of people are references (`services/audit/references.py`); what else it says is
copied from the record, as the bytes that Avro has written: a field of both schemas is encoded alike in both, so that
nothing is decoded only to be encoded again.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from services.core.merkle import record_entry

_LONG_KINDS = frozenset({"int", "long"})
_BYTES_KINDS = frozenset({"string", "bytes"})
_FIXED_SIZES = {"null": 0, "boolean": 1, "float": 4, "double": 8}
_HEADER = struct.Struct(">bI")

Skip = Callable[[bytes, int], int]


class NotAnEvent(Exception):
    """A record that cannot be an event of its topic: another shape, or cut off."""


# -- Avro, by the byte (Avro 1.12, "Binary Encoding") ----------------------------------------------------------------


def varint(number: int) -> bytes:
    """`number` as Avro writes an int or long."""
    number = (number << 1) ^ (number >> 63)
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """`(number, where it ends)`; raises IndexError when it is cut off."""
    value, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7


@lru_cache(4_096)
def text(value: str) -> bytes:
    """A string as Avro writes it; most come again and again."""
    raw = value.encode()
    return varint(len(raw)) + raw


def _skip_long(data: bytes, at: int) -> int:
    while data[at] >= 0x80:
        at += 1
    return at + 1


def _skip_bytes(data: bytes, at: int) -> int:
    first = data[at]
    if first < 0x80:
        return at + 1 + (first >> 1)
    length, at = read_varint(data, at)
    return at + _size(length)


def _size(told: int) -> int:
    """What can be a size: with another one would go round in circles."""
    if told < 0:
        raise NotAnEvent("something has less than no bytes")
    return told


def _skip_blocks(skip: Skip, data: bytes, at: int) -> int:
    while True:
        count, at = read_varint(data, at)
        if count == 0:
            return at
        if count < 0:  # such a block tells its size
            size, at = read_varint(data, at)
            at += _size(size)
            continue
        # of items that have no bytes there may be any number
        if count > len(data):
            raise NotAnEvent("a block has more items than bytes")
        for _ in range(count):
            at = skip(data, at)


def skipper(schema: Any, named: dict[str, Skip] | None = None) -> Skip:
    """Finds the end of a value of `schema` (as JSON has it). Raises NotAnEvent for what no topic of ours holds."""
    named = {} if named is None else named
    kind = schema["type"] if isinstance(schema, Mapping) else schema
    if isinstance(kind, Mapping | list) and not isinstance(schema, list):
        return skipper(kind, named)
    if isinstance(kind, list):
        branches = [skipper(one, named) for one in kind]
        return lambda data, at: branches[read_varint(data, at)[0]](data, _skip_long(data, at))
    if kind in _BYTES_KINDS:
        return _skip_bytes
    if kind in _LONG_KINDS or kind == "enum":
        return _skip_long
    if kind in _FIXED_SIZES or kind == "fixed":
        size = _FIXED_SIZES[kind] if kind in _FIXED_SIZES else int(schema["size"])
        return lambda data, at: at + size
    if kind == "array":
        items = skipper(schema["items"], named)
        return lambda data, at: _skip_blocks(items, data, at)
    if kind == "map":
        values = skipper(schema["values"], named)
        return lambda data, at: _skip_blocks(lambda d, a: values(d, _skip_bytes(d, a)), data, at)
    if kind == "record":
        fields: list[Skip] = []
        named[schema["name"]] = lambda data, at: _in_turn(fields, data, at)
        fields += [skipper(field["type"], named) for field in schema["fields"]]
        return named[schema["name"]]
    if str(kind).rpartition(".")[2] in named:
        return named[str(kind).rpartition(".")[2]]
    raise NotAnEvent(f"a field of type {kind!r}")


def _in_turn(skips: Iterable[Skip], data: bytes, at: int) -> int:
    for skip in skips:
        at = skip(data, at)
    return at


Cut = Callable[[bytes], tuple[bytes, ...]]


def cutter(schema: Mapping[str, Any], wanted: Sequence[str | bytes]) -> Cut:
    """Cuts the fields `wanted` of a record of `schema` out of its bytes in wire format, in that order.

    Bytes among `wanted` are given as they are. Raises NotAnEvent when the schema has not all of the fields; so does
    what it makes, when the bytes do not fit.
    """
    named: dict[str, Skip] = {}
    skips = [(field["name"], skipper(field["type"], named)) for field in schema["fields"]]
    names = [name for name, _ in skips]
    constants = [one for one in wanted if isinstance(one, bytes)]
    fields = [one for one in wanted if isinstance(one, str)]
    if missing := [name for name in fields if name not in names]:
        raise NotAnEvent(f"its schema has no {', '.join(missing)}")
    ways = [skip for _, skip in skips[: max((names.index(name) for name in fields), default=-1) + 1]]
    taken = iter(range(len(constants)))
    places = [next(taken) if isinstance(one, bytes) else len(constants) + names.index(one) for one in wanted]

    def cut(data: bytes) -> tuple[bytes, ...]:
        at = _HEADER.size
        found = constants.copy()
        try:
            for skip in ways:
                end = skip(data, at)
                found.append(data[at:end])
                at = end
        except (IndexError, TypeError, RecursionError) as error:
            raise NotAnEvent("it does not fit its schema") from error
        if at > len(data):
            raise NotAnEvent("it is cut off")
        return tuple([found[place] for place in places])

    return cut


# -- what becomes an entry -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A topic whose records are sealed, and which of a record's fields say what an entry says.

    `topic` is a name, or what all names begin with when it ends in a dot. `type` is what happened where no field says
    it. A field that is not named is empty in the entry.
    """

    topic: str
    subject: str
    occurred_at: str
    type_field: str | None = None
    type: str = ""
    actor: str | None = None
    department: str | None = None
    thread: str | None = None
    records: str | None = None

    def takes(self, topic: str) -> bool:
        return topic.startswith(self.topic) if self.topic.endswith(".") else topic == self.topic

    @property
    def wanted(self) -> list[str | bytes]:
        """What is cut out of a record: type, subject, thread, time, actor, department, records; else what is empty."""
        kind: str | bytes = self.type_field or text(self.type)
        others = (self.actor, self.department, self.records)
        return [kind, self.subject, self.thread or self.subject, self.occurred_at, *(one or _NOTHING for one in others)]


def _events(topic: str) -> Input:
    return Input(
        topic=topic, subject="subject", occurred_at="occurred_at", type_field="type", actor="actor",
        department="department", thread="thread",
    )  # fmt: skip


# What is sealed. Another topic of events needs a line here and the right to be read (`infra/bootstrap.py`).
INPUTS = (
    _events("catalog.events"),
    _events("demand.events"),
    _events("sync.events"),
    _events("audit.events"),
    _events("watch.events"),
    _events("console.events"),
    Input(
        topic="sync.deliveries", type="cn.tongshu.sync.delivered.v1", subject="grant", occurred_at="delivered_at",
        department="department", thread="thread", records="records",
    ),
    Input(
        topic="sync.receipts", type="cn.tongshu.sync.applied.v1", subject="grant", occurred_at="applied_at",
        department="department", thread="thread", records="records",
    ),
    # calls come in bundles, of which only the digests say who asked for what; those of strangers have no grant
    Input(topic="sync.access", type="cn.tongshu.sync.accessed.v1", subject="worker", occurred_at="told_at"),
    Input(
        topic="quarantine.", type="cn.tongshu.sync.quarantined.v1", subject="resource", occurred_at="quarantined_at",
        department="owner",
    ),
    # states, so that what is in force now can be proved too
    Input(
        topic="demand.grants", type="cn.tongshu.demand.grant_state.v1", subject="id", occurred_at="updated_at",
        actor="granted_by", department="department", thread="thread",
    ),
    Input(
        topic="demand.matching", type="cn.tongshu.demand.matching_state.v1", subject="id", occurred_at="updated_at",
        department="department", thread="thread",
    ),
    Input(
        topic="catalog.resources", type="cn.tongshu.catalog.resource_state.v1", subject="code",
        occurred_at="updated_at", department="department",
    ),
)  # fmt: skip


@lru_cache(4_096)
def input_of(topic: str) -> Input:
    """What is sealed of the records of `topic`. Raises LookupError when nothing is."""
    found = next((one for one in INPUTS if one.takes(topic)), None)
    if found is None:
        raise LookupError(f"{topic} is not sealed")
    return found


@dataclass(frozen=True, slots=True)
class Record:
    """A record of an input, where it stands, and the trace id that came with it."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None
    trace: str = ""


_NOTHING = b"\x00"
# SHA-256 and SM3 alike give 32 bytes; Avro writes their length so
_DIGEST_LENGTH = b"\x40"
# a bundle tells an entry's length in two bytes; in front of the body stand 5 bytes of head and at most 10 of its number
_MOST_BYTES = 65_535 - 15
_MOST_KEY_BYTES = 1_000
_OUTCOMES = (("denied", "denied"), ("refused", "refused"), ("quarantined", "quarantined"),
             ("failed", "failed"))  # fmt: skip


def outcome_of(kind: str) -> str:
    """How a step of this type ended: done, denied (no right to it), refused (decided so), quarantined or failed."""
    return next((outcome for word, outcome in _OUTCOMES if word in kind), "done")


def trace_of(traceparent: str) -> str:
    """The trace id of a W3C traceparent; empty for what is none."""
    parts = traceparent.split("-")
    return parts[1] if len(parts) == 4 and len(parts[1]) == 32 else ""


class Sealer:
    """Makes entries of records.

    `schema` gives the schema of an id in the registry, `reference` that of an actor's name, `digest` is the log's.
    """

    def __init__(
        self,
        schema: Callable[[int], Mapping[str, Any]],
        reference: Callable[[str], str],
        digest: Callable[[bytes], Any],
    ) -> None:
        self._schema, self._reference, self._digest = schema, reference, digest
        self._cuts: dict[tuple[str, int], Cut] = {}
        self._actors: dict[bytes, bytes] = {}

    def body(self, one: Input, record: Record, now: bytes) -> bytes:
        """All of an entry but its number, in the order of `audit.log.avsc`; `now` as Avro has it, in microseconds.

        What is no event of its topic is sealed all the same, and says so.
        """
        if record.value is None:
            key = record.key[:_MOST_KEY_BYTES].decode(errors="replace")
            return self._plain(record, "cn.tongshu.audit.tombstone.v1", key, "done", now)
        try:
            made = self._of_event(one, record, record.value, now)
            if len(made) > _MOST_BYTES:
                raise NotAnEvent("it says too much")
            return made
        except NotAnEvent:
            return self._plain(record, "cn.tongshu.audit.unreadable.v1", "", "failed", now)

    def _of_event(self, one: Input, record: Record, value: bytes, now: bytes) -> bytes:
        magic, schema_id = _HEADER.unpack_from(value) if len(value) >= _HEADER.size else (1, 0)
        if magic:
            raise NotAnEvent("it is not in wire format")
        cut = self._cuts.get((one.topic, schema_id))
        if cut is None:
            cut = self._cuts[one.topic, schema_id] = cutter(self._schema(schema_id), one.wanted)
        kind, subject, thread, occurred_at, actor, department, records = cut(value)
        digest = self._digest(record_entry(record.key, value)).digest()
        return b"".join((
            kind, text(record.topic), varint(record.partition), varint(record.offset), subject, thread, occurred_at,
            now, _DIGEST_LENGTH, digest, self._actors.get(actor) or self._actor(actor), department,
            text(record.trace) if record.trace else _NOTHING, _outcome_of(kind), records,
        ))  # fmt: skip

    def _actor(self, name: bytes) -> bytes:
        """The reference of an actor, both as Avro has them; the same for a whole batch."""
        made = _NOTHING if name == _NOTHING else text(self._reference(_read_text(name)))
        self._actors[name] = made
        return made

    def begin(self) -> None:
        """A new batch: an actor may have been erased since the last."""
        self._actors.clear()

    def _plain(self, record: Record, kind: str, subject: str, outcome: str, now: bytes) -> bytes:
        digest = self._digest(record_entry(record.key, record.value)).digest()
        return b"".join((
            text(kind), text(record.topic), varint(record.partition), varint(record.offset), text(subject),
            text(subject), now, now, _DIGEST_LENGTH, digest, _NOTHING, _NOTHING, _NOTHING, text(outcome), _NOTHING,
        ))  # fmt: skip


@lru_cache(1_024)
def _outcome_of(kind: bytes) -> bytes:
    return text(outcome_of(_read_text(kind)))


def _read_text(raw: bytes) -> str:
    if not raw:
        raise NotAnEvent("a text is nothing at all")
    _, at = read_varint(raw, 0)
    return raw[at:].decode(errors="replace")
