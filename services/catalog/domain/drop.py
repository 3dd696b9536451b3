"""File drops: reading a file by the contract, and what has to change so that a topic holds what the file says.

What an upstream API answers is judged and compared here too (`domain/upstream.py` reads it).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, localcontext
from math import isfinite
from typing import Any

from services.catalog.domain.contract import MAX_PRECISION
from services.catalog.domain.resource import Item, ItemType, Terms
from services.core import quality
from services.core.words import Words

Row = Mapping[str, Any]
Key = tuple[Any, ...]

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "是": True, "否": False}
_LONGEST = 1 << 63
_KINDS = {
    ItemType.STRING: "文本",
    ItemType.INTEGER: "整数",
    ItemType.DECIMAL: "小数",
    ItemType.DOUBLE: "浮点数",
    ItemType.BOOLEAN: "是/否",
    ItemType.DATE: "日期",
    ItemType.TIMESTAMP: "日期时间",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a file: in which of its rows (the header is 1), and with which column, if that is one."""

    row: int
    column: str
    words: Words

    @property
    def pointer(self) -> str:
        column = self.column.replace("~", "~0").replace("/", "~1")  # RFC 6901
        return f"/{self.row}/{column}" if column else f"/{self.row}"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one row: created (c), updated (u) or deleted (d)."""

    op: str
    before: Row | None
    after: Row | None


def key_of(terms: Terms, row: Row) -> Key:
    return tuple(row[item.name] for item in terms.items if item.key)


def changes(held: Mapping[Key, Row], given: Mapping[Key, Row], *, full: bool) -> list[Change]:
    """What turns the rows `held` into those `given`; unless these are `full`, what they do not name stays."""
    found = [
        Change("u" if key in held else "c", held.get(key), row) for key, row in given.items() if held.get(key) != row
    ]
    gone = [Change("d", row, None) for key, row in held.items() if key not in given] if full else []
    return gone + found


def read(terms: Terms, table: Sequence[Sequence[str]], zone: tzinfo) -> tuple[dict[int, Row], list[Fault]]:
    """The rows of a file by their number in it, and all that is wrong with it; times without a zone are of `zone`.

    The header names every item by its name or its title. A row with faults is among the rows too, as far as it can be
    read: what cannot is None there.
    """
    if not table or not any(cell.strip() for cell in table[0]):
        return {}, [Fault(1, "", Words("the file has no header", "文件没有表头"))]
    columns, faults = _columns(terms, table[0])
    rows: dict[int, Row] = {}
    for number, cells in enumerate(table[1:], 2):
        if not any(cell.strip() for cell in cells):
            continue
        if any(cell.strip() for cell in cells[len(table[0]) :]):
            faults.append(Fault(number, "", Words("has more cells than the header", "单元格多于表头")))
        row: dict[str, Any] = {}
        for item in terms.items:
            place = columns.get(item.name)
            text = cells[place] if place is not None and place < len(cells) else ""
            try:
                row[item.name] = value_of(item, text, zone)
            except Unfit as unfit:
                row[item.name] = None
                faults.append(Fault(number, item.name, unfit.words))
            else:
                if row[item.name] is None and place is not None and (item.key or not item.nullable):
                    faults.append(Fault(number, item.name, Words("must be there", "必填")))
        rows[number] = row
    faults += clashes(terms, rows)
    if not rows and not faults:
        # taken for the full state it would delete all that there is
        faults.append(Fault(1, "", Words("the file holds no rows", "文件没有数据行")))
    return rows, faults


def clashes(terms: Terms, rows: Mapping[int, Row]) -> list[Fault]:
    """Rows that have the key of one before them."""
    seen: dict[Key, int] = {}
    faults = []
    for number, row in rows.items():
        key = key_of(terms, row)
        if None not in key and seen.setdefault(key, number) != number:
            faults.append(Fault(number, "", Words(f"has the key of row {seen[key]}", f"主键与第 {seen[key]} 行重复")))
    return faults


def judged(
    terms: Terms,
    lists: quality.CodeLists,
    rows: Mapping[int, Row],
    faults: Sequence[Fault],
    moment: datetime,
    *,
    header: int | None = None,
) -> tuple[list[Fault], dict[str, int]]:
    """What breaks the contract's rules: faults, and how often each rule is broken that only warns.

    A rule is not told of a row in which one of its items cannot be read: that is told already, among `faults`. Those of
    the row `header` are about a whole column.
    """
    types = {item.name: item.type.value for item in terms.items}
    checker = quality.compile_rules([asdict(rule) for rule in terms.rules], types, lists)
    unread = {(fault.row, fault.column) for fault in faults}
    missing_columns = {fault.column for fault in faults if fault.row == header}
    found: list[Fault] = []
    warnings: dict[str, int] = {}
    for number, row in rows.items():
        for one in checker.check(row, moment):
            if any((number, item) in unread or item in missing_columns for item in one.items):
                continue
            if one.severity == "warning":
                warnings[one.rule] = warnings.get(one.rule, 0) + 1
            else:
                words = Words(f"breaks rule {one.rule}: {one.words}", f"违反规则“{one.rule}”：{one.words.zh}")
                found.append(Fault(number, one.items[0], words))
    return found, warnings


def _columns(terms: Terms, header: Sequence[str]) -> tuple[dict[str, int], list[Fault]]:
    """Which column holds each item."""
    titles: dict[str, list[str]] = {}
    for item in terms.items:
        titles.setdefault(item.title.strip(), []).append(item.name)
    named = {title: names[0] for title, names in titles.items() if len(names) == 1}
    named |= {item.name: item.name for item in terms.items}
    found: dict[str, int] = {}
    faults: list[Fault] = []
    for place, cell in enumerate(header):
        text = cell.strip()
        item_name = named.get(text)
        if item_name is None:
            if text:
                faults.append(Fault(1, text, Words("is no item of the resource", "不是该资源的信息项")))
        elif item_name in found:
            faults.append(Fault(1, text, Words("is there twice", "重复出现")))
        else:
            found[item_name] = place
    for item in terms.items:
        if item.name not in found:
            words = Words(f"there is no column {item.title} or {item.name}", f"缺少“{item.title}”列")
            faults.append(Fault(1, item.name, words))
    return found, faults


class Unfit(Exception):
    """A value that its item cannot have; `words` say why and do not repeat it."""

    def __init__(self, words: Words) -> None:
        super().__init__(words)
        self.words = words

    @classmethod
    def of(cls, item: Item) -> Unfit:
        return cls(Words(f"is not a {item.type.value}", f"不是{_KINDS[item.type]}"))


def value_of(item: Item, text: str, zone: tzinfo) -> Any:
    """The value of a cell, None where it is empty; raises Unfit."""
    stripped = text.strip()
    if not stripped:
        return None
    unfit = Unfit.of(item)
    try:
        match item.type:
            case ItemType.STRING:
                return text
            case ItemType.BOOLEAN:
                return _BOOLEANS[stripped.lower()]
            case ItemType.INTEGER if _INTEGER.fullmatch(stripped) and -_LONGEST <= int(stripped) < _LONGEST:
                return int(stripped)
            case ItemType.DECIMAL if _NUMBER.fullmatch(stripped):
                return _decimal(item, Decimal(stripped))
            case ItemType.DOUBLE if _NUMBER.fullmatch(stripped) and isfinite(float(stripped)):
                return float(stripped)
            case ItemType.DATE:
                return quality.value_of("date", stripped.replace("/", "-"))
            case ItemType.TIMESTAMP:
                moment = datetime.fromisoformat(stripped.replace("/", "-"))
                return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (KeyError, ValueError, OverflowError, quality.NotAValue) as error:
        raise unfit from error
    raise unfit


def _decimal(item: Item, number: Decimal) -> Decimal:
    precision, scale = item.length or MAX_PRECISION, item.scale or 0
    # no arithmetic: that would round what has more digits than the context has
    _, digits, exponent = number.as_tuple()
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    decimals = max(0, -(int(exponent) + zeros)) if any(digits) else 0
    before = max(0, number.adjusted() + 1) if any(digits) else 0
    if decimals > scale or before > precision - scale:
        raise Unfit(
            Words(
                f"has more than {precision - scale} digits before or {scale} after the point",
                f"整数位超过 {precision - scale} 位或小数位超过 {scale} 位",
            )
        )
    with localcontext(prec=2 * MAX_PRECISION):
        return number.quantize(Decimal(1).scaleb(-scale))
