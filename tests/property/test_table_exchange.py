"""The table exchange against a plain model, on a real Postgres: whatever happens in between, the table is the model."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import fastavro
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.rows import dict_row

from infra.embedded.scratch import scratch_postgres
from services.core.avro import NotAvro
from services.sync.sink import Moved, Placed, Refused
from services.sync.table.copying import NULL, compile_key, compile_value, numeric
from services.sync.table.layout import layout, row_schema
from services.sync.table.postgres import Database
from services.sync.table.receipts import Receipt
from tests.property.share_topic import ITEMS, KEY, Ids, Topic, at_micros, keys, rows, value_schema


class RefusedByCheck(Exception):
    """The table's own constraint said no."""


class Told:
    """Receipts, kept."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []

    def tell(self, receipt: Receipt) -> None:
        self.receipts.append(receipt)

    def wait(self) -> None:
        """All is told."""


class Bench:
    """A grant whose topic goes into a table, driven as the sink drives a store."""

    def __init__(self, dsn: str) -> None:
        self.dsn, self.topic, self.told = dsn, Topic(), Told()
        self.table = f"t{uuid.uuid4().hex[:10]}"
        self.grant = {
            "id": uuid.uuid4().hex[:12], "thread": "t", "resource": "r", "department": "d", "topic": "share.d.g",
            "items": [{"name": name, "mask": None} for name in ITEMS],
            "table_target": {"dsn_secret": "d_dsn", "schema": "public", "table": self.table},
        }  # fmt: skip
        self.admin = psycopg.connect(dsn, autocommit=True)
        self.shown: dict[str, int] = {}
        self.fill = 0
        self.restart()

    def restart(self) -> None:
        self.store = Database("d_dsn", self.dsn, self.topic.registry, self.told, timedelta(days=7))  # type: ignore[arg-type]
        self.placed: Placed | None = None

    def run(self, statement: str) -> None:
        try:
            self.admin.execute(sql.SQL(statement).format(sql.Identifier(self.table)))  # type: ignore[arg-type]
        except psycopg.errors.UndefinedTable:
            return
        except psycopg.errors.UndefinedColumn:
            return

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
            if "23514" in str(refused):
                raise RefusedByCheck from refused
            assert "gone" in str(refused)  # what the table lacks is mended at the next place
        return False

    def require_forward(self) -> None:
        """No row shows an older record than it did, but where the topic itself has begun anew."""
        if self.fill != self.grant.get("fill", 0):
            self.shown = {}
            self.fill = self.grant.get("fill", 0) if self.placed is not None else self.fill
            return
        query = sql.SQL("select id, greatest(tongshu_offset, -tongshu_offset - 1) from {}")
        try:
            now = dict(self.admin.execute(query.format(sql.Identifier(self.table))).fetchall())
        except psycopg.errors.UndefinedTable:
            now = {}
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
        with self.admin.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute(sql.SQL("select * from {}").format(sql.Identifier(self.table))).fetchall()
        return {row["id"]: {name: row.get(name) for name in self.topic.items} for row in found}


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with scratch_postgres("department", max_connections="500") as engine:
        yield engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


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


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
@example([*GONE, ("away",)])
@example([*GONE, ("refill",)])
@example([*GONE, ("apply", 9, False), ("column",), ("put", "丙", NOTHING), ("apply", 1, True), ("restart",)])
@example([("put", "甲", {**NOTHING, "age": age}) for age in range(9)] + [("apply", 9, False), ("column",)])
@example([("put", "甲", {**NOTHING, "name": "a"}), ("apply", 9, False), ("column",), ("compact",)])
def test_the_table_is_what_the_topic_says_whatever_happens_in_between(dsn: str, script: list[tuple[Any, ...]]) -> None:
    bench = Bench(dsn)
    topic = bench.topic
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
                    bench.run("alter table {} drop column name")
                case ("dropped",):
                    bench.run("drop table {}")
                case ("refused",):
                    bench.run("alter table {} add constraint no check (false) not valid")
                    with contextlib.suppress(RefusedByCheck):
                        bench.apply(3)
                    bench.run("alter table {} drop constraint if exists no")
                case ("compact",):
                    topic.compact(bench.placed.next[0] if bench.placed else 0)
                case ("gains",):
                    topic.items = list(ITEMS)
                case ("refill",):
                    refill(bench)
                case ("away",):
                    # longer than tombstones are kept: they are gone before the table has seen them
                    topic.compact(topic.end)
                    seen = "update tongshu_offsets set seen = now() - interval '8 days' where table_name"
                    bench.run(f"{seen} = '{bench.table}'")
                    bench.placed = None
            bench.require_forward()
        bench.finish()
        if topic.records:
            # what the grant gains later is null in rows from before
            wanted = {key: {name: row.get(name) for name in topic.items} for key, row in topic.state.items()}
            assert bench.held() == wanted
    finally:
        bench.store.close()
        bench.admin.close()


def refill(bench: Bench) -> None:
    """The topic is lost, and filled anew with what there is: offsets begin again, deletes never come."""
    state = dict(bench.topic.state)
    bench.topic.records.clear()
    bench.topic.end = 0
    for key, row in state.items():
        bench.topic.produce(key, "r", dict.fromkeys(ITEMS) | row)
    bench.grant = {**bench.grant, "fill": bench.grant.get("fill", 0) + 1}
    bench.placed = None


@given(st.decimals(-(10**30), 10**30, places=4, allow_nan=False))
def test_a_decimal_is_the_same_number_in_postgres_s_form(value: Decimal) -> None:
    unscaled = int(value.scaleb(4).to_integral_value())
    size = max(1, (unscaled.bit_length() + 8) // 8)
    field = numeric(unscaled.to_bytes(size, "big", signed=True), 4)
    dumped = psycopg.adapt.PyFormat.BINARY
    with_psycopg = psycopg.adapters.get_dumper(Decimal, dumped)(Decimal, None).dump(Decimal(unscaled).scaleb(-4))
    assert bytes(with_psycopg or b"")[:6] == field[4:10] and bytes(with_psycopg or b"")[8:] == field[12:]


@given(rows, st.sampled_from(["c", "u", "r"]), st.integers(0, 2**50))
def test_a_record_that_is_cut_or_too_long_is_never_taken_for_one(row: dict[str, Any], op: str, at: int) -> None:
    items = list(ITEMS)
    schema, grant = value_schema(items), {"items": [{"name": name, "mask": None} for name in items]}
    shape = layout(KEY, row_schema(schema), grant)
    registry = Ids()
    change = {
        "op": op,
        "row": {"id": "甲", **row},
        "source": {"system": "s", "position": "0", "committed_at": at_micros(at)},
        "grant": "g",
        "contract_version": "1",
    }  # fmt: skip
    data = registry.encode(registry.keep(schema), change)
    read = compile_value(schema, shape)
    assert read(data)[0] == op.encode() and read(data)[2] == at
    for wrong in (data[:-1], data + b"\x00"):
        with pytest.raises(NotAvro):
            read(wrong)
    with pytest.raises(NotAvro):
        compile_key(KEY, shape)(registry.encode(registry.keep(KEY), {"id": "甲"})[:-1])


def test_nothing_is_null_but_what_is_missing() -> None:
    schema = value_schema(["id", "name"])
    shape = layout(KEY, row_schema(schema), {"items": [{"name": "id", "mask": None}, {"name": "name", "mask": None}]})
    registry = Ids()
    change: dict[str, Any] = {
        "op": "c", "row": {"id": "甲", "name": None}, "grant": "g", "contract_version": "1",
        "source": {"system": "s", "position": "0", "committed_at": datetime(2026, 1, 1, tzinfo=UTC)},
    }  # fmt: skip
    encoded = registry.encode(registry.keep(schema), change)
    assert fastavro.parse_schema(schema) and compile_value(schema, shape)(encoded)[1] == NULL
