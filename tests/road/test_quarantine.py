"""What cannot be relayed is set aside with its reason, shows nothing of its data, and never stops the rest."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from confluent_kafka import Producer

from services.core.kafka import client_config
from tests.road.town import Reader, Table, Town, eventually

MARKER = b"@poisoned@"


@pytest.fixture(scope="module")
def table(town: Town) -> Table:
    return town.table({"id": "text", "visits": "bigint"}, rows=[("first", 1)])


@pytest.fixture(scope="module")
def reader(town: Town, table: Table) -> Reader:
    return town.reader(town.grant(table, ["id", "visits"]))


def genuine(town: Town, table: Table) -> bytes:
    """A change as Debezium wrote it, to be spoiled."""
    reader = town.exchange.consumer()
    try:
        reader.subscribe([table.topic])
        while True:
            message = reader.poll(10)
            assert message is not None
            # what was spoiled before may be read first
            if message.error() is None and message.key() != b"poison" and (value := message.value()) is not None:
                return value
    finally:
        reader.close()


def another(town: Town, table: Table) -> tuple[int, dict[str, Any]]:
    """A change that nobody has seen, like one that Debezium wrote: one of the same moment would be its repetition."""
    schema_id, envelope = town.exchange.registry.decode(genuine(town, table))
    envelope["source"]["ts_us"] = time.time_ns() // 1_000
    return schema_id, envelope


def with_envelope(town: Town, table: Table, spoil: Callable[[dict[str, Any]], None]) -> bytes:
    schema_id, envelope = another(town, table)
    spoil(envelope)
    return town.exchange.registry.encode(schema_id, envelope)


def with_another_type(town: Town, table: Table) -> bytes:
    """A change whose `visits` is text, under a schema of its own."""
    schema_id, envelope = another(town, table)
    schema = town.exchange.registry.schema(schema_id)
    row = next(
        branch
        for field in schema["fields"]
        if field["name"] == "before"
        for branch in field["type"]
        if branch != "null"
    )
    next(field for field in row["fields"] if field["name"] == "visits")["type"] = ["null", "string"]
    other = town.exchange.registry.register(f"poison-{table.code}-value", schema)
    envelope["before"], envelope["after"]["visits"] = None, MARKER.decode()
    return town.exchange.registry.encode(other, envelope)


def unavailable(envelope: dict[str, Any]) -> None:
    envelope["op"], envelope["before"], envelope["after"]["id"] = "u", None, "__debezium_unavailable_value"


POISONS: dict[str, tuple[str, Callable[[Town, Table], bytes]]] = {
    "no Avro": ("not-avro", lambda town, table: b'{"id": "' + MARKER + b'"}'),
    "nothing": ("not-avro", lambda town, table: b""),
    "only a header": ("not-avro", lambda town, table: genuine(town, table)[:5]),
    "cut short": ("not-avro", lambda town, table: genuine(town, table)[:-7]),
    "bytes left over": ("not-avro", lambda town, table: genuine(town, table) + MARKER),
    "a schema nobody knows": ("unknown-schema", lambda town, table: struct.pack(">bI", 0, 987_654_321) + MARKER),
    "another type": ("wrong-type", with_another_type),
    "no envelope": (
        "wrong-shape",
        lambda town, table: town.exchange.registry.encode(
            town.exchange.registry.register(
                f"poison-{table.code}-value", {"type": "record", "name": "X", "fields": []}
            ),
            {},
        ),
    ),
    "a truncation of the table": (
        "wrong-shape",
        lambda town, table: with_envelope(town, table, lambda envelope: envelope.update(op="t", after=None)),
    ),
    "a large value that is nowhere": ("unavailable-value", lambda town, table: with_envelope(town, table, unavailable)),
    "too large": ("oversized", lambda town, table: genuine(town, table) + b"x" * 950_000),
}


@pytest.mark.parametrize("name", POISONS)
def test_poison_is_set_aside_and_the_rest_flows_on(town: Town, table: Table, reader: Reader, name: str) -> None:
    reason, make = POISONS[name]
    poison = make(town, table)
    known = len(town.quarantined(table))
    producer = Producer(client_config(town.exchange.settings, "admin", message_max_bytes=5_000_000))
    producer.produce(table.topic, key=b"poison", value=poison, partition=0)
    assert producer.flush(10) == 0
    (entry,) = eventually(
        lambda: town.quarantined(table)[known:], lambda entries: len(entries) == 1, f"quarantine of {name}"
    )
    assert (entry["reason"], entry["topic"], entry["partition"]) == (reason, table.topic, 0)
    assert (entry["size"], entry["digest"]) == (len(poison), sha256(poison).digest())
    assert entry["owner"] == "public_security" and entry["resource"] == table.code
    assert MARKER.decode() not in str(entry)
    key = f"after {name}"
    table.run("insert into {t} values (%s, 2)", key)
    eventually(lambda: (reader.poll(), reader.state())[1], lambda state: key in state, "the next good change")


def test_poison_never_reached_a_consumer(reader: Reader) -> None:
    assert MARKER not in b"".join(record.raw for record in reader.records)
    assert {record.op for record in reader.records} <= {"c", "r"}
