"""Entries are cut from records by the byte; what is cut is what Avro says is there, whatever the schema."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import fastavro
import pytest
from confluent_kafka import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.audit import native, verifier
from services.audit.domain.entry import (
    INPUTS,
    NotAnEvent,
    Record,
    Sealer,
    cutter,
    input_of,
    outcome_of,
    read_varint,
    trace_of,
    varint,
)
from services.audit.domain.finding import STEPS, Action, By, Kind, State, actions, step_of
from services.audit.sealing import Batches
from services.core import merkle
from services.core.avro import load

NOW = datetime(2026, 6, 30, 8, tzinfo=UTC)
plain = st.sampled_from(["string", "long", "int", "bytes", "boolean", "double", "float", "null"])


def named(count: list[int], kind: str) -> str:
    count[0] += 1
    return f"{kind}{count[0]}"


@st.composite
def schemas(draw: st.DrawFn, depth: int, count: list[int]) -> Any:
    if depth == 0:
        return draw(plain)
    inner = schemas(depth - 1, count)
    shape = draw(st.sampled_from(["plain", "array", "map", "union", "record", "enum", "fixed", "logical"]))
    if shape == "array":
        return {"type": "array", "items": draw(inner)}
    if shape == "map":
        return {"type": "map", "values": draw(inner)}
    if shape == "union":
        return ["null", draw(inner.filter(lambda one: one != "null" and not isinstance(one, list)))]
    if shape == "record":
        fields = [{"name": f"f{at}", "type": draw(inner)} for at in range(draw(st.integers(0, 3)))]
        return {"type": "record", "name": named(count, "R"), "fields": fields}
    if shape == "enum":
        return {"type": "enum", "name": named(count, "E"), "symbols": ["A", "B"]}
    if shape == "fixed":
        return {"type": "fixed", "name": named(count, "F"), "size": draw(st.integers(1, 20))}
    if shape == "logical":
        return {"type": "long", "logicalType": "timestamp-micros"}
    return draw(plain)


def values(schema: Any) -> st.SearchStrategy[Any]:
    if isinstance(schema, list):
        return st.one_of(*(values(one) for one in schema))
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "array":
        return st.lists(values(schema["items"]), max_size=3)
    if kind == "map":
        return st.dictionaries(st.text(max_size=3), values(schema["values"]), max_size=3)
    if kind == "record":
        return st.fixed_dictionaries({field["name"]: values(field["type"]) for field in schema["fields"]})
    if kind == "enum":
        return st.sampled_from(schema["symbols"])
    if kind == "fixed":
        return st.binary(min_size=schema["size"], max_size=schema["size"])
    if isinstance(schema, dict) and "logicalType" in schema:
        return st.just(NOW)
    known: dict[str, st.SearchStrategy[Any]] = {
        "string": st.text(max_size=80), "long": st.integers(-(2**63), 2**63 - 1), "int": st.integers(-9, 2**31 - 1),
        "bytes": st.binary(max_size=80), "boolean": st.booleans(), "double": st.floats(allow_nan=False),
        "float": st.just(0.5), "null": st.none(),
    }  # fmt: skip
    return known[kind]


def encoded(schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return out.getvalue()


@given(st.data())
def test_what_is_cut_out_of_a_record_is_what_avro_wrote(data: st.DataObject) -> None:
    count = [0]
    kinds = [data.draw(schemas(2, count)) for _ in range(data.draw(st.integers(1, 4)))]
    fields = [{"name": f"x{at}", "type": kind} for at, kind in enumerate(kinds)]
    schema = {"type": "record", "name": "Top", "fields": fields}
    value = data.draw(values(schema))
    raw = b"\x00\x00\x00\x00\x01" + encoded(schema, value)
    wanted = data.draw(st.permutations([field["name"] for field in fields]))
    first, *cut, last = cutter(schema, [b"before", *wanted, b"after"])(raw)
    assert (first, last) == (b"before", b"after")
    for name, part in zip(wanted, cut, strict=True):
        kind = next(field["type"] for field in fields if field["name"] == name)
        alone = {"type": "record", "name": "Alone", "fields": [{"name": "one", "type": kind}]}
        assert part == encoded(alone, {"one": value[name]})
    with pytest.raises(NotAnEvent):
        cutter(schema, ["not there"])


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_number_is_written_as_avro_writes_it(number: int) -> None:
    assert varint(number) == encoded("long", number)
    assert read_varint(varint(number), 0) == (number, len(varint(number)))


EVENT = {
    "type": "cn.tongshu.catalog.access_denied.v1", "subject": "s", "actor": "李四", "department": "d", "thread": "t",
    "occurred_at": NOW, "data": {"a": "b"},
}  # fmt: skip


def sealed(topic: str, schema: str, value: dict[str, Any], trace: str = "") -> dict[str, Any]:
    one = next(one for one in INPUTS if one.takes(topic))
    sealer = Sealer(lambda _: load(schema), lambda name: f"ref of {len(name)}", sha256)
    raw = b"\x00\x00\x00\x00\x07" + encoded(load(schema), value)
    now = varint(int(NOW.timestamp() * 1e6))
    body = sealer.body(one, Record(topic, 0, 5, b"k", raw, trace), now)
    entry: Any = fastavro.schemaless_reader(
        io.BytesIO(varint(9) + body), fastavro.parse_schema(load("audit.log")), None
    )
    assert entry["digest"] == sha256(merkle.record_entry(b"k", raw)).digest()
    assert (entry["sequence"], entry["topic"], entry["offset"], entry["recorded_at"]) == (9, topic, 5, NOW)
    return dict(entry)


def test_an_event_becomes_an_entry_without_a_name() -> None:
    entry = sealed("catalog.events", "catalog.events", EVENT, "4bf92f3577b34da6a3ce929d0e0e4736")
    told = ("type", "subject", "department", "thread", "occurred_at")
    assert {name: entry[name] for name in told} == {name: EVENT[name] for name in told}
    assert (entry["actor"], entry["outcome"], entry["records"]) == ("ref of 2", "denied", 0)
    assert entry["trace"] == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_quarantined_change_becomes_an_entry() -> None:
    value = {"resource": "r", "owner": "o", "grant": None, "topic": "cdc.x", "partition": 0, "offset": 1, "reason": "x",
             "detail": "", "size": 1, "digest": b"", "quarantined_at": NOW}  # fmt: skip
    entry = sealed("quarantine.r", "quarantine", value)
    assert (entry["subject"], entry["department"], entry["outcome"]) == ("r", "o", "quarantined")


@given(st.binary(max_size=40))
def test_what_is_no_event_is_sealed_all_the_same_and_says_so(raw: bytes) -> None:
    one = next(one for one in INPUTS if one.takes("catalog.events"))
    sealer = Sealer(lambda _: load("catalog.events"), str, sha256)
    body = sealer.body(one, Record("catalog.events", 0, 5, b"k", raw), varint(0))
    entry: Any = fastavro.schemaless_reader(
        io.BytesIO(varint(9) + body), fastavro.parse_schema(load("audit.log")), None
    )
    assert entry["type"].endswith("unreadable.v1") and entry["outcome"] == "failed"
    assert entry["digest"] == sha256(merkle.record_entry(b"k", raw)).digest()
    gone = sealer.body(one, Record("catalog.events", 0, 6, b"k", None), varint(0))
    entry = fastavro.schemaless_reader(io.BytesIO(varint(9) + gone), fastavro.parse_schema(load("audit.log")), None)
    assert entry["type"].endswith("tombstone.v1") and entry["subject"] == "k"


# -- a batch at a time -------------------------------------------------------------------------------------------------

TOPICS = ["catalog.events", "sync.deliveries", "sync.receipts", "sync.access", "quarantine.r", "demand.grants"]
HEAD = b"\x00\x00\x00\x00\x2a"
texts = st.sampled_from(["", "李四", "cn.tongshu.catalog.access_denied.v1", "x" * 70]) | st.text(max_size=9)
traces = st.sampled_from([b"00-" + b"a" * 32 + b"-b-01", "00-é-b-01".encode(), b"\xff-\xff-\xff-\xff", b"", None])
headers = st.none() | st.lists(st.tuples(st.sampled_from(["traceparent", "ce_id"]), traces), max_size=3)


@st.composite
def topics(draw: st.DrawFn) -> tuple[str, Any, st.SearchStrategy[Any]]:
    """A topic that is sealed, a schema that its records may have, and such records."""
    topic, count = draw(st.sampled_from(TOPICS)), [0]
    told = [one for one in input_of(topic).wanted if isinstance(one, str)]
    fields = [{"name": name, "type": "string"} for name in dict.fromkeys(told)]
    others = [draw(schemas(2, count)) for _ in range(draw(st.integers(0, 3)))]
    fields += [{"name": f"x{at}", "type": kind} for at, kind in enumerate(others)]
    if draw(st.booleans()):
        fields[draw(st.integers(0, len(fields) - 1))]["type"] = draw(plain | schemas(1, count))
    fields = draw(st.permutations(fields))
    made = {one["name"]: texts if one["type"] == "string" else values(one["type"]) for one in fields}
    return topic, {"type": "record", "name": "Top", "fields": fields}, st.fixed_dictionaries(made)


@st.composite
def batches(draw: st.DrawFn) -> tuple[dict[int, Any], list[Message]]:
    """Schemas by id, and messages of several topics: good ones, broken ones, and such as no one could expect."""
    known, batch = dict[int, Any](), []
    for number in range(draw(st.integers(1, 3))):
        topic, schema, records = draw(topics())
        known[number] = schema
        for _ in range(draw(st.integers(1, 4))):
            value: bytes | None = b"\x00" + draw(st.sampled_from([number, number, number, 77])).to_bytes(4, "big")
            value += encoded(schema, draw(records))
            match draw(st.sampled_from(["good"] * 5 + ["cut", "flipped", "nonsense", "gone", "longer"])):
                case "cut":
                    value = value[: draw(st.integers(0, len(value)))]
                case "flipped":
                    place = draw(st.integers(0, len(value) - 1))
                    value = value[:place] + bytes([value[place] ^ draw(st.integers(1, 255))]) + value[place + 1 :]
                case "nonsense":
                    value = draw(st.binary(max_size=30))
                case "gone":
                    value = None
                case "longer":
                    value += b"\x00" * 70_000
            offset, partition = draw(st.integers(0, 2**40)), draw(st.integers(0, 2))
            key = draw(st.none() | st.binary(max_size=5))
            batch.append(Message(topic=topic, partition=partition, offset=offset, key=key, value=value,
                                 headers=draw(headers)))  # fmt: skip
    return known, batch


def name_of(name: str) -> str:
    return f"a{sha256(name.encode()).hexdigest()[:16]}"


@given(batches(), st.sampled_from(["example.org/log", "example.org/log/sm3"]), st.integers(0, 2**40))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_batch_is_sealed_as_record_by_record(
    made: tuple[dict[int, Any], list[Message]], origin: str, first: int
) -> None:
    known, batch = made

    def schema(number: int) -> Any:
        if number not in known:
            raise NotAnEvent("there is no such schema")
        return known[number]

    with pytest.MonkeyPatch.context() as patch:
        quick = Batches(origin, native.hashing_of(origin), schema, name_of)
        patch.setattr(native, "engine", None)
        plain = Batches(origin, verifier.hashing_of(origin), schema, name_of)
    for _ in range(2):  # the second time everything is known by then
        assert quick.seal(batch, HEAD, first, NOW) == plain.seal(batch, HEAD, first, NOW)


def test_what_says_too_much_for_a_bundle_is_sealed_by_its_digest() -> None:
    value = b"\x00\x00\x00\x00\x07" + encoded(load("catalog.events"), EVENT | {"subject": "s" * 66_000})
    batch = [
        Message(topic="catalog.events", partition=0, offset=1, key=b"k" * 66_000, value=one) for one in (value, None)
    ]
    made = Batches("example.org/log", native.hashing_of("example.org/log"), lambda _: load("catalog.events"), name_of)
    sealed = made.seal(batch, HEAD, 2**62, NOW)
    assert all(len(entry) < 65_535 for entry in sealed.entries)
    assert b"unreadable" in sealed.entries[0] and b"tombstone" in sealed.entries[1]


def test_every_input_names_fields_that_its_topic_has() -> None:
    for one in INPUTS:
        schema = load("quarantine" if one.topic == "quarantine." else one.topic)
        cutter(schema, one.wanted)


def test_outcomes_and_traces_are_told_by_type_and_header() -> None:
    assert outcome_of("cn.tongshu.catalog.access_denied.v1") == "denied"
    assert outcome_of("cn.tongshu.demand.grant_opened.v1") == "done"
    assert trace_of(f"00-{'a' * 32}-{'b' * 16}-01") == "a" * 32
    assert trace_of("nonsense") == ""


@given(st.sampled_from(Kind), st.sampled_from(State), st.sampled_from(Action))
def test_what_is_offered_is_what_can_be_done(kind: Kind, state: State, action: Action) -> None:
    offered = {by: actions(kind, state, frozenset({by})) for by in By}
    step = step_of(kind, state, action)
    assert [by for by in By if action in offered[by]] == ([step.by] if step else [])
    assert step is None or step.target is not state


def test_every_matter_can_come_to_an_end() -> None:
    for kind in Kind:
        reached = {State.OPEN}
        for _ in STEPS:
            reached |= {one.target for one in STEPS if one.kind is kind and one.source in reached}
        assert State.CLOSED in reached
