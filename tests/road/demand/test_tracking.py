"""Tracking counts every manifest once, whatever happens to it: killed, replaced, two at once, or made to read again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from cli.exchange import Exchange
from infra.embedded.home import ROOT, leftovers
from tests.road.catalog.office import Place
from tests.road.town import Table, Town, eventually

MODULE = "services.demand.tracking"
SPANS = {"minute": 60, "hour": 3_600, "day": 86_400}
EAST_8 = 8 * 3_600
Window = tuple[str, str, int]


def windows(grant: str, at: datetime) -> Iterator[Window]:
    for granularity, seconds in SPANS.items():
        yield grant, granularity, (int(at.timestamp()) + EAST_8) // seconds * seconds - EAST_8


def recomputed(exchange: Exchange) -> dict[Window, tuple[int, ...]]:
    """The windows as the topics alone say: deliveries, records, bytes, timed, timely, and the latencies' sum."""
    sums: dict[Window, list[int]] = defaultdict(lambda: [0] * 6)
    for _, value, _ in exchange.read_all("sync.deliveries"):
        assert value is not None
        manifest = exchange.registry.decode(value)[1]
        latency = manifest["latency_max_us"]
        told = (1, manifest["records"], manifest["bytes"])
        for window in windows(manifest["grant"], manifest["delivered_at"]):
            for place, more in enumerate((*told, latency >= 0, 0 <= latency <= 60_000_000, max(latency, 0))):
                sums[window][place] += more
    for _, value, _ in exchange.read_all("sync.access"):
        account = exchange.registry.decode(value or b"")[1]
        for call in account["calls"] if account["grant"] else ():
            for window in windows(account["grant"], call["at"]):
                if window in sums:
                    sums[window][2] += call["bytes"]
    return {window: tuple(row) for window, row in sums.items()}


@pytest.fixture(scope="module")
def books(exchange: Exchange) -> Iterator[psycopg.Connection[Any]]:
    here = exchange.settings
    with psycopg.connect(
        host=here.postgres_host, port=here.postgres_port, dbname=here.postgres_database, user="tongshu_admin",
        password=exchange.home.secret("postgres_admin_password"), autocommit=True,
    ) as connection:  # fmt: skip
        yield connection


def counted(books: psycopg.Connection[Any]) -> dict[Window, tuple[int, ...]]:
    rows = books.execute(
        'select "grant", granularity, start, deliveries, records, bytes, timed, timely, latency_sum_us'
        " from demand.usage where deliveries > 0"
    )
    return {(row[0], row[1], row[2]): tuple(int(number) for number in row[3:]) for row in rows}


def workers(exchange: Exchange) -> list[psutil.Process]:
    found = []
    for one in leftovers(exchange.home):
        # one that was killed may end in between
        with suppress(psutil.Error):
            if one.cmdline()[-1] == MODULE:
                found.append(one)
    return found


def kill(exchange: Exchange) -> None:
    """Kill the tracking process as nothing can prevent, and wait for the next one."""
    (worker,) = eventually(lambda: workers(exchange), lambda found: len(found) == 1, "one tracking process")
    worker.kill()
    eventually(lambda: workers(exchange), lambda found: found and found[0].pid != worker.pid, "the next one")


def same(exchange: Exchange, books: psycopg.Connection[Any]) -> None:
    wanted = eventually(
        lambda: (recomputed(exchange), counted(books)),
        lambda both: both[0] == both[1] and both[0],
        "the same numbers",
        60,
    )
    assert wanted


def test_killed_mid_window_it_counts_as_the_topic_says(
    exchange: Exchange, town: Town, books: psycopg.Connection[Any]
) -> None:
    table = town.table({"id": "text", "name": "text"})
    grants = [town.live_grant(table, ["id", "name"]), town.live_grant(table, ["id"], "medical_insurance")]
    stop = threading.Event()

    def write() -> None:
        for number in range(100_000):
            if stop.is_set():
                return
            table.run("insert into {t} values (%s, 'x') on conflict (id) do update set name = 'y'", str(number % 300))
            time.sleep(0.005)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(2):
            time.sleep(1.5)
            kill(exchange)
    finally:
        stop.set()
        writer.join()
    same(exchange, books)
    usage = exchange.ask("GET", "demand", f"/usage?granularity=day&grant={grants[0]['id']}")["items"]
    day = next(row for window, row in counted(books).items() if window[:2] == (grants[0]["id"], "day"))
    assert [(one["deliveries"], one["records"], one["bytes"]) for one in usage] == [day[:3]]
    assert usage[0]["latency_min_ms"] <= usage[0]["latency_mean_ms"] <= usage[0]["latency_max_ms"]


def test_a_second_worker_that_comes_and_goes_changes_nothing(
    exchange: Exchange, town: Town, books: psycopg.Connection[Any]
) -> None:
    table = town.table({"id": "text"})
    town.live_grant(table, ["id"])
    environment = {**os.environ, **exchange.home.environment(), "TONGSHU_HTTP_PORT": "0"}
    second = subprocess.Popen([sys.executable, "-m", MODULE], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        for number in range(200):
            table.run("insert into {t} values (%s)", str(number))
            time.sleep(0.02)
    finally:
        second.kill()
        second.wait()
    same(exchange, books)


def test_a_log_that_is_read_again_gives_the_same_numbers(exchange: Exchange, books: psycopg.Connection[Any]) -> None:
    same(exchange, books)
    before = counted(books)
    books.execute("update demand.counted set next_offset = 0 where topic = 'sync.deliveries'")
    kill(exchange)
    eventually(
        lambda: books.execute("select min(next_offset) from demand.counted where topic = 'sync.deliveries'").fetchone(),
        lambda row: row is not None and row[0] > 0,
        "read again",
    )
    same(exchange, books)
    assert counted(books).items() >= before.items()


def test_a_department_sees_its_own_use_and_that_of_what_it_provides(exchange: Exchange, town: Town) -> None:
    table = town.table({"id": "text"}, rows=[("1",)])
    granted = town.live_grant(table, ["id"])

    def told(token: str) -> set[str]:
        answer = exchange_get(exchange, token, f"/usage/grants?resource={table.code}")
        return {one["grant"] for one in answer["items"]}

    place = Place(exchange)
    eventually(lambda: told(exchange.home.secret("operator_token")), bool, "it is counted")
    for department, role, sees in (
        ("civil_affairs", "consumer", True),
        ("public_security", "provider", True),
        ("medical_insurance", "consumer", False),
    ):
        form = {"name": f"{department} looks", "roles": [role], "department": department}
        token = place.operator.must(place.operator.post("/tokens", form), 201)["token"]
        assert (granted["id"] in told(token)) == sees


def exchange_get(exchange: Exchange, token: str, path: str) -> Any:
    def ask() -> httpx.Response:
        return httpx.get(exchange.url("demand") + path, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    # a new token is known to the demand side within moments
    return eventually(ask, lambda answer: answer.status_code == 200, path).json()


def test_use_is_told_back_per_resource(exchange: Exchange, town: Town) -> None:
    table: Table = town.table({"id": "text"}, rows=[("1",), ("2",)])
    town.live_grant(table, ["id"])

    def told() -> list[Any]:
        found = exchange.read_all("demand.usage")
        return [exchange.registry.decode(value)[1] for key, value, _ in found if key.decode() == table.code and value]

    last = eventually(told, bool, "its use")[-1]
    assert (last["records"], last["departments"], last["grants"]) == (2, 1, 1)


def test_calls_of_the_row_api_are_counted_with_what_they_took(exchange: Exchange, town: Town) -> None:
    table = town.table({"id": "text"}, rows=[("1",)], query_keys=["id"])
    granted = town.grant(table, ["id"], channels=["api"])
    place = Place(exchange)
    form = {"name": "caller", "roles": ["consumer"], "department": granted["department"]}
    token = place.operator.must(place.operator.post("/tokens", form), 201)["token"]
    address = f"{exchange.url('rows')}/resources/{table.code}/rows"

    def call(value: str) -> httpx.Response:
        return httpx.get(address, params={"id": value}, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    answer = eventually(lambda: call("1"), lambda answer: answer.status_code == 200 and answer.json()["items"], "a row")
    query = f"/usage?granularity=day&grant={granted['id']}"
    (day,) = eventually(
        lambda: exchange.ask("GET", "demand", query)["items"], lambda found: found and found[0]["rows"], "its calls"
    )
    assert day["calls"] - day["refused"] >= day["rows"] == 1
    assert day["bytes"] >= len(answer.content)
    assert 0 < day["call_mean_ms"] <= day["call_max_ms"]
