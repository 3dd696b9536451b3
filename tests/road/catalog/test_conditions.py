"""A row filter in the source's SQL means there what it means here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cli.exchange import Exchange
from services.catalog.domain.condition import condition
from services.catalog.domain.mount import Column
from services.core.rowfilter import Compare, Filter, In, IsNull, Join, Node, Not, parse

COLUMNS = {
    "code": "text", "short": "character varying", "padded": "character", "n": "bigint", "money": "numeric",
    "flag": "boolean", "day": "date", "at": "timestamp with time zone", "local": "timestamp without time zone",
}  # fmt: skip
TEXTS = st.sampled_from(["", "a", "B", "b", "ab", "乙", "it's", '"', "\\", "%", "a_b", "?", "';--"])
MOMENTS = st.integers(-2_000_000_000_000, 4_000_000_000_000).map(
    lambda milliseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "code": TEXTS,
    "short": TEXTS,
    "padded": st.sampled_from(["ab", "乙甲", "B?"]),
    "n": st.integers(-3, 3),
    "money": st.integers(-3, 3) | st.sampled_from([Decimal("-0.5"), Decimal("1.25"), Decimal("2.00")]),
    "flag": st.booleans(),
    "day": st.sampled_from([date(1999, 12, 31), date(2000, 1, 1), date(2026, 2, 28)]),
    "at": MOMENTS,
    "local": MOMENTS,
}
SIGNS = ["=", "!=", "<", "<=", ">", ">="]


@st.composite
def conditions(draw: st.DrawFn) -> Node:
    item = draw(st.sampled_from(sorted(COLUMNS)))
    match draw(st.sampled_from(["compare", "in", "null", "starts"])):
        case "in":
            return In(item, tuple(draw(st.lists(VALUES[item], min_size=1, max_size=3))))
        case "null":
            return IsNull(item)
        case "starts" if item in ("code", "short", "padded"):
            return Compare(item, "starts with", draw(TEXTS))
    return Compare(item, draw(st.sampled_from(SIGNS[:2] if item == "flag" else SIGNS)), draw(VALUES[item]))


def nodes() -> st.SearchStrategy[Node]:
    return st.recursive(
        conditions(),
        lambda inner: st.builds(Not, inner) | st.builds(Join, st.sampled_from(["and", "or"]), inner, inner),
        max_leaves=6,
    )


ROWS = st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()})


@pytest.fixture(scope="module")
def database(exchange: Exchange) -> Iterator[psycopg.Connection[Any]]:
    here = exchange.settings
    with psycopg.connect(
        host=here.postgres_host, port=here.postgres_port, dbname="postgres", user="tongshu_admin",
        password=exchange.home.secret("postgres_admin_password"), autocommit=True,
        # a source's own zone has no say in it
        options="-c timezone=Asia/Shanghai",
    ) as connection:  # fmt: skip
        yield connection


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@example(Compare("code", "=", "'); drop table x; --"), dict.fromkeys(COLUMNS))
@given(nodes(), ROWS)
def test_a_condition_holds_where_the_filter_matches(
    database: psycopg.Connection[Any], node: Node, row: dict[str, Any]
) -> None:
    wanted = Filter(node)
    assert parse(str(wanted)) == wanted
    columns = {name: Column(name=f'"{name} x', type=kind, nullable=True) for name, kind in COLUMNS.items()}
    kinds = {**COLUMNS, "padded": "character(2)"}
    listed = ", ".join(f'%({name})s::{kinds[name]} as """{name} x"' for name in COLUMNS)
    values = {**row, "local": row["local"].replace(tzinfo=None) if row["local"] else None}
    text = condition(wanted, columns).replace("%", "%%")
    query = f"select coalesce({text}, false) from (select {listed}) source"
    assert database.execute(query.encode(), values).fetchone() == (wanted.matches(row),)
