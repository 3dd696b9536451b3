"""Filling a change topic from a file: what it holds is compared with the file, and the difference is one transaction.

The topic itself is the only memory of what was there. A transactional id of the resource fences what an earlier attempt
may have left open, and only then is the topic read: whatever became of that attempt, it is known by then.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fastavro
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, Producer, TopicPartition

from services.catalog.domain.drop import Change, Key, Row, changes, key_of
from services.catalog.domain.envelope import key_schema, value_schema
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
class Held:
    """What a topic holds: its rows by key, and the greatest position it has ever told of a row it still tells of."""

    rows: Mapping[Key, Row]
    position: int


def fill(
    settings: Settings, registry: Registry, target: Target, given: Mapping[Key, Row], *, full: bool
) -> list[Change]:
    """Make the topic hold the rows `given` (and, unless these are `full`, what else it holds): what had to change.

    All of it is there or none. Raises KafkaException when the broker does not take it, and RegistryUnavailable; what
    became of it then is known to the next call.
    """
    writer = producer(
        settings, _USER,
        transactional_id=f"{_USER}-file.{target.terms.code}", transaction_timeout_ms=60_000, message_timeout_ms=30_000,
        linger_ms=5,
    )  # fmt: skip
    writer.init_transactions(_SECONDS)
    held = read_held(settings, registry, target)
    found = changes(held.rows, given, full=full)
    if not found:
        return []
    records = _records(registry, target, found, held.position)
    writer.begin_transaction()
    try:
        _write(writer, target.topic, records)
        writer.commit_transaction(_SECONDS)
    except KafkaException:
        _give_up(writer)
        raise
    return found


def read_held(settings: Settings, registry: Registry, target: Target) -> Held:
    """What the topic holds of rows that fit the contract in force; others are to it as if they were not there."""
    keys = fastavro.parse_schema(key_schema(target.terms, target.topic))
    values = fastavro.parse_schema(value_schema(target.terms, target.topic))
    rows: dict[Key, Row] = {}
    last = 0
    source = state_consumer(settings, _USER, f"{_USER}.files")
    try:
        partitions = source.list_topics(target.topic, timeout=_SECONDS).topics[target.topic].partitions
        if not partitions:
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, f"{target.topic} does not exist"))
        source.assign([TopicPartition(target.topic, partition, OFFSET_BEGINNING) for partition in partitions])
        for message in read_to_end(source, len(partitions)):
            try:
                _, record = registry.decode(bytes(message.key() or b""), keys)
                key = key_of(target.terms, record)
                value = message.value()
                envelope: Any = registry.decode(value, values)[1] if value is not None else None
            except (NotAvro, UnknownSchema):
                continue
            if envelope is not None:
                last = max(last, envelope["source"]["position"])
            if envelope is None or envelope["after"] is None:
                rows.pop(key, None)
            else:
                rows[key] = envelope["after"]
    finally:
        source.close()
    return Held(rows, last)


def _records(registry: Registry, target: Target, found: list[Change], last: int) -> list[tuple[bytes, bytes | None]]:
    """Keys and values of the changes, encoded before anything is written; a delete is followed by a tombstone."""
    records: list[tuple[bytes, bytes | None]] = []
    now_us = time.time_ns() // 1_000
    keys = [item.name for item in target.terms.items if item.key]
    # a key's later change has the greater position, also where all that was told of it is compacted away
    for position, change in enumerate(found, max(now_us, last + 1)):
        row = change.after if change.after is not None else change.before
        assert row is not None
        key = registry.encode(target.key_id, {name: row[name] for name in keys})
        envelope = {
            "before": change.before,
            "after": change.after,
            "source": {"system": target.system, "position": position, "ts_us": now_us},
            "op": change.op,
            "ts_ms": now_us // 1_000,
        }
        records.append((key, registry.encode(target.value_id, envelope)))
        if change.after is None:
            records.append((key, None))
    return records


def _write(writer: Producer, topic: str, records: list[tuple[bytes, bytes | None]]) -> None:
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
