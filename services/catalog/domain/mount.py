"""Mounts (挂接): whether a resource's terms fit the table that is to fill it, and the rows that are in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.catalog.domain.resource import Grade, ItemType, Sensitivity, SharingType, Terms
from services.core.defects import Defect
from services.core.words import Words


class TableKind(StrEnum):
    """What may stand where a table is asked for; only tables have a change log."""

    TABLE = "table"
    PARTITIONED = "partitioned"
    VIEW = "view"
    MATERIALIZED = "materialized"
    FOREIGN = "foreign"

    @property
    def is_logged(self) -> bool:
        return self in (TableKind.TABLE, TableKind.PARTITIONED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as the source database describes it; `number` is its place, which a rename does not change."""

    name: str
    type: str
    nullable: bool
    number: int = 0
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table as the source database describes it; `key` holds the columns of its primary key.

    `logged` is false for unlogged tables, `readable` where the system's user may not read it.
    """

    schema: str
    name: str
    columns: Mapping[str, Column]
    key: frozenset[str]
    full_replica_identity: bool
    kind: TableKind = TableKind.TABLE
    logged: bool = True
    readable: bool = True
    comment: str | None = None

    @property
    def where(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Strangers:
    """Values of a column that its code list does not have: how many rows, how many values, and the commonest."""

    rows: int
    values: int
    commonest: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What was found in the rows, by column: rows with NULL, and strangers to the item's code list.

    `of_sample` says that only the sample was looked at, because the whole table would have taken too long.
    """

    nulls: Mapping[str, int]
    strangers: Mapping[str, Strangers]
    of_sample: bool = False


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
_SENSITIVE = frozenset({Sensitivity.PERSONAL, Sensitivity.SECRET})


def item_type_of(column_type: str) -> ItemType | None:
    """The item type that a column of this type fills; None for one that no item can have."""
    return _ITEM_TYPES.get(column_type)


def may_be_mounted(terms: Terms) -> bool:
    """Core, classified and not-shared data is never mounted, nor looked at to be mounted."""
    return not (terms.grade is Grade.CORE or terms.classified or terms.sharing_type is SharingType.NOT_SHARED)


def handling_defects(terms: Terms) -> list[Defect]:
    """What in the terms themselves keeps the resource from being mounted, wherever its data is."""
    if may_be_mounted(terms):
        return []
    detail = Words(
        "core, classified and not-shared data cannot be mounted", "核心数据、涉密数据和不予共享的数据不得挂接"
    )
    return [Defect("/code", detail)]


def mount_defects(terms: Terms, table: Table) -> list[Defect]:
    """All that keeps a resource from being mounted on `table`; empty when it may be."""
    return handling_defects(terms) + _table_defects(table) + _item_defects(terms, table)


def _table_defects(table: Table) -> list[Defect]:
    where, quoted = table.where, f'"{table.schema}"."{table.name}"'
    if not table.kind.is_logged:
        detail = Words(
            f"{where} is a {table.kind.value} view or foreign table: it has no changes of its own, mount what it reads",
            f"{where} 不是普通表，没有自己的变更日志，请挂接其所读取的表",
        )
        return [Defect("/table", detail)]
    defects = []
    if not table.logged:
        statement = f"ALTER TABLE {quoted} SET LOGGED"
        detail = Words(
            f"{where} is not logged; its owner runs: {statement}", f"{where} 不写日志，请表的属主执行：{statement}"
        )
        defects.append(Defect("/table", detail))
    if not table.full_replica_identity:
        statement = f"ALTER TABLE {quoted} REPLICA IDENTITY FULL"
        detail = Words(
            f"{where} does not log whole rows; its owner runs: {statement}",
            f"{where} 的变更日志不含整行，请表的属主执行：{statement}",
        )
        defects.append(Defect("/table", detail))
    if not table.readable:
        detail = Words(
            f"the system's user may not read {where}; its owner runs: GRANT SELECT ON {quoted} TO …",
            f"信息系统登记的用户无权读取 {where}，请表的属主执行：GRANT SELECT ON {quoted} TO …",
        )
        defects.append(Defect("/table", detail))
    return defects


def _item_defects(terms: Terms, table: Table) -> list[Defect]:
    defects: list[Defect] = []
    where = table.where
    for index, item in enumerate(terms.items):
        column = table.columns.get(item.column)
        if column is None:
            detail = Words(f"{where} has no column {item.column!r}", f"{where} 没有字段“{item.column}”")
            defects.append(Defect(f"/items/{index}/column", detail))
        elif item_type_of(column.type) is not item.type:
            detail = Words(
                f"{where}.{column.name} is {column.type}, which does not fit {item.type.value}",
                f"{where}.{column.name} 的类型是 {column.type}，与信息项类型 {item.type.value} 不符",
            )
            defects.append(Defect(f"/items/{index}/type", detail))
    keys = {item.column for item in terms.items if item.key}
    if keys != table.key:
        is_key, wanted = ", ".join(sorted(table.key)) or "none", ", ".join(sorted(keys))
        detail = Words(
            f"the primary key of {where} is ({is_key}), the key items are ({wanted})",
            f"{where} 的主键是（{'、'.join(sorted(table.key)) or '无'}），主键信息项是（{'、'.join(sorted(keys))}）",
        )
        defects.append(Defect("/items", detail))
    return defects


def nullable_required(terms: Terms, table: Table) -> list[str]:
    """The columns that may hold NULL though their item must be there."""
    found = (table.columns.get(item.column) for item in terms.items if not item.nullable)
    return [column.name for column in found if column is not None and column.nullable]


def content_defects(terms: Terms, table: Table, content: Content) -> tuple[list[Defect], list[Defect]]:
    """What is wrong with the rows: what keeps the resource from being mounted, and what is only worth knowing.

    A column that may hold NULL under an item that must be there is a warning, unless a row does hold NULL. Values that
    are not in the item's code list are a warning: they go to quarantine or are counted, as the contract's rules say.
    """
    defects: list[Defect] = []
    warnings: list[Defect] = []
    scope = ("of the sample", "（抽样）") if content.of_sample else ("", "")
    for index, item in enumerate(terms.items):
        column = table.columns.get(item.column)
        if column is None:
            continue
        where = f"{table.where}.{column.name}"
        if not item.nullable and column.nullable:
            if count := content.nulls.get(column.name, 0):
                detail = Words(
                    f"{where} is NULL in {count} rows {scope[0]}".strip() + ", but the item must be there",
                    f"{where} 有 {count} 行{scope[1]}为空，而该信息项必填",
                )
                defects.append(Defect(f"/items/{index}/nullable", detail))
            else:
                detail = Words(
                    f"{where} may hold NULL, and the item must be there; no row does now",
                    f"{where} 允许为空，而该信息项必填；目前没有为空的行",
                )
                warnings.append(Defect(f"/items/{index}/nullable", detail))
        if strange := content.strangers.get(column.name):
            warnings.append(
                Defect(f"/items/{index}/code_list", _strange(where, item.code_list, strange, scope, item.sensitivity))
            )
    return defects, warnings


def _strange(
    where: str, code_list: str | None, found: Strangers, scope: tuple[str, str], sensitivity: Sensitivity
) -> Words:
    en = f"{where} has {found.values} values in {found.rows} rows {scope[0]}".strip() + f" that are not in {code_list}"
    zh = f"{where} 有 {found.rows} 行{scope[1]}、{found.values} 种取值不在代码集“{code_list}”中"
    if sensitivity in _SENSITIVE:
        return Words(en, zh)
    listed = ", ".join(f"{value!r} ({count})" for value, count in found.commonest)
    return Words(f"{en}: {listed}", f"{zh}：{listed}")
