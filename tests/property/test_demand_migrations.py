"""The demand side's tables: the migrations make what the code believes in, and can be taken back."""

from __future__ import annotations

import alembic.command
import alembic.config
from sqlalchemy import inspect

from infra.embedded.home import ROOT
from infra.embedded.scratch import scratch_database
from services.demand.demand_store import Demand


def test_the_migrations_make_the_tables_that_the_code_believes_in() -> None:
    with scratch_database("demand") as engine:
        seen, tables = inspect(engine), Demand.metadata.tables.values()
        assert set(seen.get_table_names(schema="demand")) - {"alembic_version"} == {table.name for table in tables}
        for table in tables:
            columns = {column["name"]: column for column in seen.get_columns(table.name, schema="demand")}
            assert set(columns) == {column.name for column in table.columns}, table.name
            for column in table.columns:
                assert columns[column.name]["nullable"] == column.nullable, f"{table.name}.{column.name}"
                made = columns[column.name]["type"].compile(engine.dialect)
                assert made == column.type.compile(engine.dialect), f"{table.name}.{column.name}"
            unique = {tuple(index["column_names"]) for index in seen.get_indexes(table.name, schema="demand")}
            assert {tuple(column.name for column in index.columns) for index in table.indexes} <= unique, table.name
        config = alembic.config.Config()
        config.set_main_option("script_location", str(ROOT / "services" / "demand" / "migrations"))
        config.attributes["engine"] = engine
        alembic.command.downgrade(config, "base")
        assert inspect(engine).get_table_names(schema="demand") == ["alembic_version"]
