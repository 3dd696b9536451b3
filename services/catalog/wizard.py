"""The mount wizard: what mounting a resource on a table would meet, told before anything is done.

It reads the source's own catalogue and a bounded sample of rows. Nothing of the rows is kept, and nothing leaves this
module but masked: of a column that is no item, nothing at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Any

from services.catalog.domain.mapping import Proposal, propose
from services.catalog.domain.mount import (
    Content,
    Strangers,
    Table,
    content_defects,
    item_type_of,
    may_be_mounted,
    mount_defects,
    nullable_required,
)
from services.catalog.domain.resource import Item, Terms
from services.catalog.source import Readiness, Reading
from services.core import masks, quality
from services.core.defects import Defect
from services.core.words import Words

SAMPLE_ROWS = 1_000
SHOWN_ROWS = 10
_SHOWN_CHARACTERS = 200

Shown = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTried:
    """A quality rule and how many rows of the sample break it."""

    rule: str
    severity: str
    items: Sequence[str]
    broken: int
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What the wizard found; `defects` keep the resource from being mounted, `warnings` do not."""

    table: Table
    proposals: Sequence[Proposal]
    defects: Sequence[Defect]
    warnings: Sequence[Defect]
    rows: Sequence[Mapping[str, Shown]]
    sampled: int
    rules: Sequence[RuleTried]


def look(
    reading: Reading, terms: Terms, schema: str, table: str, lists: quality.CodeLists, moment: datetime
) -> Preview:
    """What mounting `terms` on a table would meet; raises TableMissing and SourceUnreachable.

    Of data that may not be mounted at all no row is read.
    """
    described = reading.describe(schema, table)
    proposals = propose(terms.items, list(described.columns.values()), described.key)
    defects = mount_defects(terms, described)
    unready, warnings = server_defects(reading.readiness())
    defects += unready
    if not may_be_mounted(terms):
        return Preview(
            table=described, proposals=proposals, defects=defects, warnings=warnings, rows=(), sampled=0, rules=()
        )
    items = [item for item in terms.items if item.column in described.columns]
    sample = reading.sample(described, sorted({item.column for item in items}), SAMPLE_ROWS)
    content = content_of(reading, terms, described, lists, sample)
    wrong, odd = content_defects(terms, described, content)
    rows = [_values(items, row) for row in sample]
    misfits = _misfits(terms, described, rows)
    clean = [{name: None if value is _MISFIT else value for name, value in row.items()} for row in rows]
    tried, unfit = try_rules(terms, lists, clean, moment)
    return Preview(
        table=described,
        proposals=proposals,
        defects=[*defects, *wrong, *unfit],
        warnings=[*warnings, *odd, *misfits],
        rows=[{item.name: masked(item, row[item.name]) for item in items} for row in rows[:SHOWN_ROWS]],
        sampled=len(rows),
        rules=tried,
    )


def server_defects(found: Readiness) -> tuple[list[Defect], list[Defect]]:
    """What keeps any connector from reading the server's log, and what may."""
    defects, warnings = [], []
    if found.wal_level != "logical":
        detail = Words(
            f"the server's wal_level is {found.wal_level}, it must be logical",
            f"数据库服务器的 wal_level 为 {found.wal_level}，须设为 logical",
        )
        defects.append(Defect("/system", detail))
    if found.free_slots < 1:
        detail = Words(
            "the server has no replication slot left: raise max_replication_slots",
            "数据库服务器没有空闲的复制槽，请调大 max_replication_slots",
        )
        defects.append(Defect("/system", detail))
    if not found.may_replicate:
        detail = Words(
            "the system's user has no REPLICATION of its own; without a role that gives it, the connector will not run",
            "信息系统登记的用户没有 REPLICATION 权限；如无其他角色授予，连接器将无法运行",
        )
        warnings.append(Defect("/system", detail))
    return defects, warnings


def content_of(
    reading: Reading,
    terms: Terms,
    table: Table,
    lists: quality.CodeLists,
    sample: Sequence[Mapping[str, str | None]],
) -> Content:
    """What the rows hold that terms do not expect, counted in the whole table, or in `sample` where that takes long."""
    required, of_sample = nullable_required(terms, table), False
    nulls = reading.nulls(table, required)
    if nulls is None:
        nulls, of_sample = {name: sum(row[name] is None for row in sample) for name in required}, True
    strangers = {}
    for item in terms.items:
        codes = lists.get(item.code_list) if item.code_list else None
        if codes is None or item.column not in table.columns:
            continue
        found = reading.strangers(table, item.column, codes)
        if found is None:
            found, of_sample = _strangers(sample, item.column, codes), True
        if found.rows:
            strangers[item.column] = found
    return Content(nulls=nulls, strangers=strangers, of_sample=of_sample)


def _strangers(sample: Sequence[Mapping[str, str | None]], column: str, codes: Collection[str]) -> Strangers:
    counts: dict[str, int] = {}
    for row in sample:
        value = row[column]
        if value is not None and value not in codes:
            counts[value] = counts.get(value, 0) + 1
    commonest = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:5]
    return Strangers(rows=sum(counts.values()), values=len(counts), commonest=commonest)


class _Misfit:
    """A value that its column's type allows and its item's type does not (an infinite date, a number that is none)."""


_MISFIT = _Misfit()


def _values(items: Sequence[Item], row: Mapping[str, str | None]) -> dict[str, Any]:
    return {item.name: _value(item, row[item.column]) for item in items}


def _value(item: Item, text: str | None) -> Any:
    if text is None:
        return None
    given: Any = text
    match item.type.value:
        case "boolean":
            given = {"true": True, "false": False}.get(text, text)
        case "double":
            try:
                given = float(text)
            except ValueError:
                return _MISFIT
            if not isfinite(given):
                return _MISFIT
        case "timestamp" if "+" not in text and "-" not in text[10:]:
            # a timestamp without a time zone is delivered as one of UTC
            given = f"{text}+00:00"
    try:
        return quality.value_of(item.type.value, given)
    except quality.NotAValue:
        return _MISFIT


def masked(item: Item, value: Any) -> Shown:
    """What is shown of a value: masked by the item's sensitivity, as JSON has it."""
    mask = masks.usual(item.sensitivity.value, item.type.value)
    if value is _MISFIT:
        return "***"
    shown = masks.shown(mask, value, b"")
    if shown is None or isinstance(shown, bool | int | float):
        return shown
    text = format(shown, "f") if isinstance(shown, Decimal) else str(shown)
    if isinstance(shown, datetime):
        text = shown.isoformat()
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _misfits(terms: Terms, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[Defect]:
    """The values of the sample that no item of their type can hold."""
    misfits = []
    for index, item in enumerate(terms.items):
        column = table.columns.get(item.column)
        if column is None or item_type_of(column.type) is not item.type:
            continue
        if count := sum(row[item.name] is _MISFIT for row in rows):
            detail = Words(
                f"{count} rows of the sample hold a value that no {item.type.value} is: they will go to quarantine",
                f"抽样中有 {count} 行的值不是有效的 {item.type.value}，将进入隔离区",
            )
            misfits.append(Defect(f"/items/{index}/type", detail))
    return misfits


def try_rules(
    terms: Terms, lists: quality.CodeLists, rows: Sequence[Mapping[str, Any]], moment: datetime
) -> tuple[list[RuleTried], list[Defect]]:
    """The contract's rules on the sample, and the rules that cannot be."""
    types = {item.name: item.type.value for item in terms.items}
    whole = [{**dict.fromkeys(types), **row} for row in rows]
    tried, unfit = [], []
    for index, rule in enumerate(terms.rules):
        try:
            checker = quality.compile_rules([asdict(rule)], types, lists)
        except quality.RuleError as error:
            unfit.append(Defect(f"/rules/{index}", error.words))
            continue
        broken = [found for row in whole for found in checker.check(row, moment)]
        tried.append(
            RuleTried(
                rule=rule.id, severity=rule.severity.value, items=tuple(rule.items), broken=len(broken),
                words=broken[0].words if broken else Words("no row of the sample breaks it", "抽样中没有违反的行"),
            )
        )  # fmt: skip
    return tried, unfit
