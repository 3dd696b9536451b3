"""Exactly once over a network that breaks transactions, by two workers that share the work.

The relay of the exchange and a second one serve the same topic; the second one reaches the broker through a proxy that
loses, delays and cuts what its transactions say. Every change must be in the share topic once, and those of a key in
their order.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from services.core import db
from services.core.kafka import admin_client, read_to_end
from services.sync.relay import assignment, transaction
from services.sync.relay.followed import Followed
from services.sync.relay.number import Number
from services.sync.relay.worker import GROUP, Relay
from tests.road.catalog.test_topic_mounts import System, as_table, mounted, resource
from tests.road.sync.network import Network
from tests.road.town import Town, eventually

# `TONGSHU_TRANSACTIONS=1000` for whoever has some minutes
TRANSACTIONS = int(os.environ.get("TONGSHU_TRANSACTIONS", "100"))
KEYS = 40
SEED = 809
FILLED = f"{GROUP}.filled"


class Counts:
    """A system that counts: each of its keys goes up by one in each of its changes."""

    def __init__(self, town: Town, system: System) -> None:
        self._registry, self._system = town.exchange.registry, system
        self._producer, self._topic = system.producer(**{"linger.ms": 0}), system.credentials["topic"]
        key, value = system.change("c", None, _row(0, 1))
        self._key_id, self._value_id = (int.from_bytes(data[1:5], "big") for data in (key, value))
        self.written: dict[int, int] = dict.fromkeys(range(KEYS), 0)

    def write(self, number: int) -> None:
        count = self.written[number] + 1
        before = _row(number, count - 1) if count > 1 else None
        self._system.position += 1
        source = {"system": "s", "position": self._system.position, "ts_us": int(time.time() * 1_000_000)}
        op = "u" if before else "c"
        value = {"before": before, "after": _row(number, count), "source": source, "op": op, "ts_ms": None}
        self._producer.produce(
            self._topic,
            self._registry.encode(self._value_id, value),
            self._registry.encode(self._key_id, {"id": f"k{number}"}),
        )
        self._producer.poll(0)
        self.written[number] = count

    def end(self) -> None:
        assert self._producer.flush(15) == 0


def _row(number: int, count: int) -> dict[str, Any]:
    return {"id": f"k{number}", "name": None, "paid": None, "born": None, "seen": None, "visits": count}


def counted(town: Town, topic: str) -> dict[str, list[int]]:
    """What a share topic holds, key by key in its order: all committed records, not only the last ones."""
    found: dict[str, list[int]] = defaultdict(list)
    reader = town.exchange.consumer(enable_partition_eof=True)
    try:
        partitions = reader.list_topics(topic, 10).topics[topic].partitions
        reader.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        for message in read_to_end(reader, len(partitions)):
            row = town.exchange.registry.decode(message.value() or b"")[1]["row"]
            found[row["id"]].append(row["visits"])
    finally:
        reader.close()
    return found


def missing(town: Town, topic: str, written: Mapping[int, int]) -> dict[str, list[int]]:
    """Which counts of which keys a share topic does not hold yet."""
    found = counted(town, topic)
    left = {f"k{number}": set(range(1, count + 1)) - set(found[f"k{number}"]) for number, count in written.items()}
    return {key: sorted(counts) for key, counts in left.items() if counts}


def shares(admin: AdminClient) -> dict[int, set[tuple[str, int]]]:
    """The partitions of each member of the group, by its process."""
    told = admin.describe_consumer_groups([FILLED])[FILLED].result(30)
    return {
        int(member.client_id.rsplit("-", 1)[1]): {
            (one.topic, one.partition) for one in member.assignment.topic_partitions
        }
        for member in told.members
    }


def test_every_change_once_over_a_network_that_breaks_transactions(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "TIMEOUT_SECONDS", 3.0)
    monkeypatch.setattr(assignment, "TIMEOUT_SECONDS", 3.0)
    monkeypatch.setattr(transaction, "REQUEST_TIMEOUT_MS", 2_000)
    stop, exchange, admin = threading.Event(), town.exchange, town.exchange.admin()
    with Network(exchange.home.ports["kafka"], SEED, one_in=40) as network:
        through = exchange.settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{network.port}"})
        followed, held = Followed(through, exchange.registry), Number(db.engine(exchange.settings, "sync"))
        followed.start()
        relay = Relay(through, exchange.registry, admin_client(through, "sync"), followed, held, filled=True)
        thread = threading.Thread(target=relay.run, args=(stop,), name="second worker")
        thread.start()
        try:
            eventually(relay.why_not_ready, lambda why: why is None, "the second worker")
            # which partitions a worker is given is the broker's affair: of several topics it gets some of one at least
            systems = {}
            for _ in range(4):
                code = resource(town)
                system = mounted(town, code)
                systems[town.grant(as_table(town, system, code), ["id", "visits"])["id"]] = system
            topics = {system.credentials["topic"]: grant for grant, system in systems.items()}
            served = eventually(
                lambda: [topics[topic] for topic, _ in shares(admin).get(os.getpid(), set()) if topic in topics],
                bool,
                "its partitions",
            )
            grant, counts = exchange.ask("GET", "demand", f"/grants/{served[0]}"), Counts(town, systems[served[0]])
            network.destroy()
            ours = network.commits
            until = time.monotonic() + 2 * TRANSACTIONS
            while network.commits - ours < TRANSACTIONS and time.monotonic() < until:
                for number in range(KEYS):
                    counts.write(number)
                    time.sleep(0.002)
            network.heal()
            counts.end()
            wanted = {f"k{number}": count for number, count in counts.written.items()}
            eventually(lambda: missing(town, grant["topic"], counts.written), lambda left: not left, "every change", 90)
        finally:
            network.heal()
            stop.set()
            thread.join(60)
            followed.stop()
    assert not thread.is_alive()
    found = counted(town, grant["topic"])
    assert {key: seen for key, seen in found.items() if seen != list(range(1, wanted[key] + 1))} == {}
    assert network.commits - ours >= TRANSACTIONS, "the second worker has had too few transactions for this to show"
    assert len(network.met) > 2, network.met
