"""An empty database in which a service's migrations are taken, there and back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import alembic.command
import alembic.config
import psycopg
from sqlalchemy import create_engine
from sqlalchemy.engine import URL, Engine

from cli.exchange import Exchange


@contextmanager
def empty_database(exchange: Exchange, schema: str) -> Iterator[Engine]:
    """A database on the exchange's own server that holds nothing but an empty `schema`; gone afterwards."""
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
            connection.exec_driver_sql(f"create schema {schema}")
        yield engine
        engine.dispose()
        admin.execute(f"drop database {name}".encode())


def migrate(service: ModuleType, engine: Engine, to: str, *, back: bool = False) -> None:
    """Take the migrations of `service` up to revision `to`, or back to it."""
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(str(service.__file__)).parent / "migrations"))
    config.attributes["engine"] = engine
    (alembic.command.downgrade if back else alembic.command.upgrade)(config, to)
