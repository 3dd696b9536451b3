"""The table exchange on a department's real database: every row there once, whatever is killed, stopped or altered."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from cli.exchange import Refused
from infra.embedded.supervisor import read_status
from services.core.masks import pseudonym
from services.sync.projection.plan import grant_secret
from tests.road.databases import OwnDatabase
from tests.road.town import Table, Town, eventually

COLUMNS = {
    "id": "text", "name": "text", "visits": "bigint", "paid": "numeric(18,2)", "share": "double precision",
    "active": "boolean", "born": "date", "seen": "timestamptz",
}  # fmt: skip
AWAY = "the worker is away"
SEEN = datetime(2026, 11, 24, 8, 30, 0, 123456, tzinfo=UTC)
ROW = ("k1", "王小明\t\\N", 7, Decimal("-1234.50"), 0.25, True, date(1890, 5, 17), SEEN)


@pytest.fixture(scope="module")
def office(town: Town) -> Iterator[OwnDatabase]:
    one = OwnDatabase(town.exchange.home.secrets, "office")
    yield one
    one.remove()


@pytest.fixture(scope="module")
def source(town: Town) -> Table:
    """A table of numbers, which each test fills with rows of its own."""
    return town.table({"id": "text", "n": "bigint"})


def fill(source: Table, prefix: str, first: int, last: int) -> None:
    numbers = f"generate_series({first}, {last}) n"
    source.run(
        f"insert into {{t}} select '{prefix}' || n, n from {numbers} on conflict (id) do update set n = excluded.n"
    )


def granted(town: Town, source: Table, office: OwnDatabase, name: str, **more: Any) -> dict[str, Any]:
    return town.grant(source, ["id", "n"], channels=["table"], table_target=office.target(name), **more)


def waits(town: Town, grant: dict[str, Any]) -> str:
    """Why a grant's table waits; empty when it does not."""
    try:
        told = town.exchange.ask("GET", "table", f"/tables/{grant['id']}")
    except Refused:
        return "not served"
    except httpx.TransportError:
        return AWAY
    return str(told["reason"] or "")


def worker(town: Town) -> dict[str, Any]:
    told = read_status(town.exchange.home) or {"parts": []}
    return next(part for part in told["parts"] if part["name"] == "table")


def kill_worker(town: Town) -> None:
    pid = worker(town)["pid"]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: worker(town), lambda part: part["pid"] not in (None, pid), "another worker")


def test_rows_arrive_typed_masked_and_keyed_and_go_again(town: Town, office: OwnDatabase) -> None:
    source = town.table(COLUMNS, rows=[("k0", *[None] * 7)])
    masks = {"id": {"kind": "keep", "last": 1}, "born": {"kind": "date_to", "unit": "year"}}
    grant = town.grant(source, list(COLUMNS), masks=masks, channels=["table"], table_target=office.target("people"))
    key = grant_secret(bytes.fromhex(town.exchange.home.secret("pseudonym_key")), grant["id"])
    query = "select * from people order by id"
    eventually(lambda: office.rows(query), lambda rows: len(rows) == 1, "what was there")
    source.run(f"insert into {{t}} values ({', '.join(['%s'] * len(ROW))})", *ROW)
    _, row = eventually(lambda: office.rows(query), lambda rows: len(rows) == 2, "a new row")
    assert row.pop("tongshu_offset") > 0
    assert row == {
        "tongshu_key_id": pseudonym("k1", key), "id": "*1", "name": "王小明\t\\N", "visits": 7,
        "paid": Decimal("-1234.50"), "share": 0.25, "active": True, "born": "1890", "seen": SEEN,
    }  # fmt: skip
    source.run("update {t} set visits = 8 where id = 'k1'")
    eventually(lambda: office.rows("select from people where visits = 8"), lambda rows: len(rows) == 1, "a change")
    source.run("delete from {t} where id = 'k1'")
    eventually(lambda: office.rows(query), lambda rows: [row["id"] for row in rows] == ["*0"], "a delete")
    receipts = [
        receipt
        for key_, value, _ in town.exchange.read_all("sync.receipts")
        if value is not None and (receipt := town.exchange.registry.decode(value)[1])["grant"] == grant["id"]
    ]
    assert [(one["written"], one["deleted"]) for one in receipts] == [(1, 0), (1, 0), (1, 0), (0, 1)]
    assert receipts[0]["latency_max_us"] == -1
    assert all(0 < one["latency_min_us"] <= one["latency_max_us"] < 30_000_000 for one in receipts[1:])
    assert receipts[-1]["last"] < town.exchange.ask("GET", "table", f"/tables/{grant['id']}")["written"]["0"]


def test_every_change_once_though_the_worker_is_killed_and_the_database_stopped(
    town: Town, source: Table, office: OwnDatabase
) -> None:
    fill(source, "a", 1, 300)
    grant = granted(town, source, office, "numbers")
    beside = granted(town, source, office, "numbers_beside")
    query = "select count(*)::int as n from numbers where id like 'a%'"
    eventually(lambda: office.rows(query), lambda rows: rows == [{"n": 300}], "what was there")
    # a change that is applied twice, or in part, shows in what a trigger saw
    office.run("create table seen (id text, n bigint)")
    office.run(
        "create function see() returns trigger language plpgsql as"
        " $$begin insert into seen values (new.id, new.n); return new; end$$"
    )
    office.run("create trigger see after insert or update on numbers for each row execute function see()")
    for turn in range(1, 5):
        fill(source, "a", 200 * turn, 200 * turn + 600)
        source.run(f"update {{t}} set n = n + {turn * 10_000} where starts_with(id, 'a')")
        if turn == 3:
            office.stop()
            eventually(lambda: waits(town, grant), lambda why: why not in ("", AWAY), "word that the database is down")
            office.start()
        else:
            kill_worker(town)
    wanted = {row[0]: row[1] for row in source.connection.execute(f"select id, n from {source.name}".encode())}

    def held(table: str) -> dict[str, int]:
        return {row["id"]: row["n"] for row in office.rows(f"select id, n from {table}")}

    eventually(lambda: held("numbers"), lambda rows: rows == wanted, "all rows", 60)
    eventually(lambda: held("numbers_beside"), lambda rows: rows == wanted, "all rows of the other grant", 60)
    assert office.rows("select id, n from seen group by id, n having count(*) > 1") == []
    assert waits(town, grant) == waits(town, beside) == ""


def test_a_database_that_is_down_holds_up_nobody_else(town: Town, source: Table, office: OwnDatabase) -> None:
    other = OwnDatabase(town.exchange.home.secrets, "other_office")
    try:
        granted(town, source, other, "there")
        grant = granted(town, source, office, "here")
        eventually(lambda: other.rows("select from there"), lambda rows: len(rows) > 0, "what was there")
        other.stop()
        fill(source, "down", 1, 5)
        query = "select from here where id like 'down%'"
        eventually(lambda: office.rows(query), lambda rows: len(rows) == 5, "rows beside a database that is down", 5)
        assert waits(town, grant) == ""
        other.start()
        query = "select from there where id like 'down%'"
        eventually(lambda: other.rows(query), lambda rows: len(rows) == 5, "rows once it is there again")
    finally:
        other.remove()


def test_what_is_dropped_by_hand_is_filled_anew(town: Town, source: Table, office: OwnDatabase) -> None:
    fill(source, "drop", 1, 10)
    grant = granted(town, source, office, "dropped")
    query = "select id from dropped where id like 'drop%' and n is not null"
    eventually(lambda: office.rows(query), lambda rows: len(rows) == 10, "what was there")
    office.run("alter table dropped drop column n")
    fill(source, "drop", 11, 11)
    eventually(lambda: office.rows(query), lambda rows: len(rows) == 11, "the column and what it held")
    office.run("drop table dropped")
    fill(source, "drop", 12, 12)
    eventually(lambda: office.rows(query), lambda rows: len(rows) == 12, "the table and what it held")
    office.run("alter table dropped alter column n type boolean using true")
    fill(source, "drop", 13, 13)
    eventually(
        lambda: waits(town, grant), lambda why: "'n' is of type boolean" in why, "word of a column of another type"
    )
    office.run("drop table dropped")
    eventually(lambda: office.rows(query), lambda rows: len(rows) == 13, "the row that waited, and all others")


def test_what_the_database_refuses_waits_and_is_not_lost(town: Town, source: Table, office: OwnDatabase) -> None:
    grant, beside = granted(town, source, office, "strict"), granted(town, source, office, "lenient")
    fill(source, "one", 1, 1)
    eventually(lambda: office.rows("select from strict"), lambda rows: len(rows) > 0, "a row")
    office.run("alter table strict add constraint few check (id not like 'poison%')")
    fill(source, "poison", 1, 3)
    eventually(lambda: waits(town, grant), lambda why: "23514" in why and "'few'" in why, "word of the constraint")
    assert "poison" not in waits(town, grant)
    fill(source, "after", 1, 3)
    query = "select from lenient where id like 'after%'"
    eventually(lambda: office.rows(query), lambda rows: len(rows) == 3, "rows of the grant beside it")
    assert waits(town, beside) == ""
    office.run("alter table strict drop constraint few")
    query = "select from strict where id like 'poison%' or id like 'after%'"
    eventually(lambda: office.rows(query), lambda rows: len(rows) == 6, "the rows that waited")
    office.run("create unique index one_n on strict (n) where id like 'unique%'")
    source.run("insert into {t} values ('unique1', 1), ('unique2', 1)")
    eventually(lambda: waits(town, grant), lambda why: "23505" in why, "word of the unique index")
    office.run("drop index one_n")
    query = "select from strict where id like 'unique%'"
    eventually(lambda: office.rows(query), lambda rows: len(rows) == 2, "both rows")


def test_a_full_disk_is_waited_for(town: Town, source: Table, office: OwnDatabase) -> None:
    grant = granted(town, source, office, "full")
    fill(source, "full", 1, 1)
    eventually(lambda: office.rows('select from "full"'), lambda rows: len(rows) > 0, "a row")
    office.run(
        "create function full() returns trigger language plpgsql as"
        " $$begin raise exception 'no space left on device' using errcode = '53100'; end$$"
    )
    office.run('create trigger no_space before insert on "full" for each row execute function full()')
    fill(source, "full", 2, 4)
    eventually(lambda: waits(town, grant), lambda why: "53100" in why, "word of the full disk")
    office.run('drop trigger no_space on "full"')
    query = "select from \"full\" where id like 'full%'"
    eventually(lambda: office.rows(query), lambda rows: len(rows) == 4, "the rows that waited")


def test_nothing_is_delivered_once_a_grant_is_revoked(town: Town, source: Table, office: OwnDatabase) -> None:
    grant = granted(town, source, office, "revoked")
    fill(source, "early", 1, 1)
    query = "select from revoked where id like 'early%'"
    eventually(lambda: office.rows(query), lambda rows: len(rows) == 1, "a row")
    town.exchange.ask("DELETE", "demand", f"/grants/{grant['id']}")
    eventually(lambda: waits(town, grant), lambda why: why == "not served", "the end", 2)
    control = granted(town, source, office, "control")
    fill(source, "late", 1, 1)
    eventually(lambda: office.rows("select from control where id like 'late%'"), lambda rows: len(rows) == 1, "a row")
    assert office.rows("select from revoked where id like 'late%'") == []
    assert waits(town, control) == ""


@pytest.mark.parametrize("secret", ["operator_token", "missing_dsn"])
def test_a_grant_reaches_no_secret_but_a_connection_string(town: Town, source: Table, secret: str) -> None:
    target = {"dsn_secret": secret, "schema": "public", "table": "any"}
    grant = town.grant(source, ["id"], channels=["table"], table_target=target)
    why = eventually(lambda: waits(town, grant), lambda why: why not in ("", AWAY, "not served"), "the reason")
    assert secret in why and town.exchange.home.secret("operator_token") not in why


def test_how_a_table_stands_is_its_department_s_and_the_operators_affair(
    town: Town, source: Table, office: OwnDatabase
) -> None:
    grant = granted(town, source, office, "permitted")
    url = f"{town.exchange.url('table')}/tables/{grant['id']}"
    cases = {
        ("civil_affairs", "consumer"): 200,
        ("medical_insurance", "consumer"): 404,
        ("public_security", "provider"): 403,
        (None, "ops"): 200,
        (None, "auditor"): 200,
    }
    for (department, role), status in cases.items():
        form = {"name": f"t-{uuid.uuid4().hex[:6]}", "department": department, "roles": [role]}
        token = town.exchange.ask("POST", "catalog", "/tokens", form)["token"]
        headers = {"Authorization": f"Bearer {token}"}
        eventually(
            lambda: httpx.get(url, headers=headers).status_code,  # noqa: B023
            lambda told: told == status,  # noqa: B023
            f"{role} of {department}",
            10,
        )
    assert httpx.get(url).status_code == 401


def test_a_table_that_the_exchange_did_not_make_is_left_alone(town: Town, source: Table, office: OwnDatabase) -> None:
    office.run("create table theirs (id text primary key, n bigint)")
    office.run("insert into theirs values ('mine', 1)")
    grant = granted(town, source, office, "theirs")
    fill(source, "theirs", 1, 1)
    eventually(lambda: waits(town, grant), lambda why: "did not make" in why, "the refusal")
    assert office.rows("select * from theirs") == [{"id": "mine", "n": 1}]


def test_no_row_of_a_department_s_stands_in_the_worker_s_log(town: Town) -> None:
    log = town.exchange.home.log("table").read_text()
    assert "poison" not in log and "unique1" not in log
