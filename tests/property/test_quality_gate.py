"""What waits and what goes on: whatever changes, restarts and late grants there are, each consumer has the last sound
row of every key that it may see, and nothing that breaks a rule unless a person let it go."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.sync.projection.plan import Columns, compile_plan
from services.sync.projection.reference import Known, project, sees
from services.sync.quality.gate import Fate, Gate, Waiting
from services.sync.quality.judge import Judge, Score

WHERE = ("cdc.a.b.c", 0)
NOW = datetime(2026, 11, 25, tzinfo=UTC)
ROW = {
    "type": "record",
    "name": "Value",
    "fields": [{"name": name, "type": ["null", "string"]} for name in ("id", "region", "number", "note")],
}
WRITER = {
    "type": "record",
    "name": "Envelope",
    "fields": [
        {"name": "before", "type": ["null", ROW]},
        {"name": "after", "type": ["null", "Value"]},
        {"name": "source", "type": {"type": "record", "name": "Source", "fields": [
            {"name": "ts_ms", "type": "long"}]}},
        {"name": "op", "type": "string"},
    ],
}  # fmt: skip
RULES = [
    {"id": "digits", "kind": "pattern", "items": ["number"], "parameters": '{"pattern": "[0-9]+"}',
     "severity": "error", "message": ""},
    {"id": "region-there", "kind": "required", "items": ["region"], "parameters": "{}", "severity": "error",
     "message": ""},
    {"id": "note-there", "kind": "required", "items": ["note"], "parameters": "{}", "severity": "warning",
     "message": ""},
]  # fmt: skip
RESOURCE = {
    "code": "r",
    "mount": {"system": "s", "kind": "table"},
    "items": [
        {"name": name, "title": name, "type": "string", "column": name, "key": name == "id"}
        for name in ("id", "region", "number", "note")
    ],
}
rows = st.fixed_dictionaries(
    {
        "region": st.sampled_from(["320612", "110105", None]),
        "number": st.sampled_from(["1", "2", "x"]),
        "note": st.sampled_from(["a", None]),
    }
)
KEYS = "kl"
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(KEYS), rows),
        st.tuples(st.just("delete"), st.sampled_from(KEYS), st.none()),
        st.tuples(st.just("release"), st.sampled_from(KEYS), st.none()),
        st.tuples(st.just("restart"), st.none(), st.none()),
        st.tuples(st.just("grant"), st.none(), st.none()),
    ),
    max_size=25,
)


def is_sound(row: dict[str, Any]) -> bool:
    return row["region"] is not None and row["number"].isdigit()


def grant(number: int, items: list[str], row_filter: str | None) -> Any:
    state = {
        "id": f"g{number}", "resource": "r", "contract_version": "1.0.0", "topic": f"share.d.g{number}",
        "items": [{"name": name, "mask": None} for name in items], "row_filter": row_filter,
    }  # fmt: skip
    return compile_plan(WRITER, RESOURCE, state, b"m" * 32)


def in_scope(row: dict[str, Any], row_filter: str | None) -> bool:
    return row_filter is None or row["region"] == "320612"


class Exchange:
    """A relay of one partition in plain Python, beside a model of what each consumer must hold."""

    def __init__(self, row_filter: str | None, items: list[str]) -> None:
        self.gate, self.judge = Gate(b"m" * 32), Judge(RULES, Columns(WRITER, RESOURCE), {})
        self.row_filter, self.items = row_filter, items
        self.log: list[tuple[bytes, Any]] = []
        self.table: dict[str, dict[str, Any]] = {}
        self.plans: list[Any] = []
        self.held: list[dict[str, Any]] = []
        self.wanted: list[dict[str, Any]] = []
        self.waiting: dict[str, dict[str, Any]] = {}
        self.released = set[int]()
        self.score = Score()
        self.grant()

    def tell(self, place: int, envelope: Any, known: Known = Known(), *, catching_up: bool = False) -> None:
        for one in project(self.plans[place], envelope, catching_up=catching_up, known=known):
            key = one.key["id"]
            if one.value is None or one.value["row"] is None:
                self.held[place].pop(key, None)
            else:
                self.held[place][key] = one.value["row"]

    def shown(self, row: dict[str, Any]) -> dict[str, Any]:
        return {name: row[name] for name in self.items}

    def grant(self) -> None:
        """A new grant is served by a lane over all that was said, then from the stream."""
        self.plans.append(grant(len(self.plans), self.items, self.row_filter))
        self.held.append({})
        for offset, (key, envelope) in enumerate(self.log):
            decision = self.gate.lane(WHERE, offset, key, envelope, self.judge, NOW)
            known = Known(hidden=decision is not None)
            shown = [one for one in project(self.plans[-1], envelope, catching_up=True, known=known) if one.op == "r"]
            assert not shown or is_sound(envelope["after"]) or offset in self.released, (
                "a lane shows what breaks a rule"
            )
            self.tell(-1, envelope, known, catching_up=True)
        self.wanted.append(
            {
                key: self.shown(row)
                for key, row in self.table.items()
                if key not in self.waiting and in_scope(row, self.row_filter)
            }
        )

    def change(self, key: str, envelope: Any) -> None:
        offset, wire = len(self.log), b"\x00\x00\x00\x00\x07" + key.encode()
        self.log.append((wire, envelope))
        decision = self.gate.live(WHERE, wire, envelope, self.judge, NOW, self.score)
        served = range(len(self.plans))
        if decision is None:
            self.each(envelope, lambda _: Known())
        elif decision.fate is Fate.ASIDE:
            self.gate.set_aside(
                WHERE, offset, decision, "r",
                lambda: frozenset(
                    self.plans[one].grant for one in served
                    if envelope["before"] is not None and sees(self.plans[one], envelope["before"])
                ),
            )  # fmt: skip
        elif decision.fate is Fate.UNSURE:
            self.each(envelope, lambda _: Known(unsure=True))
        else:
            assert decision.waited is not None
            holding = decision.waited.holding
            self.each(envelope, lambda plan: Known(held=plan.grant in holding))
            self.gate.waits.put(WHERE, decision.digest, None)
        self.gate.waits.commit()

    def each(self, envelope: Any, known: Callable[[Any], Known]) -> None:
        for place, plan in enumerate(self.plans):
            self.tell(place, envelope, known(plan))

    def write(self, key: str, row: dict[str, Any]) -> None:
        before, after = self.table.get(key), {"id": key, **row}
        self.table[key] = after
        self.change(key, {"op": "u" if before else "c", "before": before, "after": after, "source": {"ts_ms": 1}})
        if is_sound(after):
            self.waiting.pop(key, None)
            self.show(key, after)
        else:
            self.waiting[key] = after

    def show(self, key: str, row: dict[str, Any]) -> None:
        for wanted in self.wanted:
            wanted.pop(key, None)
            if in_scope(row, self.row_filter):
                wanted[key] = self.shown(row)

    def delete(self, key: str) -> None:
        before = self.table.pop(key, None)
        if before is not None:
            self.change(key, {"op": "d", "before": before, "after": None, "source": {"ts_ms": 1}})
            self.waiting.pop(key, None)
            for wanted in self.wanted:
                wanted.pop(key, None)

    def release(self, key: str) -> None:
        if key not in self.waiting:
            return
        digest = self.gate.key_digest(b"\x00\x00\x00\x00\x07" + key.encode())
        waited = self.gate.waits.get(WHERE, digest)
        assert waited is not None and not waited.released
        envelope = self.log[waited.offset][1]
        self.each(envelope, lambda plan: Known(held=plan.grant in waited.holding))
        released = Waiting("r", waited.since, waited.offset, waited.holding, waited.rules, released=True)
        self.gate.waits.put(WHERE, digest, released)
        self.gate.waits.commit()
        self.released.add(waited.offset)
        self.show(key, self.waiting.pop(key))

    def restart(self) -> None:
        kept = {
            key: self.gate.waits.get(WHERE, self.gate.key_digest(b"\x00\x00\x00\x00\x07" + key.encode()))
            for key in KEYS
        }
        self.gate = Gate(b"m" * 32)
        for key, waiting in kept.items():
            if waiting is not None:
                # another version of the key's schema says the same key
                self.gate.waits.place(WHERE, self.gate.key_digest(b"\x00\x00\x00\x00\x08" + key.encode()), waiting)


@given(steps, st.sampled_from([None, 'region = "320612"']), st.sampled_from([["id", "region", "number"], ["id"]]))
@settings(max_examples=400)
def test_every_consumer_has_the_last_sound_rows(
    told: list[tuple[str, Any, Any]], row_filter: str | None, items: list[str]
) -> None:
    exchange = Exchange(row_filter, items)
    for what, key, row in told:
        match what:
            case "write":
                exchange.write(key, row)
            case "delete":
                exchange.delete(key)
            case "release":
                exchange.release(key)
            case "restart":
                exchange.restart()
            case _:
                exchange.grant()
        assert exchange.held == exchange.wanted, f"after {what} {key}: {json.dumps(told)}"


@given(steps)
@settings(max_examples=100)
def test_every_row_counts_once(told: list[tuple[str, Any, Any]]) -> None:
    exchange = Exchange(None, ["id"])
    written = [row for what, key, row in told if what == "write"]
    for what, key, row in told:
        if what == "write":
            exchange.write(key, row)
        elif what == "delete":
            exchange.delete(key)
    assert exchange.score.judged == len(written)
    assert exchange.score.set_aside == sum(not is_sound(row) for row in written)
    assert exchange.score.incomplete == sum(row["region"] is None or row["note"] is None for row in written)
    assert exchange.score.inaccurate == sum(not row["number"].isdigit() for row in written)
    assert (exchange.score.broken or {}).get("note-there", 0) == sum(row["note"] is None for row in written)
