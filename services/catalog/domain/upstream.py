"""Upstream APIs: how the rows of somebody else's HTTP API are found, followed page by page, and read by the contract.

All that differs from one API to the next is data (`Upstream`). Where something is in an answer is a JSON pointer (RFC
6901). An answer is the full state of the resource: it is taken in whole, or changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from decimal import Decimal
from enum import StrEnum
from typing import Any

from services.catalog.domain.drop import Fault, Row, Unfit, clashes, value_of
from services.catalog.domain.mount import Column
from services.catalog.domain.resource import Item, ItemType, Terms
from services.core import quality
from services.core.defects import Defect
from services.core.words import Words

_MOST_FIELDS = 500


class PagingKind(StrEnum):
    """How the next page is found.

    `cursor`: the answer holds a token that the next request sends; `page`: pages are numbered, and one without rows is
    the end; `link`: the header `Link` names it with rel="next" (RFC 8288).
    """

    NONE = "none"
    CURSOR = "cursor"
    PAGE = "page"
    LINK = "link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """`parameter` of the query carries token or number, `pointer` is where an answer holds the next token."""

    kind: PagingKind = PagingKind.NONE
    parameter: str = ""
    pointer: str = ""
    first: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """An API that fills a resource: `rows` is where in an answer they are, `fields` where in a row each item is.

    An item that `fields` does not name is the field that its `column` is called. `header` carries the secret, where
    there is one. `may_be_empty`: that no row comes means that there is none, and is not taken for a failure.
    """

    url: str
    rows: str = ""
    paging: Paging = field(default_factory=Paging)
    fields: Mapping[str, str] = field(default_factory=dict)
    header: str = ""
    every_seconds: int = 60
    may_be_empty: bool = False


def upstream_of(record: Mapping[str, Any]) -> Upstream:
    """The upstream of its record (`asdict`)."""
    paging = record["paging"]
    return Upstream(**{**record, "paging": Paging(**{**paging, "kind": PagingKind(paging["kind"])})})


class Unreadable(Exception):
    """An answer in which there is not what should be; `words` say what."""

    def __init__(self, words: Words) -> None:
        super().__init__(words)
        self.words = words


class _Nothing:
    """What is at a pointer where there is nothing."""


NOTHING = _Nothing()


def steps(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def pointer_to(*path: str) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def at(value: Any, pointer: str) -> Any:
    """What is at `pointer` in a JSON value; NOTHING where it leads nowhere."""
    for step in steps(pointer):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isascii() and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return NOTHING
    return value


def rows_in(upstream: Upstream, body: Any) -> list[Any]:
    """The rows of one answer; raises Unreadable."""
    found = at(body, upstream.rows)
    if isinstance(found, list):
        return found
    where = upstream.rows or "/"
    raise Unreadable(Words(f"the answer has no list at {where}", f"应答中 {where} 处没有列表"))


def next_parameter(paging: Paging, body: Any, rows: Sequence[Any], page: int) -> str | None:
    """What the query of the next request carries; None where the answer, that of the `page`th request, was the last.

    Raises Unreadable.
    """
    if paging.kind is PagingKind.PAGE:
        return str(paging.first + page) if rows else None
    if paging.kind is not PagingKind.CURSOR:
        return None
    token = at(body, paging.pointer)
    if token in (NOTHING, None, "", False):
        return None
    if isinstance(token, str | int) and not isinstance(token, bool):
        return str(token)
    raise Unreadable(Words(f"{paging.pointer} holds no cursor", f"{paging.pointer} 处不是有效的游标"))


def field_of(upstream: Upstream, item: Item) -> str:
    """Where in a row an item is."""
    return upstream.fields.get(item.name) or pointer_to(item.column)


def columns_of(rows: Sequence[Any]) -> dict[str, Column]:
    """The fields of rows, by pointer, as if they were columns of a table: what the wizard proposes from.

    A type is given only where all values agree on it.
    """
    found: dict[str, set[str]] = {}
    absent: set[str] = set()
    for row in rows:
        here = dict(_leaves(row, ())) if isinstance(row, dict) else {}
        absent |= {pointer for pointer, value in here.items() if value is None}
        for pointer, value in here.items():
            if pointer in found or len(found) < _MOST_FIELDS:
                kinds = found.setdefault(pointer, set())
                if value is not None:
                    kinds.add(_column_type(value))
    return {
        pointer: Column(
            name=steps(pointer)[-1], type=next(iter(kinds)) if len(kinds) == 1 else "", nullable=pointer in absent
        )
        for pointer, kinds in found.items()
    }


def _leaves(value: Any, path: tuple[str, ...]) -> Sequence[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [] if isinstance(value, list) else [(pointer_to(*path), value)]
    if len(path) > 4:
        return []
    return [leaf for name, part in value.items() for leaf in _leaves(part, (*path, name))]


def _column_type(value: Any) -> str:
    """The type of a column that would hold such values."""
    match value:
        case bool():
            return "boolean"
        case int():
            return "bigint"
        case Decimal():
            return "numeric"
    for kind, column in (("date", "date"), ("timestamp", "timestamp with time zone")):
        try:
            quality.value_of(kind, value)
        except quality.NotAValue:
            continue
        return column
    return "text"


def read(terms: Terms, upstream: Upstream, rows: Sequence[Any], zone: tzinfo) -> tuple[dict[int, Row], list[Fault]]:
    """The rows of all answers by their number, from 1, and all that is wrong with them.

    A row with faults is among the rows too: what cannot be read of it is None there. Times without a zone are those of
    `zone`.
    """
    places = [(item, field_of(upstream, item)) for item in terms.items]
    found: dict[int, Row] = {}
    faults: list[Fault] = []
    for number, given in enumerate(rows, 1):
        if not isinstance(given, dict):
            faults.append(Fault(number, "", Words("is no object", "不是对象")))
            continue
        row: dict[str, Any] = {}
        for item, pointer in places:
            try:
                row[item.name] = _value(item, at(given, pointer), zone)
            except Unfit as unfit:
                row[item.name] = None
                faults.append(Fault(number, item.name, unfit.words))
            else:
                if row[item.name] is None and (item.key or not item.nullable):
                    faults.append(Fault(number, item.name, Words("must be there", "必填")))
        found[number] = row
    if not rows and not upstream.may_be_empty:
        # taken for the full state it would delete all that there is
        faults.append(Fault(1, "", Words("no row came", "没有返回数据行")))
    return found, [*faults, *clashes(terms, found)]


def _value(item: Item, given: Any, zone: tzinfo) -> Any:
    """A value of JSON as one of the item's type; raises Unfit, in words that do not repeat it.

    Numbers and truth values may come as text, as many APIs send them; a text comes as text only.
    """
    if given is None or given is NOTHING:
        return None
    if isinstance(given, str):
        if not given.isascii() and any("\ud800" <= character <= "\udfff" for character in given):
            raise Unfit(Words("holds half of a character", "含有不完整的字符"))
        return given if item.type is ItemType.STRING else value_of(item, given, zone)
    if isinstance(given, bool):
        fits = item.type is ItemType.BOOLEAN
    else:
        numbers = (ItemType.INTEGER, ItemType.DECIMAL, ItemType.DOUBLE)
        fits = isinstance(given, int | Decimal) and item.type in numbers
    if not fits:
        raise Unfit.of(item)
    return value_of(item, str(given).lower() if isinstance(given, bool) else str(given), zone)


def mapping_defects(terms: Terms, upstream: Upstream, rows: Sequence[Any]) -> list[Defect]:
    """Items of which no row of the sample has the field, and fields that are given to no item."""
    known = {item.name for item in terms.items}
    unknown = Words("the resource has no such item", "该资源没有此信息项")
    defects = [Defect(f"/upstream/fields/{name}", unknown) for name in sorted(set(upstream.fields) - known)]
    for index, item in enumerate(terms.items):
        pointer = field_of(upstream, item)
        if rows and all(at(row, pointer) is NOTHING for row in rows):
            detail = Words(f"no row of the sample has {pointer}", f"抽样的行中都没有 {pointer}")
            defects.append(Defect(f"/items/{index}/column", detail))
    return defects
