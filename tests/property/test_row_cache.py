"""The row cache against a plain model, on a real Redis: look-ups find what the topic says, whatever was forgotten."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.embedded.toolchain import redis_server, tools_folder
from services.core.settings import Settings
from services.sync.rows.cache import PREFIX, RowCache, lookup
from services.sync.rows.serving import NoSuchValue, Served, canonical, served, written
from services.sync.rows.together import Found, Together
from services.sync.rows.wire import RedisAway, Wire, packed
from services.sync.sink import Moved, Placed
from tests.property.share_topic import ITEMS, Topic, keys, rows

QUERY_KEYS = ("id", "name", "age", "paid", "born")
TYPES = {"long": "integer", "string": "string"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("redis")
    (folder / "redis_password").write_text("secret")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as data:
        command = [str(redis_server(tools_folder())), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        process = subprocess.Popen([*command, "--dir", data, "--requirepass", "secret"], stdout=subprocess.DEVNULL)
        try:
            client = redis.Redis(port=port, password="secret")
            until = time.monotonic() + 20
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    assert time.monotonic() < until
                    time.sleep(0.05)
            yield Settings(redis_port=port, secrets=Path(folder))
        finally:
            process.terminate()
            process.wait(10)


def a_grant() -> tuple[dict[str, Any], Served]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    grant: dict[str, Any] = {
        "id": uuid.uuid4().hex[:12], "thread": "t", "resource": "r", "department": "d", "topic": "share.d.g",
        "state": "active", "channels": ["api"], "items": [{"name": name, "mask": None} for name in ITEMS],
        "valid_from": at, "valid_to": None,
    }  # fmt: skip
    kinds = {"id": "string", "name": "string", "age": "integer", "paid": "decimal", "born": "date"}
    resource = {
        "grade": "general",
        "sharing_type": "conditional",
        "items": [{"name": name, "type": kind, "query_key": True} for name, kind in kinds.items()],
    }
    return grant, served(grant, resource, b"master")


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), keys, rows),
        st.tuples(st.just("put"), keys, rows),
        st.tuples(st.just("delete"), keys),
        st.tuples(st.just("apply"), st.integers(1, 9), st.booleans()),
        st.tuples(st.just("apply"), st.integers(1, 9), st.booleans()),
        st.tuples(st.sampled_from(["restart", "forgets", "compact"])),
    ),
    max_size=30,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_look_ups_find_what_the_topic_says_whatever_happens_in_between(
    place: Settings, script: list[tuple[Any, ...]]
) -> None:
    topic, (grant, one) = Topic(), a_grant()
    client = redis.Redis(port=place.redis_port, password="secret")
    cache, placed = RowCache(place, topic.registry, {grant["id"]: one}), None

    def apply(most: int, *, twice: bool = False) -> bool:
        nonlocal placed
        try:
            if placed is None:
                placed = Placed(grant, cache.place(grant, [0]), {})
            batch = [record for record in topic.records if record.at >= placed.next[0]][:most]
            if not batch:
                cache.reached_end(placed, 0, topic.end)
                return True
            (write,) = cache.prepare(placed, 0, batch)  # type: ignore[arg-type]
            placed.next[0] = batch[-1].at + 1
            write()
            if twice:
                with pytest.raises(Moved):
                    write()
                placed = None
        except Moved:
            placed = None
        return False

    for step in script:
        match step:
            case "put", key, row:
                topic.produce(key, "u" if key in topic.state else "c", row)
            case "delete", key if key in topic.state:
                topic.produce(key, "d", None)
            case "apply", most, twice:
                apply(most, twice=twice)
            case ("restart",):
                cache, placed = RowCache(place, topic.registry, {grant["id"]: one}), None
            case ("forgets",):
                client.flushall()
                assert client.hget(PREFIX + grant["id"], "ready") is None
            case ("compact",):
                topic.compact(placed.next[0] if placed else 0)
    for _ in range(200):
        if apply(7):
            break
    assert client.hget(PREFIX + grant["id"], "ready") == b"1"
    for item in QUERY_KEYS:
        wanted: dict[str, list[str]] = {}
        for key, row in topic.state.items():
            if row[item] is not None:
                wanted.setdefault(written(row[item]), []).append(key)
        for text, found in wanted.items():
            answers = client.hvals(f"{PREFIX}{grant['id']}:{lookup(item, one.digest(item, text))}")
            assert sorted(json.loads(answer)["id"] for answer in answers) == sorted(found)
    # nothing else is left: every look-up that there is belongs to a row
    there = {key.decode() for key in client.scan_iter(f"{PREFIX}{grant['id']}:*:*")}
    assert there == {
        f"{PREFIX}{grant['id']}:{lookup(item, one.digest(item, written(row[item])))}"
        for row in topic.state.values()
        for item in QUERY_KEYS
        if row[item] is not None
    }
    cache.forget(grant["id"])
    assert list(client.scan_iter(f"{PREFIX}{grant['id']}*")) == []
    client.close()


@given(
    st.one_of(
        st.integers(-(2**63), 2**63 - 1).map(lambda value: ("integer", value, str(value))),
        st.decimals(allow_nan=False, allow_infinity=False, places=4).map(
            lambda value: ("decimal", value, f"{value:.6f}")
        ),
        st.floats(allow_nan=False, allow_infinity=False).map(lambda value: ("double", value, repr(value))),
        st.dates().map(lambda value: ("date", value, value.isoformat())),
        st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.timezones()).map(  # noqa: DTZ001
            lambda value: ("timestamp", value.astimezone(UTC), value.isoformat())
        ),
        st.text().map(lambda value: ("string", value, value)),
        st.booleans().map(lambda value: ("boolean", value, str(value).lower())),
    )
)
def test_a_value_is_found_however_it_is_written(case: tuple[str, Any, str]) -> None:
    kind, value, text = case
    assert canonical(kind, text) == written(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("integer", "1.0"), ("integer", ""), ("decimal", "Infinity"), ("decimal", "NaN"), ("decimal", "1,0"),
        ("boolean", "1"), ("date", "2026-02-30"), ("timestamp", "2026-01-01T00:00:00"), ("double", "x"),
    ],
)  # fmt: skip
def test_a_text_that_writes_no_value_is_refused(kind: str, text: str) -> None:
    with pytest.raises(NoSuchValue):
        canonical(kind, text)


def test_zero_has_no_sign_and_money_no_spare_digits() -> None:
    assert written(Decimal("-0.00")) == canonical("decimal", "0") == "0"
    assert written(Decimal("1200.50")) == canonical("decimal", "1.2005e3") == "1200.5"
    assert written(date(2026, 1, 2)) == "2026-01-02"


calls = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["one", "other"]), st.lists(st.sampled_from("abcd"), min_size=1, max_size=4)),
        max_size=6,
    ),
    max_size=5,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls)
def test_each_look_up_of_a_turn_is_told_its_own_rows_and_what_was_counted_until_then(
    place: Settings, turns: list[list[tuple[str, list[str]]]]
) -> None:
    client, run = redis.Redis(port=place.redis_port, password="secret"), uuid.uuid4().hex[:8]
    for grant in ("one", "other"):
        client.hset(f"{PREFIX}{grant}{run}", mapping={"ready": 1, "position": f"0:{len(grant)}"})
        for value in "abc":
            client.hset(f"{PREFIX}{grant}{run}:{value}", mapping={"row": f"{grant} {value}"})

    async def ask() -> list[list[Found]]:
        wire = Wire(place)
        keeping = asyncio.create_task(wire.keep())
        together, second = Together(wire), int(time.time())
        try:
            while True:
                await asyncio.sleep(0.01)
                with suppress(RedisAway):
                    await wire.ask(packed(b"PING"), 1)
                    break
            return [
                await asyncio.gather(*(together.look_up(grant + run, second, values) for grant, values in turn))
                for turn in turns
            ]
        finally:
            keeping.cancel()

    asked = dict.fromkeys(("one", "other"), 0)
    for turn, answers in zip(turns, asyncio.run(ask()), strict=True):
        for (grant, values), found in zip(turn, answers, strict=True):
            asked[grant] += len(values)
            rows = [[f"{grant} {value}".encode()] if value != "d" else [] for value in values]
            position = f"0:{len(grant)}".encode()
            assert found == Found(rows, True, position, asked[grant], asked[grant])
    expires = [client.ttl(key) for key in client.scan_iter(f"{PREFIX}*{run}:*:*")]
    assert len(expires) == 2 * sum(1 for count in asked.values() if count) and all(one > 0 for one in expires)
