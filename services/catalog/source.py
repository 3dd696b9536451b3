"""A department's database as a mount sees it: what a table looks like, read from Postgres's own catalogue."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from services.catalog.domain.mount import Column, Table


class SourceUnreachable(Exception):
    """The department's database cannot be reached with what was registered."""


class TableMissing(Exception):
    """The database has no such table, or its user may not see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDatabase:
    host: str
    port: int
    database: str
    username: str
    password: str

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        try:
            return psycopg.connect(
                host=self.host,
                port=self.port,
                dbname=self.database,
                user=self.username,
                password=self.password,
                connect_timeout=5,
                autocommit=True,
            )
        except psycopg.Error as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise SourceUnreachable(f"{self.database} at {self.host}:{self.port}: {reason}") from error

    def check(self) -> None:
        """Raises SourceUnreachable."""
        self._connect().close()

    def describe(self, schema: str, table: str) -> Table:
        """Columns, key and replica identity of a table; raises TableMissing and SourceUnreachable."""
        with self._connect() as connection:
            found = connection.execute(
                "select c.oid, c.relreplident from pg_class c join pg_namespace n on n.oid = c.relnamespace"
                " where n.nspname = %s and c.relname = %s and c.relkind in ('r', 'p')",
                (schema, table),
            ).fetchone()
            if found is None:
                raise TableMissing(f"{self.database} has no table {schema}.{table}")
            oid, identity = found
            columns = connection.execute(
                "select attname, format_type(atttypid, null), attnotnull from pg_attribute"
                " where attrelid = %s and attnum > 0 and not attisdropped order by attnum",
                (oid,),
            ).fetchall()
            key = connection.execute(
                "select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid"
                " and a.attnum = any(i.indkey) where i.indrelid = %s and i.indisprimary",
                (oid,),
            ).fetchall()
        return Table(
            schema=schema,
            name=table,
            columns={
                str(name): Column(name=str(name), type=str(kind), nullable=not required)
                for name, kind, required in columns
            },
            key=frozenset(str(name) for (name,) in key),
            full_replica_identity=identity == "f",
        )
