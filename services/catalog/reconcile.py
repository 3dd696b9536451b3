"""Rows that are gone without a change that said so: found by comparing the keys of a change topic with the table's.

Reading a table again finds rows, not their absence. So after changes were in no stream (a publication, slot or mount
was missing, or another table stands in a table's place) the keys that the topic still holds are compared with those of
the table, and for each that is gone a delete is written, as the connector would have written it. Its connector is
stopped meanwhile: what it has still to say of a row, and a row that comes back, follows after the delete.

A delete stands at the position after the row's last: before whatever is said of the row later, as positions of a log
are never next to each other. It has no sequence, so no relay takes it, or what follows, for a repetition.

Keys are kept on disk while they are compared, so that memory is bounded whatever a table's size.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from services.catalog.filedrop import transaction_writer, write_all
from services.catalog.source import SourceDatabase, TableMissing
from services.core.avro import NotAvro, Registry, UnknownSchema
from services.core.kafka import read_to_end, state_consumer
from services.core.settings import Settings

_USER = "catalog"
_SECONDS = 30.0
_BATCH = 5_000
_UNAVAILABLE = "__debezium_unavailable_value"


class CannotCompare(Exception):
    """The keys of topic and table cannot be compared; nothing was deleted."""


def reconcile(
    settings: Settings, registry: Registry, source: SourceDatabase, resource: str, topic: str, schema: str, table: str
) -> int:
    """Write a delete for every row that `topic` holds and the table has not; how many these were.

    The connector that fills the topic must be stopped. May be repeated. Raises CannotCompare, SourceUnreachable,
    KafkaException and RegistryUnavailable.
    """
    writer = transaction_writer(settings, f"{_USER}-reconcile.{resource}")
    reader = state_consumer(settings, _USER, f"{_USER}.reconcile")
    with tempfile.TemporaryDirectory(prefix="tongshu-") as folder:
        held = sqlite3.connect(Path(folder) / "keys", isolation_level=None)
        try:
            held.execute("pragma journal_mode = off")
            held.execute("pragma synchronous = off")
            held.execute("create table held (key text primary key, partition integer, place integer) without rowid")
            columns = _keep(reader, registry, topic, held)
            if not columns:
                return 0
            _strike(source, schema, table, columns, held)
            deleted = 0
            gone = iter(held.execute("select partition, place from held order by partition, place").fetchall())
            while batch := list(islice(gone, _BATCH)):
                records = [one for where in batch for one in _delete(reader, registry, topic, *where)]
                write_all(writer, topic, records)
                deleted += len(records) // 2
            return deleted
        finally:
            held.close()
            reader.close()


def _keep(reader: Consumer, registry: Registry, topic: str, held: sqlite3.Connection) -> list[str]:
    """Keep the keys that the topic holds and where each was last told of; the columns of a key (none: no keys)."""
    partitions = reader.list_topics(topic, timeout=_SECONDS).topics[topic].partitions
    reader.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    columns: list[str] = []
    held.execute("begin")
    for message in read_to_end(reader, len(partitions)):
        try:
            record = registry.decode(bytes(message.key() or b""))[1]
        except (NotAvro, UnknownSchema):
            continue
        if not isinstance(record, dict):
            continue
        if not all(isinstance(value, str | int) and not isinstance(value, bool) for value in record.values()):
            raise CannotCompare("the key holds other values than texts and whole numbers")
        columns = columns or list(record)
        if list(record) != columns:
            raise CannotCompare("the topic holds keys of different columns")
        key = _text([str(value) for value in record.values()])
        if message.value() is None:
            held.execute("delete from held where key = ?", (key,))
        else:
            place = (key, message.partition(), message.offset())
            held.execute("insert or replace into held values (?, ?, ?)", place)
    held.execute("commit")
    return columns


def _strike(source: SourceDatabase, schema: str, table: str, columns: Sequence[str], held: sqlite3.Connection) -> None:
    """Strike the keys that the table has."""
    held.execute("begin")
    try:
        for keys in source.keys(schema, table, columns, _BATCH):
            held.executemany("delete from held where key = ?", [(_text(key),) for key in keys])
    except TableMissing as error:
        raise CannotCompare(str(error)) from error
    held.execute("commit")


def _text(key: Sequence[str]) -> str:
    return json.dumps(list(key), ensure_ascii=False)


def _delete(
    reader: Consumer, registry: Registry, topic: str, partition: int, place: int
) -> Iterator[tuple[bytes, bytes | None]]:
    """The delete of the row that was last told of there, and its tombstone."""
    reader.assign([TopicPartition(topic, partition, place)])
    message = reader.poll(_SECONDS)
    if message is None or message.error() is not None or message.offset() != place:
        raise KafkaException(KafkaError(KafkaError._FAIL, f"{topic} cannot be read at {partition}/{place}"))
    key, value = bytes(message.key() or b""), message.value()
    if value is None:
        return
    try:
        schema_id, envelope = registry.decode(value)
    except (NotAvro, UnknownSchema):
        return
    row: Any = envelope.get("after")
    if row is None:
        return
    before = envelope.get("before") or {}
    row = {name: before.get(name, one) if one == _UNAVAILABLE else one for name, one in row.items()}
    now_us = time.time_ns() // 1_000
    told = {
        "lsn": (envelope["source"].get("lsn") or 0) + 1, "sequence": None,
        "ts_ms": now_us // 1_000, "ts_us": now_us, "ts_ns": now_us * 1_000,
    }  # fmt: skip
    known = {name: told.get(name, one) for name, one in envelope["source"].items()}
    delete = {**envelope, "op": "d", "before": row, "after": None, "source": known}
    yield key, registry.encode(schema_id, delete)
    yield key, None
