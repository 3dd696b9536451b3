"""The demand side's tables: made as the code believes, and taken back without a rest; grants outlive both ways."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import alembic.command
import alembic.config
import psycopg
import pytest
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import URL, Engine

import services.demand
from cli.exchange import Exchange
from services.demand import demand_store
from services.demand.store import Base

FOLDER = Path(services.demand.__file__).parent / "migrations"


@pytest.fixture
def database(exchange: Exchange) -> Iterator[Engine]:
    """An empty database on the exchange's own server."""
    here = exchange.settings
    url = URL.create(
        "postgresql+psycopg", "tongshu_admin", exchange.home.secret("postgres_admin_password"),
        here.postgres_host, here.postgres_port, "postgres",
    )  # fmt: skip
    name = f"migrations_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(url.render_as_string(hide_password=False).replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
        engine = create_engine(url.set(database=name))
        with engine.begin() as connection:
            connection.exec_driver_sql("create schema demand")
        yield engine
        engine.dispose()
        admin.execute(f"drop database {name}".encode())


def migrate(engine: Engine, to: str, *, back: bool = False) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["engine"] = engine
    (alembic.command.downgrade if back else alembic.command.upgrade)(config, to)


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
