"""The table exchange into a department's database that speaks MySQL's protocol."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal

import pytest

from tests.road.databases import OwnMariadb
from tests.road.sync.test_table import COLUMNS, ROW, SEEN, fill, kill_worker, waits
from tests.road.town import Town, eventually


@pytest.fixture(scope="module")
def office(town: Town) -> Iterator[OwnMariadb]:
    one = OwnMariadb(town.exchange.home.secrets, "on_mysql")
    yield one
    one.remove()


def test_rows_arrive_typed_and_masked_and_go_again(town: Town, office: OwnMariadb) -> None:
    source = town.table(COLUMNS, rows=[("k0", *[None] * 7)])
    masks = {"born": {"kind": "date_to", "unit": "year"}}
    town.grant(source, list(COLUMNS), masks=masks, channels=["table"], table_target=office.target("people"))
    query = "select * from people order by id"
    eventually(lambda: office.rows(query), lambda rows: len(rows) == 1, "what was there")
    source.run(f"insert into {{t}} values ({', '.join(['%s'] * len(ROW))})", *ROW)
    _, row = eventually(lambda: office.rows(query), lambda rows: len(rows) == 2, "a new row")
    assert row.pop("tongshu_offset") > 0
    assert row == {
        "id": "k1", "name": "王小明\t\\N", "visits": 7, "paid": Decimal("-1234.50"), "share": 0.25, "active": 1,
        "born": "1890", "seen": SEEN.replace(tzinfo=None),
    }  # fmt: skip
    source.run("update {t} set visits = 8 where id = 'k1'")
    eventually(lambda: office.rows("select 1 from people where visits = 8"), lambda rows: len(rows) == 1, "a change")
    source.run("delete from {t} where id = 'k1'")
    eventually(lambda: office.rows(query), lambda rows: [row["id"] for row in rows] == ["k0"], "a delete")


def test_every_change_once_though_the_worker_is_killed(town: Town, office: OwnMariadb) -> None:
    source = town.table({"id": "text", "n": "bigint"})
    fill(source, "a", 1, 300)
    town.grant(source, ["id", "n"], channels=["table"], table_target=office.target("numbers"))
    query = "select id, n from numbers"
    eventually(lambda: office.rows(query), lambda rows: len(rows) == 300, "what was there")
    # a change that is applied twice, or in part, shows in what triggers saw
    office.run("create table seen (id varchar(191) collate utf8mb4_nopad_bin, n bigint)")
    for event in ("insert", "update"):
        told = "insert into seen values (new.id, new.n)"
        office.run(f"create trigger see_{event} after {event} on numbers for each row {told}")
    for turn in range(1, 4):
        fill(source, "a", 200 * turn, 200 * turn + 600)
        source.run(f"update {{t}} set n = n + {turn * 10_000} where starts_with(id, 'a')")
        if turn == 2:
            kill_worker(town)
    wanted = {row[0]: row[1] for row in source.connection.execute(f"select id, n from {source.name}".encode())}
    eventually(lambda: {row["id"]: row["n"] for row in office.rows(query)}, lambda rows: rows == wanted, "all rows", 60)
    assert office.rows("select id, n from seen group by id, n having count(*) > 1") == []


def test_what_the_database_cannot_hold_waits_in_words_and_is_not_lost(town: Town, office: OwnMariadb) -> None:
    source = town.table({"id": "text", "day": "date", "at": "timestamptz"})
    grant = town.grant(source, ["id", "day", "at"], channels=["table"], table_target=office.target("narrow"))
    source.run(
        "insert into {t} values ('k1', %s, %s)", date(2026, 2, 28), datetime(2026, 2, 28, 23, 59, 59, 1, SEEN.tzinfo)
    )
    query = "select id from narrow order by id"
    eventually(lambda: office.rows(query), lambda rows: len(rows) == 1, "a row")
    source.run(f"insert into {{t}} values ('{'long' * 60}', null, null)")
    why = eventually(lambda: waits(town, grant), lambda why: why != "", "the reason")
    assert "longer than its column" in why and "long" * 60 not in why
    office.run("alter table narrow modify id varchar(500) collate utf8mb4_nopad_bin")
    eventually(lambda: office.rows(query), lambda rows: len(rows) == 2, "the row that waited")
    office.run("alter table narrow modify day datetime")
    # columns are looked at when a worker begins, and after anything that was refused
    kill_worker(town)
    source.run("insert into {t} values ('k2', null, null)")
    why = eventually(lambda: waits(town, grant), lambda why: "must be" in why, "word of a column of another type")
    assert "'day' is of type datetime, and must be date" in why
