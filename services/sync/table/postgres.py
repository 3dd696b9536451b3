"""A department's database on Postgres: loaded by binary COPY, merged by one INSERT … ON CONFLICT DO UPDATE."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg.rows import class_row

from services.sync.sink import Refused, Unreachable
from services.sync.table.copying import COPY
from services.sync.table.database import CONNECT_SECONDS, OFFSETS, Database, Found, Kept, Table
from services.sync.table.layout import OFFSET, Column, Kind, Layout, Types

T = TypeVar("T")

_SESSION = {
    "application_name": "tongshu",
    # a target whose locks or disk hold us up is one that waits alone, not one that is waited for without end
    "lock_timeout": "10s",
    "statement_timeout": "300s",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
}
_COLUMNS = """
    select attname, format_type(atttypid, atttypmod), attnotnull and not atthasdef and attidentity = ''
    from pg_attribute where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped
"""
_UNIQUE = """
    select array(select attname from unnest(indkey) place join pg_attribute on attrelid = indrelid and attnum = place)
    from pg_index where indrelid = to_regclass(%s) and indisunique and indisvalid and indimmediate
    and indpred is null and indexprs is null
"""
_TYPES = {
    "string": "text", "long": "bigint", "double": "double precision", "boolean": "boolean", "date": "date",
    "timestamp": "timestamp with time zone",
}  # fmt: skip


def type_of(kind: Kind) -> str:
    """What Postgres calls the type of such columns."""
    return f"numeric({kind.precision},{kind.scale})" if kind.name == "decimal" else _TYPES[kind.name]


class Postgres(Database):
    form = COPY
    system = "postgresql"
    types: Types = staticmethod(type_of)
    _quote = '"'
    _connection: psycopg.Connection[Any] | None = None

    # -- the connection ----------------------------------------------------------------------------------------------

    def transact(self, work: Callable[[], T]) -> T:
        try:
            if self._connection is None:
                self._connection = psycopg.connect(
                    self._dsn, connect_timeout=CONNECT_SECONDS, keepalives_idle=10, tcp_user_timeout=30_000,
                    options=" ".join(f"-c {name}={value}" for name, value in _SESSION.items()),
                )  # fmt: skip
                for table in self._tables.values():
                    table.staged = None
            with self._connection.transaction():
                return work()
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self.close()
            raise Unreachable(_reason(error)) from error
        except psycopg.Error as error:
            raise Refused(_reason(error)) from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._cursor().execute(statement.encode(), values).fetchall()

    def change(self, statement: str, values: Sequence[Any] = ()) -> int:
        return self._cursor().execute(statement.encode(), values).rowcount

    def _cursor(self) -> psycopg.Cursor[tuple[Any, ...]]:
        assert self._connection is not None
        return self._connection.cursor()

    # -- offsets, and what is there ----------------------------------------------------------------------------------

    def _has_schema(self, schema: str) -> bool:
        return self.rows("select to_regnamespace(%s)", (_name(schema),)) != [(None,)]

    def _make_offsets(self, schema: str) -> None:
        # whoever may not make tables may still use one that is there
        if self.rows("select to_regclass(%s)", (_name(schema, OFFSETS),)) == [(None,)]:
            self.change(
                f"""create table if not exists {self.quoted(schema, OFFSETS)} (
                    grant_id text, partition int, table_name text not null, next bigint not null default 0,
                    fill int not null default 0, rebuilding boolean not null default false,
                    columns text[] not null default '{{}}', receipt text,
                    seen timestamptz not null default now(), primary key (grant_id, partition))"""
            )

    def _begin_partition(self, table: Table, partition: int) -> None:
        self.change(
            f"insert into {self.offsets(table)} (grant_id, partition, table_name) values (%s, %s, %s)"
            " on conflict do nothing",
            (table.grant, partition, table.name),
        )

    def _kept(self, table: Table) -> list[Kept]:
        assert self._connection is not None
        statement = (
            "select partition, next, fill, rebuilding, columns, receipt, now() - seen as age"
            f" from {self.offsets(table)} where grant_id = %s"
        )
        with self._connection.cursor(row_factory=class_row(Kept)) as cursor:
            return cursor.execute(statement.encode(), (table.grant,)).fetchall()

    def _keep_columns(self, table: Table, columns: list[str]) -> None:
        self.change(f"update {self.offsets(table)} set columns = %s where grant_id = %s", (columns, table.grant))

    def _found(self, table: Table) -> dict[str, Found]:
        found = self.rows(_COLUMNS, (_name(table.schema, table.name),))
        return {name: Found(kind, is_needed) for name, kind, is_needed in found}

    def _uniques(self, table: Table) -> list[set[str]]:
        return [set(columns) for (columns,) in self.rows(_UNIQUE, (_name(table.schema, table.name),))]

    # -- a batch -----------------------------------------------------------------------------------------------------

    def _stage(self, table: Table, shape: Layout) -> None:
        for name, columns in ((self._new(table), shape.columns), (self._gone(table), shape.key)):
            self.change(f"drop table if exists {name}")
            self.change(f"create temporary table {name} ({self.typed(columns)}, {OFFSET} bigint) on commit delete rows")

    def _new(self, table: Table) -> str:
        return self.quoted("pg_temp", f"tongshu_rows_{table.grant}")

    def _gone(self, table: Table) -> str:
        return self.quoted("pg_temp", f"tongshu_gone_{table.grant}")

    def _load(self, table: Table, columns: Sequence[Column], rows: bytes) -> None:
        self._copy(self.place_of(table), columns, rows)

    def _merge(self, table: Table, shape: Layout, rows: bytes) -> int:
        new = self._new(table)
        self._copy(new, shape.columns, rows)
        names = self.listed(shape.columns)
        others = [self.quoted(column.name) for column in shape.others]
        changes = ", ".join(f"{name} = excluded.{name}" for name in (*others, OFFSET))
        here, there = (", ".join(f"{side}.{name}" for name in others) for side in ("t", "excluded"))
        differs = f"({here}) is distinct from ({there})" if others else "false"
        return self.change(
            f"insert into {self.place_of(table)} as t ({names}, {OFFSET}) select {names}, {OFFSET} from {new}"
            f" on conflict ({self.listed(shape.key)}) do update set {changes}"
            f" where greatest(t.{OFFSET}, -t.{OFFSET} - 1) <= excluded.{OFFSET} and (t.{OFFSET} < 0 or {differs})"
        )

    def _remove(self, table: Table, shape: Layout, gone: bytes) -> int:
        keys = self._gone(table)
        self._copy(keys, shape.key, gone)
        same = " and ".join(f"t.{name} = g.{name}" for name in map(self.quoted, (one.name for one in shape.key)))
        return self.change(
            f"delete from {self.place_of(table)} t using {keys} g"
            f" where {same} and greatest(t.{OFFSET}, -t.{OFFSET} - 1) <= g.{OFFSET}"
        )

    def _copy(self, into: str, columns: Sequence[Column], rows: bytes) -> None:
        statement = f"copy {into} ({self.listed(columns)}, {OFFSET}) from stdin (format binary)".replace("%%", "%")
        with self._cursor().copy(statement.encode()) as copy:
            copy.write(rows)


def _name(*names: str) -> str:
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


_WORDS = {
    "23505": "a unique constraint of the table is broken",
    "23502": "a column of the table takes no null",
    "23503": "a foreign key of the table is broken",
    "23514": "a check constraint of the table is broken",
    "42501": "our role may not do this",
    "42P01": "a table is gone",
    "42703": "a column is gone",
    "53100": "the disk of the database is full",
    "53300": "the database takes no more connections",
    "22021": "a text holds a character that the database cannot store",
    "P0001": "a trigger of the database refuses it",
}


def _reason(error: psycopg.Error) -> str:
    """What the database said, by its code and names only: its own words may quote a row."""
    diagnosis = error.diag
    if error.sqlstate is None:
        return f"the database does not answer ({_first_line(error)})"
    names = [
        f"{what} {name!r}"
        for what, name in (
            ("table", diagnosis.table_name),
            ("column", diagnosis.column_name),
            ("constraint", diagnosis.constraint_name),
        )
        if name
    ]
    words = _WORDS.get(error.sqlstate, type(error).__name__)
    return f"{words} ({', '.join([error.sqlstate, *names])})"


def _first_line(error: psycopg.Error) -> str:
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    # connection strings may stand in what the client says
    return re.sub(r"password=\S+|://[^@\s]*@", "…", line)[:200]
