"""Exactly once by several workers: killed, stopped in the middle of a transaction and woken again, added in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from cli.exchange import Exchange
from tests.road.catalog.test_topic_mounts import as_table, mounted, resource
from tests.road.sync.test_transactions import FILLED, KEYS, Counts, all_once, numbers, shares
from tests.road.town import Table, Town, eventually

_ITEMS = ["id", "visits"]
# processes start, and a group settles, as soon as the machine lets them
_PATIENCE_SECONDS = 120.0
_MOST_TABLES = 12


class Worker:
    """A process beside the exchange's own that shares its work."""

    def __init__(self, exchange: Exchange, folder: Path) -> None:
        folder.mkdir()
        self._folder, self.log = folder, folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.road.sync.working", str(folder)],
                env={**os.environ, **exchange.home.environment()}, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def stop_in_a_transaction(self, when: str) -> None:
        """Before or after the offsets are sent."""
        asked = self._folder / "asked"
        asked.write_text(when)
        asked.rename(self._folder / "stop")

    def has_stopped(self) -> bool:
        return (self._folder / "stopped").exists()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    @property
    def has_given_up(self) -> bool:
        return b"given up" in self.log.read_bytes()


@contextmanager
def ended(workers: list[Worker]) -> Iterator[None]:
    try:
        yield
    finally:
        for worker in workers:
            if worker.process.poll() is None:
                worker.signal(signal.SIGCONT)
                worker.signal(signal.SIGTERM)
        for worker in workers:
            try:
                worker.process.wait(60)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                raise


def committed(admin: AdminClient, partitions: set[tuple[str, int]]) -> dict[tuple[str, int], int]:
    asked = ConsumerGroupTopicPartitions(FILLED, [TopicPartition(*where) for where in partitions])
    told = admin.list_consumer_group_offsets([asked])[FILLED].result(30)
    return {(one.topic, one.partition): one.offset for one in told.topic_partitions}


def test_every_change_once_by_workers_that_are_killed_stopped_and_added(town: Town, tmp_path: Path) -> None:
    exchange, admin = town.exchange, town.exchange.admin()
    workers, writing = [Worker(exchange, tmp_path / str(place)) for place in range(3)], threading.Event()
    systems: dict[str, tuple[Table, Counts]] = {}
    grants: list[dict[str, Any]] = []

    def shared_out() -> Table:
        code = resource(town)
        system = mounted(town, code)
        table = as_table(town, system, code)
        systems[code] = table, Counts(town, system)
        grants.append(town.live_grant(table, _ITEMS))
        return table

    def write() -> None:
        while not writing.wait(0.1):
            for number in range(KEYS):
                for _, counts in systems.values():
                    counts.write(number)

    writer = threading.Thread(target=write, name="systems")
    with ended(workers):
        tables = [shared_out()]
        pids = {worker.process.pid for worker in workers}
        # of topics that are there before them, one worker may get all that are ours: those that come later are shared
        eventually(lambda: shares(admin).keys(), lambda found: pids <= found, "their being members", _PATIENCE_SECONDS)
        shared: dict[int, set[tuple[str, int]]] = {}
        # who has fewest of all partitions is given new ones alone until it has as many as the others
        while sum(bool(share) for pid, share in shared.items() if pid in pids) < 2:
            assert len(tables) < _MOST_TABLES, f"shares of two at least: not of {_MOST_TABLES} tables; {shared!r}"
            tables.append(shared_out())
            ours = {(table.topic, number) for table in tables for number in range(exchange.settings.cdc_partitions)}
            shared = eventually(
                lambda ours=ours: {pid: share & ours for pid, share in shares(admin).items()},
                lambda found, ours=ours: pids <= found.keys() and set().union(*found.values()) == ours,
                "all being somebody's",
                _PATIENCE_SECONDS,
            )
        early, late, killed = sorted(workers, key=lambda worker: -len(shared[worker.process.pid]))
        writer.start()
        try:
            early.stop_in_a_transaction("before")
            late.stop_in_a_transaction("after")
            eventually(
                lambda: early.has_stopped() and late.has_stopped(),
                bool,
                "two that stand in a transaction",
                _PATIENCE_SECONDS,
            )
            killed.signal(signal.SIGKILL)
            of_early = shared[early.process.pid]
            before = committed(admin, of_early)
            # a grant that catches up while all this happens
            grants.append(town.grant(tables[0], _ITEMS, "medical_insurance"))
            workers.append(Worker(exchange, tmp_path / "added"))
            eventually(
                lambda: shares(admin).keys() & pids,
                lambda found: not found,
                "who stands being missed",
                _PATIENCE_SECONDS,
            )
            eventually(
                lambda: committed(admin, of_early),
                lambda now: all(now[where] > before[where] for where in of_early),
                "others going on where it stands",
                _PATIENCE_SECONDS,
            )
            for worker in (early, late):
                worker.signal(signal.SIGCONT)
            eventually(lambda: early.has_given_up, bool, "the broker's refusing what it had open", _PATIENCE_SECONDS)
            eventually(
                lambda: shares(admin).keys(),
                lambda found: early.process.pid in found,
                "its coming back",
                _PATIENCE_SECONDS,
            )
        finally:
            writing.set()
            writer.join()
        for _, counts in systems.values():
            counts.end()
        of = {grant["topic"]: systems[grant["resource"]][1].written for grant in grants}
        for topic, written in of.items():
            all_once(town, topic, written, _PATIENCE_SECONDS)
    assert [worker.process.returncode for worker in workers if worker is not killed] == [0, 0, 0]
    told = numbers(exchange, {grant["id"] for grant in grants})
    assert len({run for run, _ in told}) > 1
    assert {run: found for run, found in told.items() if found != list(range(1, len(found) + 1))} == {}
