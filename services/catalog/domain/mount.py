"""Mounts (挂接): whether a resource's terms fit the table that is to fill it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.catalog.domain.resource import Defect, Grade, ItemType, SharingType, Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as the source database describes it."""

    name: str
    type: str
    nullable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table as the source database describes it; `key` holds the columns of its primary key."""

    schema: str
    name: str
    columns: Mapping[str, Column]
    key: frozenset[str]
    full_replica_identity: bool


_ITEM_TYPES: dict[str, ItemType] = {
    "text": ItemType.STRING,
    "character varying": ItemType.STRING,
    "character": ItemType.STRING,
    "uuid": ItemType.STRING,
    "smallint": ItemType.INTEGER,
    "integer": ItemType.INTEGER,
    "bigint": ItemType.INTEGER,
    "numeric": ItemType.DECIMAL,
    "real": ItemType.DOUBLE,
    "double precision": ItemType.DOUBLE,
    "boolean": ItemType.BOOLEAN,
    "date": ItemType.DATE,
    "timestamp without time zone": ItemType.TIMESTAMP,
    "timestamp with time zone": ItemType.TIMESTAMP,
}


def mount_defects(terms: Terms, table: Table) -> list[Defect]:
    """All that keeps a resource from being mounted on `table`; empty when it may be."""
    defects: list[Defect] = []
    if terms.grade is Grade.CORE or terms.classified or terms.sharing_type is SharingType.NOT_SHARED:
        defects.append(Defect("/code", "core, classified and not-shared data cannot be mounted"))
    where = f"{table.schema}.{table.name}"
    if not table.full_replica_identity:
        statement = f'ALTER TABLE "{table.schema}"."{table.name}" REPLICA IDENTITY FULL'
        defects.append(Defect("/table", f"{where} does not log whole rows; its owner runs: {statement}"))
    for index, item in enumerate(terms.items):
        column = table.columns.get(item.column)
        if column is None:
            defects.append(Defect(f"/items/{index}/column", f"{where} has no column {item.column!r}"))
        elif _ITEM_TYPES.get(column.type) is not item.type:
            found = f"{where}.{column.name} is {column.type}"
            defects.append(Defect(f"/items/{index}/type", f"{found}, which does not fit {item.type.value}"))
    keys = {item.column for item in terms.items if item.key}
    if keys != table.key:
        is_key = ", ".join(sorted(table.key)) or "none"
        defects.append(
            Defect("/items", f"the primary key of {where} is ({is_key}), the key items are ({', '.join(sorted(keys))})")
        )
    return defects
