"""A department's database as the catalogue sees it: read from Postgres's own catalogue, and now and then a few rows.

Reading never holds the source up: every session is read-only, waits for no lock longer than a second and for no answer
longer than five, and what is read of a table's rows is bounded. Only a slot and a publication of the exchange's own are
ever removed, when a mount ends.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from cryptography.fernet import Fernet
from psycopg import sql

from services.catalog import store
from services.catalog.domain.drift import Slot
from services.catalog.domain.mount import Column, Strangers, Table, TableKind

MAX_TABLES = 1_000
MAX_TEXT = 4_000
_COMMONEST = 5
_STATEMENT_MS = 5_000
_LOCK_MS = 1_000

_KINDS = {
    "r": TableKind.TABLE,
    "p": TableKind.PARTITIONED,
    "v": TableKind.VIEW,
    "m": TableKind.MATERIALIZED,
    "f": TableKind.FOREIGN,
}
_IDENTITIES = {"f": "full", "d": "default", "n": "nothing", "i": "index"}


class SourceUnreachable(Exception):
    """The department's database cannot be reached with what was registered, or does not answer."""


class NoDatabase(SourceUnreachable):
    """The information system was registered without a database: it fills topics, sends files or answers over HTTP."""


class TableMissing(Exception):
    """The database has no such table, or its user may not see it."""


class SlotBusy(Exception):
    """The replication slot is still read by somebody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEntry:
    """A table, view or the like that the system's user may see; `rows` is the server's estimate, if it has one."""

    schema: str
    table: str
    kind: TableKind
    rows: int | None
    key: Sequence[str]
    replica_identity: str
    readable: bool
    comment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether the server lets a connector read its log at all."""

    wal_level: str
    may_replicate: bool
    free_slots: int


class Reading:
    """One read-only session in a source. Every method raises SourceUnreachable when the source does not answer."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], name: str) -> None:
        self._connection, self._name = connection, name

    def tables(self, schema: str | None, contains: str | None) -> list[TableEntry]:
        """What the system's user may see, by schema and name; one more than MAX_TABLES says that there are more."""
        found = self._rows(
            "select n.nspname, c.relname, c.relkind::text, c.reltuples, c.relreplident::text,"
            " has_table_privilege(c.oid, 'select'), obj_description(c.oid, 'pg_class'),"
            " (select array_agg(a.attname::text order by array_position(i.indkey::int2[], a.attnum))"
            "   from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)"
            "   where i.indrelid = c.oid and i.indisprimary)"
            " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition"
            " and n.nspname not like 'pg\\_%%' and n.nspname <> 'information_schema'"
            " and has_schema_privilege(n.oid, 'usage') and has_any_column_privilege(c.oid, 'select')"
            " and (%(schema)s::text is null or n.nspname = %(schema)s)"
            " and (%(part)s::text is null or position(lower(%(part)s) in lower(c.relname)) > 0)"
            " order by 1, 2 limit %(most)s",
            {"schema": schema, "part": contains, "most": MAX_TABLES + 1},
        )
        return [
            TableEntry(
                schema=space, table=name, kind=_KINDS[kind], rows=int(rows) if rows >= 0 and kind in "rpm" else None,
                key=tuple(key or ()), replica_identity=_IDENTITIES[identity], readable=readable, comment=comment,
            )
            for space, name, kind, rows, identity, readable, comment, key in found
        ]  # fmt: skip

    def describe(self, schema: str, table: str) -> Table:
        """Columns, key and replica identity of a table; raises TableMissing."""
        found = self._rows(
            "select c.oid, c.relkind::text, c.relreplident = 'f', c.relpersistence = 'p',"
            " has_table_privilege(c.oid, 'select'), obj_description(c.oid, 'pg_class')"
            " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = %s and c.relname = %s and c.relkind in ('r', 'p', 'v', 'm', 'f')",
            (schema, table),
        )
        if not found:
            raise TableMissing(f"{self._name} has no table {schema}.{table}")
        oid, kind, identity, logged, readable, comment = found[0]
        columns = self._rows(
            "select attname, format_type(atttypid, null), attnotnull, attnum, col_description(attrelid, attnum)"
            " from pg_attribute where attrelid = %s and attnum > 0 and not attisdropped order by attnum",
            (oid,),
        )
        key = self._rows(
            "select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid"
            " and a.attnum = any(i.indkey) where i.indrelid = %s and i.indisprimary",
            (oid,),
        )
        return Table(
            schema=schema,
            name=table,
            columns={
                name: Column(name=name, type=type_, nullable=not required, number=number, comment=said)
                for name, type_, required, number, said in columns
            },
            key=frozenset(name for (name,) in key),
            full_replica_identity=identity,
            kind=_KINDS[kind],
            logged=logged,
            readable=readable,
            comment=comment,
        )

    def estimate(self, schema: str, table: str) -> int | None:
        """How many rows the server takes a table to have; None where it has never counted, or there is no table."""
        found = self._rows(
            "select c.reltuples::bigint from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = %s and c.relname = %s",
            (schema, table),
        )
        return found[0][0] if found and found[0][0] >= 0 else None

    def readiness(self) -> Readiness:
        ((level, replicates, slots),) = self._rows(
            "select current_setting('wal_level'),"
            " (select rolreplication or rolsuper from pg_roles where rolname = current_user),"
            " current_setting('max_replication_slots')::int - (select count(*) from pg_replication_slots)"
        )
        return Readiness(wal_level=level, may_replicate=bool(replicates), free_slots=slots)

    def published(self, publication: str, schema: str, table: str) -> tuple[int | None, bool]:
        """The publication's oid, if it is there, and whether it holds the table."""
        found = self._rows(
            "select p.oid::bigint, p.puballtables or exists ("
            " select 1 from pg_publication_rel r join pg_class c on c.oid = r.prrelid"
            " join pg_namespace n on n.oid = c.relnamespace"
            " where r.prpubid = p.oid and n.nspname = %s and c.relname = %s)"
            " from pg_publication p where p.pubname = %s",
            (schema, table, publication),
        )
        return found[0] if found else (None, False)

    def slot(self, name: str) -> Slot | None:
        found = self._rows(
            "select coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn), 0)::bigint, s.wal_status = 'lost',"
            " c.total_txns, (select stats_reset from pg_stat_bgwriter)"
            " from pg_replication_slots s left join pg_stat_replication_slots c using (slot_name)"
            " where s.slot_name = %s",
            (name,),
        )
        if not found:
            return None
        retained_bytes, lost, decoded, since = found[0]
        return Slot(retained_bytes=retained_bytes, lost=bool(lost), decoded=decoded, counted_since=since)

    def sample(self, table: Table, columns: Sequence[str], rows: int) -> list[dict[str, str | None]]:
        """The first `rows` rows as texts, long ones cut; empty where the table may not be read."""
        if not columns or not table.readable:
            return []
        listed = sql.SQL(", ").join(
            sql.SQL("left({}::text, {})").format(sql.Identifier(name), sql.Literal(MAX_TEXT)) for name in columns
        )
        query = sql.SQL("select {} from {} limit {}").format(listed, _table(table), sql.Literal(rows))
        return [dict(zip(columns, row, strict=True)) for row in self._rows(query)]

    def nulls(self, table: Table, columns: Sequence[str]) -> dict[str, int] | None:
        """How many rows have NULL in each column; None where counting would take too long."""
        if not columns or not table.readable:
            return {}
        counts = sql.SQL(", ").join(
            sql.SQL("count(*) filter (where {} is null)").format(sql.Identifier(name)) for name in columns
        )
        rows = self._patiently(sql.SQL("select {} from {}").format(counts, _table(table)))
        return dict(zip(columns, rows[0], strict=True)) if rows else None

    def strangers(self, table: Table, column: str, codes: Collection[str]) -> Strangers | None:
        """The values of a column that are not among `codes`; None where looking for them would take too long."""
        if not table.readable:
            return Strangers(rows=0, values=0, commonest=())
        query = sql.SQL(
            "select value, rows, sum(rows) over (), count(*) over () from"
            " (select left({0}::text, 100) as value, count(*) as rows from {1}"
            " where {0} is not null and {0}::text <> all({2}) group by 1) found order by rows desc, value limit {3}"
        ).format(sql.Identifier(column), _table(table), sql.Literal(sorted(codes)), sql.Literal(_COMMONEST))
        rows = self._patiently(query)
        if rows is None:
            return None
        if not rows:
            return Strangers(rows=0, values=0, commonest=())
        return Strangers(
            rows=int(rows[0][2]), values=rows[0][3], commonest=[(value, count) for value, count, *_ in rows]
        )

    def _patiently(self, query: sql.Composed) -> list[tuple[Any, ...]] | None:
        try:
            return self._connection.execute(query).fetchall()
        except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable):
            return None
        except psycopg.Error as error:
            raise _failure(self._name, error) from error

    def _rows(self, query: Any, values: Any = None) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(query, values).fetchall()
        except psycopg.Error as error:
            raise _failure(self._name, error) from error


def _table(table: Table) -> sql.Identifier:
    return sql.Identifier(table.schema, table.name)


def _failure(name: str, error: psycopg.Error) -> SourceUnreachable:
    """What went wrong without what the server says of it: that may quote a row."""
    return SourceUnreachable(f"{name} does not answer: {type(error).__name__} {error.sqlstate or ''}".strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDatabase:
    host: str
    port: int
    database: str
    username: str
    password: str

    def _connect(self, options: str = "") -> psycopg.Connection[tuple[Any, ...]]:
        try:
            return psycopg.connect(
                host=self.host,
                port=self.port,
                dbname=self.database,
                user=self.username,
                password=self.password,
                connect_timeout=5,
                autocommit=True,
                application_name="tongshu catalogue",
                options=options,
                # a source that stops answering in the middle is noticed too
                tcp_user_timeout=10_000,
                keepalives_idle=5,
                keepalives_interval=2,
                keepalives_count=2,
            )
        except psycopg.Error as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise SourceUnreachable(f"{self.database} at {self.host}:{self.port}: {reason}") from error

    def check(self) -> None:
        """Raises SourceUnreachable."""
        self._connect().close()

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """A read-only session; raises SourceUnreachable."""
        limits = f"-c statement_timeout={_STATEMENT_MS} -c lock_timeout={_LOCK_MS} -c timezone=UTC -c datestyle=ISO"
        connection = self._connect(f"-c default_transaction_read_only=on {limits}")
        try:
            yield Reading(connection, self.database)
        finally:
            connection.close()

    def keys(self, schema: str, table: str, columns: Sequence[str], at_once: int) -> Iterator[list[tuple[str, ...]]]:
        """The keys of all rows of a table as texts, of one moment, `at_once` at a time.

        Raises SourceUnreachable, and TableMissing where it is not there as it was, or row security hides rows of it.
        """
        limits = f"-c statement_timeout={_STATEMENT_MS * 12} -c lock_timeout={_LOCK_MS} -c row_security=off"
        connection = self._connect(f"-c default_transaction_read_only=on {limits}")
        listed = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in columns)
        query = sql.SQL("select {} from {}").format(listed, sql.Identifier(schema, table))
        try:
            with connection.transaction(), connection.cursor("keys") as cursor:
                cursor.execute(query)
                while rows := cursor.fetchmany(at_once):
                    yield rows
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn,
                psycopg.errors.InsufficientPrivilege) as error:  # fmt: skip
            raise TableMissing(f"the keys of {schema}.{table} cannot be read: {type(error).__name__}") from error
        except psycopg.Error as error:
            raise _failure(self.database, error) from error
        finally:
            connection.close()

    def remove(self, slot: str, publication: str, *, patience_seconds: float) -> None:
        """Drop a slot and a publication of the exchange's own; fine where there is none.

        Raises SlotBusy while somebody reads the slot, after `patience_seconds`, and SourceUnreachable.
        """
        connection = self._connect(f"-c statement_timeout={_STATEMENT_MS} -c lock_timeout={_LOCK_MS}")
        deadline = time.monotonic() + patience_seconds
        try:
            while found := connection.execute(
                "select active from pg_replication_slots where slot_name = %s", (slot,)
            ).fetchone():
                if not found[0]:
                    connection.execute("select pg_drop_replication_slot(%s)", (slot,))
                elif time.monotonic() > deadline:
                    raise SlotBusy(f"slot {slot} of {self.database} is still read")
                else:
                    time.sleep(0.1)
            drop = sql.SQL("drop publication if exists {}").format(sql.Identifier(publication))
            connection.execute(drop)
        except psycopg.errors.ObjectInUse as error:
            raise SlotBusy(f"slot {slot} of {self.database} is still read") from error
        except psycopg.Error as error:
            raise _failure(self.database, error) from error
        finally:
            connection.close()


def source_of(system: store.InformationSystem, vault: Fernet) -> SourceDatabase:
    """The database of a registered information system; raises NoDatabase."""
    if (
        system.host is None or system.port is None or system.database is None or system.username is None
        or system.password is None
    ):  # fmt: skip
        raise NoDatabase(f"system {system.code} has no database")
    return SourceDatabase(
        host=system.host,
        port=system.port,
        database=system.database,
        username=system.username,
        password=vault.decrypt(system.password).decode(),
    )
