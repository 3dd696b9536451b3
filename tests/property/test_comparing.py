"""Digests of rows meet and differ exactly as their values do, whatever types two resources have for them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.core.avro import load
from services.sync.comparing.checks import Digests, sides

NUMBER = st.none() | st.integers(-3, 3)
TEXT = st.none() | st.sampled_from(["", "王", "王 ", "1", '["a","b"]'])
ROWS = st.lists(st.tuples(st.booleans(), NUMBER, NUMBER, TEXT), max_size=6)
KINDS = {"a": "integer", "b": "decimal"}
DIGESTS = Digests(bytes(32))


def resource(code: str, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    items = [
        {"name": name, "type": kind} for name, kind in (("id", KINDS[code]), ("of", "integer"), ("name", "string"))
    ]
    found = [{"severity": "error", "message": "", **one, "parameters": json.dumps(one["parameters"])} for one in rules]
    mount = {"kind": "table", "topic": f"cdc.{code}"}
    return {
        "code": code,
        "department": f"d{code}",
        "items": items,
        "rules": found,
        "mount": mount,
        "grade": "general",
    } | more


AGREE = {"id": "agree", "kind": "consistent", "items": ["id", "of", "name"],
         "parameters": {"resource": "b", "items": ["id", "of", "name"]}}  # fmt: skip
ONCE = {"id": "once", "kind": "unique", "items": ["id", "name"], "parameters": {"when": 'name != "1"'}}


@given(ROWS)
def test_what_two_resources_say_of_one_entity(rows: list[tuple[bool, int | None, int | None, str | None]]) -> None:
    found = sides([resource("a", AGREE), resource("b")])
    ((left,), (right,)) = found["a"], found["b"]
    assert left.check == right.check and (left.check.owner, left.check.other_owner) == ("da", "db")
    said = []
    for is_left, key, of, name in rows:
        number: Any = key if is_left or key is None else Decimal(key).quantize(Decimal("1.00"))
        row = {"id": number, "of": of, "name": name}
        said.append(DIGESTS.entry(left if is_left else right, row, b"k"))
    for (_, *one), first in zip(rows, said, strict=True):
        assert (first is None) == (None in one)
        for (_, *other), second in zip(rows, said, strict=True):
            if first is not None and second is not None:
                assert (first[0] == second[0]) == (one[0] == other[0])
                assert (first[1] == second[1]) == (one[1:] == other[1:])


@given(ROWS)
def test_what_is_to_be_unique(rows: list[tuple[bool, int | None, int | None, str | None]]) -> None:
    ((side,),) = sides([resource("a", ONCE)]).values()
    keys = [bytes([number]) for number in range(len(rows))]
    said = [
        DIGESTS.entry(side, {"id": number, "name": name}, key)
        for (_, number, _, name), key in zip(rows, keys, strict=True)
    ]
    for (_, number, _, name), key, first in zip(rows, keys, said, strict=True):
        assert (first is None) == (number is None or name is None or name == "1")
        assert first is None or first[1] == key
        for (_, other, _, called), second in zip(rows, said, strict=True):
            if first is not None and second is not None:
                assert (first[0] == second[0]) == ((number, name) == (other, called))


def test_another_wording_is_another_check_and_nobody_joins_by_digests_of_two() -> None:
    again = {**ONCE, "parameters": {}}
    digests = {
        side.check.name: DIGESTS.entry(side, {"id": 1, "name": "王"}, b"k")
        for rules in ([ONCE], [again], [{**ONCE, "id": "twice"}])
        for side in sides([resource("a", *rules)])["a"]
    }
    assert len(digests) == 3 and len({entry[0] for entry in digests.values() if entry}) == 3


def test_what_cannot_be_checked_adds_nothing() -> None:
    lacks = {**AGREE, "parameters": {"resource": "b", "items": ["id", "of", "nothing"]}}
    for resources in (
        [resource("a", AGREE)],
        [resource("a", lacks), resource("b")],
        [resource("a", AGREE), resource("b", mount=None)],
        [resource("a", AGREE), resource("b", grade="core")],
        [resource("a", {**ONCE, "items": []})],
    ):
        assert sides(resources) == {}


def test_the_catalogues_schema_knows_both_kinds() -> None:
    rules = next(one for one in load("catalog.resources")["fields"] if one["name"] == "rules")
    (kind,) = [one["type"] for one in rules["type"]["items"]["fields"] if one["name"] == "kind"]
    assert {"unique", "consistent"} <= set(kind["symbols"])
