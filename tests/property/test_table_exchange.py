"""The table exchange against a plain model, on real databases: whatever happens in between, the table is the model."""

from __future__ import annotations

import contextlib
import math
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import fastavro
import psycopg
import pymysql
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from opentelemetry.trace import Span
from psycopg.rows import dict_row
from pymysql.cursors import DictCursor

from infra.embedded.scratch import scratch_postgres
from services.core.avro import NotAvro
from services.sync.sink import Moved, Placed, Refused
from services.sync.table import mysql, postgres
from services.sync.table.copying import COPY, NULL, field, numeric
from services.sync.table.database import Database
from services.sync.table.layout import Kind, Types, layout, row_schema
from services.sync.table.loading import LOAD
from services.sync.table.receipts import Receipt
from services.sync.table.walking import Form
from tests.mariadb import ScratchMariadb
from tests.property.share_topic import ITEMS, KEY, Ids, Topic, at_micros, keys, rows, value_schema


class RefusedByTable(Exception):
    """The table's own constraint or trigger said no."""


class OnPostgres:
    """A department's Postgres, as its owner sees it."""

    schema, store, refusal = "public", postgres.Postgres, "23514"

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._admin = psycopg.connect(dsn, autocommit=True, row_factory=dict_row)

    def run(self, statement: str) -> list[dict[str, Any]]:
        """Run it; where there is no such table or column, nothing is done."""
        try:
            done = self._admin.execute(statement.encode())
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            return []
        return done.fetchall() if done.description else []

    def refuse(self, table: str) -> None:
        self.run(f"alter table {table} add constraint no check (false) not valid")

    def allow(self, table: str) -> None:
        self.run(f"alter table {table} drop constraint if exists no")

    def close(self) -> None:
        self._admin.close()


class OnMariadb:
    """A department's MariaDB, as its owner sees it."""

    schema, store, refusal = "received", mysql.MySql, "1644"

    def __init__(self, server: ScratchMariadb) -> None:
        self.dsn = server.dsn
        self._admin = server.connect(database=self.schema, cursorclass=DictCursor)

    def run(self, statement: str) -> list[dict[str, Any]]:
        with self._admin.cursor() as cursor:
            try:
                cursor.execute(statement)
            except pymysql.Error as error:
                if error.args[0] not in (1051, 1054, 1091, 1146):
                    raise
                return []
            return [{name: _aware(value) for name, value in row.items()} for row in cursor.fetchall()]

    def refuse(self, table: str) -> None:
        for event in ("insert", "update", "delete"):
            no = "signal sqlstate '45000' set message_text = '甲'"
            self.run(f"create trigger no_{event}_{table} before {event} on {table} for each row {no}")

    def allow(self, table: str) -> None:
        for event in ("insert", "update", "delete"):
            self.run(f"drop trigger if exists no_{event}_{table}")

    def close(self) -> None:
        self._admin.close()


Server = OnPostgres | OnMariadb


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


class Told:
    """Receipts, kept."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []

    def tell(self, receipt: Receipt, traced: Sequence[Span] = ()) -> None:
        self.receipts.append(receipt)

    def wait(self) -> None:
        """All is told."""


class Bench:
    """A grant whose topic goes into a table, driven as the sink drives a store."""

    def __init__(self, server: Server) -> None:
        self.server, self.topic, self.told = server, Topic(), Told()
        self.table = f"t{uuid.uuid4().hex[:10]}"
        self.grant = {
            "id": uuid.uuid4().hex[:12], "thread": "t", "resource": "r", "department": "d", "topic": "share.d.g",
            "items": [{"name": name, "mask": None} for name in ITEMS],
            "table_target": {"dsn_secret": "d_dsn", "schema": server.schema, "table": self.table},
        }  # fmt: skip
        self.shown: dict[str, int] = {}
        self.fill = 0
        self.restart()

    def restart(self) -> None:
        made: Any = self.server.store
        self.store: Database = made("d_dsn", self.server.dsn, self.topic.registry, self.told, timedelta(days=7))
        self.placed: Placed | None = None

    def apply(self, most: int, *, twice: bool = False) -> bool:
        """One batch of at most `most` records; whether it is at the end."""
        try:
            if self.placed is None:
                self.placed = Placed(self.grant, self.store.place(self.grant, [0]), {})
            batch = [record for record in self.topic.records if record.at >= self.placed.next[0]][:most]
            if not batch:
                self.store.reached_end(self.placed, 0, self.topic.end)
                return True
            writes = self.store.prepare(self.placed, 0, batch)  # type: ignore[arg-type]
            self.placed.next[0] = batch[-1].at + 1
            for write in writes:
                write()
            if twice:
                with pytest.raises(Moved):
                    writes[-1]()
                self.placed = None
        except Moved:
            self.placed = None
        except Refused as refused:
            self.placed = None
            assert "甲" not in str(refused)
            if self.server.refusal in str(refused):
                raise RefusedByTable from refused
            assert "gone" in str(refused)  # what the table lacks is mended at the next place
        return False

    def require_forward(self) -> None:
        """No row shows an older record than it did, but where the topic itself has begun anew."""
        if self.fill != self.grant.get("fill", 0):
            self.shown = {}
            self.fill = self.grant.get("fill", 0) if self.placed is not None else self.fill
            return
        query = f"select id, greatest(tongshu_offset, -tongshu_offset - 1) as at from {self.table}"
        now = {row["id"]: row["at"] for row in self.server.run(query)}
        assert all(now[key] >= offset for key, offset in self.shown.items() if key in now)
        self.shown = now

    def finish(self) -> None:
        self.placed = None
        for _ in range(200):
            self.require_forward()
            if self.apply(7):
                return
        raise AssertionError("the end is never reached")

    def held(self) -> dict[str, dict[str, Any]]:
        """The rows by key; a column that no record has brought yet shows nothing."""
        found = self.server.run(f"select * from {self.table}")
        return {row["id"]: {name: row.get(name) for name in self.topic.items} for row in found}


@pytest.fixture(scope="module")
def on_postgres() -> Iterator[OnPostgres]:
    with scratch_postgres("department", max_connections="500") as engine:
        server = OnPostgres(engine.url.set(drivername="postgresql").render_as_string(hide_password=False))
        yield server
        server.close()


@pytest.fixture(scope="module")
def on_mariadb() -> Iterator[OnMariadb]:
    scratch = ScratchMariadb(OnMariadb.schema)
    try:
        scratch.start()
        server = OnMariadb(scratch)
        yield server
        server.close()
    finally:
        scratch.remove()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), keys, rows),
        st.tuples(st.just("put"), keys, rows),
        st.tuples(st.just("delete"), keys),
        st.tuples(st.just("rekey"), keys, keys),
        st.tuples(st.just("apply"), st.integers(1, 9), st.booleans()),
        st.tuples(st.just("apply"), st.integers(1, 9), st.booleans()),
        st.tuples(st.sampled_from(["restart", "column", "dropped", "refused", "compact", "gains", "refill", "away"])),
    ),
    max_size=30,
)


NOTHING: dict[str, Any] = {name: None for name in ITEMS if name != "id"}
GONE = [("put", "甲", NOTHING), ("put", "乙", NOTHING), ("apply", 9, False), ("delete", "甲")]


def holds_in_mysql(script: list[tuple[Any, ...]]) -> bool:
    """Whether MySQL can hold all numbers: it knows no infinity."""
    return not any(step[0] == "put" and math.isinf(step[2]["rate"] or 0) for step in script)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
@example([*GONE, ("away",)])
@example([*GONE, ("refill",)])
@example([*GONE, ("apply", 9, False), ("column",), ("put", "丙", NOTHING), ("apply", 1, True), ("restart",)])
@example([("put", "甲", {**NOTHING, "age": age}) for age in range(9)] + [("apply", 9, False), ("column",)])
@example([("put", "甲", {**NOTHING, "name": "a"}), ("apply", 9, False), ("column",), ("compact",)])
def test_the_table_is_what_the_topic_says_whatever_happens_in_between(
    on_postgres: OnPostgres, script: list[tuple[Any, ...]]
) -> None:
    follow(script, Bench(on_postgres))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps.filter(holds_in_mysql))
@example([*GONE, ("away",)])
@example([*GONE, ("refill",)])
@example([*GONE, ("apply", 9, False), ("column",), ("put", "丙", NOTHING), ("apply", 1, True), ("restart",)])
@example([("put", "甲", {**NOTHING, "name": name}) for name in ("a", "A", "a ", "á")] + [("apply", 1, False)] * 3)
def test_a_table_on_mysql_is_what_the_topic_says_too(on_mariadb: OnMariadb, script: list[tuple[Any, ...]]) -> None:
    follow(script, Bench(on_mariadb))


def follow(script: list[tuple[Any, ...]], bench: Bench) -> None:
    """Do what the script says; in the end the table is what the topic says."""
    topic, server = bench.topic, bench.server
    try:
        for step in script:
            match step:
                case "put", key, row:
                    topic.produce(key, "u" if key in topic.state else "c", row)
                case "delete", key if key in topic.state:
                    topic.produce(key, "d", None)
                case "rekey", old, new if old in topic.state and new not in topic.state:
                    row = dict.fromkeys(ITEMS) | topic.state[old]
                    topic.produce(old, "d", None)
                    topic.produce(new, "c", {name: value for name, value in row.items() if name != "id"})
                case "apply", most, twice:
                    bench.apply(most, twice=twice)
                case ("restart",):
                    bench.restart()
                case ("column",):
                    server.run(f"alter table {bench.table} drop column name")
                case ("dropped",):
                    server.run(f"drop table {bench.table}")
                case ("refused",):
                    server.refuse(bench.table)
                    with contextlib.suppress(RefusedByTable):
                        bench.apply(3)
                    server.allow(bench.table)
                case ("compact",):
                    topic.compact(bench.placed.next[0] if bench.placed else 0)
                case ("gains",):
                    topic.items = list(ITEMS)
                case ("refill",):
                    refill(bench)
                case ("away",):
                    # longer than tombstones are kept: they are gone before the table has seen them
                    topic.compact(topic.end)
                    seen = "update tongshu_offsets set seen = now() - interval '8' day where table_name"
                    server.run(f"{seen} = '{bench.table}'")
                    bench.placed = None
            bench.require_forward()
        bench.finish()
        if topic.records:
            # what the grant gains later is null in rows from before
            wanted = {key: {name: row.get(name) for name in topic.items} for key, row in topic.state.items()}
            assert bench.held() == wanted
    finally:
        bench.store.close()


def refill(bench: Bench) -> None:
    """The topic is lost, and filled anew with what there is: offsets begin again, deletes never come."""
    state = dict(bench.topic.state)
    bench.topic.records.clear()
    bench.topic.end = 0
    for key, row in state.items():
        bench.topic.produce(key, "r", dict.fromkeys(ITEMS) | row)
    bench.grant = {**bench.grant, "fill": bench.grant.get("fill", 0) + 1}
    bench.placed = None


@given(rows)
def test_a_value_read_from_any_table_is_written_as_postgres_would_copy_it(row: dict[str, Any]) -> None:
    kinds = {
        "name": Kind("string"), "age": Kind("long"), "paid": Kind("decimal", 18, 2), "rate": Kind("double"),
        "alive": Kind("boolean"), "born": Kind("date"), "seen": Kind("timestamp"),
    }  # fmt: skip
    schema = value_schema(list(ITEMS))
    shape = layout(KEY, row_schema(schema), {"items": [{"name": "id", "mask": None}]}, postgres.type_of)
    registry = Ids()
    change = {
        "op": "c", "row": {"id": "甲", **row}, "grant": "g", "contract_version": "1",
        "source": {"system": "s", "position": "0", "committed_at": at_micros(0)},
    }  # fmt: skip
    _, copied, _ = COPY.compile_value(schema, shape)(registry.encode(registry.keep(schema), change))
    assert copied == b"".join(field(kinds[column.name], row[column.name]) for column in shape.others)


@given(st.decimals(-(10**30), 10**30, places=4, allow_nan=False))
def test_a_decimal_is_the_same_number_in_postgres_s_form(value: Decimal) -> None:
    unscaled = int(value.scaleb(4).to_integral_value())
    size = max(1, (unscaled.bit_length() + 8) // 8)
    field = numeric(unscaled.to_bytes(size, "big", signed=True), 4)
    dumped = psycopg.adapt.PyFormat.BINARY
    with_psycopg = psycopg.adapters.get_dumper(Decimal, dumped)(Decimal, None).dump(Decimal(unscaled).scaleb(-4))
    assert bytes(with_psycopg or b"")[:6] == field[4:10] and bytes(with_psycopg or b"")[8:] == field[12:]


FORMS: dict[str, tuple[Form, Types]] = {
    "COPY": (COPY, postgres.type_of),
    "LOAD DATA": (LOAD, lambda kind: mysql.type_of(kind, "utf8mb4_nopad_bin")),
}


@pytest.mark.parametrize("name", FORMS)
@given(row=rows, op=st.sampled_from(["c", "u", "r"]), at=st.integers(0, 2**50))
def test_a_record_that_is_cut_or_too_long_is_never_taken_for_one(
    name: str, row: dict[str, Any], op: str, at: int
) -> None:
    form, types = FORMS[name]
    items = list(ITEMS)
    schema, grant = value_schema(items), {"items": [{"name": name, "mask": None} for name in items]}
    shape = layout(KEY, row_schema(schema), grant, types)
    registry = Ids()
    change = {
        "op": op,
        "row": {"id": "甲", **row},
        "source": {"system": "s", "position": "0", "committed_at": at_micros(at)},
        "grant": "g",
        "contract_version": "1",
    }  # fmt: skip
    data = registry.encode(registry.keep(schema), change)
    read = form.compile_value(schema, shape)
    assert read(data)[0] == op.encode() and read(data)[2] == at
    for wrong in (data[:-1], data + b"\x00"):
        with pytest.raises(NotAvro):
            read(wrong)
    with pytest.raises(NotAvro):
        form.compile_key(KEY, shape)(registry.encode(registry.keep(KEY), {"id": "甲"})[:-1])


def test_nothing_is_null_but_what_is_missing() -> None:
    schema = value_schema(["id", "name"])
    grant = {"items": [{"name": "id", "mask": None}, {"name": "name", "mask": None}]}
    shape = layout(KEY, row_schema(schema), grant, postgres.type_of)
    registry = Ids()
    change: dict[str, Any] = {
        "op": "c", "row": {"id": "甲", "name": None}, "grant": "g", "contract_version": "1",
        "source": {"system": "s", "position": "0", "committed_at": datetime(2026, 1, 1, tzinfo=UTC)},
    }  # fmt: skip
    encoded = registry.encode(registry.keep(schema), change)
    assert fastavro.parse_schema(schema) and COPY.compile_value(schema, shape)(encoded)[1] == NULL
