"""The row API as a department's program sees it: rows as delivered, never older than their delivery, to nobody else."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
import redis

from tests.road.town import Table, Town, eventually

COLUMNS = {
    "id": "text", "name": "text", "region": "text", "phone": "text", "visits": "bigint", "paid": "numeric(18,2)",
    "active": "boolean", "born": "date", "seen": "timestamptz",
}  # fmt: skip
QUERY_KEYS = ("id", "region", "phone", "visits", "paid", "born", "seen")
SEEN = datetime(2026, 11, 24, 8, 30, 0, 123456, tzinfo=UTC)
ROW = ("k1", "王小明", "320612", "13800001234", 7, Decimal("1234.50"), True, date(1990, 5, 17), SEEN)
SHOWN = {
    "id": "k1", "name": "王**", "region": "320612", "phone": "138****1234", "visits": 7, "paid": "1234.50",
    "active": True, "born": "1990-05-17", "seen": "2026-11-24T08:30:00.123456Z",
}  # fmt: skip
MASKS = {"name": {"kind": "keep", "first": 1}, "phone": {"kind": "keep", "first": 3, "last": 4}}


@dataclass
class Program:
    """A department's program with an API key (or a token)."""

    url: str
    client: httpx.Client

    def get(self, headers: dict[str, str] | None = None, **query: str) -> httpx.Response:
        return self.client.get(self.url, params=query, headers=headers)

    def post(self, body: Any) -> httpx.Response:
        return self.client.post(self.url, json=body)

    def rows(self, **query: str) -> list[dict[str, Any]] | str:
        """The rows, or the problem's slug."""
        answer = self.get(**query)
        return answer.json()["items"] if answer.status_code == 200 else slug(answer)


def slug(answer: httpx.Response) -> str:
    return str(answer.json()["type"].rpartition(":")[2])


def program(town: Town, table: Table, key: str) -> Program:
    client = httpx.Client(headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=30)
    return Program(f"{town.exchange.url('rows')}/resources/{table.code}/rows", client)


def with_key(town: Town, table: Table, grant: dict[str, Any]) -> Program:
    """A program with a key of the grant, once that works."""
    key = town.exchange.ask("POST", "demand", f"/grants/{grant['id']}/api-keys", {})["api_key"]
    made = program(town, table, key)
    eventually(lambda: made.rows(id="-"), lambda told: told == [], "rows that may be looked up")
    return made


@pytest.fixture(scope="module")
def table(town: Town) -> Table:
    return town.table(COLUMNS, rows=[ROW], query_keys=QUERY_KEYS)


@pytest.fixture(scope="module")
def grant(town: Town, table: Table) -> dict[str, Any]:
    return town.grant(table, list(COLUMNS), masks=MASKS, channels=["topic", "api"])


@pytest.fixture(scope="module")
def ours(town: Town, table: Table, grant: dict[str, Any]) -> Program:
    made = with_key(town, table, grant)
    eventually(lambda: made.rows(id="k1"), lambda told: told == [SHOWN], "what was there before")
    return made


@pytest.fixture
def cache(town: Town) -> Iterator[redis.Redis]:
    home = town.exchange.home
    client = redis.Redis(port=home.ports["redis"], password=home.secret("redis_password"))
    yield client
    client.close()


def put(table: Table, row: tuple[Any, ...]) -> None:
    table.run(f"insert into {{t}} values ({', '.join(['%s'] * len(row))})", *row)


def test_rows_are_found_by_every_query_key_as_they_were_delivered(ours: Program, table: Table) -> None:
    for item, value in {
        "id": "k1", "region": "320612", "visits": "7", "paid": "1234.5", "born": "1990-05-17",
        "seen": "2026-11-24T16:30:00.123456+08:00",
    }.items():  # fmt: skip
        assert ours.rows(**{item: value}) == [SHOWN], item
    assert ours.rows(id="nobody") == []
    put(table, ("k 2+%&=", *ROW[1:]))
    other = {**SHOWN, "id": "k 2+%&="}
    eventually(lambda: ours.rows(id="k 2+%&="), lambda told: told == [other], "a row with signs in its key")
    found = ours.rows(region="320612")
    assert sorted(found, key=lambda row: row["id"]) == [other, SHOWN]  # type: ignore[arg-type, index, return-value]
    answer = ours.post({"item": "id", "values": ["k1", "nobody", "k 2+%&="]})
    assert answer.json() == {
        "items": [
            {"value": "k1", "rows": [SHOWN]},
            {"value": "nobody", "rows": []},
            {"value": "k 2+%&=", "rows": [other]},
        ]
    }


def test_what_hides_a_value_cannot_be_asked_what_it_hides(ours: Program) -> None:
    # a query key of the contract, but masked in the grant: neither what it hides nor what it shows finds a row
    for value in ("13800001234", "138****1234"):
        answer = ours.get(phone=value)
        assert (answer.status_code, slug(answer)) == (422, "not-a-query-key")
        assert "1234" not in answer.text
    assert ours.rows(name="王**") == ours.rows(active="true") == ours.rows(nothing="x") == "not-a-query-key"


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({}, "invalid-request"),
        ({"id": "a", "region": "b"}, "invalid-request"),
        ({"visits": "seven"}, "value-invalid"),
        ({"born": "17.5.1990"}, "value-invalid"),
        ({"paid": "NaN"}, "value-invalid"),
        ({"seen": "2026-11-24T16:30:00"}, "value-invalid"),
    ],
)
def test_what_is_asked_wrongly_is_told(ours: Program, query: dict[str, str], problem: str) -> None:
    assert ours.rows(**query) == problem
    told = ours.get({"Accept-Language": "zh-CN"}, **query).json()
    assert any("\u4e00" <= sign <= "\u9fff" for sign in told["detail"])


@pytest.mark.parametrize("body", [[], {"item": "id"}, {"item": "id", "values": []}, {"item": "id", "values": [1]}, "x"])
def test_a_batch_that_is_none_is_told(ours: Program, body: Any) -> None:
    answer = ours.post(body)
    assert (answer.status_code, slug(answer)) == (422, "invalid-request")


def test_an_answer_is_never_older_than_a_delivery_that_was_seen(
    town: Town, table: Table, grant: dict[str, Any], ours: Program
) -> None:
    reader = town.reader(grant)
    put(table, ("fresh", *ROW[1:]))
    for turn in range(40):
        table.run("update {t} set visits = %s where id = 'fresh'", 1_000 + turn)
        record = eventually(
            lambda: (reader.poll(), reader.records[-1] if reader.records else None)[1],
            lambda last: last is not None and last.row is not None and last.row["visits"] == 1_000 + turn,  # noqa: B023
            "the delivery",
        )
        assert record is not None
        # where the machine is slow it is told to ask again; it is never told what was before
        seen = {"Tongshu-After": f"{record.partition}:{record.offset}"}
        answer = eventually(lambda: ours.get(seen, id="fresh"), lambda answer: answer.status_code != 503, "an answer")  # noqa: B023
        assert answer.status_code == 200, answer.text
        assert answer.json()["items"][0]["visits"] == 1_000 + turn
        partition, _, end = answer.headers["tongshu-position"].partition(":")
        assert int(partition) == record.partition and int(end) > record.offset
        now = eventually(
            lambda: ours.rows(visits=str(1_000 + turn)),  # noqa: B023
            lambda rows: rows != "rows-unavailable",
            "the row by its new value",
        )
        assert now == answer.json()["items"]
        before = eventually(
            lambda: ours.rows(visits=str(999 + turn)),  # noqa: B023
            lambda rows: rows != "rows-unavailable",
            "no row by its old value",
        )
        assert before == []
    late = ours.get({"Tongshu-After": f"0:{10**9}"}, id="fresh")
    assert (late.status_code, late.headers["retry-after"], slug(late)) == (503, "1", "rows-unavailable")
    reader.close()


def test_a_row_that_goes_or_gets_another_key_is_found_no_more(ours: Program, table: Table) -> None:
    put(table, ("old", *ROW[1:2], "320199", *ROW[3:]))
    eventually(lambda: ours.rows(region="320199"), lambda told: len(told) == 1, "the row")
    table.run("update {t} set id = 'new' where id = 'old'")
    eventually(lambda: ours.rows(id="new"), lambda told: len(told) == 1, "the row under its new key")
    assert ours.rows(id="old") == []
    assert [row["id"] for row in ours.rows(region="320199")] == ["new"]  # type: ignore[index]
    table.run("delete from {t} where id = 'new'")
    eventually(lambda: ours.rows(id="new"), lambda told: told == [], "the end of the row")
    assert ours.rows(region="320199") == []


def test_it_is_for_the_grant_s_department_and_nobody_else(town: Town, table: Table, ours: Program) -> None:
    other_table = town.table({"id": "text"}, rows=[("x",)], query_keys=["id"])
    theirs = with_key(town, other_table, town.grant(other_table, ["id"], "medical_insurance", channels=["api"]))

    def token(department: str | None, *roles: str) -> str:
        form = {"name": f"t-{uuid.uuid4().hex[:6]}", "department": department, "roles": list(roles)}
        return str(town.exchange.ask("POST", "catalog", "/tokens", form)["token"])

    ours_by_token = program(town, table, token("civil_affairs", "consumer"))
    eventually(lambda: ours_by_token.rows(id="k1"), lambda told: told == [SHOWN], "the row, by the department's token")
    foreign = [token("medical_insurance", "consumer"), token("public_security", "provider"), token(None, "auditor")]
    for key in (*foreign, town.exchange.home.secret("operator_token")):
        one = program(town, table, key)
        answer = eventually(lambda: one.get(id="k1"), lambda answer: answer.status_code != 401, "the token")  # noqa: B023
        assert (answer.status_code, slug(answer)) == (403, "not-allowed")
    key = theirs.client.headers["Authorization"].removeprefix("Bearer ")
    assert slug(program(town, table, key).get(id="k1")) == "not-allowed"
    for key in ("", "wrong", "tk_0_x"):
        answer = program(town, table, key).get(id="k1")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_a_key_and_a_grant_that_end_end_here_within_two_seconds(town: Town, table: Table) -> None:
    grant = town.grant(table, ["id"], channels=["api"])
    one = with_key(town, table, grant)
    other = with_key(town, table, grant)
    assert one.rows(id="k1") == "not-signed-in"
    eventually(lambda: other.rows(id="k1"), lambda told: told == [{"id": "k1"}], "the row")
    town.exchange.ask("DELETE", "demand", f"/grants/{grant['id']}")
    eventually(lambda: other.rows(id="k1"), lambda told: told == "not-allowed", "the end of the grant", 2)


def test_a_redis_that_forgets_is_never_taken_for_rows_that_do_not_exist(
    ours: Program, table: Table, cache: redis.Redis
) -> None:
    told = []
    for _ in range(3):
        cache.flushall()
        until = time.monotonic() + 20
        while (answer := ours.get(id="k1")).status_code != 200:
            told.append((answer.status_code, answer.headers["retry-after"]))
            assert time.monotonic() < until
        assert answer.json()["items"] == [SHOWN]
    assert set(told) == {(503, "1")}
    put(table, ("after", *ROW[1:]))
    eventually(lambda: ours.rows(id="after"), lambda rows: len(rows) == 1, "a row after all that")


def test_of_many_callers_at_a_time_each_gets_its_own_rows_and_each_counts(town: Town, table: Table) -> None:
    keys = [f"many{number}" for number in range(40)]
    for key in keys:
        put(table, (key, *ROW[1:]))
    wide = with_key(town, table, town.grant(table, list(COLUMNS), masks=MASKS, channels=["api"]))
    narrow = with_key(town, table, town.grant(table, ["id"], channels=["api"]))
    for one in (wide, narrow):
        # they are in several partitions, each of which comes in its own time
        eventually(
            lambda one=one: [len(told["rows"]) for told in one.post({"item": "id", "values": keys}).json()["items"]],
            lambda found: found == [1] * 40,
            "all rows",
        )

    def ask(number: int) -> bool:
        key, other = keys[number % 40], keys[number * 7 % 40]
        shown = [{**SHOWN, "id": key}]
        if number % 3 == 0:
            return wide.rows(id=key) == shown
        if number % 3 == 1:
            return narrow.rows(id=key) == [{"id": key}]
        told = wide.post({"item": "id", "values": [key, "nobody", other]}).json()["items"]
        return [one["rows"] for one in told] == [shown, [], [{**SHOWN, "id": other}]]

    with ThreadPoolExecutor(32) as callers:
        assert all(callers.map(ask, range(600)))

    # of 2,000 values a second, four such are answered in each
    def fill(_: int) -> int:
        return narrow.post({"item": "id", "values": ["nobody"] * 500}).status_code

    begun = int(time.time())
    with ThreadPoolExecutor(32) as callers:
        statuses = list(callers.map(fill, range(64)))
    seconds = int(time.time()) - begun + 1
    assert set(statuses) == {200, 429} and statuses.count(200) <= 4 * seconds


def test_a_grant_that_asks_too_much_is_told_when_to_come_again(town: Town, table: Table) -> None:
    one = with_key(town, table, town.grant(table, ["id"], channels=["api"]))
    body = {"item": "id", "values": [f"v{number}" for number in range(500)]}
    answers = [one.post(body) for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused and {(slug(answer), answer.headers["retry-after"]) for answer in refused} == {("limit-reached", "1")}
    eventually(lambda: one.get(id="k1").status_code, lambda status: status == 200, "the next second")


def test_every_call_is_accounted_for_and_no_value_stands_in_the_account(
    town: Town, table: Table, grant: dict[str, Any], ours: Program
) -> None:
    ours.get(id="account-me")
    ours.get(phone="13800001234")
    program(town, table, "nobody").get(id="account-me")

    def calls() -> list[tuple[str | None, str, str, int]]:
        found = []
        for _, value, _ in town.exchange.read_all("sync.access"):
            assert value is not None and b"account-me" not in value and b"13800001234" not in value
            told = town.exchange.registry.decode(value)[1]
            if told["resource"] == table.code:
                found += [(told["grant"], call["outcome"], call["reason"], call["rows"]) for call in told["calls"]]
        return found

    wanted = {
        (grant["id"], "answered", "", 0),
        (grant["id"], "answered", "", 1),
        (grant["id"], "invalid", "not-a-query-key", 0),
        (None, "denied", "not-signed-in", 0),
        (None, "denied", "not-allowed", 0),
    }
    eventually(calls, lambda found: wanted <= set(found), "the account of the calls")
    answered = sum(1 for one in calls() if one == (None, "denied", "not-signed-in", 0))
    program(town, table, "nobody").get(id="x")
    eventually(calls, lambda found: found.count((None, "denied", "not-signed-in", 0)) == answered + 1, "one more")


def test_it_is_described(town: Town) -> None:
    described = httpx.get(f"{town.exchange.url('rows')}/openapi.json").json()
    for method in ("get", "post"):
        operation = described["paths"]["/api/sync/v1/resources/{code}/rows"][method]
        assert operation["x-roles"] == ["consumer"] and {"200", "429", "503", "4XX"} <= operation["responses"].keys()
