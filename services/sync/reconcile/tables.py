"""The side of a reconciliation that is the department's table, on any kind of database."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg
import pymysql
from psycopg import sql
from pymysql.cursors import SSCursor

from services.sync.reconcile.sides import Digests, State, Wanted
from services.sync.reconcile.states import Row
from services.sync.table.copying import COPY, field
from services.sync.table.database import CONNECT_SECONDS, OFFSETS, quoted
from services.sync.table.layout import OFFSET, Layout
from services.sync.table.mysql import QUOTE, connect

_COUNT = struct.Struct(">h")
_LENGTH = struct.Struct(">i")
_ROWS_AT_ONCE = 1_000


class NotReadable(Exception):
    """The table cannot be read or changed; the message says why, without data."""


class Table(ABC):
    """The table of a department's database that a grant fills."""

    def __init__(self, dsn: str, grant: State, digests: Digests, wanted: Wanted) -> None:
        self.rows: dict[bytes, Row | None] = {}
        self._dsn, self._grant, self._digests, self._wanted = dsn, grant, digests, wanted
        self._target: Mapping[str, str] = grant["table_target"]

    @abstractmethod
    def positions(self) -> dict[int, int]:
        """How far the share topic is written to the table, by partition. Raises NotReadable."""

    @abstractmethod
    def _read(self, shape: Layout) -> Iterator[tuple[bytes, bytes, Any]]:
        """Of each row the fields of its key, its other fields, both as COPY writes them, and its place in the table."""

    @abstractmethod
    def _delete(self, shape: Layout, places: list[Any]) -> int: ...

    def read(self) -> None:
        """Take in all rows of now, in one snapshot. Raises NotReadable."""
        self.rows = {}
        if (shape := self._digests.layout) is None:
            return  # nothing was delivered yet, so there is no table
        for key, row, _ in self._read(shape):
            digest = self._digests.of(key)
            if self._wanted(digest):
                self.rows[digest] = Row(self._digests.of(row), digest)

    def remove(self, keys: frozenset[bytes]) -> int:
        """Delete rows that the topic knows nothing of; one that was written again meanwhile has another place.

        Raises NotReadable.
        """
        if (shape := self._digests.layout) is None:
            return 0
        return self._delete(shape, [at for key, _, at in self._read(shape) if self._digests.of(key) in keys])


def table_of(dsn: str, grant: State, digests: Digests, wanted: Wanted) -> Table:
    """The table of a grant in the database that the connection string leads to."""
    kind: Callable[..., Table] = _MySqlTable if dsn.startswith("mysql:") else _PostgresTable
    return kind(dsn, grant, digests, wanted)


class _PostgresTable(Table):
    """`place` is the row's ctid."""

    def positions(self) -> dict[int, int]:
        offsets = sql.Identifier(self._target["schema"], OFFSETS)
        query = sql.SQL("select partition, next from {} where grant_id = %s").format(offsets)
        try:
            with self._connect() as connection:
                return dict(connection.execute(query, (self._grant["id"],)).fetchall())
        except psycopg.Error as error:
            raise _not_readable(error) from error

    def _delete(self, shape: Layout, places: list[Any]) -> int:
        statement = sql.SQL("delete from {} where ctid = any(%s::tid[])").format(self._name)
        try:
            with self._connect() as connection:
                return connection.execute(statement, (places,)).rowcount
        except psycopg.Error as error:
            raise _not_readable(error) from error

    def _read(self, shape: Layout) -> Iterator[tuple[bytes, bytes, Any]]:
        columns = sql.SQL(", ").join(
            [*(sql.Identifier(column.name) for column in shape.columns), sql.SQL("ctid::text")]
        )
        statement = sql.SQL("copy (select {} from {}) to stdout (format binary)").format(columns, self._name)
        try:
            with self._connect() as connection, connection.cursor().copy(statement) as copy:
                rest = b""
                begun = False
                for block in copy:
                    rest += bytes(block)
                    at = 0
                    if not begun:
                        if len(rest) < len(COPY.header):
                            continue
                        at, begun = len(COPY.header), True
                    at, rows = _rows(rest, at, len(shape.key))
                    yield from rows
                    rest = rest[at:]
        except psycopg.Error as error:
            raise _not_readable(error) from error

    @property
    def _name(self) -> sql.Identifier:
        return sql.Identifier(self._target["schema"], self._target["table"])

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._dsn, connect_timeout=CONNECT_SECONDS, options="-c timezone=UTC")


class _MySqlTable(Table):
    """`place` is the row's key, and the offset that it shows."""

    def positions(self) -> dict[int, int]:
        query = f"select `partition`, `next` from {quoted(QUOTE, self._target['schema'], OFFSETS)} where grant_id = %s"
        try:
            with connect(self._dsn) as connection, connection.cursor() as cursor:
                cursor.execute(query, (self._grant["id"],))
                return dict(cursor.fetchall())
        except pymysql.Error as error:
            raise _not_readable(error) from error

    def _delete(self, shape: Layout, places: list[Any]) -> int:
        same = " and ".join(f"{quoted(QUOTE, column.name)} = %s" for column in shape.key)
        try:
            with connect(self._dsn) as connection, connection.cursor() as cursor:
                gone = cursor.executemany(f"delete from {self._name} where {same} and {OFFSET} = %s", places)
                connection.commit()
                return int(gone or 0)
        except pymysql.Error as error:
            raise _not_readable(error) from error

    def _read(self, shape: Layout) -> Iterator[tuple[bytes, bytes, Any]]:
        names, kinds = (
            ", ".join(quoted(QUOTE, column.name) for column in shape.columns),
            [one.kind for one in shape.columns],
        )
        keys = len(shape.key)
        try:
            with connect(self._dsn) as connection, connection.cursor(SSCursor) as cursor:
                cursor.execute(f"select {names}, {OFFSET} from {self._name}", ())
                while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                    for *values, offset in rows:
                        fields = [field(kind, value) for kind, value in zip(kinds, values, strict=True)]
                        yield b"".join(fields[:keys]), b"".join(fields[keys:]), (*values[:keys], offset)
        except pymysql.Error as error:
            raise _not_readable(error) from error

    @property
    def _name(self) -> str:
        return quoted(QUOTE, self._target["schema"], self._target["table"])


def _not_readable(error: Exception) -> NotReadable:
    return NotReadable(f"the table cannot be read: {type(error).__name__}")


def _rows(data: bytes, at: int, keys: int) -> tuple[int, list[tuple[bytes, bytes, str]]]:
    """The whole rows of a binary COPY in `data` from `at` on, and where they end."""
    found: list[tuple[bytes, bytes, str]] = []
    while len(data) >= at + _COUNT.size:
        (count,) = _COUNT.unpack_from(data, at)
        if count < 0:
            return len(data), found
        place, places = at + _COUNT.size, []
        for _ in range(count):
            if len(data) < place + _LENGTH.size:
                return at, found
            (length,) = _LENGTH.unpack_from(data, place)
            places.append(place)
            place += _LENGTH.size + max(length, 0)
        if len(data) < place:
            return at, found
        places.append(place)
        ctid = data[places[-2] + _LENGTH.size : place].decode()
        found.append((data[places[0] : places[keys]], data[places[keys] : places[-2]], ctid))
        at = place
    return at, found
