"""A department's database: tables filled and kept by bulk load and upsert, offsets in the same transaction.

A batch is loaded into a temporary table and merged from there in one go, so the work of the database is the same for
every row; a table that is still empty is loaded straight. Each row carries the offset of the record that it shows
(`tongshu_offset`), and an older record never replaces a newer one.

Where the table is not what it was (dropped, a column gone), or has not been seen for as long as tombstones are kept,
it is mended and its topic read again from the beginning: its rows are marked (offset -n-1 for n), each record that
comes again confirms one, and what is still marked at the end has no record any more and goes.

What is common to all kinds of databases is here; `postgres.py` and `mysql.py` say how each is told.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import structlog
from confluent_kafka import Message
from opentelemetry.trace import Span

from services.core.avro import Registry, wire_schema_id
from services.sync.sink import Moved, Placed, Refused, State, Unreachable, Write
from services.sync.table.layout import OFFSET, Column, Layout, Types, Unfit, layout, row_schema
from services.sync.table.receipts import Receipt, Receipts
from services.sync.table.walking import Form, Key, Value
from services.sync.tracing import Received, received, stored

log = structlog.get_logger()

T = TypeVar("T")

GROUP = "sync.table"
OFFSETS = "tongshu_offsets"
CONNECT_SECONDS = 5
_SEEN_EVERY_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Compiled:
    """A layout and what reads records of one pair of schemas into it."""

    layout: Layout
    key: Key
    value: Value


@dataclass(slots=True)
class Batch:
    """A batch as it is written: what replaces rows, what removes them, and the stretch of the topic it covers."""

    placed: Placed
    partition: int
    begin: int
    compiled: Compiled
    receipt: Receipt
    traced: Sequence[Received] = ()
    rows: bytes = b""
    row_count: int = 0
    gone: bytes = b""
    gone_count: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """What the table of offsets says of a partition; `age` is for how long nobody has looked."""

    partition: int
    next: int
    fill: int
    rebuilding: bool
    columns: list[str]
    receipt: str | None
    age: timedelta


@dataclass(frozen=True, slots=True)
class Found:
    """A column as the database has it; whoever inserts a row must say what is in one that `is_needed`."""

    type: str
    is_needed: bool


@dataclass(slots=True)
class Table:
    """A grant's table as this connection knows it."""

    schema: str
    name: str
    grant: str
    checked: set[int] = field(default_factory=set)
    columns: set[str] = field(default_factory=set)
    next_seen: float = 0.0
    staged: int | None = None
    rebuilding: set[int] = field(default_factory=set)


class Database(ABC):
    """One department's database, as a `Store` of a `Sink`."""

    look_seconds = 5.0
    form: Form
    system: str
    """What OpenTelemetry calls such databases."""
    _quote: str

    def __init__(self, name: str, dsn: str, registry: Registry, receipts: Receipts, tombstones: timedelta) -> None:
        """`dsn` is the connection string.

        `tombstones` is how long share topics keep them: a table that was away for longer is filled anew.
        """
        self.name = name
        self._dsn, self._registry, self._receipts, self._tombstones = dsn, registry, receipts, tombstones
        self._tables: dict[str, Table] = {}
        self._compiled: dict[tuple[str, int, int], Compiled] = {}

    # -- what each kind of database says in its own way --------------------------------------------------------------

    @property
    @abstractmethod
    def types(self) -> Types:
        """What it calls the types of columns."""

    @abstractmethod
    def transact(self, work: Callable[[], T]) -> T:
        """Run `work` in a transaction of its own. Raises Unreachable, and Refused for what the database says no to."""

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What a query answers, in the open transaction."""

    @abstractmethod
    def change(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Run a statement in the open transaction: how many rows it was about."""

    @abstractmethod
    def _has_schema(self, schema: str) -> bool: ...

    @abstractmethod
    def _make_offsets(self, schema: str) -> None:
        """Make the table of offsets where there is none."""

    @abstractmethod
    def _begin_partition(self, table: Table, partition: int) -> None:
        """A row in the table of offsets, where there is none."""

    @abstractmethod
    def _kept(self, table: Table) -> list[Kept]: ...

    @abstractmethod
    def _keep_columns(self, table: Table, columns: list[str]) -> None: ...

    @abstractmethod
    def _found(self, table: Table) -> dict[str, Found]:
        """The columns of the table; none when it is not there."""

    @abstractmethod
    def _uniques(self, table: Table) -> list[set[str]]:
        """The columns of each unique index over plain columns and all rows."""

    @abstractmethod
    def _stage(self, table: Table, shape: Layout) -> None:
        """Make the temporary tables of a grant."""

    @abstractmethod
    def _load(self, table: Table, columns: Sequence[Column], rows: bytes) -> None:
        """Load rows straight into the table."""

    @abstractmethod
    def _merge(self, table: Table, shape: Layout, rows: bytes) -> int:
        """Insert what is new, replace what is older and different, confirm what is marked: how many rows that were."""

    @abstractmethod
    def _remove(self, table: Table, shape: Layout, gone: bytes) -> int:
        """Delete the rows of these keys that are not newer: how many that were."""

    # -- where a grant stands ----------------------------------------------------------------------------------------

    def place(self, grant: State, partitions: Iterable[int]) -> dict[int, int]:
        target = grant["table_target"]
        table = Table(target["schema"], target["table"], grant["id"])

        def read() -> dict[int, int]:
            self._require_ours(table)
            for partition in partitions:
                self._begin_partition(table, partition)
            kept = self._kept(table)
            if any(row.fill != grant.get("fill", 0) for row in kept):
                self._begin_again(table, grant, forget_offsets=True)
            elif missing := {name for row in kept for name in row.columns} - self._found(table).keys():
                log.warning("table altered, filled anew", grant=grant["id"], columns=sorted(missing))
                self._begin_again(table, grant, forget_offsets=False)
            elif any(row.age > self._tombstones for row in kept):
                log.warning("table away for too long, filled anew", grant=grant["id"])
                self._begin_again(table, grant, forget_offsets=False)
            self._see(table)
            for row in kept:
                if row.receipt:
                    self._receipts.tell(Receipt.parse(row.receipt))
            kept = self._kept(table)
            table.rebuilding = {row.partition for row in kept if row.rebuilding}
            return {row.partition: row.next for row in kept}

        found = self.transact(read)
        self._tables[grant["id"]] = table
        return found

    def _require_ours(self, table: Table) -> None:
        """The table of offsets, and that no other grant fills the same table. Raises Refused."""
        if not self._has_schema(table.schema):
            raise Refused(f"there is no schema {table.schema!r} in the database: make it, and let our role use it")
        self._make_offsets(table.schema)
        ((other,),) = self.rows(
            f"select min(grant_id) from {self.offsets(table)} where table_name = %s and grant_id <> %s",
            (table.name, table.grant),
        )
        if other:
            raise Refused(
                f"the table {table.name!r} was filled under grant {other}: name another one, or drop it and"
                f" remove that grant from {table.schema}.{OFFSETS}"
            )

    def look(self, placed: Placed) -> None:
        table = self._tables[placed.grant["id"]]

        def names() -> set[str]:
            if time.monotonic() > table.next_seen:
                self._see(table)
                table.next_seen = time.monotonic() + _SEEN_EVERY_SECONDS
            return set(self._found(table))

        if table.columns - self.transact(names):
            raise Moved("the table was altered")

    def _see(self, table: Table) -> None:
        self.change(f"update {self.offsets(table)} set seen = now() where grant_id = %s", (table.grant,))

    def forget(self, grant: str) -> None:
        self._tables.pop(grant, None)

    # -- a batch -----------------------------------------------------------------------------------------------------

    def prepare(self, placed: Placed, partition: int, messages: Sequence[Message]) -> Sequence[Write]:
        writes: list[Write] = []
        begin = placed.next[partition]
        for compiled, run in self._runs(placed.grant, messages):
            receipt = Receipt.begin(placed.grant, partition, run)
            batch = Batch(placed, partition, begin, compiled, receipt, received(placed.grant, GROUP, run))
            _fill(self.form, batch, run)
            writes.append(partial(self._write, batch))
            begin = int(run[-1].offset() or 0) + 1
        return writes

    def _runs(self, grant: State, messages: Sequence[Message]) -> Iterator[tuple[Compiled, list[Message]]]:
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
            made = layout(key_schema, row_schema(value_schema), grant, self.types)
        except Unfit as error:
            raise Refused(str(error)) from error
        compiled = Compiled(made, self.form.compile_key(key_schema, made), self.form.compile_value(value_schema, made))
        self._compiled[grant["id"], key_id, value_id or 0] = compiled
        return compiled

    def _write(self, batch: Batch) -> None:
        grant = batch.placed.grant
        table = self._tables[grant["id"]]
        if id(batch.compiled) not in table.checked:
            self._check(grant, table, batch.compiled.layout)
            table.checked.add(id(batch.compiled))
            table.columns |= {column.name for column in batch.compiled.layout.columns}
        self._receipts.wait()
        begun = time.time_ns()
        try:
            receipt = self.transact(lambda: self._apply(batch, table))
        except (Refused, Unreachable, Moved):
            # whatever it was, the table may not be what it was
            table.checked.clear()
            table.staged = None
            raise
        self._receipts.tell(receipt, self._tell_traced(batch, table, begun))

    def _tell_traced(self, batch: Batch, table: Table, begun: int) -> Sequence[Span]:
        """Tell of the followed records of a batch that is committed, whose writing began at `begun`."""
        committed, spans = time.time_ns(), []
        into: dict[str, str | int] = {
            "db.namespace": table.schema,
            "db.collection.name": table.name,
            "db.operation.batch.size": batch.receipt.records,
        }
        for one in batch.traced:
            span = one.process()
            stored(span, f"upsert {table.schema}.{table.name}", self.system, into, begun, committed)
            span.end(committed)
            spans.append(span)
        return spans

    def _apply(self, batch: Batch, table: Table) -> Receipt:
        shape, receipt = batch.compiled.layout, batch.receipt
        if table.staged != id(batch.compiled):
            self._stage(table, shape)
            table.staged = id(batch.compiled)
        # the place first: whoever else writes this grant waits here, and then finds that it has moved
        moved = self.change(
            f"update {self.offsets(table)} set {self.quoted('next')} = %s"
            f" where grant_id = %s and {self.quoted('partition')} = %s and {self.quoted('next')} = %s",
            (receipt.last + 1, table.grant, batch.partition, batch.begin),
        )
        if moved != 1:
            raise Moved("another has written, or the table of offsets was changed")
        if batch.gone_count:
            receipt.deleted = self._remove(table, shape, batch.gone)
        if batch.row_count:
            if batch.begin == 0 and not self.rows(f"select 1 from {self.place_of(table)} limit 1"):
                self._load(table, shape.columns, batch.rows)
                receipt.written = batch.row_count
            else:
                receipt.written = self._merge(table, shape, batch.rows)
        receipt.applied_at = datetime.now(UTC)
        self.change(
            f"update {self.offsets(table)} set receipt = %s where grant_id = %s and {self.quoted('partition')} = %s",
            (receipt.text(), table.grant, batch.partition),
        )
        return receipt

    # -- what the table is -------------------------------------------------------------------------------------------

    def _check(self, grant: State, table: Table, shape: Layout) -> None:
        """Make the table, or see that it is what it must be; mend what can be mended. Raises Refused and Moved."""
        if self.transact(lambda: self._mend(grant, table, shape)):
            raise Moved("the table was mended, and is filled anew")

    def _mend(self, grant: State, table: Table, shape: Layout) -> bool:
        kept = self._kept(table)
        begun, before = any(row.next for row in kept), {name for row in kept for name in row.columns}
        found = self._found(table)
        added = [column for column in shape.columns if column.name not in found]
        if found:
            self._refuse_unfit(table, shape, found)
        # a column that the grant has gained has no values before; one that was there and is gone had some
        again = begun and (not found or any(column.name in before for column in added))
        if again:
            # first of all: there are databases that commit when a table is altered
            self._begin_again(table, grant, forget_offsets=False)
            log.warning("table mended, filled anew", grant=table.grant, columns=[column.name for column in added])
        name = self.place_of(table)
        if found:
            for column in added:
                self.change(f"alter table {name} add column {self.quoted(column.name)} {column.type}")
        else:
            key = ", ".join(self.quoted(column.name) for column in shape.key)
            columns = self.typed(shape.columns)
            self.change(f"create table {name} ({columns}, {OFFSET} bigint not null, primary key ({key}))")
        self._keep_columns(table, sorted(before | {column.name for column in shape.columns}))
        return again

    def _refuse_unfit(self, table: Table, shape: Layout, found: Mapping[str, Found]) -> None:
        if OFFSET not in found:
            raise Refused(f"there is a table {table.name!r} that the exchange did not make: name another one")
        ours = {column.name for column in shape.columns} | {OFFSET}
        wrong = shape.differs({name: column.type for name, column in found.items()})
        wrong += [f"key column {column.name!r} is gone" for column in shape.key if column.name not in found]
        if not wrong and {column.name for column in shape.key} not in self._uniques(table):
            wrong.append(f"no unique index is over {', '.join(column.name for column in shape.key)}")
        wrong += [
            f"column {name!r} is not ours and takes no null: give it a default"
            for name, column in found.items()
            if column.is_needed and name not in ours
        ]
        if wrong:
            raise Refused(
                f"the table {table.name!r} does not fit: {'; '.join(wrong)}; mend it, or drop it to have it anew"
            )

    def _begin_again(self, table: Table, grant: State, *, forget_offsets: bool) -> None:
        """Read the topic from its beginning, and mark all rows until their records come again."""
        if self._found(table):
            marked = "-1" if forget_offsets else f"-{OFFSET} - 1"
            self.change(f"update {self.place_of(table)} set {OFFSET} = {marked} where {OFFSET} >= 0")
        self.change(
            f"update {self.offsets(table)} set {self.quoted('next')} = 0, rebuilding = true, fill = %s"
            " where grant_id = %s",
            (grant.get("fill", 0), table.grant),
        )

    def reached_end(self, placed: Placed, partition: int, offset: int) -> None:
        table = self._tables[placed.grant["id"]]
        if partition not in table.rebuilding:
            return

        def sweep() -> None:
            offsets = self.offsets(table)
            ended = self.change(
                f"update {offsets} set rebuilding = false where grant_id = %s"
                f" and {self.quoted('partition')} = %s and {self.quoted('next')} = %s",
                (table.grant, partition, placed.next[partition]),
            )
            if ended != 1:
                raise Moved("another has written, or the table of offsets was changed")
            left = self.rows(f"select 1 from {offsets} where grant_id = %s and rebuilding limit 1", (table.grant,))
            if not left and self._found(table):
                self.change(f"delete from {self.place_of(table)} where {OFFSET} < 0")

        self.transact(sweep)
        table.rebuilding.discard(partition)

    # -- words of SQL ------------------------------------------------------------------------------------------------

    def quoted(self, *names: str) -> str:
        """A name, or the parts of one, as it stands in a statement."""
        return quoted(self._quote, *names)

    def place_of(self, table: Table) -> str:
        return self.quoted(table.schema, table.name)

    def offsets(self, table: Table) -> str:
        return self.quoted(table.schema, OFFSETS)

    def listed(self, columns: Iterable[Column]) -> str:
        return ", ".join(self.quoted(column.name) for column in columns)

    def typed(self, columns: Iterable[Column]) -> str:
        return ", ".join(f"{self.quoted(column.name)} {column.type}" for column in columns)


def quoted(quote: str, *names: str) -> str:
    """A name, or the parts of one, as it stands in a statement that is given values."""
    return ".".join(f"{quote}{name.replace(quote, quote * 2)}{quote}" for name in names).replace("%", "%%")


def _fill(form: Form, batch: Batch, run: Sequence[Message]) -> None:
    """The last record of each key as a row or as the key of one that goes."""
    read_key, read_value, shape = batch.compiled.key, batch.compiled.value, batch.compiled.layout
    last: dict[bytes, Message] = {}
    before: dict[bytes, Message] = {}
    for message in run:
        key = message.key() or b""
        if message.value() is None and key in last:
            before[key] = last[key]
        last[key] = message
    head, gone_head, end = form.row_head(shape), form.key_head(shape), form.end
    rows, gone = [form.header], [form.header]
    note = batch.receipt.note
    for key, message in last.items():
        value, offset = message.value(), end(int(message.offset() or 0))
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
    batch.row_count, batch.gone_count = (len(rows) - 1) // 4, (len(gone) - 1) // 3
    rows.append(form.trailer)
    gone.append(form.trailer)
    batch.rows, batch.gone = b"".join(rows), b"".join(gone)
