"""`./tongshu bench sync`: the projection engines beside each other, and the relay beside a loop that only copies.

The engines project records of 12 and of 40 items in memory. The relay is the exchange's own: it drains a backlog of
changes for one grant, then for eight, each exactly once and with its manifests, beside a confluent-kafka loop that
copies the same changes in transactions of the same size and does nothing else. Relay and loop are compared by the CPU
time of their process: on few cores the broker takes the clock.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import statistics
import struct
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from multiprocessing.connection import Connection
from typing import Any

import fastavro
import psutil
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition

from benchmarks.report import Report
from benchmarks.road import process_of
from cli.demo.grants import GRANTS
from cli.demo.stage import catalogue, server_of
from cli.demo.world import create
from cli.exchange import Exchange, Refused
from services.core.avro import Codec
from services.core.kafka import Topic, client_config, ensure_topics
from services.sync.projection import native
from services.sync.projection.plan import Plan, compile_plan
from services.sync.projection.reference import project
from services.sync.relay.repeats import Mark
from services.sync.relay.worker import GROUP, LIVE_BATCH

_HEADER = struct.Struct(">bI")
_MASTER = bytes(32)
_MOST_BYTES = 1_000_000
_ROUNDS = 5
_CHANGE_TOPIC = "cdc.public_security.population.person"


def engines(report: Report) -> None:
    """Both engines on the same changes in memory, one thread each."""
    for items in (12, 40):
        writer, plans, changes = _changes(items, 5_000)
        report.add(f"{items} items: a change", statistics.fmean(map(len, changes)), "bytes")
        for count in (1, 8):
            some = plans[:count]
            served = [native.Served(plan, 1, 2, 1) for plan in some]
            projection = native.compiled(writer, 9, served, _MOST_BYTES)
            few = changes[:500]
            made, seconds = _reference(writer, some, few)
            outcomes = projection.run(few, 0, Mark(), 0, False)
            assert [[one["value"] for one in outcomes.messages(n, 0)] for n in range(count)] == made
            by_reference = seconds / len(few)
            bare = _least(projection, changes, None, leaves=False)
            whole = _least(projection, changes, Mark(), leaves=True)
            name = f"{items} items, {count} grant{'s' * (count > 1)}"
            report.add(f"{name}: native", 1 / bare, "changes/s")
            report.add(f"{name}: native, repetitions looked for, leaves hashed", 1 / whole, "changes/s")
            report.add(f"{name}: reference", 1 / by_reference, "changes/s")
            suffix = ("" if count == 1 else f"_{count}") + ("" if items == 12 else f"_{items}_items")
            report.compare(f"native_over_reference{suffix}", 1 / bare, 1 / by_reference)


def relay(report: Report, exchange: Exchange, records: int) -> None:
    """The exchange's relay with one and with eight grants of one resource, beside the loop that copies."""
    create(server_of(exchange), 809)
    catalogue(exchange, server_of(exchange))
    request = dict(GRANTS[0].request)
    grants = [exchange.ask("POST", "demand", "/grants", request)]
    source = _Source(exchange)
    _served(exchange, grants)
    report.add("backlog", records, "changes")
    _drain(exchange, source.changes(records // 5))
    one, copied = [], []
    for _ in range(_ROUNDS):
        changes = source.changes(records)
        before = _end(exchange, grants[0]["topic"])
        one.append(_drain(exchange, changes))
        copied.append(_copied(exchange, records))
    _require_same(exchange, grants[0], before, changes)
    cpu, seconds = (statistics.median(column) for column in zip(*one, strict=True))
    copy_cpu, copy_seconds = (statistics.median(column) for column in zip(*copied, strict=True))
    report.add("relay, 1 grant: by the clock", records / seconds, "records/s")
    report.add("relay, 1 grant: CPU a record", cpu / records * 1e6, "µs")
    report.add("copy loop: by the clock", records / copy_seconds, "records/s")
    report.add("copy loop: CPU a record", copy_cpu / records * 1e6, "µs")
    report.compare("relay_over_copy", records / cpu, records / copy_cpu)
    grants += [exchange.ask("POST", "demand", "/grants", request) for _ in range(7)]
    _served(exchange, grants)
    eight = [_drain(exchange, source.changes(records)) for _ in range(_ROUNDS)]
    cpu_8, seconds_8 = (statistics.median(column) for column in zip(*eight, strict=True))
    report.add("relay, 8 grants: by the clock", 8 * records / seconds_8, "deliveries/s")
    report.add("relay, 8 grants: CPU a delivery", cpu_8 / records / 8 * 1e6, "µs")
    report.compare("fanout_cpu_8_over_1", cpu_8 / records / 8, cpu / records)


# -- engines -----------------------------------------------------------------------------------------------------------


def _changes(items: int, count: int) -> tuple[dict[str, Any], list[Plan], list[bytes]]:
    """Creates of rows with so many items, and plans of eight grants that see two thirds of them, one of them masked."""
    kinds: list[tuple[str, Any, Callable[[int], Any]]] = [
        ("string", "string", lambda n: f"3206121990{n:08d}"),
        ("string", "string", lambda n: "王小明"),
        ("string", "string", lambda n: "1"),
        ("date", {"type": "int", "connect.name": "io.debezium.time.Date"}, lambda n: 7_000 + n % 1_000),
        ("string", "string", lambda n: "320612"),
        ("string", "string", lambda n: f"金沙街道{n % 97}号"),
        ("string", "string", lambda n: f"138{n % 10**8:08d}"),
        ("string", "string", lambda n: "alive"),
        ("decimal", {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2},
         lambda n: Decimal(n) / 100),
        ("integer", "int", lambda n: n % 9),
        ("timestamp", {"type": "long", "connect.name": "io.debezium.time.MicroTimestamp"},
         lambda n: 1_790_000_000_000_000 + n),
        ("string", "string", lambda n: None),
    ]  # fmt: skip
    columns = [kinds[place % len(kinds)] for place in range(items)]
    fields = [
        {"name": f"c{n}", "type": schema if n == 0 else ["null", schema]} for n, (_, schema, _) in enumerate(columns)
    ]
    writer = _envelope(fields)
    resource = {
        "code": "r",
        "mount": {"system": "residents", "kind": "table"},
        "items": [
            {"name": f"i{n}", "title": f"i{n}", "type": kind, "column": f"c{n}", "key": n == 0}
            for n, (kind, _, _) in enumerate(columns)
        ],
    }
    plans = [compile_plan(writer, resource, _grant(f"{place:012x}", items, place), _MASTER) for place in range(8)]
    parsed = fastavro.parse_schema(writer)
    rows = ({f"c{n}": value(number) for n, (_, _, value) in enumerate(columns)} for number in range(count))
    return writer, plans, [_wire(9, parsed, _create(row, number)) for number, row in enumerate(rows)]


def _grant(name: str, items: int, place: int) -> dict[str, Any]:
    seen = [n for n in range(items) if n == 0 or (n + place) % 3]
    mask = json.dumps({"kind": "keep", "first": 1})
    return {
        "id": name,
        "resource": "r",
        "contract_version": "1.0.0",
        "items": [{"name": f"i{n}", "mask": mask if n == 1 else None} for n in seen],
        "row_filter": None,
        "topic": f"share.d.{name}",
    }


def _envelope(fields: list[dict[str, Any]]) -> dict[str, Any]:
    """The schema that Debezium's Postgres connector writes."""
    text, long = ["null", "string"], ["null", "long"]
    source = {
        "version": "string", "connector": "string", "name": "string", "ts_ms": "long", "snapshot": ["string", "null"],
        "db": "string", "sequence": text, "ts_us": long, "ts_ns": long, "schema": "string", "table": "string",
        "txId": long, "lsn": long, "xmin": long,
    }  # fmt: skip
    block = {"id": "string", "total_order": "long", "data_collection_order": "long"}
    parts: dict[str, Any] = {
        "before": ["null", _record("Value", {}) | {"fields": fields}],
        "after": ["null", "Value"],
        "source": _record("Source", source),
        "transaction": ["null", _record("block", block)],
        "op": "string", "ts_ms": long, "ts_us": long, "ts_ns": long,
    }  # fmt: skip
    return _record("Envelope", parts) | {"namespace": _CHANGE_TOPIC}


def _record(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": field, "type": kind} for field, kind in fields.items()]}


def _create(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    at = 1_790_000_000_000 + number
    source = {
        "version": "3.5.0.Final", "connector": "postgresql", "name": "cdc.residents", "ts_ms": at, "snapshot": "false",
        "db": "residents", "sequence": f'["{2**40 + number}","{2**40 + number + 1}"]', "ts_us": at * 1_000,
        "ts_ns": at * 1_000_000, "schema": "population", "table": "person", "txId": number,
        "lsn": 2**40 + number + 1, "xmin": None,
    }  # fmt: skip
    return {
        "before": None, "after": row, "source": source, "transaction": None,
        "op": "c", "ts_ms": at, "ts_us": at * 1_000, "ts_ns": at * 1_000_000,
    }  # fmt: skip


def _wire(schema_id: int, parsed: Any, record: Any) -> bytes:
    out = io.BytesIO()
    out.write(_HEADER.pack(0, schema_id))
    fastavro.schemaless_writer(out, parsed, record)
    return out.getvalue()


def _reference(writer: Any, plans: Sequence[Plan], changes: Sequence[bytes]) -> tuple[list[list[bytes]], float]:
    """What the reference makes of `changes` for each plan (values only), and the seconds it took: decode once, project
    and encode for each."""
    parsed = fastavro.parse_schema(writer)
    schemas = [(fastavro.parse_schema(plan.key_schema), fastavro.parse_schema(plan.value_schema)) for plan in plans]
    made: list[list[bytes]] = [[] for _ in plans]
    begun = time.process_time()
    for data in changes:
        body = io.BytesIO(data)
        body.seek(_HEADER.size)
        envelope: Any = fastavro.schemaless_reader(body, parsed, None)
        for plan, (key, value), kept in zip(plans, schemas, made, strict=True):
            for one in project(plan, envelope):
                _wire(1, key, one.key)
                kept.append(_wire(2, value, one.value))
    return made, time.process_time() - begun


def _least(projection: Any, changes: Sequence[bytes], mark: Mark | None, *, leaves: bool) -> float:
    """Seconds of CPU for a change: the least of many goes."""
    found = []
    for _ in range(40):
        begun = time.process_time()
        projection.run(changes, 0, mark, 0, False, leaves=leaves)
        found.append(time.process_time() - begun)
    return min(found) / len(changes)


# -- relay -------------------------------------------------------------------------------------------------------------


class _Source:
    """Writes changes as the connector of the sample population does, as fast as a producer can."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange, self._written = exchange, 0
        reader = exchange.consumer(group_id=f"bench-{uuid.uuid4()}", isolation_level="read_uncommitted")
        reader.assign([TopicPartition(_CHANGE_TOPIC, 0, 0)])
        message = reader.poll(30)
        reader.close()
        if message is None or message.value() is None:
            raise AssertionError("the connector has written nothing")
        self._schema_id, self._template = exchange.registry.decode(bytes(message.value() or b""))

    def changes(self, count: int) -> list[tuple[bytes, bytes]]:
        """Keys and values of creates that the sample grant sees, each at a later position than all before."""
        envelope: Any = self._template
        made = []
        for number in range(count):
            self._written += 1
            place, key = 2**50 + self._written, f"3206121990{number:08d}"
            envelope["op"], envelope["before"] = "c", None
            envelope["after"] |= {"id_number": key, "region": "320612"}
            envelope["source"] |= {
                "sequence": f'["{place}","{place + 1}"]', "lsn": place + 1, "ts_us": time.time_ns() // 1_000,
            }  # fmt: skip
            made.append((key.encode(), self._exchange.registry.encode(self._schema_id, envelope)))
        return made


def _drain(exchange: Exchange, changes: Sequence[tuple[bytes, bytes]]) -> tuple[float, float]:
    """Put `changes` before the relay; its seconds of CPU, and by the clock, until all are delivered and committed."""
    process = psutil.Process(process_of(exchange, "sync"))
    producer = Producer(client_config(exchange.settings, "admin", linger_ms=5, compression_type="lz4"))
    before, begun = sum(process.cpu_times()[:2]), time.monotonic()
    for start in range(0, len(changes), 10_000):
        some: list[Any] = [{"key": key, "value": value} for key, value in changes[start : start + 10_000]]
        # into one partition, so that one reader can copy the same and find deliveries in the order of the changes
        producer.produce_batch(_CHANGE_TOPIC, some, partition=0)
        while len(producer) > 50_000:
            producer.poll(0.01)
    producer.flush()
    end, admin = _end(exchange, _CHANGE_TOPIC), exchange.admin()
    while True:
        asked = ConsumerGroupTopicPartitions(GROUP, [TopicPartition(_CHANGE_TOPIC, 0)])
        told = admin.list_consumer_group_offsets([asked])[GROUP].result(30)
        if told.topic_partitions[0].offset >= end:
            break
        time.sleep(0.02)
    return sum(process.cpu_times()[:2]) - before, time.monotonic() - begun


def _copied(exchange: Exchange, records: int) -> tuple[float, float]:
    """The same for the loop that copies the last `records` changes; in a process of its own, as the relay is."""
    topic = f"bench.copy.{uuid.uuid4().hex[:8]}"
    ensure_topics(exchange.admin(), [Topic(topic)], 1)
    end = _end(exchange, _CHANGE_TOPIC)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    config = client_config(exchange.settings, "admin")
    process = context.Process(target=_copy, args=(config, topic, end - records, end, there))
    process.start()
    found: tuple[float, float] = here.recv()
    process.join()
    exchange.admin().delete_topics([topic])
    return found


def _copy(config: dict[str, Any], topic: str, start: int, end: int, parent: Connection) -> None:
    """Consume, produce, commit: in transactions as large as the relay's may be."""
    consumer = Consumer({**config, "group.id": "bench.copy", "isolation.level": "read_committed"})
    producer = Producer(
        {**config, "transactional.id": topic, "linger.ms": 0, "compression.type": "lz4",
         "queue.buffering.max.messages": 1_000_000}
    )  # fmt: skip
    producer.init_transactions()
    consumer.assign([TopicPartition(_CHANGE_TOPIC, 0, start)])
    position = start
    before, begun = time.process_time(), time.monotonic()
    while position < end:
        messages = consumer.consume(LIVE_BATCH, 0.05)
        if not messages:
            continue
        producer.begin_transaction()
        for message in messages:
            if message.error() is not None:
                raise KafkaException(message.error())
            producer.produce(topic, message.value(), message.key())
        position = int(messages[-1].offset() or 0) + 1
        offsets = [TopicPartition(_CHANGE_TOPIC, 0, position)]
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
        producer.commit_transaction()
    parent.send((time.process_time() - before, time.monotonic() - begun))
    consumer.close()


def _served(exchange: Exchange, grants: Sequence[Mapping[str, Any]]) -> None:
    """Wait until all of `grants` are on the live stream."""
    for grant in grants:
        while True:
            try:
                told = exchange.ask("GET", "sync", f"/grants/{grant['id']}")
                if told["live"] and not told["catching_up"]:
                    break
            except Refused:
                pass
            time.sleep(0.2)


def _require_same(
    exchange: Exchange, grant: Mapping[str, Any], start: int, changes: Sequence[tuple[bytes, bytes]]
) -> None:
    """No figure counts before the relay's output is, record for record, what the reference makes of the changes."""
    resource, state = (
        _state(exchange, "catalog.resources", "population"),
        _state(exchange, "demand.grants", grant["id"]),
    )
    schema_id, _ = exchange.registry.decode(changes[0][1])
    master = bytes.fromhex(exchange.home.secret("pseudonym_key"))
    plan = compile_plan(exchange.registry.schema(schema_id), resource, state, master)
    reader = exchange.consumer(group_id=f"bench-{uuid.uuid4()}")
    reader.assign([TopicPartition(grant["topic"], 0, start)])
    for _, value in changes:
        message = reader.poll(30)
        assert message is not None
        (wanted,) = project(plan, exchange.registry.decode(value)[1])
        assert exchange.registry.decode(message.value() or b"")[1] == wanted.value
    reader.close()


def _state(exchange: Exchange, topic: str, key: str) -> dict[str, Any]:
    """The last state of `key` in a compacted topic."""
    value = {found: value for found, value, _ in exchange.read_all(topic)}[key.encode()]
    return Codec(exchange.registry, topic).decode(value or b"")


def _end(exchange: Exchange, topic: str) -> int:
    reader = exchange.consumer(group_id="bench", isolation_level="read_uncommitted")
    try:
        return int(reader.get_watermark_offsets(TopicPartition(topic, 0), 30)[1])
    finally:
        reader.close()
