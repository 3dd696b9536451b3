"""A share topic into a department's table, beside two peers that get the same: a part of `./tongshu bench sync`.

One is Debezium's JDBC sink (upsert, deletes on, its largest batches, its reduction buffer, UNNEST inserts) in a Connect
worker of its own, warmed up before; the other copies the same rows, which lie ready in memory, into a temporary table
and upserts from there, and does nothing else. All on the same Postgres, durable commits, one topic of creates and then
updates of every row. Each is timed from its first batch in the table to its last; the tables must be equal afterwards.
"""

from __future__ import annotations

import random
import statistics
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
from confluent_kafka import Producer
from psycopg import sql

from benchmarks.peers.bringing import jdbc_sink
from benchmarks.peers.worker import Worker, worker
from benchmarks.report import Report
from cli.demo.stage import server_of
from cli.exchange import Exchange
from services.core.avro import Codec
from services.core.kafka import Topic, client_config, ensure_topics
from services.sync.projection.plan import compile_plan
from services.sync.sink import BATCH
from services.sync.table.copying import COPY
from services.sync.table.layout import OFFSET, Layout, layout, row_schema
from services.sync.table.postgres import type_of

_SEED = 809
_SECRET = "bench_dsn"
_WARM_UP_ROWS = 20_000
_PATIENCE_SECONDS = 300.0
_TYPES = {
    "id": "string", "name": "string", "region": "string", "address": "string", "phone": "string", "visits": "long",
    "rate": "double", "active": "boolean",
}  # fmt: skip
_ITEM_TYPES = {"long": "integer"}
_DIGEST = """
    select md5(string_agg(concat_ws('|', id, name, region, address, phone, visits, rate, active), ',' order by id))
    from {}
"""


class _Bench:
    """The database, the topic of a round, and how long a table takes to get all of it."""

    def __init__(self, exchange: Exchange, rows: int) -> None:
        self.exchange, self.rows = exchange, rows
        server = server_of(exchange)
        with server.connect_admin() as admin:
            admin.execute("create database bench")
        self.dsn = f"postgresql://sources_admin:{server.admin_password}@127.0.0.1:{server.port}/bench"
        self.jdbc = f"jdbc:postgresql://127.0.0.1:{server.port}/bench?reWriteBatchedInserts=true"
        self.password = server.admin_password
        path = exchange.home.secrets / _SECRET
        path.write_text(self.dsn)
        path.chmod(0o600)
        self.connection = psycopg.connect(self.dsn, autocommit=True)
        self.grants = Codec(exchange.registry, "demand.grants")

    def fill(self, rows: int) -> tuple[str, list[tuple[bytes, bytes]]]:
        """A new share topic with a create and then an update of each row, and its records."""
        topic = f"share.bench.{uuid.uuid4().hex[:12]}"
        key_schema, value_schema = _schemas(topic)
        registry = self.exchange.registry
        key_id = registry.register(f"{topic}-key", key_schema)
        value_id = registry.register(f"{topic}-value", value_schema)
        ensure_topics(self.exchange.admin(), [Topic(topic, compacted=True)], 1)
        producer = Producer(client_config(self.exchange.settings, "admin", linger_ms=20, compression_type="lz4"))
        choose, records = random.Random(_SEED), []
        for op in ("c", "u"):
            for number in range(rows):
                row = _row(choose, number, op)
                key = registry.encode(key_id, {"id": row["id"]})
                records.append((key, registry.encode(value_id, _change(op, row))))
                producer.produce(topic, records[-1][1], key)
                producer.poll(0)
            producer.flush()
        return topic, records

    def time(self, table: str, rows: int, check: Callable[[], None] = lambda: None) -> float:
        """Records a second, from the first batch in `table` to the last; `check` raises when they will not come."""
        first = sql.SQL("select from {} where id = %s").format(sql.Identifier(table))
        last = sql.SQL("select from {} where id = %s and visits < 0").format(sql.Identifier(table))
        self._await(first, _key(0), check)
        begun = time.monotonic()
        self._await(last, _key(rows - 1), check)
        return (2 * rows - min(BATCH, rows)) / (time.monotonic() - begun)

    def _await(self, query: sql.Composed, key: str, check: Callable[[], None]) -> None:
        until = time.monotonic() + _PATIENCE_SECONDS
        next_check = time.monotonic() + 1.0
        while time.monotonic() < until:
            if time.monotonic() > next_check:
                check()
                next_check += 1.0
            try:
                if self.connection.execute(query, (key,)).fetchone() is not None:
                    return
            except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
                pass
            time.sleep(0.01)
        raise AssertionError("the table does not get its rows")

    def digest(self, table: str) -> str:
        found = self.connection.execute(sql.SQL(_DIGEST).format(sql.Identifier(table))).fetchone()
        return str(found[0]) if found else ""

    def ours(self, topic: str, rows: int) -> tuple[float, str]:
        """By the process of the table exchange, told of a grant."""
        grant = _grant(topic)
        self._tell(grant)
        try:
            return self.time(grant["table_target"]["table"], rows), self.digest(grant["table_target"]["table"])
        finally:
            self._tell({**grant, "state": "revoked"})

    def _tell(self, grant: dict[str, Any]) -> None:
        producer = Producer(client_config(self.exchange.settings, "admin"))
        producer.produce("demand.grants", self.grants.encode(grant), grant["id"])
        producer.flush(10)

    def bare(self, topic: str, records: list[tuple[bytes, bytes]], rows: int) -> tuple[float, str]:
        """By COPY into a temporary table and one upsert a batch, of rows that lie ready."""
        shape, batches = _ready(topic, records)
        table, offset = sql.Identifier(f"bare_{uuid.uuid4().hex[:8]}"), sql.Identifier(OFFSET)
        names = [sql.Identifier(column.name) for column in shape.columns]
        typed = sql.SQL(", ").join(
            sql.SQL("{} {}").format(name, sql.SQL(column.type))
            for name, column in zip(names, shape.columns, strict=True)
        )
        statements = {
            "copy": "copy staging from stdin (format binary)",
            "merge": "insert into {table} as t select * from staging on conflict (id) do update set {set}",
        }
        changes = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in (*names[1:], offset))
        merge = sql.SQL(statements["merge"]).format(table=table, set=changes)
        with psycopg.connect(self.dsn) as connection:
            connection.execute(
                sql.SQL("create table {} ({}, {} bigint not null, primary key (id))").format(table, typed, offset)
            )
            connection.execute(
                sql.SQL("create temporary table staging ({}, {} bigint) on commit delete rows").format(typed, offset)
            )
            connection.commit()
            begun = 0.0
            for batch in batches:
                with connection.cursor() as cursor, cursor.copy(statements["copy"].encode()) as into:
                    into.write(batch)
                connection.execute(merge)
                connection.commit()
                begun = begun or time.monotonic()
            elapsed = time.monotonic() - begun
        name = table.as_string(self.connection).strip('"')
        return (2 * rows - min(BATCH, rows)) / elapsed, self.digest(name)


def run(report: Report, exchange: Exchange, *, rows: int, rounds: int) -> None:
    """Measure on a running exchange with samples, on which nothing else happens."""
    bench = _Bench(exchange, rows)
    spreads: dict[str, list[float]] = {"ours": [], "bare": [], "jdbc sink": []}
    with worker(exchange, plugins=jdbc_sink()) as sink:
        topic, records = bench.fill(_WARM_UP_ROWS)
        _by_sink(bench, sink, topic, _WARM_UP_ROWS)
        bench.ours(topic, _WARM_UP_ROWS)
        for _ in range(rounds):
            topic, records = bench.fill(rows)
            digests = set()
            for name in spreads:
                match name:
                    case "ours":
                        rate, digest = bench.ours(topic, rows)
                    case "bare":
                        rate, digest = bench.bare(topic, records, rows)
                    case _:
                        rate, digest = _by_sink(bench, sink, topic, rows)
                spreads[name].append(rate)
                digests.add(digest)
            if len(digests) != 1:
                raise AssertionError("the tables differ")
    medians = {name: statistics.median(spread) for name, spread in spreads.items()}
    report.add("records a round", 2 * rows, "")
    report.add("table exchange", medians["ours"], "1/s")
    report.add("COPY to staging and upsert, rows ready in memory", medians["bare"], "1/s")
    report.add("Debezium JDBC sink", medians["jdbc sink"], "1/s")
    report.compare("table_over_jdbc_sink", medians["ours"], medians["jdbc sink"])
    report.compare("table_over_copy_upsert", medians["ours"], medians["bare"])


def _key(number: int) -> str:
    return f"3206{number:014d}"


def _row(choose: random.Random, number: int, op: str) -> dict[str, Any]:
    visits = choose.randrange(1, 10_000)
    return {
        "id": _key(number),
        "name": choose.choice(("王小明", "李秀英", "张伟", "刘洋")),
        "region": choose.choice(("320602", "320612", "320681")),
        "address": f"崇川区人民路{choose.randrange(1, 400)}号",
        "phone": f"138{choose.randrange(10**8):08d}",
        # an update is known by its sign: the last one ends the round
        "visits": visits if op == "c" else -visits,
        "rate": choose.randrange(1_000) / 8,
        "active": choose.random() < 0.5,
    }


def _change(op: str, row: dict[str, Any]) -> dict[str, Any]:
    at = datetime.now(UTC)
    source = {"system": "bench", "position": f"{1:016x}", "committed_at": at}
    return {"op": op, "row": row, "source": source, "grant": "bench", "contract_version": "1.0.0"}


def _schemas(topic: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schemas that the relay would give the topic."""
    columns = [{"name": name, "type": ["null", kind]} for name, kind in _TYPES.items()]
    row = {"type": "record", "name": "Value", "fields": columns}
    sides = [{"name": "before", "type": ["null", row]}, {"name": "after", "type": ["null", "Value"]}]
    rest = [{"name": "source", "type": "string"}, {"name": "op", "type": "string"}]
    items = [
        {"name": name, "title": name, "column": name, "key": name == "id", "type": _ITEM_TYPES.get(kind, kind)}
        for name, kind in _TYPES.items()
    ]
    resource = {"items": items, "mount": {"system": "bench", "kind": "table"}}
    plan = compile_plan({"type": "record", "name": "Envelope", "fields": sides + rest}, resource, _grant(topic), b"")
    return plan.key_schema, plan.value_schema


def _grant(topic: str) -> dict[str, Any]:
    now, name = datetime.now(UTC), uuid.uuid4().hex[:12]
    return {
        "id": name, "thread": name, "state": "active", "resource": "bench", "contract_version": "1.0.0",
        "department": "civil_affairs", "items": [{"name": item, "mask": None} for item in _TYPES], "row_filter": None,
        "channels": ["table"], "purpose": "bench", "valid_from": now, "valid_to": None, "topic": topic,
        "granted_by": "bench", "updated_at": now, "api_key_digests": [],
        "table_target": {"dsn_secret": _SECRET, "schema": "public", "table": f"ours_{name}"},
    }  # fmt: skip


def _ready(topic: str, records: list[tuple[bytes, bytes]]) -> tuple[Layout, list[bytes]]:
    key_schema, value_schema = _schemas(topic)
    shape = layout(key_schema, row_schema(value_schema), _grant(topic), type_of)
    read_key, read_value = COPY.compile_key(key_schema, shape), COPY.compile_value(value_schema, shape)
    head = COPY.row_head(shape)
    batches = []
    for first in range(0, len(records), BATCH):
        parts = [COPY.header]
        for number, (key, value) in enumerate(records[first : first + BATCH], first):
            parts += (head, read_key(key), read_value(value)[1] or b"", COPY.end(number))
        batches.append(b"".join([*parts, COPY.trailer]))
    return shape, batches


def _by_sink(bench: _Bench, sink: Worker, topic: str, rows: int) -> tuple[float, str]:
    table = f"sink_{topic.rpartition('.')[2]}"
    config = {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": "1",
        "topics": topic,
        "connection.url": bench.jdbc,
        "connection.username": "sources_admin",
        "connection.password": bench.password,
        "insert.mode": "upsert",
        "delete.enabled": "true",
        "primary.key.mode": "record_key",
        "schema.evolution": "basic",
        "collection.name.format": table,
        "batch.size": str(BATCH),
        "use.reduction.buffer": "true",
        "dialect.postgres.unnest.insert.enabled": "true",
        "consumer.override.max.poll.records": str(BATCH),
        "consumer.override.auto.offset.reset": "earliest",
        "consumer.override.isolation.level": "read_committed",
        "consumer.override.max.partition.fetch.bytes": str(16 * 1024**2),
        "transforms": "row",
        "transforms.row.type": "org.apache.kafka.connect.transforms.ExtractField$Value",
        "transforms.row.field": "row",
    }
    sink.start(table, config)
    try:
        return bench.time(table, rows, lambda: sink.require_running(table)), bench.digest(table)
    finally:
        sink.end(table)
