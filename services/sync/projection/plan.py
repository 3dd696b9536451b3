"""Plans: what to do with each field of a change for one grant, worked out once per writer schema and grant.

A plan holds the Avro schemas of the share topic's key and value. Fields of the row are optional with a null default,
so that a grant which gains or loses an item keeps the topic FULL-compatible.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from services.core import masks, rowfilter
from services.sync.projection import values


class NotAnEnvelope(Exception):
    """The schema is not that of a Debezium change, or lacks a column that the contract needs."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column to read: the item it holds, the item's type in the contract, and how its values are read."""

    item: str
    column: str
    type: str
    read: values.Read


@dataclass(frozen=True, slots=True)
class Shown:
    """A granted item: its column, and its mask (None: in clear), as it is and as the grant says it."""

    source: Column
    mask: masks.Mask | None
    said: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one grant sees the changes written with one schema."""

    grant: str
    contract_version: str
    system: str
    secret: bytes
    shown: Sequence[Shown]
    key: Sequence[Shown]
    filtered: Sequence[Column]
    row_filter: rowfilter.Filter | None
    filters_before: Sequence[rowfilter.Filter]
    """What the filter was while divisions were others: a row that one of them matches may be with the consumer."""
    key_schema: dict[str, Any]
    value_schema: dict[str, Any]


class Columns:
    """The columns in which changes written with the Avro schema `writer` hold a resource's items."""

    def __init__(self, writer: Mapping[str, Any], resource: Mapping[str, Any]) -> None:
        """Raises NotAnEnvelope."""
        self._columns = _row_columns(writer)
        self.types = {item["name"]: str(item["type"]) for item in resource["items"]}
        # columns are a table's; who writes changes by the contract calls the fields of a row as the items are called
        of_table = resource["mount"].get("kind", "table") == "table"
        self._fields = {item["name"]: item["column"] if of_table else item["name"] for item in resource["items"]}

    def column(self, item: str) -> Column:
        """Where `item` is and how it is read. Raises NotAnEnvelope where no change holds it."""
        kind = self.types[item]
        return Column(item, self._fields[item], kind, values.reader(kind, self.written(item)))

    def written(self, item: str) -> Any:
        """The Avro schema of the column of `item`, without the null branch. Raises NotAnEnvelope."""
        if self._fields[item] not in self._columns:
            raise NotAnEnvelope(f"the change has no column {self._fields[item]!r}")
        return self._columns[self._fields[item]]


def grant_secret(master: bytes, grant: str) -> bytes:
    """The key of a grant's pseudonyms, so that no two departments can join by them."""
    return hmac.new(master, grant.encode(), sha256).digest()


def compile_plan(
    writer: Mapping[str, Any], resource: Mapping[str, Any], grant: Mapping[str, Any], master: bytes
) -> Plan:
    """The plan of `grant` for changes of `resource` written with the Avro schema `writer`.

    Raises NotAnEnvelope, and MaskError or FilterError when the grant does not fit the resource (which the demand side
    refuses; this is the second lock).
    """
    columns = Columns(writer, resource)
    items = {item["name"]: item for item in resource["items"]}
    granted = {one["name"]: json.loads(one["mask"]) if one["mask"] else None for one in grant["items"]}
    if unknown := sorted(set(granted) - set(items)):
        raise NotAnEnvelope(f"the contract has no item {', '.join(unknown)}")

    def showing(name: str, said: Mapping[str, Any] | None) -> Shown:
        return Shown(columns.column(name), masks.parse(said) if said else None, said)

    def type_of(name: str, mask: masks.Mask | None) -> Any:
        kind = items[name]["type"]
        return values.share_type(mask.result_type(kind) if mask else kind, columns.written(name))

    # A masked key would not tell rows apart, so a key that is not shown in clear is a pseudonym.
    hidden = {"kind": "pseudonym"}
    key = [
        showing(name, None if name in granted and granted[name] is None else hidden)
        for name, item in items.items()
        if item["key"]
    ]
    shown = [showing(name, said) for name, said in granted.items()]
    row_filter, filters_before = _filters(grant)
    if row_filter:
        row_filter.check({name: item["type"] for name, item in items.items()})
    fields = [
        {"name": one.source.item, "type": ["null", type_of(one.source.item, one.mask)], "default": None,
         "doc": items[one.source.item]["title"]}
        for one in shown
    ]  # fmt: skip
    keys = [
        {"name": one.source.item, "type": type_of(one.source.item, one.mask), "doc": items[one.source.item]["title"]}
        for one in key
    ]
    return Plan(
        grant=grant["id"],
        contract_version=grant["contract_version"],
        system=resource["mount"]["system"],
        secret=grant_secret(master, grant["id"]),
        shown=shown,
        key=key,
        filtered=[columns.column(name) for name in sorted(row_filter.items())] if row_filter else [],
        row_filter=row_filter,
        filters_before=filters_before,
        key_schema=_named(grant, "Key", "Key of a record; what is not granted in clear is a pseudonym.", keys),
        value_schema=_change_schema(grant, fields),
    )


def _filters(grant: Mapping[str, Any]) -> tuple[rowfilter.Filter | None, list[rowfilter.Filter]]:
    """The row filter by today's divisions, and by those of before."""
    if not grant["row_filter"]:
        return None, []
    said = rowfilter.parse(grant["row_filter"])
    now, *before = (
        said.resolved({one["code"]: one["codes"] for one in order})
        for order in (grant.get("divisions", ()), *grant.get("divisions_before", ()))
    )
    return now, before


def _row_columns(writer: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of a change's row and the schemas of their values, without the null branch."""
    if not isinstance(writer, dict) or writer.get("type") != "record":
        raise NotAnEnvelope("the schema is not a record")
    fields = {field["name"]: field["type"] for field in writer["fields"]}
    if missing := {"before", "after", "source", "op"} - set(fields):
        raise NotAnEnvelope(f"the schema has no {', '.join(sorted(missing))}")
    for side in ("before", "after"):
        branches = fields[side] if isinstance(fields[side], list) else [fields[side]]
        for branch in branches:
            if isinstance(branch, dict) and branch.get("type") == "record":
                return {field["name"]: _without_null(field["type"]) for field in branch["fields"]}
    raise NotAnEnvelope("the schema has no row")


def _without_null(schema: Any) -> Any:
    if isinstance(schema, list):
        return next(branch for branch in schema if branch != "null")
    return schema


def _named(grant: Mapping[str, Any], name: str, doc: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "type": "record",
        "namespace": f"cn.tongshu.share.g{grant['id']}",
        "name": name,
        "doc": doc,
        "fields": fields,
    }


def _change_schema(grant: Mapping[str, Any], fields: list[dict[str, Any]]) -> dict[str, Any]:
    row = {"type": "record", "name": "Row", "doc": "What the grant shows of the row.", "fields": fields}
    source = {
        "type": "record",
        "name": "Source",
        "doc": "Where the change comes from.",
        "fields": [
            {"name": "system", "type": "string", "doc": "Information system."},
            {"name": "position", "type": "string", "doc": "Position in its log; a key's later change has the greater."},
            {"name": "committed_at", "type": {"type": "long", "logicalType": "timestamp-micros"},
             "doc": "When the change was committed in the source database (UTC)."},
        ],
    }  # fmt: skip
    return _named(
        grant,
        "Change",
        f"A change of {grant['resource']} under grant {grant['id']}.",
        [
            {
                "name": "op",
                "type": "string",
                "doc": "c created, u updated, d deleted, r read (was there already).",
            },
            {"name": "row", "type": ["null", row], "default": None, "doc": "The row; null when it was deleted."},
            {"name": "source", "type": source, "doc": "Where the change comes from."},
            {"name": "grant", "type": "string", "doc": "Id of the grant."},
            {"name": "contract_version", "type": "string", "doc": "Version of the contract."},
        ],
    )
