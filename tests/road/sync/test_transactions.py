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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from cli.demo.stage import comes_true
from cli.exchange import Exchange
from services.core import db
from services.core.avro import Codec
from services.core.kafka import admin_client, read_to_end
from services.sync.relay import assignment
from services.sync.relay.client import messages
from services.sync.relay.followed import Followed
from services.sync.relay.number import Number
from services.sync.relay.worker import GROUP, Relay
from tests.road.catalog.test_topic_mounts import System, as_table, mounted, resource
from tests.road.sync.network import END_TXN, Network
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


def numbers(exchange: Exchange, grants: set[str]) -> Mapping[tuple[str, str], list[int]]:
    """The numbers of the manifests of some grants, by run and grant, in their order."""
    codec, found = Codec(exchange.registry, "sync.deliveries"), defaultdict[tuple[str, str], list[int]](list)
    reader = exchange.consumer(enable_partition_eof=True)
    try:
        reader.assign([TopicPartition("sync.deliveries", 0, 0)])
        for message in read_to_end(reader, 1):
            if (message.key() or b"").decode() in grants:
                manifest = codec.decode(message.value() or b"")
                found[manifest["worker"], manifest["grant"]].append(manifest["sequence"])
    finally:
        reader.close()
    return found


@dataclass(frozen=True)
class Second:
    """A worker of this process, beside the exchange's own, and a grant that it serves a partition of at least."""

    grant: dict[str, Any]
    counts: Counts
    relay: Relay


@contextmanager
def second_worker(town: Town, network: Network, client: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Second]:
    """One that reaches the broker over `network` by a `client` of its own, and waits for no answer for long."""
    monkeypatch.setattr(assignment, "TIMEOUT_SECONDS", 3.0)
    monkeypatch.setattr(messages, "TIMEOUT_SECONDS", 3.0)
    monkeypatch.setattr(messages, "REQUEST_TIMEOUT_SECONDS", 2.0)
    if client == "batches":
        batches = pytest.importorskip("services.sync.relay.client.batches", reason="no Rust has built it here")
        monkeypatch.setattr(batches, "REQUEST_TIMEOUT_SECONDS", 2.0)
    stop, exchange, admin = threading.Event(), town.exchange, town.exchange.admin()
    through = exchange.settings.model_copy(
        update={"kafka_bootstrap": f"127.0.0.1:{network.port}", "relay_client": client}
    )
    # that the one before has left may have been lost in its network: the broker then waits for it for 45 s
    eventually(lambda: os.getpid() in shares(admin), lambda there: not there, "its predecessor's being gone", 60)
    followed, held = Followed(through, exchange.registry), Number(db.engine(exchange.settings, "sync"))
    followed.start()
    relay = Relay(through, exchange.registry, admin_client(through, "sync"), followed, held, filled=True)
    thread = threading.Thread(target=relay.run, args=(stop,), name="second worker")
    thread.start()
    try:
        eventually(relay.why_not_ready, lambda why: why is None, "the second worker")
        # whoever subscribes to a new topic first has it, and gives up any others for it: ours are among them some time
        systems, served, until = dict[str, tuple[str, System]](), list[str](), time.monotonic() + 120
        while not served:
            assert time.monotonic() < until, "the second worker is given none of the partitions of ours"
            code = resource(town)
            system = mounted(town, code)
            grant = town.grant(as_table(town, system, code), ["id", "visits"])
            systems[system.credentials["topic"]] = grant["id"], system
            served = [topic for topic, _ in shares(admin).get(os.getpid(), set()) if topic in systems]
        grant_id, system = systems[served[0]]
        yield Second(exchange.ask("GET", "demand", f"/grants/{grant_id}"), Counts(town, system), relay)
    finally:
        network.heal()
        stop.set()
        thread.join(60)
        followed.stop()
    assert not thread.is_alive()


def pass_through(network: Network, counts: Counts, transactions: int) -> None:
    """Write until the network has met so many transactions, or it takes too long."""
    network.destroy()
    wanted, until = network.commits + transactions, time.monotonic() + 2 * transactions
    while network.commits < wanted and time.monotonic() < until:
        for number in range(KEYS):
            counts.write(number)
            time.sleep(0.002)
    network.heal()
    counts.end()
    assert network.commits >= wanted, "the second worker has had too few transactions for this to show"


def all_once(town: Town, topic: str, written: Mapping[int, int], seconds: float = 90) -> None:
    """In so many seconds every change is in a share topic, once, and those of a key in their order."""
    eventually(lambda: missing(town, topic, written), lambda left: not left, "every change", seconds)
    found = counted(town, topic)
    assert {key: seen for key, seen in found.items() if seen != list(range(1, written[int(key[1:])] + 1))} == {}


@pytest.mark.parametrize("client", ["batches", "messages"])
def test_every_change_once_over_a_network_that_breaks_transactions(
    town: Town, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Network(town.exchange.home.ports["kafka"], SEED, one_in=40) as network:
        with second_worker(town, network, client, monkeypatch) as second:
            pass_through(network, second.counts, TRANSACTIONS)
            all_once(town, second.grant["topic"], second.counts.written)
        assert len(network.met) > 2, network.met


@pytest.mark.parametrize("client", ["batches", "messages"])
def test_nothing_follows_a_commit_that_may_still_come(town: Town, client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """librdkafka says it again itself, and what it said first would commit the half of what follows."""
    broker = town.exchange.home.ports["kafka"]
    with Network(broker, SEED, one_in=4, faults=["late"], matters={END_TXN}) as network:
        with second_worker(town, network, client, monkeypatch) as second:
            pass_through(network, second.counts, 20)
            all_once(town, second.grant["topic"], second.counts.written)
        runs = {run for run, _ in numbers(town.exchange, {second.grant["id"]})}
        assert len(runs) > 2, (runs, network.met)


@pytest.mark.parametrize("client", ["batches", "messages"])
def test_who_is_not_told_where_it_left_off_says_so_and_asks_again(
    town: Town, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Network(town.exchange.home.ports["kafka"], SEED, one_in=1) as network,
        second_worker(town, network, client, monkeypatch) as second,
    ):

        def says_so() -> bool:
            return "committed offsets" in (second.relay.why_not_ready() or "")

        monkeypatch.setattr(assignment, "TIMEOUT_SECONDS", 0.001)
        until = time.monotonic() + 120
        while not says_so():
            assert time.monotonic() < until, "it never says so, though partitions of new topics are given to it"
            code = resource(town)
            town.grant(as_table(town, mounted(town, code), code), ["id", "visits"])
            comes_true(says_so, 5)
        monkeypatch.setattr(assignment, "TIMEOUT_SECONDS", 30.0)
        eventually(second.relay.why_not_ready, lambda why: why is None, "its going on")
        for number in range(KEYS):
            second.counts.write(number)
        second.counts.end()
        all_once(town, second.grant["topic"], second.counts.written)
