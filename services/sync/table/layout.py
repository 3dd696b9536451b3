"""What a department's table looks like: columns and key, from the share topic's schemas and the grant.

The key of the table is the key of the topic. A key item that the grant shows in clear is one column; one that is a
pseudonym in the key has a column of its own beside the item's, which shows what the grant shows of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Columns that begin so are the exchange's.
RESERVED = "tongshu_"
OFFSET = "tongshu_offset"
_KEY_PREFIX = "tongshu_key_"
_LONGEST_NAME = 63


class Unfit(Exception):
    """A share schema that no table can be made from; the message says why."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a column holds: string, long, double, boolean, date, timestamp, or decimal with precision and scale."""

    name: str
    precision: int = 0
    scale: int = 0
    is_key: bool = False


Types = Callable[[Kind], str]
"""What a database calls the type of such columns. Raises Unfit for what it has none for."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: the field of the record it holds, its Avro type, and its type in the department's database."""

    name: str
    field: str
    kind: Kind
    type: str


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table: those of its key, in the key's order, then the others."""

    key: Sequence[Column]
    others: Sequence[Column]

    @property
    def columns(self) -> list[Column]:
        return [*self.key, *self.others]

    def differs(self, found: Mapping[str, str]) -> list[str]:
        """Which columns have another type in a table than they must, in words; `found` are its types by name."""
        return [
            f"column {column.name!r} is of type {found[column.name]}, and must be {column.type}"
            for column in self.columns
            if column.name in found and found[column.name] != column.type
        ]


def layout(
    key_schema: Mapping[str, Any], row_schema: Mapping[str, Any], grant: Mapping[str, Any], types: Types
) -> Layout:
    """The table of `grant`, whose topic has these schemas of key and row. Raises Unfit."""
    in_clear = {item["name"] for item in grant["items"] if item["mask"] is None}
    key = []
    for field in key_schema["fields"]:
        name = field["name"]
        key.append(_column(name if name in in_clear else _KEY_PREFIX + name, field, types, is_key=True))
    taken = {column.name for column in key}
    others = [_column(field["name"], field, types) for field in row_schema["fields"] if field["name"] not in taken]
    if foreign := [column.name for column in others if column.name.startswith(RESERVED)]:
        raise Unfit(f"an item may not be called {foreign[0]!r}: names that begin with {RESERVED} are the exchange's")
    return Layout(tuple(key), tuple(others))


def row_schema(value_schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of the row in a share topic's value."""
    branches = next(field["type"] for field in value_schema["fields"] if field["name"] == "row")
    found: dict[str, Any] = next(branch for branch in branches if isinstance(branch, dict))
    return found


def _column(name: str, field: Mapping[str, Any], types: Types, *, is_key: bool = False) -> Column:
    if len(name.encode()) > _LONGEST_NAME:
        raise Unfit(f"{name!r} is too long for the name of a column")
    avro = field["type"]
    if isinstance(avro, list):
        avro = next(branch for branch in avro if branch != "null")
    kind = _kind(avro, is_key)
    if kind is None:
        raise Unfit(f"item {field['name']!r} has a type that no column can hold: {avro!r}")
    return Column(name, field["name"], kind, types(kind))


def _kind(avro: Any, is_key: bool) -> Kind | None:
    if isinstance(avro, str):
        return Kind(avro, is_key=is_key) if avro in ("string", "long", "double", "boolean") else None
    match avro.get("logicalType"):
        case "date":
            return Kind("date", is_key=is_key)
        case "timestamp-micros":
            return Kind("timestamp", is_key=is_key)
        case "decimal":
            return Kind("decimal", avro["precision"], avro.get("scale", 0), is_key)
    return None
