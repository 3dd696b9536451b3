"""What a new catalogue begins with (services/catalog/data): the same at every place, so that no event tells of it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from services.catalog import store

DATA = Path(__file__).parent / "data"


def rows(name: str) -> Iterator[dict[str, str | None]]:
    """The rows of `data/<name>.csv`; an empty cell is None."""
    with (DATA / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {column: value or None for column, value in row.items()}


def plant(session: Session) -> None:
    """Fill registers that are still empty; what a place has made of them since stays."""
    if session.scalars(select(store.Division).limit(1)).first() is None:
        for row in rows("divisions"):
            session.execute(insert(store.Division).values({name: row[name] for name in row if name != "mark"}))
    if session.scalars(select(store.Category).limit(1)).first() is None:
        for row in rows("categories"):
            session.execute(insert(store.Category).values({**row, "revision": 1}))
