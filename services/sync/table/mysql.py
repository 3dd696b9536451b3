"""A department's database that speaks MySQL's protocol: loaded by LOAD DATA LOCAL, merged by an UPDATE and an INSERT.

Texts are kept in a collation that takes no two of them for the same, blanks at the end included. MySQL commits when a
table is made or altered, so nothing here relies on taking that back.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import Cursor
from sqlalchemy.engine import make_url

from services.sync.sink import Refused, Unreachable
from services.sync.table.database import CONNECT_SECONDS, OFFSETS, Database, Found, Kept, Table
from services.sync.table.layout import OFFSET, Column, Kind, Layout, Types, Unfit
from services.sync.table.loading import LOAD

T = TypeVar("T")

QUOTE = "`"
_ANSWER_SECONDS = 300
_MOST_DIGITS, _MOST_SCALE = 65, 30
# of 3,072 bytes that InnoDB's index takes; what is longer is refused by the database, in words
_KEY_CHARACTERS = 191
_COLLATIONS = "select collation_name from information_schema.collations where collation_name in (%s, %s)"
_EXACT = ("utf8mb4_0900_bin", "utf8mb4_nopad_bin")
_SESSION = (
    "set session sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO'",
    "set session time_zone = '+00:00'",
    "set session transaction isolation level read committed",
    "set session innodb_lock_wait_timeout = 10",
    "set session lock_wait_timeout = 10",
)
_COLUMNS = """
    select column_name, column_type, collation_name,
        is_nullable = 'NO' and column_default is null and extra not like '%%auto_increment%%'
        and extra not like '%%GENERATED%%'
    from information_schema.columns where table_schema = %s and table_name = %s
"""
_UNIQUE = """
    select index_name, column_name, sub_part from information_schema.statistics
    where table_schema = %s and table_name = %s and non_unique = 0
"""
_TYPES = {
    "string": "longtext", "long": "bigint", "double": "double", "boolean": "tinyint(1)", "date": "date",
    "timestamp": "datetime(6)",
}  # fmt: skip
_SIZED = re.compile(r"(bigint|varchar)\((\d+)\)")


class MySql(Database):
    form = LOAD
    system = "mysql"
    _quote = QUOTE
    _connection: pymysql.Connection[Any] | None = None
    _collation = ""

    # -- the connection ----------------------------------------------------------------------------------------------

    def transact(self, work: Callable[[], T]) -> T:
        try:
            if self._connection is None:
                self._connect()
            assert self._connection is not None
            self._connection.begin()
            try:
                done = work()
            except BaseException:
                self._connection.rollback()
                raise
            self._connection.commit()
            return done
        except pymysql.Error as error:
            code = _code(error)
            if not _is_away(code):
                raise Refused(_reason(code)) from error
            self.close()
            raise Unreachable(_reason(code)) from error

    def _connect(self) -> None:
        self._connection = connect(self._dsn)
        found = {name for (name,) in self.rows(_COLLATIONS, _EXACT)}
        self._collation = next((name for name in _EXACT if name in found), "")
        for table in self._tables.values():
            table.staged = None

    def close(self) -> None:
        if self._connection is not None:
            with suppress(pymysql.Error):
                self._connection.close()
            self._connection = None

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._cursor() as cursor:
            cursor.execute(statement, tuple(values))
            return list(cursor.fetchall())

    def change(self, statement: str, values: Sequence[Any] = ()) -> int:
        with self._cursor() as cursor:
            return int(cursor.execute(statement, tuple(values)))

    def _cursor(self) -> Cursor:
        assert self._connection is not None
        return self._connection.cursor(Cursor)

    @property
    def types(self) -> Types:
        return lambda kind: type_of(kind, self._collation)

    # -- offsets, and what is there ----------------------------------------------------------------------------------

    def _has_schema(self, schema: str) -> bool:
        return bool(self.rows("select 1 from information_schema.schemata where schema_name = %s", (schema,)))

    def _make_offsets(self, schema: str) -> None:
        there = "select 1 from information_schema.tables where table_schema = %s and table_name = %s"
        if not self.rows(there, (schema, OFFSETS)):
            self.change(
                f"""create table if not exists {self.quoted(schema, OFFSETS)} (
                    grant_id varchar(100), `partition` int, table_name varchar(64) not null,
                    `next` bigint not null default 0, fill int not null default 0,
                    rebuilding boolean not null default false, `columns` longtext not null, receipt longtext,
                    seen datetime(6) not null default now(6), primary key (grant_id, `partition`))"""
            )

    def _begin_partition(self, table: Table, partition: int) -> None:
        self.change(
            f"insert into {self.offsets(table)} (grant_id, `partition`, table_name, `columns`)"
            " values (%s, %s, %s, '[]') on duplicate key update grant_id = grant_id",
            (table.grant, partition, table.name),
        )

    def _kept(self, table: Table) -> list[Kept]:
        kept = self.rows(
            "select `partition`, `next`, fill, rebuilding, `columns`, receipt, timestampdiff(second, seen, now())"
            f" from {self.offsets(table)} where grant_id = %s",
            (table.grant,),
        )
        return [
            Kept(partition, at, fill, bool(rebuilding), json.loads(columns), receipt, timedelta(seconds=age))
            for partition, at, fill, rebuilding, columns, receipt, age in kept
        ]

    def _keep_columns(self, table: Table, columns: list[str]) -> None:
        statement = f"update {self.offsets(table)} set `columns` = %s where grant_id = %s"
        self.change(statement, (json.dumps(columns, ensure_ascii=False), table.grant))

    def _found(self, table: Table) -> dict[str, Found]:
        found = self.rows(_COLUMNS, (table.schema, table.name))
        return {
            name: Found(_type(kind) + (f" collate {collation}" if collation else ""), bool(is_needed))
            for name, kind, collation, is_needed in found
        }

    def _uniques(self, table: Table) -> list[set[str]]:
        indexes: dict[str, set[str]] = {}
        partial = set()
        for index, column, part in self.rows(_UNIQUE, (table.schema, table.name)):
            indexes.setdefault(index, set()).add(column)
            if part is not None or column is None:
                partial.add(index)
        return [columns for index, columns in indexes.items() if index not in partial]

    # -- a batch -----------------------------------------------------------------------------------------------------

    def _stage(self, table: Table, shape: Layout) -> None:
        for name, columns in ((self._new(table), shape.columns), (self._gone(table), shape.key)):
            self.change(f"drop temporary table if exists {name}")
            # a text of any length: only the table itself says what it holds, which may be more than we made it for
            free = [replace(one, type=type_of(replace(one.kind, is_key=False), self._collation)) for one in columns]
            self.change(f"create temporary table {name} ({self.typed(free)}, {OFFSET} bigint)")

    def _new(self, table: Table) -> str:
        return self.quoted(table.schema, f"tongshu_rows_{table.grant}")

    def _gone(self, table: Table) -> str:
        return self.quoted(table.schema, f"tongshu_gone_{table.grant}")

    def _load(self, table: Table, columns: Sequence[Column], rows: bytes) -> None:
        self._load_into(self.place_of(table), columns, rows)

    def _merge(self, table: Table, shape: Layout, rows: bytes) -> int:
        new, name = self._new(table), self.place_of(table)
        self.change(f"delete from {new}")
        self._load_into(new, shape.columns, rows)
        same = self._same(shape, "t", "r")
        others = [self.quoted(column.name) for column in shape.others]
        changes = ", ".join(f"t.{name} = r.{name}" for name in (*others, OFFSET))
        equal = " and ".join(f"t.{name} <=> r.{name}" for name in others) or "true"
        changed = self.change(
            f"update {name} t join {new} r on {same} set {changes}"
            f" where greatest(t.{OFFSET}, -t.{OFFSET} - 1) <= r.{OFFSET} and (t.{OFFSET} < 0 or not ({equal}))"
        )
        names = self.listed(shape.columns)
        read = ", ".join(f"r.{self.quoted(column.name)}" for column in shape.columns)
        return changed + self.change(
            f"insert into {name} ({names}, {OFFSET}) select {read}, r.{OFFSET} from {new} r"
            f" left join {name} t on {same} where t.{OFFSET} is null"
        )

    def _remove(self, table: Table, shape: Layout, gone: bytes) -> int:
        keys = self._gone(table)
        self.change(f"delete from {keys}")
        self._load_into(keys, shape.key, gone)
        # by its whole name: a delete by another one needs a schema that is chosen
        name = self.place_of(table)
        return self.change(
            f"delete from {name} using {name} join {keys} g on {self._same(shape, name, 'g')}"
            f" where greatest({name}.{OFFSET}, -{name}.{OFFSET} - 1) <= g.{OFFSET}"
        )

    def _same(self, shape: Layout, one: str, other: str) -> str:
        names = [self.quoted(column.name) for column in shape.key]
        return " and ".join(f"{one}.{name} = {other}.{name}" for name in names)

    def _load_into(self, into: str, columns: Sequence[Column], rows: bytes) -> None:
        with _as_file(rows) as path, self._cursor() as cursor:
            cursor.execute(
                f"load data local infile '{path}' into table {into} character set utf8mb4"
                r" fields terminated by '\t' escaped by '\\' lines terminated by '\n'"
                f" ({self.listed(columns)}, {OFFSET})",
                (),
            )
            if cursor.warning_count:
                # with LOCAL the server makes warnings of what would be errors, and goes on with something else
                raise Refused(_reason(int(self.rows("show warnings")[0][1])))


def _type(found: str) -> str:
    """A type as we would say it: a number that says how it is shown says nothing, a longer key may be made for ours."""
    sized = _SIZED.fullmatch(found)
    if sized is None:
        return found
    if sized[1] == "bigint":
        return "bigint"
    return f"varchar({min(int(sized[2]), _KEY_CHARACTERS)})"


def type_of(kind: Kind, collation: str) -> str:
    """What MySQL calls the type of such columns; texts are of the collation that tells all of them apart.

    Raises Unfit.
    """
    if kind.name == "decimal":
        if kind.precision > _MOST_DIGITS or kind.scale > _MOST_SCALE:
            raise Unfit(f"MySQL has no decimal of {kind.precision} digits, {kind.scale} of them behind the point")
        return f"decimal({kind.precision},{kind.scale})"
    if kind.name != "string":
        return _TYPES[kind.name]
    if not collation:
        raise Unfit(f"the database has neither the collation {' nor '.join(_EXACT)}, which tell all texts apart")
    return f"{f'varchar({_KEY_CHARACTERS})' if kind.is_key else 'longtext'} collate {collation}"


def connect(dsn: str) -> pymysql.Connection[Any]:
    """A connection to `mysql://user:password@host:port/[?ssl_ca=…]`, in UTC and strict. Raises pymysql.Error."""
    url = make_url(dsn)
    authority = url.query.get("ssl_ca")
    connection: pymysql.Connection[Any] = pymysql.connect(
        host=url.host, port=url.port or 3306, user=url.username, password=url.password or "", charset="utf8mb4",
        local_infile=True, client_flag=CLIENT.FOUND_ROWS, connect_timeout=CONNECT_SECONDS,
        read_timeout=_ANSWER_SECONDS, write_timeout=_ANSWER_SECONDS, autocommit=False,
        ssl_ca=str(authority) if authority else None, ssl_verify_identity=bool(authority),
    )  # fmt: skip
    with connection.cursor() as cursor:
        for statement in _SESSION:
            cursor.execute(statement)
    return connection


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """Bytes in memory under a path, for a client that reads files only."""
    file = os.memfd_create("tongshu")
    try:
        with open(file, "wb", closefd=False) as whole:
            whole.write(data)
        yield f"/proc/self/fd/{file}"
    finally:
        os.close(file)


# no connection more, out of memory or disk, shutting down, waited for a lock, deadlock, read-only
_AWAY = frozenset(
    {1021, 1037, 1040, 1041, 1042, 1053, 1114, 1129, 1152, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1290, 1836}
)
_WORDS = {
    1021: "the disk of the database is full",
    1044: "our role may not do this",
    1045: "the database does not let us in: user or password is wrong",
    1048: "a column of the table takes no null",
    1054: "a column is gone",
    1062: "a unique constraint of the table is broken",
    1114: "the database has no room left for the table",
    1142: "our role may not do this",
    1143: "our role may not do this",
    1146: "a table is gone",
    1148: "the server takes no LOAD DATA LOCAL: set local_infile to ON",
    1205: "a lock was waited for in vain",
    1213: "two transactions waited for each other",
    1216: "a foreign key of the table is broken",
    1263: "a column of the table takes no null",
    1264: "a number is outside what its column holds",
    1265: "a value is longer than its column, or none that it holds",
    1366: "a value is none that its column holds",
    1364: "a column of the table has no default and is not ours",
    1370: "our role may not do this",
    1406: "a text is longer than its column",
    1452: "a foreign key of the table is broken",
    1644: "a trigger of the database refuses it",
    3819: "a check constraint of the table is broken",
    3948: "the server takes no LOAD DATA LOCAL: set local_infile to ON",
    4025: "a check constraint of the table is broken",
    4166: "the server takes no LOAD DATA LOCAL: set local_infile to ON",
}


def _code(error: pymysql.Error) -> int:
    return int(error.args[0]) if error.args and isinstance(error.args[0], int) else 0


def _is_away(code: int) -> bool:
    """Whether an error, the client's own (2,000 to 2,999) or of no number included, is the connection's or passes."""
    return code == 0 or 2_000 <= code < 3_000 or code in _AWAY


def _reason(code: int) -> str:
    """What the database said, by its code only: its own words may quote a row."""
    other = "the database does not answer" if _is_away(code) else "the database says no"
    return f"{_WORDS.get(code, other)} ({code})"
