"""The workroom's side of the table exchange: grants for data products are tables there, filled as departments' are.

What is made here is where they go: a schema for each department that holds such a grant, and the role by which its
views are asked. What a grant has left goes when it has ended.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from services.core import workroom
from services.core.settings import Settings
from services.sync.table.database import OFFSETS

State = Mapping[str, Any]

_CONNECT_SECONDS = 5
_LOCK = "10s"


def target(grant: State) -> State:
    """The grant with the table that it fills in the workroom."""
    where = {"schema": workroom.schema_of(grant["department"]), "table": workroom.table_of(grant["id"])}
    return {**grant, "table_target": where}


def admit(settings: Settings, departments: Iterable[str]) -> None:
    """Make what is missing of the departments' schemas and roles; raises psycopg.Error and SecretMissing."""
    with _connection(settings) as connection:
        for department in sorted(departments):
            names = {
                "schema": sql.Identifier(workroom.schema_of(department)),
                "role": sql.Identifier(workroom.role_of(department)),
                "reader": sql.Identifier(workroom.READER),
            }
            role = connection.execute("select from pg_roles where rolname = %s", (workroom.role_of(department),))
            if role.fetchone() is None:
                connection.execute(sql.SQL("create role {role}").format(**names))
            for statement in (
                "grant {role} to {reader} with inherit false, set true",
                "create schema if not exists {schema}",
                "grant usage on schema {schema} to {role}",
                "alter default privileges in schema {schema} grant select on tables to {role}",
            ):
                connection.execute(sql.SQL(statement).format(**names))


def sweep(settings: Settings, kept: Collection[str]) -> list[str]:
    """Drop what grants have left that are not among those `kept`: their ids; raises psycopg.Error and SecretMissing."""
    gone = []
    with _connection(settings) as connection:
        schemas = connection.execute(
            "select nspname from pg_namespace where nspname like %s",
            (workroom.schema_of("").replace("_", r"\_") + "%",),
        ).fetchall()
        for (schema,) in schemas:
            offsets = sql.Identifier(schema, OFFSETS)
            if connection.execute("select to_regclass(%s)", (f'"{schema}".{OFFSETS}',)).fetchone() == (None,):
                continue
            ids = connection.execute(sql.SQL("select distinct grant_id from {}").format(offsets)).fetchall()
            for grant in sorted({one for (one,) in ids} - set(kept)):
                table = sql.Identifier(schema, workroom.table_of(grant))
                with connection.transaction():
                    connection.execute(sql.SQL("drop table if exists {}").format(table))
                    connection.execute(sql.SQL("delete from {} where grant_id = %s").format(offsets), (grant,))
                gone.append(grant)
    return gone


@contextmanager
def _connection(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    address = workroom.address(settings, workroom.KEEPER)
    options = f"-c lock_timeout={_LOCK}"
    with psycopg.connect(address, autocommit=True, connect_timeout=_CONNECT_SECONDS, options=options) as connection:
        yield connection
