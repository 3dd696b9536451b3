"""Replays: what was delivered is delivered once more, into the live stream, without a gap and without a step back."""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchmarks.road import process_of
from cli.exchange import Refused
from tests.road.town import Reader, Record, Table, Town, eventually

COLUMNS = {"id": "text", "version": "bigint", "note": "text"}
ITEMS = ["id", "version"]


def ask(town: Town, grant: dict[str, Any], **form: Any) -> dict[str, Any]:
    asked: dict[str, Any] = town.exchange.ask("POST", "sync", f"/grants/{grant['id']}/replays", form)
    return asked


def read(town: Town, replay: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = town.exchange.ask("GET", "sync", f"/grants/{replay['grant']}/replays/{replay['id']}")
    return told


def await_end(town: Town, replay: dict[str, Any], state: str = "done") -> dict[str, Any]:
    return eventually(lambda: read(town, replay), lambda told: told["state"] == state, f"replay {state}", 60)


class Writer(threading.Thread):
    """Changes rows of a table, one after the other, until it is stopped; `versions` is what the source says."""

    def __init__(self, table: Table, rows: int) -> None:
        super().__init__()
        self.table, self.versions = table, {f"k{number}": 0 for number in range(rows)}
        self.stopping = threading.Event()

    def run(self) -> None:
        for place in range(10**9):
            if self.stopping.is_set():
                return
            key = f"k{place * 7919 % len(self.versions)}"
            self.versions[key] += 1
            self.table.run("update {t} set version = %s where id = %s", self.versions[key], key)
            time.sleep(0.002)

    def stop(self) -> dict[str, Any]:
        self.stopping.set()
        self.join()
        return {key: {"id": key, "version": version} for key, version in self.versions.items()}


def steps_back(records: list[Record]) -> list[str]:
    """Keys whose source position went back other than from what was delivered first to what was delivered again."""
    found, last, again = [], dict[str, tuple[bool, str]](), set[str]()
    for record in sorted(records, key=lambda record: (record.partition, record.offset)):
        if record.value is None:
            continue
        key, position = record.key["id"], record.value["source"]["position"]
        repeated = record.op == "r" and key in last and key not in again
        if key in last and position < last[key][1] and not repeated:
            found.append(key)
        if repeated:
            again.add(key)
        last[key] = (repeated, position)
    return found


@pytest.fixture
def served(town: Town) -> tuple[Table, dict[str, Any], Reader]:
    """A table of rows that are all delivered under a grant, and that grant's reader."""
    table = town.table(COLUMNS, rows=[(f"k{number}", 0, "x") for number in range(300)])
    grant = town.live_grant(table, ITEMS)
    reader = town.reader(grant)
    eventually(lambda: (reader.poll(), reader.state())[1], lambda state: len(state) == 300, "what exists", 60)
    return table, grant, reader


def test_all_is_delivered_once_more_while_the_source_goes_on(
    town: Town, served: tuple[Table, dict[str, Any], Reader]
) -> None:
    table, grant, reader = served
    other = town.reader(town.live_grant(table, ITEMS, "medical_insurance"))
    writer = Writer(table, 300)
    writer.start()
    try:
        time.sleep(0.5)
        before = len(reader.records)
        replay = ask(town, grant, all=True)
        assert replay["state"] in ("requested", "running") and replay["mode"] == "all"
        everything = town.exchange.ask("GET", "sync", "/replays?limit=500")["items"]
        assert (replay["id"], table.code) in {(one["id"], one["resource"]) for one in everything}
        with pytest.raises(Refused) as refused:
            ask(town, grant, all=True)
        assert refused.value.slug == "replay-running"
        ended = await_end(town, replay)
        time.sleep(0.5)
    finally:
        wanted = writer.stop()
    reader.await_state(wanted)
    other.await_state(wanted)
    again = {record.key["id"] for record in reader.records[before:] if record.op == "r"}
    assert again == set(wanted), "every row came once more"
    assert steps_back(reader.records) == []
    assert [record.op for record in other.records].count("r") == 300, "another grant notices nothing"
    manifests = [town.exchange.registry.decode(value)[1] for _, value, _ in town.exchange.read_all("sync.deliveries")
                 if value]  # fmt: skip
    its = [one for one in manifests if one["replay"] == replay["id"]]
    assert sum(one["records"] for one in its) == ended["records"] >= 300
    assert {one["grant"] for one in its} == {grant["id"]}


def test_what_came_since_a_time_and_a_single_row(town: Town, served: tuple[Table, dict[str, Any], Reader]) -> None:
    table, grant, reader = served
    time.sleep(1)
    begun = datetime.now(UTC)
    table.run("update {t} set version = 7 where id in ('k1', 'k2')")
    table.run("delete from {t} where id = 'k3'")
    eventually(lambda: (reader.poll(), reader.state())[1], lambda state: "k3" not in state, "the changes")
    before = len(reader.records)
    await_end(town, ask(town, grant, **{"from": (begun - timedelta(milliseconds=500)).isoformat()}))
    eventually(lambda: (reader.poll(), reader.records)[1], lambda records: len(records) == before + 4, "them again")
    told = sorted((record.key["id"], record.op) for record in reader.records[before:])
    assert told == [("k1", "r"), ("k2", "r"), ("k3", "d"), ("k3", "tombstone")]
    await_end(town, ask(town, grant, key={"id": "k1"}))
    await_end(town, ask(town, grant, key={"id": "k3"}))
    records = reader.await_records(before + 7)
    assert [(record.op, record.row and record.row["version"]) for record in records[-3:]] == [
        ("r", 7), ("d", None), ("tombstone", None),
    ]  # fmt: skip
    for form in ({}, {"all": True, "key": {"id": "k1"}}, {"key": {"name": "x"}}, {"key": {"id": 1}}):
        with pytest.raises(Refused) as refused:
            ask(town, grant, **form)
        assert refused.value.slug in ("replay-invalid", "invalid-request")


def test_a_replay_outlives_the_relay_and_can_be_ended(town: Town, served: tuple[Table, dict[str, Any], Reader]) -> None:
    table, grant, reader = served
    writer = Writer(table, 300)
    writer.start()
    try:
        replay = ask(town, grant, all=True)
        time.sleep(0.05)
        os.kill(process_of(town.exchange, "sync"), signal.SIGKILL)

        def look() -> str:
            try:
                return str(read(town, replay)["state"])
            except Exception as away:  # noqa: BLE001 - the process that answers was killed
                return type(away).__name__

        eventually(look, lambda state: state == "done", "the end of the replay", 60)
        another = ask(town, grant, all=True)
        town.exchange.ask("DELETE", "sync", f"/grants/{grant['id']}/replays/{another['id']}")
        eventually(lambda: read(town, another)["state"], lambda state: state in ("cancelled", "done"), "its end", 60)
        time.sleep(0.5)
    finally:
        wanted = writer.stop()
    reader.await_state(wanted)
