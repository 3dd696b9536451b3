"""Envelopes: what is written in the schemas made from a contract reaches a consumer as it was; what differs is told."""

from __future__ import annotations

import io
from copy import deepcopy
from dataclasses import asdict
from datetime import UTC, date
from decimal import Decimal
from typing import Any

import fastavro
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.domain.contract import avro_type
from services.catalog.domain.envelope import is_of_types, key_schema, misfits, value_schema
from services.catalog.domain.resource import Grade, Item, ItemType, SharingType, Terms, UpdateCycle
from services.core.avro import incompatibilities
from services.sync.projection.plan import compile_plan
from services.sync.projection.reference import project

TOPIC = "cdc.residents.people"
VALUES: dict[ItemType, st.SearchStrategy[Any]] = {
    ItemType.STRING: st.text(max_size=20),
    ItemType.INTEGER: st.integers(-(2**63), 2**63 - 1),
    ItemType.DECIMAL: st.decimals(-(10**6), 10**6, places=2),
    ItemType.DOUBLE: st.floats(allow_nan=False),
    ItemType.BOOLEAN: st.booleans(),
    ItemType.DATE: st.dates(date(1, 1, 1), date(9999, 12, 31)),
    ItemType.TIMESTAMP: st.datetimes(timezones=st.just(UTC)),
}


def item(name: str, kind: ItemType, *, key: bool, nullable: bool) -> Item:
    decimal = kind is ItemType.DECIMAL
    return Item(
        name=name, title=f"项 {name}", type=kind, column=f"列 {name}", key=key, nullable=nullable,
        length=12 if decimal else None, scale=2 if decimal else None,
    )  # fmt: skip


@st.composite
def contracts(draw: st.DrawFn) -> Terms:
    kinds = st.sampled_from(list(ItemType))
    items = [item("id", draw(kinds), key=True, nullable=False)]
    items += [
        item(f"i{number}", draw(kinds), key=False, nullable=draw(st.booleans()))
        for number in range(draw(st.integers(0, 6)))
    ]
    return Terms(
        code="people", title="人口", abstract="人口基本信息", department="d", items=items,
        sharing_type=SharingType.UNCONDITIONAL, grade=Grade.GENERAL, update_cycle=UpdateCycle.REAL_TIME,
    )  # fmt: skip


def rows(terms: Terms) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {one.name: (st.none() | VALUES[one.type]) if one.nullable else VALUES[one.type] for one in terms.items}
    )


def passed(schema: dict[str, Any], record: Any) -> Any:
    """What a reader holds of a record that was written in this schema."""
    data = io.BytesIO()
    fastavro.schemaless_writer(data, fastavro.parse_schema(deepcopy(schema)), record, strict=True)
    data.seek(0)
    return fastavro.schemaless_reader(data, fastavro.parse_schema(deepcopy(schema)), None)


def plan_of(terms: Terms) -> Any:
    resource = {
        "code": terms.code,
        "mount": {"kind": "topic", "system": "residents"},
        "items": [{**asdict(one), "type": one.type.value} for one in terms.items],
    }
    grant = {
        "id": "g", "resource": terms.code, "contract_version": "1.0.0", "row_filter": None,
        "items": [{"name": one.name, "mask": None} for one in terms.items],
    }  # fmt: skip
    return compile_plan(value_schema(terms, TOPIC), resource, grant, bytes(32))


@given(st.data())
def test_a_row_written_by_the_contract_is_delivered_as_it_was(data: st.DataObject) -> None:
    terms = data.draw(contracts())
    row, position = data.draw(rows(terms)), data.draw(st.integers(0, 2**63 - 1))
    source = {"system": "residents", "position": position, "ts_us": 1_000_000}
    plan = plan_of(terms)
    for op, before, after, delivered in (
        ("c", None, row, [("c", row)]),
        ("r", None, row, [("r", row)]),
        ("d", row, None, [("d", None), ("tombstone", None)]),
    ):
        change = {"before": before, "after": after, "source": source, "op": op, "ts_ms": None}
        got = list(project(plan, passed(value_schema(terms, TOPIC), change)))
        assert [(one.op, one.value["row"] if one.value else None) for one in got] == delivered
        assert {one.key["id"] for one in got} == {row["id"]}
        assert all(int(one.value["source"]["position"], 16) == position for one in got if one.value)
        for one in got:
            assert passed(plan.key_schema, one.key) == one.key
            assert one.value is None or passed(plan.value_schema, one.value)["row"] == one.value["row"]
    assert passed(key_schema(terms, TOPIC), {"id": row["id"]}) == {"id": row["id"]}


def documented(schema: Any) -> bool:
    fields = schema["fields"] if isinstance(schema, dict) and schema.get("type") == "record" else []
    inner = [one["type"] for one in fields]
    branches = [branch for one in inner for branch in (one if isinstance(one, list) else [one])]
    return all(one.get("doc") for one in fields) and all(documented(one) for one in branches)


@given(contracts())
def test_the_schemas_fit_their_contract_and_say_what_every_field_means(terms: Terms) -> None:
    assert misfits(terms, value_schema(terms, TOPIC)) == []
    assert documented(value_schema(terms, TOPIC)) and documented(key_schema(terms, TOPIC))


def _row(schema: dict[str, Any]) -> list[dict[str, Any]]:
    fields: list[dict[str, Any]] = schema["fields"][0]["type"][1]["fields"]
    return fields


@given(st.data())
def test_what_does_not_fit_is_told_of_the_items_it_touches(data: st.DataObject) -> None:
    terms = data.draw(contracts())
    schema = value_schema(terms, TOPIC)
    touched = data.draw(st.sampled_from(terms.items))
    how = data.draw(st.sampled_from(["gone", "retyped", "loosened", "extended"]))
    field = next(one for one in _row(schema) if one["name"] == touched.name)
    if how == "gone":
        _row(schema).remove(field)
    elif how == "retyped":
        field["type"] = {"type": "array", "items": "string"}
    elif how == "loosened":
        field["type"] = ["null", *(one for one in [field["type"]] if not isinstance(one, list))] + [
            one for one in (field["type"] if isinstance(field["type"], list) else []) if one != "null"
        ]
    else:
        _row(schema).append({"name": "more", "type": "string", "doc": "x"})
    fits = how == "extended" or (how == "loosened" and touched.nullable)
    assert [one.item for one in misfits(terms, schema)] == ([] if fits else [touched.name])


@given(contracts())
def test_what_is_no_change_is_told_as_such(terms: Terms) -> None:
    schema = value_schema(terms, TOPIC)
    for unfit in (None, {}, {"type": "string"}, key_schema(terms, TOPIC), {**schema, "fields": schema["fields"][1:]}):
        assert [one.item for one in misfits(terms, unfit)] == [""]


@given(contracts(), st.sampled_from(list(ItemType)))
def test_a_contract_that_gains_an_item_goes_with_what_was_written_before(terms: Terms, kind: ItemType) -> None:
    more = Terms(**{**{name: getattr(terms, name) for name in terms.__slots__}, "items": [
        *terms.items, item("more", kind, key=False, nullable=True)]})  # fmt: skip
    old, new = value_schema(terms, TOPIC), value_schema(more, TOPIC)
    assert incompatibilities(new, old) == incompatibilities(old, new) == []
    assert [one.item for one in misfits(more, old)] == ["more"]
    assert misfits(terms, new) == []


def test_decimals_keep_their_scale() -> None:
    terms = Terms(
        code="people", title="人口", abstract="人口基本信息", department="d",
        items=[item("id", ItemType.DECIMAL, key=True, nullable=False)],
        sharing_type=SharingType.UNCONDITIONAL, grade=Grade.GENERAL, update_cycle=UpdateCycle.REAL_TIME,
    )  # fmt: skip
    assert passed(key_schema(terms, TOPIC), {"id": Decimal("1.5")}) == {"id": Decimal("1.50")}


@given(contracts(), contracts())
def test_what_another_contract_wrote_is_of_its_types_exactly_when_no_shared_item_has_another(
    mine: Terms, other: Terms
) -> None:
    theirs = {one.name: avro_type(one) for one in other.items}
    same = {one.name: theirs.get(one.name, avro_type(one)) == avro_type(one) for one in mine.items}
    assert is_of_types(mine, value_schema(other, TOPIC)) == all(same.values())
    assert is_of_types(mine, key_schema(other, TOPIC)) == same["id"]
