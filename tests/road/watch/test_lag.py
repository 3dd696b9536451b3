"""Lag of departments' own clients, as the watch and `./tongshu lag` tell it."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from cli.exchange import Exchange
from tests.conftest import Tongshu
from tests.road.town import eventually
from tests.road.watch.conftest import Lookout, Scene

WINDOW_SECONDS = 6.0
"""As `tests/conftest.py` sets it."""
SAMPLE_SECONDS = 1.0


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_a_client_that_stops_is_told_and_one_that_reads_on_is_well(
    protocol: str, scene: Scene, lookout: Lookout, tongshu: Tongshu
) -> None:
    client = scene.client(protocol)
    scene.write(50)
    client.read(50)
    told = lookout.await_group(
        client.group, lambda one: one["records"] == 0 and one["parts"][0]["committed"], "all read"
    )
    assert (told["status"], told["seconds"], told["eta_seconds"], told["kind"]) == ("OK", 0.0, 0.0, protocol)
    assert (told["department"], told["members"]) == ("civil_affairs", 1)
    (part,) = told["parts"]
    # the marker of the last transaction stands behind the last record: nobody can read it
    assert part["committed"] < part["end"]
    lookout.next_samples(3)
    assert lookout.group(client.group)["records"] == 0, "a topic on which nothing happens has no lag"

    client.leave()
    scene.write(100)
    written = time.time()
    told = lookout.await_group(client.group, lambda one: one["status"] == "STOP", "nobody reads")
    waited = time.time() - written
    assert WINDOW_SECONDS - 2 * SAMPLE_SECONDS < told["seconds"] <= waited + 1
    assert told["seconds"] > waited - 3 * SAMPLE_SECONDS, "seconds are those of the oldest record"
    assert told["exact"] and told["members"] == 0 and 100 <= told["records"] <= 110
    assert "client" in told["reason"]["en"] and "客户端" in told["reason"]["zh"]
    assert told["eta_seconds"] is None
    assert max(point["seconds"] for point in told["curve"]) >= WINDOW_SECONDS - 2 * SAMPLE_SECONDS

    shown = tongshu("lag", "--json", "--group", client.group)
    assert shown.status == 1
    (row,) = json.loads(shown.out)["items"]
    assert (row["group"], row["status"], row["trend"] != "shrinking") == (client.group, "STOP", True)
    assert row["records"] == told["records"] and row["seconds"] >= told["seconds"]
    table = tongshu("lag", "--group", f"{client.group[:-2]}*")
    assert table.status == 1
    assert client.group in table.out and "STOP" in table.out and "no client is connected" in table.out

    client.connect()
    client.read(100)
    told = lookout.await_group(client.group, lambda one: one["records"] == 0, "all is read again")
    assert (told["status"], told["seconds"]) == ("OK", 0.0)
    lookout.next_samples(2)
    assert lookout.group(client.group)["status"] == "OK"
    assert tongshu("lag", "--json", "--group", client.group).status == 0
    client.leave()


def test_a_client_that_is_connected_and_does_not_move_is_stalled(scene: Scene, lookout: Lookout) -> None:
    client = scene.client()
    scene.write(20)
    client.read(10)
    client.stay(WINDOW_SECONDS + 4 * SAMPLE_SECONDS)
    told = lookout.await_group(client.group, lambda one: one["status"] == "STALL", "it stalls", 3)
    assert told["members"] == 1 and told["parts"][0]["member"]
    assert 10 <= told["records"] <= 12
    client.leave()


def test_a_fast_source_makes_lag_grow_and_the_time_to_clear_comes_true(scene: Scene, lookout: Lookout) -> None:
    client = scene.client()
    scene.write(10)
    client.read(10)
    enough = threading.Event()

    def flood() -> None:
        while not enough.is_set():
            scene.write(300)
            enough.wait(0.3)

    writing = threading.Thread(target=flood)
    writing.start()
    grown = {}
    try:
        for _ in range(40):
            client.read(20, at_once=20, pause=0.2)
            grown = lookout.group(client.group)
            if grown.get("status") == "WARN" and grown["trend"] == "growing":
                break
    finally:
        enough.set()
        writing.join()
    assert (grown["status"], grown["trend"], grown["eta_seconds"]) == ("WARN", "growing", None), grown
    assert grown["produced_rate"] > grown["consumed_rate"] > 0
    assert grown["seconds"] > SAMPLE_SECONDS

    # from here on it is read at an even pace, and nothing comes in any more
    stop = threading.Event()

    def drain() -> None:
        while not stop.is_set():
            client.take(50)
            time.sleep(0.1)

    reading = threading.Thread(target=drain)
    reading.start()
    time.sleep(WINDOW_SECONDS + 2 * SAMPLE_SECONDS)
    told = lookout.group(client.group)
    asked = time.monotonic()
    assert told["trend"] == "shrinking" and told["eta_seconds"] is not None, told
    lookout.await_group(client.group, lambda one: one["records"] <= 60, "it clears", 3 * told["eta_seconds"] + 10)
    took = time.monotonic() - asked
    assert took / 2 - SAMPLE_SECONDS < told["eta_seconds"] < took * 2 + 2 * SAMPLE_SECONDS
    stop.set()
    reading.join()
    client.leave()


def test_the_lag_is_measured_from_the_terminal_while_the_watch_is_away(
    scene: Scene, exchange: Exchange, tmp_path: Path
) -> None:
    client = scene.client()
    scene.write(30)
    client.read(10)
    client.leave()
    # the same exchange, of whose watch only the port is wrong
    for name in ("secrets", "run", "logs", "data"):
        (tmp_path / name).symlink_to(exchange.home.path / name)
    record = json.loads((exchange.home.path / "exchange.json").read_text())
    record["ports"]["watch"] = 9
    (tmp_path / "exchange.json").write_text(json.dumps(record))
    answer = Tongshu(tmp_path, {"TONGSHU_WATCH_WINDOW_SECONDS": "2"})("lag", "--json", "--group", client.group)
    assert "does not answer" in answer.err
    told = json.loads(answer.out)
    (row,) = told["items"]
    assert told["from"] == "measured"
    assert (row["status"], row["department"], row["resources"]) == ("STOP", "civil_affairs", [scene.table.code])
    assert 20 <= row["records"] <= 22 and row["seconds"] > 0 and row["exact"]
    assert answer.status == 1


def test_the_exchanges_own_groups_keep_up(scene: Scene, lookout: Lookout, exchange: Exchange) -> None:
    scene.write(5)

    def own() -> dict[str, tuple[str, int]]:
        items = exchange.ask("GET", "watch", "/lag")["items"]
        return {one["group"]: (one["status"], one["records"]) for one in items if one["department"] is None}

    seen = eventually(own, lambda told: told.get("sync.relay") == ("OK", 0), "the relay has read all")
    assert seen["audit.sequencer"][0] == "OK"
