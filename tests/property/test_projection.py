"""The projection's promise, on generated tables, grants and histories: a consumer that applies what it gets holds just
what its grant shows of the source, whatever happened there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import fastavro
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.masks import pseudonym
from services.sync.projection.plan import compile_plan, grant_secret
from services.sync.projection.reference import project
from services.sync.projection.values import UNAVAILABLE

MASTER = bytes(range(32))
ITEMS = {
    "id": "string",
    "name": "string",
    "region": "string",
    "age": "integer",
    "born": "date",
    "paid": "decimal",
    "seen": "timestamp",
    "note": "string",
}
COLUMN_SCHEMAS: dict[str, Any] = {
    "string": "string",
    "integer": "int",
    "date": {"type": "int", "connect.name": "io.debezium.time.Date"},
    "decimal": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2},
    "timestamp": {"type": "long", "connect.name": "io.debezium.time.MicroTimestamp"},
}
ROW_SCHEMA = {
    "type": "record",
    "name": "Value",
    "fields": [{"name": f"c_{name}", "type": ["null", COLUMN_SCHEMAS[kind]]} for name, kind in ITEMS.items()],
}
WRITER = {
    "type": "record",
    "name": "Envelope",
    "fields": [
        {"name": "before", "type": ["null", ROW_SCHEMA]},
        {"name": "after", "type": ["null", "Value"]},
        {"name": "source", "type": {"type": "record", "name": "Source", "fields": []}},
        {"name": "op", "type": "string"},
    ],
}
RESOURCE = {
    "code": "people",
    "mount": {"system": "residents"},
    "items": [
        {"name": name, "title": name, "type": kind, "column": f"c_{name}", "key": name == "id"}
        for name, kind in ITEMS.items()
    ],
}
MASKS: dict[str, tuple[dict[str, Any], Any]] = {
    # the mask, and what it shows, written a second time and plainly
    "name": ({"kind": "keep", "first": 1}, lambda v: v[:1] + "*" * (len(v) - 1) if len(v) > 1 else "*" * len(v)),
    "region": ({"kind": "region_to", "level": "prefecture"}, lambda v: v[:4] + "00"),
    "age": ({"kind": "range", "width": 10}, lambda v: f"{v - v % 10}-{v - v % 10 + 9}"),
    "born": ({"kind": "date_to", "unit": "year"}, lambda v: str(v.year)),
}
FILTERS: dict[str | None, Any] = {
    None: lambda row: True,
    'region starts with "32"': lambda row: row["region"] is not None and row["region"].startswith("32"),
    'age >= 18 and not name = "b"': lambda row: (
        row["age"] is not None and row["name"] is not None and row["age"] >= 18 and row["name"] != "b"
    ),
    'note is null or born < date "1990-01-01"': lambda row: (
        row["note"] is None or (row["born"] is not None and row["born"] < date(1990, 1, 1))
    ),
}

rows = st.fixed_dictionaries(
    {
        "name": st.none() | st.sampled_from(["a", "b", "王小明", ""]),
        "region": st.none() | st.sampled_from(["320612", "320600", "110105"]),
        "age": st.none() | st.integers(0, 40),
        "born": st.none() | st.dates(date(1980, 1, 1), date(2000, 1, 1)),
        "paid": st.none() | st.decimals(-100, 100, places=2),
        "seen": st.none() | st.datetimes(timezones=st.just(UTC)),
        "note": st.none() | st.sampled_from(["short", "x" * 100]),
    }
)  # fmt: skip
grants = st.fixed_dictionaries(
    {
        "items": st.lists(st.sampled_from(list(ITEMS)), unique=True, min_size=1),
        "masked": st.sets(st.sampled_from(list(MASKS))),
        "filter": st.sampled_from(list(FILTERS)),
    }
)
keys = st.sampled_from(["k1", "k2", "k3"])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), keys, rows),
        st.tuples(st.just("delete"), keys),
        st.tuples(st.just("rename"), keys, keys),
        st.tuples(st.just("snapshot")),
        st.tuples(st.just("touch"), keys, st.integers(0, 40)),
    ),
    max_size=20,
)


@dataclass
class Source:
    """A table and what its connector would write: whole rows before, large values left out where untouched."""

    rows: dict[str, dict[str, Any]]

    def apply(self, step: tuple[Any, ...]) -> list[dict[str, Any]]:
        match step:
            case ("put", key, row):
                before, after = self.rows.get(key), {"id": key, **row}
                self.rows[key] = after
                return [self._change("u" if before else "c", before, after)]
            case ("touch", key, age) if key in self.rows:
                before = self.rows[key]
                self.rows[key] = {**before, "age": age}
                after = {**self.rows[key], "note": UNAVAILABLE if before["note"] is not None else None}
                return [self._change("u", before, after)]
            case ("delete", key) if key in self.rows:
                return [self._change("d", self.rows.pop(key), None)]
            case ("rename", old, new) if old in self.rows and new not in self.rows:
                before = self.rows.pop(old)
                self.rows[new] = {**before, "id": new}
                return [self._change("d", before, None), self._change("c", None, self.rows[new])]
            case ("snapshot",):
                return [self._change("r", None, row) for row in self.rows.values()]
        return []

    @staticmethod
    def _change(op: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any]:
        def raw(row: dict[str, Any] | None) -> dict[str, Any] | None:
            return None if row is None else {f"c_{name}": _written(row[name]) for name in ITEMS}

        return {"op": op, "before": raw(before), "after": raw(after), "source": {"lsn": 7, "ts_us": 1_000_000}}


def _written(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    if isinstance(value, date):
        return (value - date(1970, 1, 1)).days
    return value


def grant_of(wish: dict[str, Any]) -> dict[str, Any]:
    items = [
        {"name": name, "mask": json.dumps(MASKS[name][0]) if name in wish["masked"] and name in MASKS else None}
        for name in wish["items"]
    ]
    return {
        "id": "g1",
        "resource": "people",
        "contract_version": "1.0.0",
        "items": items,
        "row_filter": wish["filter"],
        "topic": "share.x.g1",
    }


def expected(wish: dict[str, Any], source: Source) -> dict[Any, Any]:
    def show(name: str, value: Any) -> Any:
        return MASKS[name][1](value) if name in wish["masked"] and name in MASKS and value is not None else value

    def key(row: dict[str, Any]) -> str:
        return str(row["id"]) if "id" in wish["items"] else pseudonym(row["id"], grant_secret(MASTER, "g1"))

    seen = [row for row in source.rows.values() if FILTERS[wish["filter"]](row)]
    return {key(row): {name: show(name, row[name]) for name in wish["items"]} for row in seen}


def _key_of(change: dict[str, Any]) -> str:
    return str((change["after"] or change["before"])["c_id"])


@given(grants, steps)
@settings(max_examples=300, deadline=None)
def test_a_consumer_holds_what_its_grant_shows_of_the_source(wish: dict[str, Any], history: list[Any]) -> None:
    plan = compile_plan(WRITER, RESOURCE, grant_of(wish), MASTER)
    fastavro.parse_schema(plan.key_schema)
    value_schema = fastavro.parse_schema(plan.value_schema)
    source, held = Source({}), {}
    for step in history:
        for change in source.apply(step):
            for one in project(plan, change):
                key = one.key["id"]
                if one.value is None or one.value["row"] is None:
                    held.pop(key, None)
                else:
                    assert fastavro.validate(one.value, value_schema, raise_errors=True)
                    held[key] = one.value["row"]
    assert held == expected(wish, source)


@given(grants, steps, st.data())
@settings(max_examples=200, deadline=None)
def test_catching_up_from_a_compacted_topic_ends_in_the_same_state(
    wish: dict[str, Any], history: list[Any], data: st.DataObject
) -> None:
    plan = compile_plan(WRITER, RESOURCE, grant_of(wish), MASTER)
    source = Source({})
    log = [change for step in history for change in source.apply(step)]
    # what a broker leaves: of a cleaned beginning the last change of each key, then everything
    cleaned = data.draw(st.integers(0, len(log)))
    last = {_key_of(change): place for place, change in enumerate(log[:cleaned])}
    kept = [change for place, change in enumerate(log) if place >= cleaned or last[_key_of(change)] == place]
    held: dict[Any, Any] = {}
    for change in kept:
        for one in project(plan, change, catching_up=True):
            if one.value is None or one.value["row"] is None:
                held.pop(one.key["id"], None)
            else:
                held[one.key["id"]] = one.value["row"]
    assert held == expected(wish, source)


@given(grants, rows, rows)
@settings(max_examples=200, deadline=None)
def test_a_change_of_what_is_not_granted_is_not_delivered(
    wish: dict[str, Any], first: dict[str, Any], second: dict[str, Any]
) -> None:
    plan = compile_plan(WRITER, RESOURCE, grant_of(wish), MASTER)
    watched = {*wish["items"], "id"}
    after = {**first, **{name: value for name, value in second.items() if name not in watched}}
    change = Source({"k": {"id": "k", **first}}).apply(("put", "k", after))[0]
    seen = [FILTERS[wish["filter"]](row) for row in (first, after)]
    assert len(list(project(plan, change))) == {(True, False): 2, (False, True): 1}.get((seen[0], seen[1]), 0)


def test_money_stays_exact() -> None:
    wish = {"items": ["paid"], "masked": set(), "filter": None}
    plan = compile_plan(WRITER, RESOURCE, grant_of(wish), MASTER)
    row = dict.fromkeys(ITEMS) | {"id": "k", "paid": Decimal("0.10")}
    (created,) = project(plan, Source._change("c", None, row))
    assert created.value is not None
    assert created.value["row"]["paid"] == Decimal("0.10")
