"""The native engine equals the reference byte for byte, on generated schemas, rows, grants and histories, and is not
to be broken by bytes."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.core import merkle
from services.core.masks import MaskError
from services.core.rowfilter import FilterError
from services.sync.projection import native
from services.sync.projection.plan import compile_plan
from services.sync.projection.reference import UnavailableValue, UnknownOperation, project
from services.sync.projection.values import UNAVAILABLE, WrongType
from services.sync.relay.placing import murmur2, partition_of
from services.sync.relay.repeats import Mark, later

pytestmark = pytest.mark.skipif(not native.is_here(), reason="no Rust toolchain has built the native engine")

MASTER = bytes(range(32))
HEADER = struct.Struct(">bI")
MOST_BYTES = 1_000_000
NOW_US = 1_800_000_000_000_000
REFUSALS = (UnavailableValue, UnknownOperation, WrongType, MaskError, FilterError, TypeError, ValueError, OverflowError)

texts = st.text(max_size=12) | st.sampled_from(["320612", "1101051949", "王小明", UNAVAILABLE, ""])
moments = st.integers(-(2**51), 2**52).map(lambda n: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=n))
days = st.dates(date(1900, 1, 1), date(2100, 1, 1))
# the first and the last that Python can say, in days and in microseconds since 1970, and what is beyond
EDGE_DAYS = st.sampled_from([-719_163, -719_162, 2_932_896, 2_932_897])
EDGE_MICROS = st.sampled_from(
    [-62_135_596_800_000_001, -62_135_596_800_000_000, 253_402_300_799_999_999, 253_402_300_800_000_000]
)


def micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal | bytes]:
    """Numbers as this client writes them, as Java does (no byte more than it takes), and with bytes more."""
    limit = 10**precision - 1
    edges = [sign * (2**bits + more) for bits in range(7, 127, 8) for sign in (1, -1) for more in (-1, 0, 1)]
    numbers = st.integers(-limit, limit) | st.sampled_from([edge for edge in edges if abs(edge) <= limit])

    def spelt(number: int, more: int) -> Decimal | bytes:
        if more < 0:
            # by its digits: arithmetic would round to the context's
            return Decimal((int(number < 0), tuple(map(int, str(abs(number)))), -scale))
        least = (number if number >= 0 else ~number).bit_length() // 8 + 1
        return number.to_bytes(least + more, "big", signed=True)

    return st.builds(spelt, numbers, st.integers(-1, 2))


def decimal_column(precision: int, scale: int) -> tuple[Any, st.SearchStrategy[Any]]:
    schema = {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}
    return schema, decimals(precision, scale)


# how each item type may be spelt by a source, and the values that its writer takes
SPELLINGS: dict[str, list[tuple[Any, st.SearchStrategy[Any]]]] = {
    "string": [("string", texts), ({"type": "string", "connect.name": "io.debezium.data.Uuid"}, texts)],
    "integer": [
        ("int", st.integers(-(2**31), 2**31 - 1)),
        ("long", st.integers(-(2**63), 2**63 - 1)),
        ({"type": "int", "connect.type": "int16"}, st.integers(-50, 50)),
    ],
    "decimal": [decimal_column(9, 2), decimal_column(38, 10), decimal_column(38, 38), decimal_column(5, 0)],
    "double": [("double", st.floats()), ("float", st.floats(width=32))],
    "boolean": [("boolean", st.booleans())],
    "date": [
        ({"type": "int", "connect.name": "io.debezium.time.Date"},
         days.map(lambda d: (d - date(1970, 1, 1)).days) | EDGE_DAYS),
        ({"type": "int", "logicalType": "date"}, days),
    ],
    "timestamp": [
        ({"type": "long", "connect.name": "io.debezium.time.MicroTimestamp"}, moments.map(micros) | EDGE_MICROS),
        ({"type": "long", "connect.name": "io.debezium.time.Timestamp"}, moments.map(lambda m: micros(m) // 1_000)),
        ({"type": "string", "connect.name": "io.debezium.time.ZonedTimestamp"},
         moments.map(lambda m: m.isoformat().replace("+00:00", "Z"))),
        ({"type": "long", "logicalType": "timestamp-micros"}, moments),
    ],
}  # fmt: skip
MASKS: dict[str, list[dict[str, Any]]] = {
    "string": [
        {"kind": "keep", "first": 2, "last": 1},
        {"kind": "keep", "last": 4, "fill": "＊"},
        {"kind": "region_to", "level": "prefecture"},
        {"kind": "region_to", "level": "county"},
    ],
    "integer": [{"kind": "range", "width": 7}],
    "decimal": [{"kind": "range", "width": 100}],
    "date": [{"kind": "date_to", "unit": "year"}, {"kind": "date_to", "unit": "month"}],
    "timestamp": [{"kind": "date_to", "unit": "month"}],
}
FOR_ALL = [{"kind": "null"}, {"kind": "constant", "value": "已隐藏"}, {"kind": "pseudonym"}]
# columns that no contract names and that must be found the way past
OTHERS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    ({"type": "array", "items": "string"}, st.lists(texts, max_size=3)),
    ({"type": "map", "values": ["null", "long"]}, st.dictionaries(texts, st.none() | st.integers(0, 9), max_size=2)),
    ({"type": "fixed", "name": "F", "size": 3}, st.binary(min_size=3, max_size=3)),
    ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, st.sampled_from("AB")),
    ({"type": "record", "name": "P", "fields": [{"name": "x", "type": "double"}, {"name": "next",
                                                                                  "type": ["null", "P"]}]},
     st.just({"x": 1.5, "next": {"x": 2.5, "next": None}})),
    ("bytes", st.binary(max_size=5)),
]  # fmt: skip


@dataclass
class World:
    """A table as its writer sees it, and how to make rows of it."""

    items: list[dict[str, Any]]
    writer: dict[str, Any]
    rows: st.SearchStrategy[dict[str, Any]]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    kinds = draw(st.lists(st.sampled_from(list(SPELLINGS)), min_size=2, max_size=6))
    items, fields, values = [], [], {}
    for place, kind in enumerate(kinds):
        schema, some = draw(st.sampled_from(SPELLINGS[kind]))
        key = place == 0
        field: dict[str, Any] = {"name": f"c_{place}", "type": schema}
        if not key:
            field["type"] = draw(st.sampled_from([[schema, "null"], ["null", schema], schema]))
        optional = isinstance(field["type"], list)
        values[field["name"]] = st.none() | some if optional else some
        fields.append(field)
        items.append({"name": f"i{place}", "title": f"项{place}", "type": kind, "column": field["name"], "key": key})
    for place, (schema, some) in enumerate(draw(st.lists(st.sampled_from(OTHERS), unique_by=id, max_size=2))):
        fields.append({"name": f"x_{place}", "type": schema})
        values[f"x_{place}"] = some
    row = {"type": "record", "name": "Value", "fields": draw(st.permutations(fields))}
    source = [
        {"name": "version", "type": "string"},
        {"name": "ts_ms", "type": "long"},
        {"name": "sequence", "type": ["null", "string"], "default": None},
        {"name": "lsn", "type": ["null", "long"], "default": None},
        {"name": "ts_us", "type": ["null", "long"], "default": None},
    ]
    envelope = [
        {"name": "before", "type": ["null", row], "default": None},
        {"name": "after", "type": ["null", "Value"], "default": None},
        {"name": "source", "type": {"type": "record", "name": "Source", "fields": source}},
        {"name": "op", "type": "string"},
        {"name": "ts_ms", "type": ["null", "long"], "default": None},
    ]
    writer = {"type": "record", "name": "Envelope", "namespace": "cdc.a.b", "fields": envelope}
    return World(items, writer, st.fixed_dictionaries(values))


def conditions(item: Mapping[str, Any]) -> st.SearchStrategy[str]:
    """Conditions on an item, as somebody writes them."""
    name, kind = item["name"], item["type"]
    signs = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
    literal = {
        "string": st.sampled_from(['"320612"', '"王"', '""']),
        "integer": st.integers(-60, 60).map(str),
        "decimal": st.sampled_from(["0", "1.5", "-99.99", "12345678", "0.0000000000000000001"]),
        "date": days.map(lambda d: f'date "{d}"'),
        "timestamp": moments.map(lambda m: f'timestamp "{m.isoformat()}"'),
    }
    missing = st.just(f"{name} is null") | st.just(f"{name} is not null")
    if kind == "boolean":
        return missing | st.just(f"{name} = true") | st.just(f"{name} != true")
    if kind == "double":
        return missing
    compared = st.tuples(signs, literal[kind]).map(lambda one: f"{name} {one[0]} {one[1]}")
    listed = st.lists(literal[kind], min_size=1, max_size=3).map(lambda some: f"{name} in ({', '.join(some)})")
    started = st.sampled_from([f'{name} starts with "32"', f'{name} starts with "王"'])
    return missing | compared | listed | (started if kind == "string" else missing)


def filters(items: list[dict[str, Any]]) -> st.SearchStrategy[str]:
    one = st.sampled_from(items).flatmap(conditions)
    return st.recursive(
        one,
        lambda inner: st.one_of(
            inner.map(lambda a: f"not ({a})"),
            st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda j: f"({j[0]}) {j[1]} ({j[2]})"),
        ),
        max_leaves=4,
    )


@st.composite
def grants(draw: st.DrawFn, items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    granted = draw(st.lists(st.sampled_from(items), unique_by=lambda item: str(item["name"]), min_size=1))
    masked = [
        {"name": item["name"], "mask": draw(st.none() | st.sampled_from(MASKS.get(item["type"], []) + FOR_ALL))}
        for item in granted
    ]
    return {
        "id": name,
        "resource": "r",
        "contract_version": draw(st.sampled_from(["1.0.0", "2.10.3"])),
        "items": [{**one, "mask": json.dumps(one["mask"]) if one["mask"] else None} for one in masked],
        "row_filter": draw(st.none() | filters(items)),
        "topic": f"share.d.{name}",
    }


@st.composite
def changes(draw: st.DrawFn, world: World) -> dict[str, Any]:
    op = draw(st.sampled_from("ccuuuddrr") | st.sampled_from(["t", "m"]))
    before = draw(world.rows) if op in "ud" or draw(st.integers(0, 9)) == 0 else None
    after = None if op == "d" else draw(world.rows)
    if op == "u" and before is not None and after is not None:
        # most updates touch little
        after = {name: draw(st.sampled_from([value, before[name]])) for name, value in after.items()}
    place = draw(st.integers(0, 4))
    sequence = draw(st.sampled_from([None, f'["{place}","{draw(st.integers(0, 4))}"]', f'[null,"{place}"]']))
    source = {
        "version": "3.5",
        "ts_ms": 1_790_000_000_000,
        "sequence": sequence,
        "lsn": draw(st.none() | st.integers(0, 2**40)),
        "ts_us": draw(st.none() | st.integers(1_790_000_000_000_000, 1_790_000_000_000_003)),
    }
    return {"op": op, "before": before, "after": after, "source": source, "ts_ms": None}


def wire(schema_id: int, schema: Any, record: Any) -> bytes:
    out = io.BytesIO(HEADER.pack(0, schema_id))
    out.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), record)
    return out.getvalue()


class Reference:
    """What the reference makes of one change after another, for the same grants."""

    def __init__(self, world: World, served: list[native.Served], mark: Mark | None, catching_up: bool) -> None:
        self.schema = fastavro.parse_schema(world.writer)
        self.served, self.mark, self.catching_up = served, mark, catching_up
        self.records: list[list[tuple[bytes, bytes | None]]] = [[] for _ in served]

    def take(self, data: bytes) -> bool:
        """Whether the change can be projected for all grants; then what they see of it is kept."""
        body = io.BytesIO(data)
        body.seek(HEADER.size)
        envelope: Any = fastavro.schemaless_reader(body, self.schema, None)
        if self.mark is not None:
            mark = later(self.mark, envelope)
            if mark is None:
                return True
            self.mark = mark
        made = []
        try:
            for one in self.served:
                seen = project(one.plan, envelope, catching_up=self.catching_up)
                made.append(
                    [
                        (
                            wire(one.key_id, one.plan.key_schema, record.key),
                            record.value and wire(one.value_id, one.plan.value_schema, record.value),
                        )
                        for record in seen
                    ]
                )
        except REFUSALS:
            return False
        for kept, new in zip(self.records, made, strict=True):
            kept += new
        return True


@st.composite
def cases(draw: st.DrawFn) -> tuple[World, list[native.Served], list[bytes]]:
    world = draw(worlds())
    resource = {"code": "r", "mount": {"system": "人口库", "kind": "table"}, "items": world.items}
    served = [
        native.Served(
            compile_plan(world.writer, resource, draw(grants(world.items, f"g{n}")), MASTER), 7 + n, 300 + n, 1
        )
        for n in range(draw(st.integers(1, 3)))
    ]
    some = draw(st.lists(changes(world), min_size=1, max_size=5))
    return world, served, [wire(9, world.writer, one) for one in some]


@given(cases(), st.booleans(), st.booleans())
@settings(max_examples=250)
def test_both_engines_make_the_same_bytes(
    case: tuple[World, list[native.Served], list[bytes]], catching_up: bool, watching: bool
) -> None:
    world, served, data = case
    mark = Mark() if watching else None
    reference = Reference(world, served, mark, catching_up)
    projection = native.compiled(world.writer, 9, served, MOST_BYTES)
    at, records, leaves = 0, [[] for _ in served], [b""] * len(served)
    while at < len(data):
        outcomes = projection.run(data, at, reference.mark, NOW_US, catching_up)
        for number in range(at, outcomes.stopped_at):
            assert reference.take(data[number]), "the native engine projected what the reference refuses"
        for place in range(len(served)):
            messages = outcomes.messages(place, 0)
            records[place] += [(one["key"], one["value"]) for one in messages]
            leaves[place] += outcomes.leaves(place, 0)
            counts, changed, _, _, least, most, size = outcomes.figures(place)
            assert sum(counts) == len(messages)
            assert size == sum(len(one["key"]) + len(one["value"] or b"") for one in messages)
            assert changed == len(messages) - counts[4]
            assert -1 <= least <= most
        assert outcomes.mark == reference.mark
        at = outcomes.stopped_at
        if at < len(data):
            # only a repetition makes a change of no row sound: nothing is made of it
            before = [len(one) for one in reference.records]
            taken = reference.take(data[at])
            assert not taken or "single row" in outcomes.why[1], f"stopped before a sound change: {outcomes.why}"
            assert before == [len(one) for one in reference.records]
            at += 1
    assert records == reference.records
    for made, hashed in zip(records, leaves, strict=True):
        hashes = [merkle.leaf_hash(merkle.record_entry(key, value)) for key, value in made]
        assert hashed == b"".join(hashes)
        assert native.engine.root(hashed) == merkle.root(hashes)


@given(cases(), st.data())
@settings(max_examples=150)
def test_broken_bytes_stop_a_run_and_leave_nothing_behind(
    case: tuple[World, list[native.Served], list[bytes]], data: st.DataObject
) -> None:
    world, served, (first, *_) = case
    place = data.draw(st.integers(0, len(first) - 1))
    broken = data.draw(
        st.sampled_from(
            [first[:place], first + b"\0", b"", first[:place] + bytes([first[place] ^ 0xFF]) + first[place + 1 :]]
        )
        | st.binary(max_size=40).map(lambda rest: first[:5] + rest)
        | st.binary(min_size=1, max_size=9).map(lambda some: first[:place] + some + first[place + len(some) :])
    )
    outcomes = native.compiled(world.writer, 9, served, MOST_BYTES).run([broken], 0, None, NOW_US, False)
    if outcomes.stopped_at == 1:
        # sound after all: then the reference must say the same of it
        reference = Reference(world, served, None, False)
        assert reference.take(broken)
        assert [
            [(m["key"], m["value"]) for m in outcomes.messages(n, 0)] for n in range(len(served))
        ] == reference.records
    else:
        at, _ = outcomes.why
        assert 0 <= at <= len(broken)
        assert all(outcomes.messages(n, 0) == [] and outcomes.leaves(n, 0) == b"" for n in range(len(served)))


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=30), st.integers(2, 7))
@settings(max_examples=50)
def test_records_are_placed_as_kafkas_clients_place_them(keys: list[bytes], partitions: int) -> None:
    item = {"name": "i0", "title": "键", "type": "string", "column": "c", "key": True}
    row = {"type": "record", "name": "Value", "fields": [{"name": "c", "type": "string"}]}
    source = {"type": "record", "name": "Source", "fields": [{"name": "ts_us", "type": "long"}]}
    fields = [("before", ["null", row]), ("after", ["null", "Value"]), ("source", source), ("op", "string")]
    writer = {"type": "record", "name": "E", "fields": [{"name": name, "type": kind} for name, kind in fields]}
    grant = {"id": "g", "resource": "r", "contract_version": "1", "items": [{"name": "i0", "mask": None}],
             "row_filter": None, "topic": "share.d.g"}  # fmt: skip
    plan = compile_plan(writer, {"code": "r", "mount": {"system": "s"}, "items": [item]}, grant, MASTER)
    texts = [key.decode(errors="replace") for key in keys]
    assume(len(set(texts)) == len(texts))
    data = [
        wire(1, writer, {"op": "c", "before": None, "after": {"c": text}, "source": {"ts_us": 0}}) for text in texts
    ]
    outcomes = native.compiled(writer, 1, [native.Served(plan, 1, 2, partitions)], MOST_BYTES).run(
        data, 0, None, 0, False
    )
    for partition in range(partitions):
        for message in outcomes.messages(0, partition):
            assert partition_of(message["key"], partitions) == partition
    assert sum(len(outcomes.messages(0, partition)) for partition in range(partitions)) == len(data)


@pytest.mark.parametrize(
    ("key", "hashed"), [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)]
)
def test_the_hash_is_that_of_kafka(key: bytes, hashed: int) -> None:
    """The vectors of Kafka's own UtilsTest."""
    assert murmur2(key) == hashed & 0xFFFFFFFF
