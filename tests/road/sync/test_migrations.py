"""The data road's tables: made as the code believes, and taken back without a rest."""

from __future__ import annotations

from sqlalchemy import inspect

import services.sync
from cli.exchange import Exchange
from services.sync.store import Base
from tests.road.migrating import empty_database, migrate


def test_the_migrations_make_the_tables_that_the_code_believes_in(exchange: Exchange) -> None:
    with empty_database(exchange, "sync") as database:
        migrate(services.sync, database, "head")
        seen = inspect(database)
        tables = {table.name: table for table in Base.metadata.tables.values()}
        assert set(seen.get_table_names(schema="sync")) - {"alembic_version"} == set(tables)
        for name, table in tables.items():
            columns = {column["name"]: column for column in seen.get_columns(name, schema="sync")}
            assert set(columns) == {column.name for column in table.columns}, name
            for column in table.columns:
                assert columns[column.name]["nullable"] == column.nullable, f"{name}.{column.name}"
                made = columns[column.name]["type"].compile(database.dialect)
                assert made == column.type.compile(database.dialect), f"{name}.{column.name}"
            there = {tuple(index["column_names"]) for index in seen.get_indexes(name, schema="sync")}
            assert {tuple(column.name for column in index.columns) for index in table.indexes} <= there, name
        migrate(services.sync, database, "base", back=True)
        assert inspect(database).get_table_names(schema="sync") == ["alembic_version"]
