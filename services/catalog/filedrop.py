"""Filling a change topic from a file: what it holds is compared with the file, and the difference is one transaction.

The topic itself is the only memory of what was there. A transactional id of the resource fences what an earlier attempt
may have left open, and only then is the topic read: whatever became of that attempt, it is known by then.

What was written under a contract that the one in force has broken is read by the schemas it was written with: a full
state that does not hold such a row any more deletes it, in those schemas.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fastavro
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, Producer, TopicPartition

from services.catalog.domain.drop import Change, Key, Row, changes, key_of
from services.catalog.domain.envelope import is_of_types, key_schema, value_schema
from services.catalog.domain.resource import Terms
from services.core.avro import NotAvro, Registry, UnknownSchema
from services.core.kafka import producer, read_to_end, state_consumer
from services.core.settings import Settings

_SECONDS = 30.0
_USER = "catalog"


@dataclass(frozen=True, slots=True)
class Target:
    """The topic to fill: of which system, under which terms, in the schemas with which ids."""

    terms: Terms
    system: str
    topic: str
    key_id: int
    value_id: int


@dataclass(frozen=True, slots=True)
class Stranger:
    """A row that does not fit the contract in force: as it was written, with which schema, under which bytes of a key.

    `key` is None where not even the key fits, `position` is that of its change.
    """

    raw: bytes
    value_id: int
    row: Row
    key: Key | None
    position: int


@dataclass(frozen=True, slots=True)
class Held:
    """What a topic holds: its rows by key, and the greatest position it has ever told of a row it still tells of."""

    rows: Mapping[Key, Row]
    strangers: Sequence[Stranger]
    position: int


def fill(
    settings: Settings, registry: Registry, target: Target, given: Mapping[Key, Row], *, full: bool
) -> list[Change]:
    """Make the topic hold the rows `given` (and, unless these are `full`, what else it holds): what had to change.

    All of it is there or none. Raises KafkaException when the broker does not take it, and RegistryUnavailable; what
    became of it then is known to the next call.
    """
    return Filling(settings, registry, target).fill(given, full=full)


class Filling:
    """Filling a topic again and again: what it holds is read once, and known from then on by what is written.

    Whoever begins to fill the topic later fences this one. After that, and whatever else is raised, it is of no use.
    """

    def __init__(self, settings: Settings, registry: Registry, target: Target) -> None:
        """Raises KafkaException and RegistryUnavailable."""
        self._registry, self._target = registry, target
        self._writer = transaction_writer(settings, f"{_USER}-file.{target.terms.code}")
        self._held = read_held(settings, registry, target)

    def fill(self, given: Mapping[Key, Row], *, full: bool) -> list[Change]:
        """As `fill`."""
        held = self._held
        found = changes(held.rows, given, full=full)
        gone = [one for one in held.strangers if one.key not in given] if full else []
        if not found and not gone:
            return []
        records, last = _records(self._registry, self._target, found, gone, held.position)
        # a row that is there again may have another key in bytes: what stands under the old ones is to be forgotten
        written = {key for key, _ in records}
        records += [(one.raw, None) for one in held.strangers if one.key in given and one.raw not in written]
        write_all(self._writer, self._target.topic, records)
        left = [] if full else [one for one in held.strangers if one.key not in given]
        self._held = Held(dict(given) if full else {**held.rows, **given}, left, last)
        return [*(Change("d", one.row, None) for one in gone), *found]


def read_held(settings: Settings, registry: Registry, target: Target) -> Held:
    """What the topic holds; what no schema of the registry reads is to it as if it were not there."""
    keys = fastavro.parse_schema(key_schema(target.terms, target.topic))
    values = fastavro.parse_schema(value_schema(target.terms, target.topic))
    rows: dict[Key, Row] = {}
    strangers: dict[bytes, Stranger] = {}
    fits: dict[int, bool] = {}
    last = 0

    def read(data: bytes, reader: Any) -> Any:
        """The key or the change, where it was written as the contract has it; None where it was not."""
        try:
            schema_id, record = registry.decode(data, reader)
        except (NotAvro, UnknownSchema):
            return None
        if schema_id not in fits:
            fits[schema_id] = is_of_types(target.terms, registry.schema(schema_id))
        return record if fits[schema_id] else None

    source = state_consumer(settings, _USER, f"{_USER}.files")
    try:
        partitions = source.list_topics(target.topic, timeout=_SECONDS).topics[target.topic].partitions
        if not partitions:
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, f"{target.topic} does not exist"))
        source.assign([TopicPartition(target.topic, partition, OFFSET_BEGINNING) for partition in partitions])
        for message in read_to_end(source, len(partitions)):
            raw, value = bytes(message.key() or b""), message.value()
            strangers.pop(raw, None)
            record = read(raw, keys)
            key = key_of(target.terms, record) if record is not None else None
            known = value is not None and key is not None
            envelope = read(bytes(value or b""), values) if known else None
            if envelope is not None:
                last = max(last, envelope["source"]["position"])
            elif value is not None and (stranger := _stranger(registry, raw, value, key)) is not None:
                strangers[raw] = stranger
                last = max(last, stranger.position)
            if key is None:
                continue
            if envelope is None or envelope["after"] is None:
                rows.pop(key, None)
            else:
                rows[key] = envelope["after"]
    finally:
        source.close()
    # a row that was written anew since is no stranger, whatever bytes its key had before
    return Held(rows, [one for one in strangers.values() if one.key not in rows], last)


def _stranger(registry: Registry, raw: bytes, value: bytes, key: Key | None) -> Stranger | None:
    """The row of a change by the schema it was written with; None where it is none, or was deleted."""
    try:
        value_id, envelope = registry.decode(value)
    except (NotAvro, UnknownSchema):
        return None
    after = envelope.get("after") if isinstance(envelope, dict) else None
    if not isinstance(after, dict):
        return None
    return Stranger(raw, value_id, after, key, int(envelope["source"].get("position") or 0))


def _records(
    registry: Registry, target: Target, found: Sequence[Change], gone: Sequence[Stranger], last: int
) -> tuple[list[tuple[bytes, bytes | None]], int]:
    """Keys and values of the changes, encoded before anything is written, and the last position that they tell.

    A delete is followed by a tombstone.
    """
    records: list[tuple[bytes, bytes | None]] = []
    now_us = time.time_ns() // 1_000
    keys = [item.name for item in target.terms.items if item.key]
    # a key's later change has the greater position, also where all that was told of it is compacted away
    first = max(now_us, last + 1)
    for position, stranger in enumerate(gone, first):
        envelope = _envelope(target, Change("d", stranger.row, None), position, now_us)
        records += [(stranger.raw, registry.encode(stranger.value_id, envelope)), (stranger.raw, None)]
    for position, change in enumerate(found, first + len(gone)):
        row = change.after if change.after is not None else change.before
        assert row is not None
        key = registry.encode(target.key_id, {name: row[name] for name in keys})
        envelope = _envelope(target, change, position, now_us)
        records.append((key, registry.encode(target.value_id, envelope)))
        if change.after is None:
            records.append((key, None))
    return records, first + len(gone) + len(found) - 1


def _envelope(target: Target, change: Change, position: int, now_us: int) -> dict[str, Any]:
    return {
        "before": change.before,
        "after": change.after,
        "source": {"system": target.system, "position": position, "ts_us": now_us},
        "op": change.op,
        "ts_ms": now_us // 1_000,
    }


def transaction_writer(settings: Settings, transactional_id: str) -> Producer:
    """A producer that has fenced whatever an earlier one with its id left open; raises KafkaException."""
    writer = producer(
        settings, _USER,
        transactional_id=transactional_id, transaction_timeout_ms=60_000, message_timeout_ms=30_000, linger_ms=5,
    )  # fmt: skip
    writer.init_transactions(_SECONDS)
    return writer


def write_all(writer: Producer, topic: str, records: Sequence[tuple[bytes, bytes | None]]) -> None:
    """Write keys and values in one transaction: all of them are there, or KafkaException is raised and none is."""
    writer.begin_transaction()
    try:
        _write(writer, topic, records)
        writer.commit_transaction(_SECONDS)
    except KafkaException:
        _give_up(writer)
        raise


def _write(writer: Producer, topic: str, records: Sequence[tuple[bytes, bytes | None]]) -> None:
    failed: list[KafkaError] = []

    def taken(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error)

    for key, value in records:
        _produce(writer, topic, key, value, taken)
    if writer.flush(_SECONDS) or failed:
        raise KafkaException(failed[0] if failed else KafkaError(KafkaError._TIMED_OUT))


def _produce(writer: Producer, topic: str, key: bytes, value: bytes | None, taken: Any) -> None:
    while True:
        try:
            writer.produce(topic, value, key, on_delivery=taken)
            return
        except BufferError:
            writer.poll(0.1)


def _give_up(writer: Producer) -> None:
    try:
        writer.abort_transaction(_SECONDS)
    except KafkaException:
        # the next producer with this id, or the transaction's time, ends it
        writer.purge()
