"""The demand side's tables: made as the code believes, and taken back without a rest; grants outlive both ways."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from sqlalchemy import inspect
from sqlalchemy.engine import Engine

import services.demand
from cli.exchange import Exchange
from services.demand import demand_store
from services.demand.store import Base
from tests.road import migrating
from tests.road.migrating import empty_database

migrate = partial(migrating.migrate, services.demand)


@pytest.fixture
def database(exchange: Exchange) -> Iterator[Engine]:
    """An empty database on the exchange's own server."""
    with empty_database(exchange, "demand") as engine:
        yield engine


def test_a_grant_from_before_is_carried_over_and_back(database: Engine) -> None:
    migrate(database, "0001")
    with database.begin() as connection:
        connection.exec_driver_sql(
            "insert into demand.grants values ('g', 't', 'active', 'r', '1.0.0', 'd', '[]', null, '[\"topic\"]', 'p',"
            " now(), null, 'share.d.g', 'operator', now())"
        )
    migrate(database, "head")
    with database.begin() as connection:
        kept = connection.exec_driver_sql("select api_key_digests, table_target, fill from demand.grants").one()
        assert tuple(kept) == ([], None, 0)
    migrate(database, "0001", back=True)
    with database.begin() as connection:
        assert connection.exec_driver_sql("select id from demand.grants").scalars().all() == ["g"]
    migrate(database, "base", back=True)
    assert inspect(database).get_table_names(schema="demand") == ["alembic_version"]


def test_the_migrations_make_the_tables_that_the_code_believes_in(database: Engine) -> None:
    assert demand_store.Demand.metadata is Base.metadata
    migrate(database, "head")
    seen = inspect(database)
    assert set(seen.get_table_names(schema="demand")) - {"alembic_version"} == {
        table.name for table in Base.metadata.tables.values()
    }
    for table in Base.metadata.tables.values():
        columns = {column["name"]: column for column in seen.get_columns(table.name, schema="demand")}
        assert set(columns) == {column.name for column in table.columns}, table.name
        for column in table.columns:
            assert columns[column.name]["nullable"] == column.nullable, f"{table.name}.{column.name}"
            made = columns[column.name]["type"].compile(database.dialect)
            assert made == column.type.compile(database.dialect), f"{table.name}.{column.name}"
        there = {tuple(index["column_names"]) for index in seen.get_indexes(table.name, schema="demand")}
        assert {tuple(column.name for column in index.columns) for index in table.indexes} <= there, table.name
