"""Data resources (政务数据资源) and the rules of publishing and mounting them.

A rule never stops at the first defect: whoever fills in a catalogue is told all of them at once (domain.md, Clocks).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

_SLUG = re.compile(r"[a-z][a-z0-9_]{0,39}")
_SLUG_RULE = "must begin with a lower-case letter and hold at most 40 lower-case letters, digits and underscores"


class SharingType(StrEnum):
    """Sharing type (共享类型), Measures for sharing government information resources (2016), article 9."""

    UNCONDITIONAL = "unconditional"
    CONDITIONAL = "conditional"
    NOT_SHARED = "not_shared"


class Grade(StrEnum):
    """Grade (分级), GB/T 43697-2024; core data never goes through this exchange."""

    GENERAL = "general"
    IMPORTANT = "important"
    CORE = "core"


class ItemType(StrEnum):
    STRING = "string"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"


class Sensitivity(StrEnum):
    OPEN = "open"
    INTERNAL = "internal"
    PERSONAL = "personal"
    SECRET = "secret"


class UpdateCycle(StrEnum):
    REAL_TIME = "real_time"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that must be mended; `pointer` names the field as a JSON pointer."""

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An information item (信息项): one field of a resource, and the column that holds it."""

    name: str
    title: str
    type: ItemType
    column: str
    key: bool = False
    nullable: bool = True
    sensitivity: Sensitivity = Sensitivity.INTERNAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a resource is and on what terms it is shared."""

    code: str
    title: str
    abstract: str
    department: str
    sharing_type: SharingType
    sharing_conditions: str | None = None
    legal_basis: str | None = None
    grade: Grade
    classified: bool = False
    update_cycle: UpdateCycle
    items: Sequence[Item]


def slug_defect(pointer: str, text: str) -> list[Defect]:
    return [] if _SLUG.fullmatch(text) else [Defect(pointer, f"{text!r} {_SLUG_RULE}")]


def publication_defects(terms: Terms) -> list[Defect]:
    """All that keeps a resource from being published; empty when it may be.

    Sources: Measures for sharing government information resources (2016), articles 9 and 10; GB/T 43697-2024.
    """
    defects = slug_defect("/code", terms.code)
    if not terms.title.strip():
        defects.append(Defect("/title", "is empty"))
    if terms.classified:
        defects.append(Defect("/classified", "state secrets never enter the exchange"))
    if terms.grade is Grade.CORE:
        defects.append(Defect("/grade", "core data never goes through the exchange"))
    if terms.sharing_type is SharingType.CONDITIONAL and not (terms.sharing_conditions or "").strip():
        defects.append(Defect("/sharing_conditions", "a conditional resource names its conditions"))
    if terms.sharing_type is SharingType.UNCONDITIONAL and (terms.sharing_conditions or "").strip():
        defects.append(Defect("/sharing_conditions", "an unconditional resource has no conditions"))
    if terms.sharing_type is SharingType.NOT_SHARED and not (terms.legal_basis or "").strip():
        defects.append(Defect("/legal_basis", "a resource that is not shared cites the law it rests on"))
    return defects + _item_defects(terms.items)


def _item_defects(items: Sequence[Item]) -> list[Defect]:
    defects: list[Defect] = []
    if not items:
        defects.append(Defect("/items", "a resource has at least one information item"))
    elif not any(item.key for item in items):
        defects.append(Defect("/items", "no item is a key: mark what identifies a row"))
    names: set[str] = set()
    columns: set[str] = set()
    for index, item in enumerate(items):
        defects += slug_defect(f"/items/{index}/name", item.name)
        if item.name in names:
            defects.append(Defect(f"/items/{index}/name", f"{item.name!r} is there twice"))
        if item.column in columns:
            defects.append(Defect(f"/items/{index}/column", f"column {item.column!r} is taken by another item"))
        if item.key and item.nullable:
            defects.append(Defect(f"/items/{index}/nullable", "a key item may not be nullable"))
        names.add(item.name)
        columns.add(item.column)
    return defects


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
