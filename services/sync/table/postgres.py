"""A department's database on Postgres: tables filled and kept by COPY and upsert, offsets in the same transaction.

A batch is copied into a temporary table and merged from there in one INSERT … ON CONFLICT DO UPDATE, so the work of the
database is the same for every row; a table that is still empty is copied into straight. Each row carries the offset
of the record that it shows (`tongshu_offset`), and an older record never replaces a newer one.

Where the table is not what it was (dropped, a column gone), or has not been seen for as long as tombstones are kept,
it is mended and its topic read again from the beginning: its rows are marked (offset -n-1 for n), each record that
comes again confirms one, and what is still marked at the end has no record any more and goes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import structlog
from confluent_kafka import Message
from psycopg import sql
from psycopg.rows import class_row

from services.core.avro import Registry, wire_schema_id
from services.sync.sink import Moved, Placed, Refused, State, Unreachable, Write
from services.sync.table.copying import (
    HEADER,
    TRAILER,
    Key,
    Value,
    compile_key,
    compile_value,
    key_head,
    offset_field,
    row_head,
)
from services.sync.table.layout import OFFSET, Column, Layout, Unfit, layout, row_schema
from services.sync.table.receipts import Receipt, Receipts

log = structlog.get_logger()

_OFFSETS = "tongshu_offsets"
_CONNECT_SECONDS = 5
_SEEN_EVERY_SECONDS = 600.0
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


@dataclass(frozen=True, slots=True)
class Compiled:
    """A layout and what reads records of one pair of schemas into it."""

    layout: Layout
    key: Key
    value: Value


@dataclass(slots=True)
class Merge:
    """A batch as it is written: what replaces rows, what removes them, and the stretch of the topic it covers."""

    placed: Placed
    partition: int
    begin: int
    compiled: Compiled
    receipt: Receipt
    rows: bytes = b""
    row_count: int = 0
    gone: bytes = b""
    gone_count: int = 0


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the table of offsets says of a partition."""

    partition: int
    next: int
    fill: int
    rebuilding: bool
    columns: list[str]
    receipt: str | None
    seen: datetime


@dataclass(slots=True)
class _Table:
    """A grant's table as this connection knows it."""

    name: sql.Identifier
    checked: set[int] = field(default_factory=set)
    columns: set[str] = field(default_factory=set)
    next_seen: float = 0.0
    staged: int | None = None
    rebuilding: set[int] = field(default_factory=set)


class Database:
    """One department's database; `dsn` is its connection string."""

    look_seconds = 5.0

    def __init__(self, name: str, dsn: str, registry: Registry, receipts: Receipts, tombstones: timedelta) -> None:
        """`tombstones` is how long share topics keep them: a table that was away for longer is filled anew."""
        self.name = name
        self._dsn, self._registry, self._receipts, self._tombstones = dsn, registry, receipts, tombstones
        self._connection: psycopg.Connection[Any] | None = None
        self._tables: dict[str, _Table] = {}
        self._compiled: dict[tuple[str, int, int], Compiled] = {}

    # -- where a grant stands ----------------------------------------------------------------------------------------

    def place(self, grant: State, partitions: Iterable[int]) -> dict[int, int]:
        target = grant["table_target"]
        table = _Table(sql.Identifier(target["schema"], target["table"]))

        def read(connection: psycopg.Connection[Any]) -> dict[int, int]:
            self._make_offsets(connection, grant)
            for partition in partitions:
                connection.execute(
                    sql.SQL(
                        "insert into {} (grant_id, partition, table_name) values (%s, %s, %s) on conflict do nothing"
                    ).format(self._offsets(grant)),
                    (grant["id"], partition, target["table"]),
                )
            kept = self._kept(connection, grant)
            if any(row.fill != grant.get("fill", 0) for row in kept):
                self._begin_again(connection, grant, table, forget_offsets=True)
            elif missing := {name for row in kept for name in row.columns} - self._names(connection, grant):
                log.warning("table altered, filled anew", grant=grant["id"], columns=sorted(missing))
                self._begin_again(connection, grant, table, forget_offsets=False)
            elif any(row.seen < datetime.now(UTC) - self._tombstones for row in kept):
                log.warning("table away for too long, filled anew", grant=grant["id"])
                self._begin_again(connection, grant, table, forget_offsets=False)
            self._see(connection, grant)
            for row in kept:
                if row.receipt:
                    self._receipts.tell(Receipt.parse(row.receipt))
            kept = self._kept(connection, grant)
            table.rebuilding = {row.partition for row in kept if row.rebuilding}
            return {row.partition: row.next for row in kept}

        found: dict[int, int] = self._transact(read)
        self._tables[grant["id"]] = table
        return found

    def _kept(self, connection: psycopg.Connection[Any], grant: State) -> list[_Kept]:
        with connection.cursor(row_factory=class_row(_Kept)) as cursor:
            statement = "select partition, next, fill, rebuilding, columns, receipt, seen from {} where grant_id = %s"
            return cursor.execute(sql.SQL(statement).format(self._offsets(grant)), (grant["id"],)).fetchall()

    def _names(self, connection: psycopg.Connection[Any], grant: State) -> set[str]:
        return {name for name, _, _ in connection.execute(_COLUMNS, (_full_name(grant),))}

    def _make_offsets(self, connection: psycopg.Connection[Any], grant: State) -> None:
        """The table of offsets, and that no other grant fills the same table."""
        target, offsets = grant["table_target"], self._offsets(grant)
        if connection.execute("select to_regnamespace(%s)", (_quoted(target["schema"]),)).fetchone() == (None,):
            raise Refused(f"there is no schema {target['schema']!r} in the database: make it, and let our role use it")
        name = f"{_quoted(target['schema'])}.{_OFFSETS}"
        if connection.execute("select to_regclass(%s)", (name,)).fetchone() == (None,):
            connection.execute(
                sql.SQL(
                    """create table if not exists {} (
                        grant_id text, partition int, table_name text not null, next bigint not null default 0,
                        fill int not null default 0, rebuilding boolean not null default false,
                        columns text[] not null default '{{}}', receipt text,
                        seen timestamptz not null default now(), primary key (grant_id, partition))"""
                ).format(offsets)
            )
        other = connection.execute(
            sql.SQL("select min(grant_id) from {} where table_name = %s and grant_id <> %s").format(offsets),
            (target["table"], grant["id"]),
        ).fetchone()
        if other and other[0]:
            raise Refused(
                f"the table {target['table']!r} was filled under grant {other[0]}: name another one, or drop it and"
                f" remove that grant from {target['schema']}.{_OFFSETS}"
            )

    def _offsets(self, grant: State) -> sql.Identifier:
        return sql.Identifier(grant["table_target"]["schema"], _OFFSETS)

    def look(self, placed: Placed) -> None:
        grant = placed.grant
        table = self._tables[grant["id"]]

        def names(connection: psycopg.Connection[Any]) -> set[str]:
            if time.monotonic() > table.next_seen:
                self._see(connection, grant)
                table.next_seen = time.monotonic() + _SEEN_EVERY_SECONDS
            return self._names(connection, grant)

        if table.columns - self._transact(names):
            raise Moved("the table was altered")

    def _see(self, connection: psycopg.Connection[Any], grant: State) -> None:
        statement = sql.SQL("update {} set seen = now() where grant_id = %s").format(self._offsets(grant))
        connection.execute(statement, (grant["id"],))

    def forget(self, grant: str) -> None:
        self._tables.pop(grant, None)

    # -- a batch -----------------------------------------------------------------------------------------------------

    def prepare(self, placed: Placed, partition: int, messages: Sequence[Message]) -> Sequence[Write]:
        writes: list[Write] = []
        begin = placed.next[partition]
        for compiled, run in self._runs(placed.grant, messages):
            merge = Merge(placed, partition, begin, compiled, Receipt.begin(placed.grant, partition, run))
            _fill(merge, run)
            writes.append(partial(self._write, merge))
            begin = int(run[-1].offset() or 0) + 1
        return writes

    def _runs(self, grant: State, messages: Sequence[Message]) -> Iterable[tuple[Compiled, list[Message]]]:
        """The messages in stretches that were written with the same schemas; a tombstone goes with any."""
        run: list[Message] = []
        key_id = value_id = None
        for message in messages:
            key, value = message.key() or b"", message.value()
            ids = wire_schema_id(key), None if value is None else wire_schema_id(value)
            if run and (ids[0] != key_id or (ids[1] is not None and value_id not in (None, ids[1]))):
                yield self._compile(grant, key_id, value_id), run
                run, value_id = [], None
            key_id, value_id = ids[0], ids[1] if ids[1] is not None else value_id
            run.append(message)
        yield self._compile(grant, key_id, value_id), run

    def _compile(self, grant: State, key_id: int | None, value_id: int | None) -> Compiled:
        assert key_id is not None
        known = self._compiled.get((grant["id"], key_id, value_id or 0))
        if known is not None:
            return known
        key_schema = self._registry.schema(key_id)
        # tombstones alone do not say what the rows were written with
        value_schema = (
            self._registry.schema(value_id) if value_id else self._registry.latest(f"{grant['topic']}-value") or {}
        )
        try:
            made = layout(key_schema, row_schema(value_schema), grant)
        except Unfit as error:
            raise Refused(str(error)) from error
        compiled = Compiled(made, compile_key(key_schema, made), compile_value(value_schema, made))
        self._compiled[grant["id"], key_id, value_id or 0] = compiled
        return compiled

    def _write(self, work: Merge) -> None:
        grant = work.placed.grant
        table = self._tables[grant["id"]]
        if id(work.compiled) not in table.checked:
            self._check(grant, table, work.compiled.layout)
            table.checked.add(id(work.compiled))
            table.columns |= {column.name for column in work.compiled.layout.columns}
        self._receipts.wait()
        try:
            receipt = self._transact(lambda connection: self._merge(connection, work, table))
        except (Refused, Unreachable, Moved):
            # whatever it was, the table may not be what it was
            table.checked.clear()
            table.staged = None
            raise
        self._receipts.tell(receipt)

    def _merge(self, connection: psycopg.Connection[Any], work: Merge, table: _Table) -> Receipt:
        grant, shape = work.placed.grant, work.compiled.layout
        receipt = work.receipt
        staging = _Staging(grant["id"], shape)
        if table.staged != id(work.compiled):
            staging.make(connection)
            table.staged = id(work.compiled)
        # the place first: whoever else writes this grant waits here, and then finds that it has moved
        self._advance(connection, work, receipt)
        if work.gone_count:
            staging.copy_gone(connection, work.gone)
            receipt.deleted = connection.execute(staging.delete(table.name)).rowcount
        if work.row_count:
            if work.begin == 0 and self._is_empty(connection, table.name):
                _copy(connection, table.name, shape.columns, work.rows)
                receipt.written = work.row_count
            else:
                staging.copy_rows(connection, work.rows)
                receipt.written = connection.execute(staging.merge(table.name)).rowcount
        receipt.applied_at = datetime.now(UTC)
        connection.execute(
            sql.SQL("update {} set receipt = %s where grant_id = %s and partition = %s").format(self._offsets(grant)),
            (receipt.text(), grant["id"], work.partition),
        )
        return receipt

    def _advance(self, connection: psycopg.Connection[Any], work: Merge, receipt: Receipt) -> None:
        grant = work.placed.grant
        moved = connection.execute(
            sql.SQL("update {} set next = %s where grant_id = %s and partition = %s and next = %s").format(
                self._offsets(grant)
            ),
            (receipt.last + 1, grant["id"], work.partition, work.begin),
        )
        if moved.rowcount != 1:
            raise Moved("another has written, or the table of offsets was changed")

    def _is_empty(self, connection: psycopg.Connection[Any], table: sql.Identifier) -> bool:
        found = connection.execute(sql.SQL("select exists (select from {})").format(table)).fetchone()
        return found == (False,)

    # -- what the table is -------------------------------------------------------------------------------------------

    def _check(self, grant: State, table: _Table, shape: Layout) -> None:
        """Make the table, or see that it is what it must be; mend what can be mended. Raises Refused and Moved."""
        if self._transact(lambda connection: self._mend(connection, grant, table, shape)):
            raise Moved("the table was mended, and is filled anew")

    def _mend(self, connection: psycopg.Connection[Any], grant: State, table: _Table, shape: Layout) -> bool:
        target, offsets = grant["table_target"], self._offsets(grant)
        row = connection.execute(
            sql.SQL("select max(next), max(columns) from {} where grant_id = %s").format(offsets), (grant["id"],)
        ).fetchone()
        begun, before = bool(row and row[0]), set((row and row[1]) or ())
        found = {
            column: (kind, is_needed)
            for column, kind, is_needed in connection.execute(_COLUMNS, (_full_name(grant),)).fetchall()
        }
        made = not found
        added = [column for column in shape.columns if column.name not in found]
        if made:
            connection.execute(_create(table.name, shape))
        else:
            uniques = [set(columns) for (columns,) in connection.execute(_UNIQUE, (_full_name(grant),))]
            self._refuse_unfit(target["table"], shape, found, uniques)
            for column in added:
                connection.execute(
                    sql.SQL("alter table {} add column {} {}").format(
                        table.name, sql.Identifier(column.name), sql.SQL(column.type)
                    )
                )
        # a column that the grant has gained has no values before; one that was there and is gone had some
        again = begun and (made or any(column.name in before for column in added))
        if again:
            self._begin_again(connection, grant, table, forget_offsets=False)
            log.warning("table mended, filled anew", grant=grant["id"], columns=[column.name for column in added])
        connection.execute(
            sql.SQL("update {} set columns = %s where grant_id = %s").format(offsets),
            (sorted(before | {column.name for column in shape.columns}), grant["id"]),
        )
        return again

    def _refuse_unfit(
        self, table: str, shape: Layout, found: Mapping[str, tuple[str, bool]], uniques: Sequence[set[str]]
    ) -> None:
        if OFFSET not in found:
            raise Refused(f"there is a table {table!r} that the exchange did not make: name another one")
        ours = {column.name for column in shape.columns} | {OFFSET}
        wrong = shape.differs({name: kind for name, (kind, _) in found.items()})
        wrong += [f"key column {column.name!r} is gone" for column in shape.key if column.name not in found]
        if not wrong and {column.name for column in shape.key} not in uniques:
            wrong.append(f"no unique index is over {', '.join(column.name for column in shape.key)}")
        wrong += [
            f"column {name!r} is not ours and takes no null: give it a default"
            for name, (_, is_needed) in found.items()
            if is_needed and name not in ours
        ]
        if wrong:
            raise Refused(f"the table {table!r} does not fit: {'; '.join(wrong)}; mend it, or drop it to have it anew")

    def _begin_again(
        self, connection: psycopg.Connection[Any], grant: State, table: _Table, *, forget_offsets: bool
    ) -> None:
        """Read the topic from its beginning, and mark all rows until their records come again."""
        if self._is_there(connection, grant):
            marked = sql.SQL("-1" if forget_offsets else "-{0} - 1").format(sql.Identifier(OFFSET))
            connection.execute(
                sql.SQL("update {} set {} = {} where {} >= 0").format(
                    table.name, sql.Identifier(OFFSET), marked, sql.Identifier(OFFSET)
                )
            )
        connection.execute(
            sql.SQL("update {} set next = 0, rebuilding = true, fill = %s where grant_id = %s").format(
                self._offsets(grant)
            ),
            (grant.get("fill", 0), grant["id"]),
        )

    def reached_end(self, placed: Placed, partition: int, offset: int) -> None:
        table = self._tables[placed.grant["id"]]
        if partition not in table.rebuilding:
            return

        def sweep(connection: psycopg.Connection[Any]) -> None:
            offsets = self._offsets(placed.grant)
            left = connection.execute(
                sql.SQL(
                    "update {} set rebuilding = false where grant_id = %s and partition = %s and next = %s returning"
                    " (select count(*) from {} where grant_id = %s and rebuilding)"
                ).format(offsets, offsets),
                (placed.grant["id"], partition, placed.next[partition], placed.grant["id"]),
            ).fetchone()
            if left is None:
                raise Moved("another has written, or the table of offsets was changed")
            if left[0] == 1 and self._is_there(connection, placed.grant):
                connection.execute(sql.SQL("delete from {} where {} < 0").format(table.name, sql.Identifier(OFFSET)))

        self._transact(sweep)
        table.rebuilding.discard(partition)

    def _is_there(self, connection: psycopg.Connection[Any], grant: State) -> bool:
        return connection.execute("select to_regclass(%s)", (_full_name(grant),)).fetchone() != (None,)

    # -- the connection ----------------------------------------------------------------------------------------------

    def _transact(self, work: Callable[[psycopg.Connection[Any]], Any]) -> Any:
        """Run `work` in a transaction of its own; what the database says no to, in our words."""
        try:
            if self._connection is None:
                self._connection = psycopg.connect(
                    self._dsn, connect_timeout=_CONNECT_SECONDS, keepalives_idle=10, tcp_user_timeout=30_000,
                    options=" ".join(f"-c {name}={value}" for name, value in _SESSION.items()),
                )  # fmt: skip
                for table in self._tables.values():
                    table.staged = None
            with self._connection.transaction():
                return work(self._connection)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self.close()
            raise Unreachable(_reason(error)) from error
        except psycopg.Error as error:
            raise Refused(_reason(error)) from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass(frozen=True, slots=True)
class _Staging:
    """The temporary tables of a grant: `rows` holds what replaces rows, `gone` the keys of what goes."""

    grant: str
    shape: Layout

    @property
    def rows(self) -> sql.Identifier:
        return sql.Identifier("pg_temp", f"tongshu_rows_{self.grant}")

    @property
    def gone(self) -> sql.Identifier:
        return sql.Identifier("pg_temp", f"tongshu_gone_{self.grant}")

    def make(self, connection: psycopg.Connection[Any]) -> None:
        for name, columns in ((self.rows, self.shape.columns), (self.gone, self.shape.key)):
            connection.execute(sql.SQL("drop table if exists {}").format(name))
            connection.execute(
                sql.SQL("create temporary table {} ({}, {} bigint) on commit delete rows").format(
                    name, _typed(columns), sql.Identifier(OFFSET)
                )
            )

    def copy_rows(self, connection: psycopg.Connection[Any], rows: bytes) -> None:
        _copy(connection, self.rows, self.shape.columns, rows)

    def copy_gone(self, connection: psycopg.Connection[Any], gone: bytes) -> None:
        _copy(connection, self.gone, self.shape.key, gone)

    def merge(self, table: sql.Identifier) -> sql.Composed:
        """Insert what is new, replace what is older and different, confirm what is marked."""
        names = [sql.Identifier(column.name) for column in self.shape.columns]
        others = [sql.Identifier(column.name) for column in self.shape.others]
        here = [sql.SQL("t.{}").format(name) for name in others]
        there = [sql.SQL("excluded.{}").format(name) for name in others]
        offset = sql.Identifier(OFFSET)
        differs = (
            sql.SQL("({}) is distinct from ({})").format(sql.SQL(", ").join(here), sql.SQL(", ").join(there))
            if others
            else sql.SQL("false")
        )
        if len(others) == 1:
            differs = sql.SQL("{} is distinct from {}").format(here[0], there[0])
        return sql.SQL(
            "insert into {table} as t ({all}, {offset}) select {all}, {offset} from {rows}"
            " on conflict ({key}) do update set {changes}"
            " where greatest(t.{offset}, -t.{offset} - 1) <= excluded.{offset} and (t.{offset} < 0 or {differs})"
        ).format(
            table=table,
            all=sql.SQL(", ").join(names),
            offset=offset,
            rows=self.rows,
            key=sql.SQL(", ").join(sql.Identifier(column.name) for column in self.shape.key),
            changes=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in (*others, offset)),
            differs=differs,
        )

    def delete(self, table: sql.Identifier) -> sql.Composed:
        offset = sql.Identifier(OFFSET)
        return sql.SQL(
            "delete from {table} t using {gone} g where {same} and greatest(t.{offset}, -t.{offset} - 1) <= g.{offset}"
        ).format(
            table=table,
            gone=self.gone,
            offset=offset,
            same=sql.SQL(" and ").join(sql.SQL("t.{0} = g.{0}").format(sql.Identifier(c.name)) for c in self.shape.key),
        )


def _fill(merge: Merge, run: Sequence[Message]) -> None:
    """The last record of each key as a row or as the key of one that goes."""
    read_key, read_value, shape = merge.compiled.key, merge.compiled.value, merge.compiled.layout
    last: dict[bytes, Message] = {}
    before: dict[bytes, Message] = {}
    for message in run:
        key = message.key() or b""
        if message.value() is None and key in last:
            before[key] = last[key]
        last[key] = message
    head, gone_head = row_head(shape), key_head(shape)
    rows, gone = [HEADER], [HEADER]
    note = merge.receipt.note
    for key, message in last.items():
        value, offset = message.value(), offset_field(int(message.offset() or 0))
        row = None
        if value is not None:
            op, row, at = read_value(value)
            note(op, at)
        elif key in before and (deleted := before[key].value()) is not None:
            # a tombstone does not say when: the delete before it does
            op, _, at = read_value(deleted)
            note(op, at)
        if row is None:
            gone += (gone_head, read_key(key), offset)
        else:
            rows += (head, read_key(key), row, offset)
    merge.row_count, merge.gone_count = (len(rows) - 1) // 4, (len(gone) - 1) // 3
    rows.append(TRAILER)
    gone.append(TRAILER)
    merge.rows, merge.gone = b"".join(rows), b"".join(gone)


def _copy(connection: psycopg.Connection[Any], table: sql.Identifier, columns: Sequence[Column], rows: bytes) -> None:
    names = sql.SQL(", ").join(sql.Identifier(name) for name in (*(column.name for column in columns), OFFSET))
    statement = sql.SQL("copy {} ({}) from stdin (format binary)").format(table, names)
    with connection.cursor() as cursor, cursor.copy(statement) as into:
        into.write(rows)


def _create(table: sql.Identifier, shape: Layout) -> sql.Composed:
    return sql.SQL("create table {} ({}, {} bigint not null, primary key ({}))").format(
        table,
        _typed(shape.columns),
        sql.Identifier(OFFSET),
        sql.SQL(", ").join(sql.Identifier(column.name) for column in shape.key),
    )


def _typed(columns: Iterable[Column]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.type)) for column in columns
    )


def _full_name(grant: State) -> str:
    return f"{_quoted(grant['table_target']['schema'])}.{_quoted(grant['table_target']['table'])}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


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
