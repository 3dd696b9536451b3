"""Asking views in the workroom: as the role of a department, in a read-only transaction, for a bounded time.

All that one `moment` is asked is told of the same state. What Postgres says no to is told in words that hold no value
of a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from services.catalog.domain.mount import Column
from services.core import workroom
from services.core.calendar import PLACE
from services.core.settings import Settings
from services.core.words import Words

_CONNECT_SECONDS = 5
_OFFSETS = "tongshu_offsets"
_CONFIGURATION = {
    "application_name": "tongshu-products",
    # dates of moments are those of the place, whatever the server's own are
    "timezone": PLACE.key,
    "idle_in_transaction_session_timeout": "60s",
    "lock_timeout": "5s",
}
_NOT_THERE = frozenset({"42P01", "3F000", "22023", "42501"})
_WORDS = {
    "22012": Words("divides by zero", "除数为零"),
    "22003": Words("computes a number that is too large for its type", "计算结果超出数值范围"),
    "22P02": Words("casts a value that its type cannot have", "类型转换失败：存在无法转换的值"),
    "22007": Words("casts a text that is no date", "类型转换失败：存在不是日期的文本"),
    "22008": Words("casts a date that does not exist", "类型转换失败：存在不存在的日期"),
    "53400": Words("takes more room than a view may", "占用空间超出限制"),
    "42703": Words("reads an item that has not come yet", "所读取的信息项尚未到达"),
}


class WorkroomUnreachable(Exception):
    """The workroom's database does not answer just now; the message says why."""


class ViewFailed(Exception):
    """The view cannot be evaluated; `words` say why and hold no value of a row."""

    def __init__(self, words: Words) -> None:
        super().__init__(words)
        self.words = words


@dataclass(frozen=True, slots=True)
class Place:
    """How far a grant's table is: by `offsets` it is known again; None where nothing of it has come yet."""

    offsets: str
    rebuilding: bool


class Moment:
    """One state of a department's tables. Every method raises ViewFailed and WorkroomUnreachable."""

    def __init__(self, connection: psycopg.Connection[Any], department: str, seconds: float) -> None:
        self._connection, self._department, self._seconds = connection, department, seconds

    def places(self, grants: Sequence[str]) -> dict[str, Place]:
        """How far the tables of `grants` are, without those of which no row has come yet."""
        schema = workroom.schema_of(self._department)
        try:
            found = self._connection.execute(
                sql.SQL(
                    "select grant_id, string_agg(concat_ws(':', partition, next, fill), ',' order by partition),"
                    " bool_or(rebuilding) from {} where grant_id = any(%s) and to_regclass(%s || grant_id) is not null"
                    " group by grant_id"
                ).format(sql.Identifier(schema, _OFFSETS)),
                (list(grants), f"{schema}.{workroom.table_of('')}"),
            ).fetchall()
        except psycopg.Error as error:
            raise self._told(error) from error
        return {grant: Place(offsets, rebuilding) for grant, offsets, rebuilding in found}

    def describe(self, statement: str) -> dict[str, Column]:
        """The columns of a view, in their order."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(f"select * from ({statement}) as view limit 0".encode())
                given = [(one.name, one.type_code) for one in cursor.description or ()]
                types = [kind for _, kind in given]
                cursor.execute("select format_type(kind, null) from unnest(%s::oid[]) with ordinality as t(kind, n)"
                               " order by n", (types,))  # fmt: skip
                named = [str(kind) for (kind,) in cursor.fetchall()]
        except psycopg.Error as error:
            raise self._told(error) from error
        return {name: Column(name=name, type=kind, nullable=True) for (name, _), kind in zip(given, named, strict=True)}

    def rows(self, statement: str, most: int) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The names of a view's columns, and its rows, `most` of them."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(f"select * from ({statement}) as view limit {most:d}".encode())
                return [one.name for one in cursor.description or ()], cursor.fetchall()
        except psycopg.Error as error:
            raise self._told(error) from error

    def _told(self, error: psycopg.Error) -> Exception:
        state = error.sqlstate or ""
        if state == "57014":
            return ViewFailed(Words(f"takes longer than {self._seconds:.0f} s", f"执行超过 {self._seconds:.0f} 秒"))
        if state in _WORDS:
            return ViewFailed(_WORDS[state])
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return WorkroomUnreachable(f"the workroom does not answer ({state or type(error).__name__})")
        if state.startswith("42") and state not in _NOT_THERE:
            # what is wrong with the view itself: the message names what stands in it
            said = error.diag.message_primary or state
            return ViewFailed(Words(f"is refused by the database: {said}", f"数据库拒绝执行：{said}"))
        return ViewFailed(Words(f"cannot be evaluated ({state})", f"无法执行（{state}）"))


class Workroom:
    """A connection to the workroom, made when it is first needed and again when it was lost; for one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: psycopg.Connection[Any] | None = None

    @contextmanager
    def moment(self, department: str, seconds: float) -> Iterator[Moment | None]:
        """The present state of the department's tables, each statement for at most `seconds`; None: it has none.

        Raises WorkroomUnreachable.
        """
        connection = self._connected()
        try:
            with connection.transaction(force_rollback=True):
                yield Moment(connection, department, seconds) if self._enter(connection, department, seconds) else None
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise WorkroomUnreachable(f"the workroom does not answer ({type(error).__name__})") from error
        finally:
            if connection.broken:
                self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            options = " ".join(f"-c {name}={value}" for name, value in _CONFIGURATION.items())
            try:
                self._connection = psycopg.connect(
                    workroom.address(self._settings, workroom.READER), connect_timeout=_CONNECT_SECONDS,
                    options=options, autocommit=True,
                )  # fmt: skip
            except psycopg.Error as error:
                raise WorkroomUnreachable(f"the workroom does not answer ({type(error).__name__})") from error
            self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._connection.read_only = True
        return self._connection

    @staticmethod
    def _enter(connection: psycopg.Connection[Any], department: str, seconds: float) -> bool:
        """Be the role of the department until the end of the transaction; False where there is none."""
        role, offsets = workroom.role_of(department), f"{workroom.schema_of(department)}.{_OFFSETS}"
        there = connection.execute("select from pg_roles where rolname = %s", (role,)).fetchone()
        if there is None:
            return False
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        connection.execute(f"set local statement_timeout = {int(seconds * 1_000)}".encode())
        return connection.execute("select to_regclass(%s) is not null", (offsets,)).fetchone() == (True,)
