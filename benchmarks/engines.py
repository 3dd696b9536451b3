"""The projection engines beside each other: records of 12 and of 40 items in memory, one thread each."""

from __future__ import annotations

import io
import json
import statistics
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import fastavro

from benchmarks.report import Report
from services.sync.projection import native
from services.sync.projection.plan import Plan, compile_plan
from services.sync.projection.reference import project
from services.sync.relay.repeats import Mark

_HEADER = struct.Struct(">bI")
_MASTER = bytes(32)
_MOST_BYTES = 1_000_000
_NAMESPACE = "cdc.public_security.population.person"


def run(report: Report) -> None:
    """Both engines on the same changes, for one grant and for eight."""
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
    return _record("Envelope", parts) | {"namespace": _NAMESPACE}


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
