"""Lists a page at a time: `?limit=&cursor=` answers `{"items": […], "next": …}`.

The cursor is the key of the last row shown, so a page costs the same wherever it is, and rows that come or go meanwhile
neither hide nor repeat others.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from services.core.problems import Problem
from services.core.words import Words

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=500, description="How many at most.")]
Cursor = Annotated[str | None, Query(max_length=1_000, description="`next` of the page before.")]


class Page(BaseModel, Generic[T]):
    """One page; `next` is the cursor of the following one, null on the last."""

    items: list[T]
    next: Annotated[str | None, Field(description="Cursor of the next page; null on the last.")] = None


def page(
    session: Session,
    query: Select[Any],
    key: Sequence[InstrumentedAttribute[Any]],
    limit: int,
    cursor: str | None,
) -> tuple[list[Any], str | None]:
    """The rows of a page in the order of `key` (unique, of text and numbers), and the cursor of the next.

    Raises a 422 problem for a cursor that no page gave.
    """
    columns: list[ColumnElement[Any]] = [column.expression for column in key]
    if cursor is not None:
        query = query.where(tuple_(*columns) > tuple_(*_values(cursor, key)))
    rows = list(session.scalars(query.order_by(*columns).limit(limit + 1)))
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], _cursor([getattr(last, column.key) for column in key])


def _cursor(values: Sequence[str | int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(values), ensure_ascii=False).encode()).decode().rstrip("=")


def _values(cursor: str, key: Sequence[InstrumentedAttribute[Any]]) -> list[str | int]:
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        fits = [
            type(value) is column.type.python_type
            and (value.isprintable() if isinstance(value, str) else abs(value) < 2**63)
            for value, column in zip(values, key, strict=True)
        ]
    except (binascii.Error, ValueError, TypeError, RecursionError):
        fits = [False]
    if not all(fits):
        raise Problem(
            422,
            "cursor-invalid",
            Words("No such page", "分页游标无效"),
            Words("The cursor is not one that this list gave.", "该游标不是本列表给出的。"),
            errors=[{"pointer": "/cursor", "detail": Words("is not a cursor of this list", "不是本列表的游标")}],
        )
    return list(values)
