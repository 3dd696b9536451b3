"""Envelopes: the Avro schemas in which a change topic is filled from outside, made from the contract in force.

Their shape is that of Debezium's changes, so that the relay need not know who wrote them; a row's fields are called as
the items are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.catalog.domain.contract import avro_type, schema_of
from services.catalog.domain.resource import Terms
from services.core.words import Words

_PARTS = frozenset({"before", "after", "source", "op"})


def key_schema(terms: Terms, topic: str) -> dict[str, Any]:
    """The schema of a change's key: the key items, in the order of the contract."""
    keys = {item.name for item in terms.items if item.key}
    fields = [field for field in schema_of(terms)["fields"] if field["name"] in keys]
    return {
        "type": "record",
        "namespace": topic,
        "name": "Key",
        "doc": f"{terms.title}：主键 (key of a row; compaction keeps the last change of each).",
        "fields": fields,
    }


def value_schema(terms: Terms, topic: str) -> dict[str, Any]:
    """The schema of a change: the row before and after, what was done, and where and when."""
    row = {
        "type": "record",
        "name": "Value",
        "doc": f"{terms.title}：{terms.abstract}",
        "fields": schema_of(terms)["fields"],
    }
    source = {
        "type": "record",
        "name": "Source",
        "doc": "Where the change comes from.",
        "fields": [
            {"name": "system", "type": "string", "doc": "The information system (信息系统)."},
            {"name": "position", "type": "long", "doc": "Grows with every change of a key; not negative."},
            {"name": "ts_us", "type": "long", "doc": "When it was committed there: microseconds since 1970 (UTC)."},
        ],
    }
    return {
        "type": "record",
        "namespace": topic,
        "name": "Envelope",
        "doc": f"A change of {terms.code}. A delete is followed by a tombstone: its key without a value.",
        "fields": [
            {"name": "before", "type": ["null", row], "default": None,
             "doc": "The whole row before an update or delete: without it, no row can leave a consumer's filter."},
            {"name": "after", "type": ["null", "Value"], "default": None, "doc": "The row now; null when deleted."},
            {"name": "source", "type": source, "doc": "Where the change comes from."},
            {"name": "op", "type": "string", "doc": "c created, u updated, d deleted, r read (was there already)."},
            {"name": "ts_ms", "type": ["null", "long"], "default": None, "doc": "When it was written: milliseconds."},
        ],
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why changes written with a schema would not fit a contract; `item` is empty where it is not about one item."""

    item: str
    words: Words


def misfits(terms: Terms, schema: Mapping[str, Any] | None) -> list[Misfit]:
    """All in which changes written with `schema` (None: there is none) would not fit the contract."""
    if schema is None:
        return [Misfit("", Words("no schema is registered for its values", "尚未登记消息值的模式"))]
    row = _row_of(schema)
    if row is None:
        words = Words(
            "the schema registered last is no change with before, after, source and op",
            "最近登记的模式不是含 before、after、source、op 的变更",
        )
        return [Misfit("", words)]
    found = []
    for item in terms.items:
        if item.name not in row:
            words = Words(f"the schema registered last has no {item.name}", f"最近登记的模式缺少信息项“{item.title}”")
            found.append(Misfit(item.name, words))
            continue
        branches = row[item.name] if isinstance(row[item.name], list) else [row[item.name]]
        if [_essence(one) for one in branches if one != "null"] != [_essence(avro_type(item))]:
            words = Words(
                f"{item.name} has another type in the schema registered last",
                f"最近登记的模式中“{item.title}”的类型与契约不符",
            )
            found.append(Misfit(item.name, words))
        elif "null" in branches and not item.nullable:
            words = Words(
                f"{item.name} may be missing in the schema registered last, but must be there",
                f"最近登记的模式中“{item.title}”可空，而契约规定必填",
            )
            found.append(Misfit(item.name, words))
    return found


def is_of_types(terms: Terms, schema: Mapping[str, Any]) -> bool:
    """Whether the items in a key or change written with `schema` have the types of the contract.

    Avro would read some other types too, bytes as a text for one, and make of them what nobody has written.
    """
    fields = _row_of(schema) or {field["name"]: field["type"] for field in schema.get("fields", ())}
    for item in terms.items:
        if item.name in fields:
            branches = fields[item.name] if isinstance(fields[item.name], list) else [fields[item.name]]
            if [_essence(one) for one in branches if one != "null"] != [_essence(avro_type(item))]:
                return False
    return True


def _row_of(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The fields of a change's row and their types; None for what is no change."""
    if schema.get("type") != "record":
        return None
    fields = {field["name"]: field["type"] for field in schema["fields"]}
    if not fields.keys() >= _PARTS:
        return None
    for side in ("before", "after"):
        for branch in fields[side] if isinstance(fields[side], list) else [fields[side]]:
            if isinstance(branch, dict) and branch.get("type") == "record":
                return {field["name"]: field["type"] for field in branch["fields"]}
    return None


def _essence(kind: Any) -> Any:
    """A type without what only describes it."""
    if not isinstance(kind, dict):
        return kind
    if "logicalType" not in kind:
        return kind.get("type")
    return {name: kind[name] for name in ("type", "logicalType", "precision", "scale") if name in kind}
