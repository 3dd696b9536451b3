"""The native judge passes no change that breaks a rule, and asks for a second look only where there is a reason."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import fastavro
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.core.identifiers import citizen_id_check_digit, uscc_check_digit
from services.core.quality import RuleError, compile_rule
from services.sync.projection import native
from services.sync.projection.plan import Columns
from services.sync.quality.judge import SOUND, Judge
from services.sync.relay.repeats import Mark, later
from tests.property.test_native import HEADER, MOST_BYTES, World, changes, conditions, days, moments, wire, worlds

pytestmark = pytest.mark.skipif(not native.is_here(), reason="no Rust toolchain has built the native engine")

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
TODAY = 20_782
LISTS = {"codes": ["320612", "王", ""]}
patterns = st.sampled_from(
    [r"\d+", r"[0-9]{6}", "王.*", r"(?:32|11)\d{4}", r"[^\d]*", r"\w*", "a|b|", r"^32.+$", r"[\w.-]+",
     "(王|小)?明{0,2}", r"\bx", "(?i)a", "[[:alpha:]]", r"\p{Han}+", "[a&&b]", "a{2"]
)  # fmt: skip


def rules_of(item: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    name, kind = item["name"], item["type"]
    made = [st.just(("required", {}))]
    if kind == "string":
        made += [
            patterns.map(lambda text: ("pattern", {"pattern": text})),
            st.just(("enumeration", {"values": ["320612", ""]})),
            st.just(("code_list", {"list": "codes"})),
            st.sampled_from(["uscc", "citizen_id"]).map(lambda scheme: ("check_digit", {"scheme": scheme})),
        ]
    bounds = {
        "integer": st.integers(-60, 60), "decimal": st.sampled_from([0, "1.5", "-99.99", 7]),
        "date": days.map(str), "timestamp": moments.map(datetime.isoformat), "double": st.integers(-9, 9),
    }.get(kind)  # fmt: skip
    if bounds is not None:
        made.append(st.tuples(bounds, bounds).map(lambda both: ("range", {"min": both[0], "max": both[1]})))
        made.append(bounds.map(lambda least: ("range", {"min": least})))
    if kind == "integer":
        made.append(st.just(("enumeration", {"values": [0, 1, 2]})))
    if kind == "boolean":
        made.append(st.just(("enumeration", {"values": [True]})))
    return st.tuples(st.one_of(made), st.sampled_from(["error", "warning"]), st.none() | conditions(item)).map(
        lambda said: {
            "id": "r", "kind": said[0][0], "items": [name], "severity": said[1], "message": "",
            "parameters": json.dumps(said[0][1] | ({"when": said[2]} if said[2] else {}), ensure_ascii=False),
        }
    )  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> tuple[World, list[dict[str, Any]], list[bytes]]:
    world = draw(worlds())
    rules = draw(st.lists(st.sampled_from(world.items).flatmap(rules_of), min_size=1, max_size=3))
    return world, rules, [wire(9, world.writer, one) for one in draw(st.lists(changes(world), min_size=1, max_size=5))]


def resource(world: World) -> dict[str, Any]:
    return {"code": "r", "mount": {"system": "s", "kind": "table"}, "items": world.items}


@given(cases(), st.booleans())
@settings(max_examples=400)
def test_the_native_judge_agrees_with_the_reference(
    case: tuple[World, list[dict[str, Any]], list[bytes]], live: bool
) -> None:
    world, rules, data = case
    columns = Columns(world.writer, resource(world))
    try:
        for rule in rules:
            compile_rule(rule, columns.types, LISTS)
        fast = native.judging(world.writer, 9, rules, columns, LISTS, MOST_BYTES)
    except (RuleError, native.Unsupported):
        assume(False)
        raise
    judge, schema = Judge(rules, columns, LISTS), fastavro.parse_schema(world.writer)
    mark, at = Mark() if live else None, 0
    while at < len(data):
        stopped, rows, told = fast.run(data, at, mark, TODAY)
        judged = 0
        for number in range(at, min(stopped + 1, len(data))):
            body = io.BytesIO(data[number])
            body.seek(HEADER.size)
            envelope: Any = fastavro.schemaless_reader(body, schema, None)
            repeated = live and (heard := later(mark or Mark(), envelope)) is None
            if live and not repeated:
                mark = heard
            op, before, after = envelope["op"], envelope["before"], envelope["after"]
            verdict = judge.judge(after, before, NOW) if after is not None and op != "d" else SOUND
            earlier = judge.judge(before, None, NOW) if live and op == "u" and before is not None else SOUND
            broken = verdict is None or (verdict is not SOUND if live else bool(verdict.stopping))
            unsure = earlier is None or bool(earlier.stopping)
            if number < stopped:
                assert repeated or not (broken or unsure), f"passed over {envelope}"
                judged += not repeated and op != "d"
            else:
                odd = op not in "crud" or (op == "d") != (after is None)
                assert broken or unsure or odd, f"no reason to stop before {envelope}"
        assert rows == judged
        if live and stopped == len(data):
            assert told == mark
        at = stopped + 1


@given(st.text("0123456789X", min_size=17, max_size=18) | st.text(max_size=19), st.sampled_from(["uscc", "citizen_id"]))
@settings(max_examples=300)
def test_check_digits_are_the_same(text: str, scheme: str) -> None:
    world = World(
        [{"name": "i0", "title": "", "type": "string", "column": "c_0", "key": True}], _writer(), st.nothing()
    )
    rule = {"id": "r", "kind": "check_digit", "items": ["i0"], "parameters": json.dumps({"scheme": scheme}),
            "severity": "error", "message": ""}  # fmt: skip
    columns = Columns(world.writer, resource(world))
    fast, judge = native.judging(world.writer, 9, [rule], columns, {}, MOST_BYTES), Judge([rule], columns, {})
    for code in {text, *_right(text)}:
        envelope = {"before": None, "after": {"c_0": code}, "op": "c",
                    "source": {"ts_ms": 1, "sequence": None, "lsn": None, "ts_us": None}}  # fmt: skip
        verdict = judge.judge(envelope["after"], None, NOW)
        assert (fast.run([wire(9, world.writer, envelope)], 0, None, TODAY)[0] == 1) == (verdict is SOUND), code


def _right(text: str) -> list[str]:
    """The same with check digits that fit."""
    first = text[:17]
    if len(first) < 17 or not (first.isascii() and first.isdigit()):
        return []
    dated = f"{first[:6]}1990{int(first[10:12]) % 12 + 1:02}{int(first[12:14]) % 28 + 1:02}{first[14:17]}"
    return [
        first + uscc_check_digit(first),
        dated + citizen_id_check_digit(dated),
        first + citizen_id_check_digit(first),
    ]


def _writer() -> dict[str, Any]:
    row = {"type": "record", "name": "Value", "fields": [{"name": "c_0", "type": "string"}]}
    source = [
        {"name": "ts_ms", "type": "long"},
        {"name": "sequence", "type": ["null", "string"]},
        {"name": "lsn", "type": ["null", "long"]},
        {"name": "ts_us", "type": ["null", "long"]},
    ]
    fields = [
        {"name": "before", "type": ["null", row]},
        {"name": "after", "type": ["null", "Value"]},
        {"name": "source", "type": {"type": "record", "name": "Source", "fields": source}},
        {"name": "op", "type": "string"},
    ]
    return {"type": "record", "name": "Envelope", "fields": fields}
