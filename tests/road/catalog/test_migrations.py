"""The catalogue's tables: what 0001 kept is kept through every later migration, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import inspect
from sqlalchemy.engine import Engine

import services.catalog
from cli.exchange import Exchange
from services.catalog.store import Base
from tests.road import migrating
from tests.road.migrating import empty_database

migrate = partial(migrating.migrate, services.catalog)
ITEMS = [{"name": "id", "title": "号", "type": "string", "column": "id", "key": True, "nullable": False,
          "sensitivity": "personal"}]  # fmt: skip


@pytest.fixture
def database(exchange: Exchange) -> Iterator[Engine]:
    """An empty database on the exchange's own server."""
    with empty_database(exchange, "catalog") as engine:
        yield engine


def rows(engine: Engine, table: str) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
        return raw.cursor(row_factory=dict_row).execute(f"select * from catalog.{table}".encode()).fetchall()


def test_a_catalogue_from_before_is_carried_over_and_back(database: Engine) -> None:
    migrate(database, "0001")
    with database.begin() as connection:
        connection.exec_driver_sql(
            "insert into catalog.departments values ('d', '11110000000000123P', '某局', 'Some', now())"
        )
        connection.exec_driver_sql(
            "insert into catalog.resources values ('r', '人口', '摘要', 'd', 3, '1.2.0', 'conditional', '按职责', null,"
            " 'general', false, 'daily', %s, %s, now())",
            (json.dumps(ITEMS), json.dumps({"topic": "cdc.a.b.c"})),
        )
    before = rows(database, "resources")
    migrate(database, "head")
    (kept,) = rows(database, "resources")
    assert (kept["state"], kept["version"], kept["contract"]) == ("published", 3, {"version": "1.2.0"})
    assert kept["published"]["items"] == ITEMS and kept["published"]["sharing_conditions"] == "按职责"
    assert kept["mount"] == {"topic": "cdc.a.b.c"}
    (version,) = rows(database, "resource_versions")
    assert (version["version"], version["terms"]) == (3, kept["published"])
    migrate(database, "0001", back=True)
    assert rows(database, "resources") == before
    migrate(database, "base", back=True)
    assert inspect(database).get_table_names(schema="catalog") == ["alembic_version"]


def test_the_migrations_make_the_tables_that_the_code_believes_in(database: Engine) -> None:
    migrate(database, "head")
    seen = inspect(database)
    assert set(seen.get_table_names(schema="catalog")) - {"alembic_version"} == {
        table.name for table in Base.metadata.tables.values()
    }
    for table in Base.metadata.tables.values():
        columns = {column["name"]: column for column in seen.get_columns(table.name, schema="catalog")}
        assert set(columns) == {column.name for column in table.columns}, table.name
        for column in table.columns:
            assert columns[column.name]["nullable"] == column.nullable, f"{table.name}.{column.name}"
            made = columns[column.name]["type"].compile(database.dialect)
            assert made == column.type.compile(database.dialect), f"{table.name}.{column.name}"
        unique = {tuple(index["column_names"]) for index in seen.get_indexes(table.name, schema="catalog")}
        assert {tuple(column.name for column in index.columns) for index in table.indexes} <= unique, table.name
