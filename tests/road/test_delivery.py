"""What a department gets of a change at the source: cut, masked and filtered to its grant, in order, and no more."""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from confluent_kafka import KafkaError

from services.core.masks import pseudonym
from services.sync.projection.plan import grant_secret
from tests.road.town import OWNER, Table, Town, eventually

COLUMNS = {
    "id": "text",
    "name": "text",
    "region": "text",
    "visits": "bigint",
    "paid": "numeric(18,2)",
    "share": "double precision",
    "active": "boolean",
    "born": "date",
    "seen": "timestamptz",
    "secret": "text",
}
SEEN = datetime(2026, 11, 24, 8, 30, 0, 123456, tzinfo=UTC)
ROW = ("k1", "王小明", "320612", 7, Decimal("1234.50"), 0.25, True, date(1990, 5, 17), SEEN, "@hidden-1@")


@pytest.fixture(scope="module")
def table(town: Town) -> Table:
    """A table of every item type, empty before each of its tests."""
    return town.table(COLUMNS)


def insert(table: Table, row: tuple[Any, ...]) -> None:
    table.run(f"insert into {{t}} values ({', '.join(['%s'] * len(row))})", *row)


def test_a_change_arrives_typed_masked_and_cut(town: Town, table: Table) -> None:
    items = ["id", "name", "visits", "paid", "share", "active", "born", "seen"]
    grant = town.live_grant(table, items, masks={"name": {"kind": "keep", "first": 1}})
    reader = town.reader(grant)
    before = datetime.now(UTC)
    insert(table, ROW)
    (record,) = reader.await_records(1)
    assert record.key == {"id": "k1"}
    assert record.value is not None
    assert record.value["row"] == {
        "id": "k1", "name": "王**", "visits": 7, "paid": Decimal("1234.50"), "share": 0.25, "active": True,
        "born": date(1990, 5, 17), "seen": SEEN,
    }  # fmt: skip
    assert (record.op, record.value["grant"], record.value["contract_version"]) == ("c", grant["id"], "1.0.0")
    assert before - timedelta(seconds=1) <= record.value["source"]["committed_at"] <= datetime.now(UTC)
    assert record.value["source"]["system"] == OWNER.database


def test_a_change_of_what_is_not_granted_is_not_told(town: Town, table: Table) -> None:
    reader = town.reader(town.live_grant(table, ["id", "visits"]))
    insert(table, ("quiet", *ROW[1:]))
    table.run("update {t} set secret = 'other', name = 'other' where id = 'quiet'")
    table.run("update {t} set visits = 8 where id = 'quiet'")
    eventually(
        lambda: (reader.poll(), reader.state().get("quiet"))[1], lambda row: row == {"id": "quiet", "visits": 8}, "row"
    )
    assert [record.op for record in reader.records if record.key == {"id": "quiet"}] == ["c", "u"]


def test_rows_enter_and_leave_a_filter_and_keys_change(town: Town) -> None:
    table = town.table({"id": "text", "region": "text", "note": "text"})
    reader = town.reader(town.live_grant(table, ["id", "region"], row_filter='region starts with "3206"'))
    insert(table, ("a", "110105", "outside"))
    table.run("update {t} set region = '320612' where id = 'a'")  # enters
    table.run("update {t} set region = '320602' where id = 'a'")  # stays
    table.run("update {t} set id = 'b' where id = 'a'")  # another key
    table.run("update {t} set region = '110105' where id = 'b'")  # leaves
    insert(table, ("c", "320612", "inside"))
    table.run("delete from {t} where id = 'c'")
    records = reader.await_records(10)
    # a changed key may lie in another partition of the change topic: the order holds for each key
    told = {key: [record.op for record in records if record.key["id"] == key] for key in "abc"}
    assert told == {"a": ["c", "u", "d", "tombstone"], "b": ["c", "d", "tombstone"], "c": ["c", "d", "tombstone"]}
    assert reader.state() == {}


def test_a_large_value_that_an_update_did_not_touch_is_delivered_whole(town: Town) -> None:
    table = town.table({"id": "text", "visits": "bigint", "note": "text"})
    table.run("alter table {t} alter column note set storage external")
    reader = town.reader(town.live_grant(table, ["id", "visits", "note"]))
    large = "大" * 20_000
    insert(table, ("k", 1, large))
    table.run("update {t} set visits = 2 where id = 'k'")
    last = reader.await_records(2)[-1]
    assert last.row == {"id": "k", "visits": 2, "note": large}


def test_a_key_that_is_not_granted_is_a_stable_pseudonym(town: Town, table: Table) -> None:
    grants = [town.live_grant(table, ["visits"], department) for department in ("civil_affairs", "medical_insurance")]
    readers = [town.reader(grant) for grant in grants]
    insert(table, ("hidden-key", *ROW[1:]))
    table.run("update {t} set visits = 70 where id = 'hidden-key'")
    master = bytes.fromhex(town.exchange.home.secret("pseudonym_key"))
    keys = []
    for grant, reader in zip(grants, readers, strict=True):
        key = pseudonym("hidden-key", grant_secret(master, grant["id"]))
        eventually(lambda: (reader.poll(), reader.state())[1].get(key), lambda row: row == {"visits": 70}, "pseudonym")  # noqa: B023
        assert b"hidden-key" not in b"".join(record.raw for record in reader.records)
        keys.append(key)
    assert keys[0] != keys[1], "two departments could join by it"


def test_no_byte_of_what_is_not_granted_can_be_read(town: Town, table: Table) -> None:
    grant = town.grant(table, ["id", "visits"], row_filter='region = "320612"')
    reader = town.reader(grant)
    insert(table, ("leak-1", "@name-hidden@", "320612", 1, *ROW[4:9], "@secret-hidden@"))
    insert(table, ("leak-2@outside@", "@name-hidden@", "110105", 2, *ROW[4:9], "@secret-hidden@"))
    table.run("update {t} set name = '@name-hidden-2@', visits = 3 where id = 'leak-1'")
    table.run("delete from {t} where id = 'leak-2@outside@'")
    eventually(
        lambda: (reader.poll(), reader.state())[1].get("leak-1"),
        lambda row: row == {"id": "leak-1", "visits": 3},
        "row",
    )
    everything = b"".join(record.raw for record in reader.records)
    for marker in (b"@name-hidden", b"@secret-hidden", b"@outside@", b"@hidden-1@", "王小明".encode()):
        assert marker not in everything
    for topic in (table.topic, f"quarantine.{table.code}", "catalog.resources", "sync.deliveries", "audit.log"):
        eyes = town.reader(grant, topic=topic)
        seen = eventually(lambda: (eyes.poll(), eyes.refusals)[1], bool, f"refusal of {topic}")  # noqa: B023
        assert seen[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        assert eyes.records == []
    neighbour = town.reader(grant, of="medical_insurance")
    seen = eventually(lambda: (neighbour.poll(), neighbour.refusals)[1], bool, "refusal of the neighbour")
    assert seen[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_new_grant_gets_what_exists_then_the_stream_without_a_gap_or_a_step_back(town: Town) -> None:
    rows = [(f"k{number}", 0, "x") for number in range(2_000)]
    table = town.table({"id": "text", "version": "bigint", "note": "text"}, rows=rows)
    versions = {f"k{number}": 0 for number in range(2_000)}
    stop = threading.Event()

    def write() -> None:
        place = 0
        while not stop.is_set():
            key = f"k{place * 7919 % 2_000}"
            versions[key] += 1
            table.run("update {t} set version = %s where id = %s", versions[key], key)
            place += 1
            time.sleep(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        time.sleep(1)
        reader = town.reader(town.grant(table, ["id", "version"]))
        eventually(lambda: (reader.poll(), reader.state())[1], lambda state: len(state) == 2_000, "what exists", 60)
        time.sleep(1)
    finally:
        stop.set()
        writer.join()
    reader.await_state({key: {"id": key, "version": version} for key, version in versions.items()})
    last: dict[str, int] = {}
    for record in sorted(reader.records, key=lambda record: (record.partition, record.offset)):
        assert record.row is not None
        key, version = record.row["id"], record.row["version"]
        assert version > last.get(key, -1), f"{key} came twice or went backwards: {version} after {last[key]}"
        last[key] = version


def test_a_revoked_grant_reads_nothing_after_two_seconds(town: Town, table: Table) -> None:
    grant = town.grant(table, ["id", "visits"])
    reader = town.reader(grant)
    insert(table, ("before", *ROW[1:]))
    eventually(lambda: (reader.poll(), reader.state())[1], lambda state: "before" in state, "what came before")
    town.exchange.ask("DELETE", "demand", f"/grants/{grant['id']}")
    refused = eventually(lambda: (reader.poll(0.02), reader.refusals)[1], bool, "the broker's refusal", seconds=2)
    assert refused[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    end = town.end_offset(grant["topic"])
    other = town.reader(town.grant(table, ["id"]))
    insert(table, ("after", *ROW[1:]))
    eventually(lambda: (other.poll(), other.state())[1], lambda state: "after" in state, "another grant's delivery")
    assert town.end_offset(grant["topic"]) == end
    assert town.exchange.ask("GET", "demand", f"/grants/{grant['id']}")["state"] == "revoked"


@pytest.mark.parametrize(
    ("state", "path", "step"),
    [
        ("revoked", "/resources/{code}/steps", {"action": "withdraw", "reason": "系统下线"}),
        ("reopened", "/resources/{code}/grade", {"grade": "important", "reason": "汇聚后影响面扩大"}),
    ],
)
def test_what_a_grant_stands_on_may_end(town: Town, state: str, path: str, step: dict[str, str]) -> None:
    terms = {"sharing_type": "conditional", "sharing_conditions": "按职责使用"}
    table = town.table({"id": "text", "visits": "bigint"}, rows=[("first", 1)], **terms)
    grant = town.grant(table, ["id", "visits"])
    reader = town.reader(grant)
    reader.await_state({"first": {"id": "first", "visits": 1}})
    town.exchange.ask("POST", "catalog", path.format(code=table.code), step)
    refused = eventually(lambda: (reader.poll(0.02), reader.refusals)[1], bool, "the broker's refusal", seconds=5)
    assert refused[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    eventually(
        lambda: town.exchange.ask("GET", "demand", f"/grants/{grant['id']}")["state"], lambda now: now == state, state
    )


def test_a_grant_whose_time_is_over_reads_nothing(town: Town, table: Table) -> None:
    end = datetime.now(UTC) + timedelta(seconds=4)
    grant = town.grant(table, ["id", "visits"], valid_to=end.isoformat())
    reader = town.reader(grant)
    insert(table, ("in time", *ROW[1:]))
    eventually(lambda: (reader.poll(), reader.state())[1], lambda state: "in time" in state, "what came in time")
    eventually(lambda: (reader.poll(0.02), reader.refusals)[1], bool, "the broker's refusal", seconds=7)
    assert datetime.now(UTC) >= end
    assert town.exchange.ask("GET", "demand", f"/grants/{grant['id']}")["state"] == "expired"


def test_delivery_under_a_grant_begins_and_ends_at_its_times(town: Town, table: Table) -> None:
    now = datetime.now(UTC)
    begin, end = now + timedelta(seconds=3), now + timedelta(seconds=7)
    grant = town.grant(table, ["id"], valid_from=begin.isoformat(), valid_to=end.isoformat())
    insert(table, ("early", *ROW[1:]))
    time.sleep(max(0.0, (begin - datetime.now(UTC)).total_seconds() - 0.5))
    assert town.end_offset(grant["topic"]) == 0
    eventually(lambda: town.end_offset(grant["topic"]), lambda offset: offset > 0, "what existed", seconds=3)
    time.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds() + 0.5))
    final = town.end_offset(grant["topic"])
    other = town.reader(town.grant(table, ["id"]))
    insert(table, ("late", *ROW[1:]))
    eventually(lambda: (other.poll(), other.state())[1], lambda state: "late" in state, "another grant's delivery")
    assert town.end_offset(grant["topic"]) == final


def test_a_source_that_is_away_for_a_while_misses_nothing(town: Town) -> None:
    table = town.table({"id": "text", "visits": "bigint"})
    reader = town.reader(town.live_grant(table, ["id", "visits"]))
    insert(table, ("k", 1))
    reader.await_records(1)
    with town.server.connect_admin() as admin:
        admin.execute("select pg_terminate_backend(active_pid) from pg_replication_slots where active_pid is not null")
    table.run("update {t} set visits = 2 where id = 'k'")
    reader.await_state({"k": {"id": "k", "visits": 2}}, seconds=60)
    assert [record.op for record in reader.records] == ["c", "u"]


def test_a_row_may_be_changed_many_times_in_one_transaction(town: Town) -> None:
    table = town.table({"id": "text", "visits": "bigint"})
    reader = town.reader(town.live_grant(table, ["id", "visits"]))
    with psycopg.Connection.transaction(table.connection):
        insert(table, ("k", 0))
        for visits in range(1, 6):
            table.run("update {t} set visits = %s where id = 'k'", visits)
        table.run("delete from {t} where id = 'k'")
    records = reader.await_records(8)
    assert [record.op for record in records] == ["c", *["u"] * 5, "d", "tombstone"]
    assert [record.row["visits"] for record in records if record.row] == [0, 1, 2, 3, 4, 5]
