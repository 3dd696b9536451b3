"""The console's tables: made as the code believes, and taken back without a rest."""

from __future__ import annotations

from functools import partial

from sqlalchemy import inspect

import services.console
from cli.exchange import Exchange
from services.console.store import Base
from tests.road import migrating
from tests.road.migrating import empty_database

migrate = partial(migrating.migrate, services.console)


def test_the_migrations_make_the_tables_that_the_code_believes_in(exchange: Exchange) -> None:
    with empty_database(exchange, "console") as database:
        migrate(database, "head")
        seen = inspect(database)
        made = set(seen.get_table_names(schema="console")) - {"alembic_version"}
        assert made == {table.name for table in Base.metadata.tables.values()}
        for table in Base.metadata.tables.values():
            columns = {column["name"]: column for column in seen.get_columns(table.name, schema="console")}
            assert set(columns) == {column.name for column in table.columns}, table.name
            for column in table.columns:
                assert columns[column.name]["nullable"] == column.nullable, f"{table.name}.{column.name}"
                kind = columns[column.name]["type"].compile(database.dialect)
                assert kind == column.type.compile(database.dialect), f"{table.name}.{column.name}"
        migrate(database, "base", back=True)
        assert inspect(database).get_table_names(schema="console") == ["alembic_version"]
