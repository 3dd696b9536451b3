"""Which record of a transaction carries a trace: the one that was made of the change that is followed, and no other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.core import telemetry
from services.core.settings import Settings
from services.sync.projection.reference import committed_at, position
from services.sync.relay.changes import Origin
from services.sync.relay.manifest import Tally
from services.sync.relay.routes import Route
from services.sync.relay.tracing import Times, Tracing
from services.sync.tracing import ids_of
from tests.property.share_topic import KEY, Ids, value_schema

TOPIC = "cdc.people.public.person"
ENVELOPE = {
    "type": "record",
    "name": "Envelope",
    "fields": [
        {"name": "op", "type": "string"},
        {"name": "ts_us", "type": "long"},
        {
            "name": "source",
            "type": {
                "type": "record",
                "name": "Where",
                "fields": [
                    {"name": "lsn", "type": "long"}, {"name": "ts_us", "type": "long"},
                    {"name": "db", "type": "string"}, {"name": "table", "type": "string"},
                ],
            },
        },
    ],
}  # fmt: skip
MASTER = b"m" * 32
SECRET = "王小明"

Change = tuple[int, str, frozenset[int]]
"""Partition of the change topic, operation, and the numbers of the grants that see it.

A transaction is filled partition by partition.
"""
changes: st.SearchStrategy[list[Change]] = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from("cud"), st.frozensets(st.integers(0, 2))), max_size=12
).map(lambda made: sorted(made, key=lambda change: change[0]))


@pytest.fixture(scope="module")
def kept() -> Iterator[InMemorySpanExporter]:
    """What is told; the provider of a process is set once, so its spans are listened to."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        telemetry.start("test", Settings(log_level="WARNING"))
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter
    exporter.shutdown()


@pytest.fixture(scope="module")
def registry() -> Ids:
    return Ids()


class World:
    """Changes of one transaction, projected for three grants of two partitions each."""

    def __init__(self, registry: Ids, made: list[Change], carried: str | None) -> None:
        self.registry = registry
        envelope_id, key_id = self.registry.keep(ENVELOPE), self.registry.keep(KEY)
        value_id = self.registry.keep(value_schema(["id", "name"]))
        self.reads: list[Origin] = []
        self.tallies: dict[str, Tally] = {}
        self.grants = [
            {"id": f"g{number}", "topic": f"share.d.g{number}", "thread": "t", "resource": "person", "department": "d"}
            for number in range(3)
        ]
        for number, (partition, op, seen_by) in enumerate(made):
            told = {"lsn": 100 + number, "ts_us": 1_700_000_000_000_000 + number, "db": "people", "table": "person"}
            envelope = {"op": op, "ts_us": told["ts_us"] + 5_000, "source": told}
            place = (TOPIC, partition, number)
            headers = [("traceparent", carried.encode())] if carried else []
            self.reads.append(Origin(place, self.registry.encode(envelope_id, envelope), 1_700_000_000_020, headers))
            source = {"system": "people", "position": position(envelope), "committed_at": committed_at(envelope)}
            key = self.registry.encode(key_id, {"id": f"{SECRET}{number}"})
            for one in seen_by:
                tally = self.tallies.setdefault(f"g{one}", Tally(self.grants[one], 2))
                tally.read(*place, number, 1)
                row = None if op == "d" else {"id": SECRET, "name": SECRET}
                value = {"op": op, "row": row, "source": source, "grant": f"g{one}", "contract_version": "1.0.0"}
                tally.add(op, key, self.registry.encode(value_id, value), None)
                if op == "d":
                    tally.add("tombstone", key, None, None)

    def route(self, rules: list[Mapping[str, Any]]) -> Route:
        return Route({"code": "person", "mount": {"system": "people"}, "rules": rules}, tuple(self.grants))

    def read_at(self, place: tuple[str, int, int]) -> Origin:
        return next(one for one in self.reads if one.place == place)


@given(changes, st.booleans(), st.sampled_from([None, "00-" + "1" * 32 + "-" + "2" * 16 + "-01"]))
def test_the_last_change_is_followed_to_each_record_that_was_made_of_it(
    kept: InMemorySpanExporter, registry: Ids, made: list[Change], has_rules: bool, carried: str | None
) -> None:
    kept.clear()
    world = World(registry, made, carried)
    tracing = Tracing("sync.relay", world.registry, MASTER, per_second=1e-3)
    place = tracing.choose(world.tallies)
    delivered = {number for number, (_, _, seen_by) in enumerate(made) if seen_by}
    if place is None:
        assert not delivered
        return
    assert place[2] in delivered
    times = Times(begun=1_700_000_001_000_000_000, checking=10, projecting=20)
    rules: list[Mapping[str, Any]] = [{}] if has_rules else []
    followed = tracing.follow(world.read_at(place), world.route(rules), world.tallies, times)
    assert followed is not None
    assert tracing.choose(world.tallies) is None, "so many a second, and no more"
    assert kept.get_finished_spans() == (), "nothing is told before the commit"

    envelope = world.registry.decode(world.read_at(place).value)[1]
    carrying = 0
    for name, tally in world.tallies.items():
        for part in tally.parts.values():
            part.ends = (0, len(part.messages) - 1)
            if part.traced is None:
                continue
            carrying += 1
            source = world.registry.decode(part.messages[part.traced.number]["value"])[1]["source"]
            assert source["position"] == position(envelope)
            assert tally.traceparent == part.traced.traceparent
        seen = [number for number, (_, _, seen_by) in enumerate(made) if int(name[1:]) in seen_by]
        assert bool(tally.traceparent) == (tally.last_change == place) == (seen[-1] == place[2])
    assert carrying >= 1

    told = followed.committed()
    spans = kept.get_finished_spans()
    names = sorted(span.name.split()[0] for span in spans)
    assert names == sorted(["commit", "send", "process", "project", *["check"] * has_rules, *["send"] * carrying])
    derived = ids_of("people", position(envelope), committed_at(envelope))
    assert told == ("1" * 32 if carried else f"{derived[0]:032x}")
    _is_one_tree(spans, int("2" * 16, 16) if carried else None)
    assert SECRET not in repr([dict(span.attributes or {}) for span in spans])


def _is_one_tree(spans: tuple[ReadableSpan, ...], above: int | None) -> None:
    by_id = {span.context.span_id: span for span in spans if span.context}
    assert len(by_id) == len(spans) and len({span.context.trace_id for span in spans if span.context}) == 1
    tops = [span for span in spans if span.parent is None or span.parent.span_id not in by_id]
    assert [(span.parent.span_id if span.parent else None) for span in tops] == [above]
    for span in spans:
        assert span.start_time is not None and span.end_time is not None and span.start_time <= span.end_time
        if span not in tops and span.parent:
            before = by_id[span.parent.span_id]
            assert (before.start_time or 0) <= span.start_time
