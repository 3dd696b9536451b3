"""The relay beside what a user could pick instead: a part of `./tongshu bench sync`.

The exchange's own relay drains a backlog of changes for one grant, then for eight, each exactly once and with its
manifests. Beside it: a confluent-kafka loop that copies the same changes in transactions of the same size and does
nothing else, MirrorMaker 2, which only copies too, and the projection of the one grant as an application of Kafka
Streams, quixstreams and faust; for eight grants, MirrorMaker 2 copying eight times, and eight Debezium connectors whose
transforms cut and mask. All are compared by the CPU time of their processes: on few cores the broker takes the clock.
"""

from __future__ import annotations

import multiprocessing
import statistics
import struct
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import psutil
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition

from benchmarks.clock import cpu_of
from benchmarks.peers.running import OWNER, PEERS, Running, connectors, mirrored
from benchmarks.report import Report
from benchmarks.road import process_of
from cli.demo.grants import GRANTS
from cli.demo.stage import catalogue, server_of
from cli.demo.world import Server, create
from cli.exchange import Exchange, Refused
from services.core.avro import Codec
from services.core.kafka import Topic, client_config, ensure_topics
from services.sync.projection.plan import Plan, compile_plan
from services.sync.projection.reference import project
from services.sync.relay.client import LIVE_BATCH
from services.sync.relay.worker import GROUP

_HEADER = struct.Struct(">bI")
_MASTER = bytes(32)
_MOST_BYTES = 1_000_000
_ROUNDS = 5
_OWN_ROUNDS = 9
_CALM_SECONDS = 3.0
_WARM_UP_SECONDS = 30.0
_PATIENCE_SECONDS = 300.0
CHANGE_TOPIC = "cdc.public_security.population.person"


def relay(report: Report, exchange: Exchange, records: int) -> None:
    """The exchange's relay with one and with eight grants of one resource, and its peers."""
    server = server_of(exchange)
    create(server, 809)
    catalogue(exchange, server)
    request = dict(GRANTS[0].request)
    grants = [exchange.ask("POST", "demand", "/grants", request)]
    source = Source(exchange)
    served(exchange, grants)
    report.add("backlog", records, "changes")
    drain(exchange, source.changes(records // 5))
    one, unsealed, copied = [], [], []
    for _ in range(_OWN_ROUNDS):
        with _resting(exchange, "audit"):
            unsealed.append(drain(exchange, source.changes(records)))
        changes = source.changes(records)
        before = log_end(exchange, grants[0]["topic"])
        one.append(drain(exchange, changes))
        copied.append(_copied(exchange, records))
    seen = by_reference(exchange, grants[0], changes)
    held = zip(values(exchange, grants[0]["topic"], before, records), seen, strict=True)
    require_same((exchange.registry.decode(value)[1], wanted) for value, wanted in held)
    cpu, seconds = _medians(one)
    copy_cpu, copy_seconds = _medians(copied)
    report.add("relay, 1 grant: by the clock", records / seconds, "records/s")
    report.add("relay, 1 grant: CPU a record", cpu / records * 1e6, "µs")
    report.add("copy loop: by the clock", records / copy_seconds, "records/s")
    report.add("copy loop: CPU a record", copy_cpu / records * 1e6, "µs")
    report.compare("relay_over_copy", records / cpu, records / copy_cpu)
    unsealed_cpu, unsealed_seconds = _medians(unsealed)
    report.add("relay, 1 grant, nothing sealed meanwhile: by the clock", records / unsealed_seconds, "records/s")
    report.add("relay, 1 grant, nothing sealed meanwhile: CPU a record", unsealed_cpu / records * 1e6, "µs")
    report.compare("sealed_over_unsealed", cpu / records, unsealed_cpu / records)
    for name, short, peer in PEERS:
        with peer(exchange, _told(exchange, grants[0], changes)) as running:
            peer_cpu, peer_seconds = _round_by_round(exchange, running, changes, seen)
        report.add(f"{name}: by the clock", records / peer_seconds, "records/s")
        report.add(f"{name}: CPU a record", peer_cpu / records * 1e6, "µs")
        report.compare(f"relay_over_{short}", records / cpu, records / peer_cpu)
    grants += [exchange.ask("POST", "demand", "/grants", request) for _ in range(7)]
    served(exchange, grants)
    cpu_8, seconds_8 = _medians([drain(exchange, source.changes(records)) for _ in range(_OWN_ROUNDS)])
    report.add("relay, 8 grants: by the clock", 8 * records / seconds_8, "deliveries/s")
    report.add("relay, 8 grants: CPU a delivery", cpu_8 / records / 8 * 1e6, "µs")
    report.compare("fanout_cpu_8_over_1", cpu_8 / records / 8, cpu / records)
    with mirrored(exchange, _told(exchange, grants[0], changes), 8) as running:
        mirror_cpu, _ = _round_by_round(exchange, running, changes, seen)
    report.add("MirrorMaker 2, 8 copies: CPU a copy", mirror_cpu / records / 8 * 1e6, "µs")
    report.compare("fanout_over_mm2", records / cpu_8, records / mirror_cpu)
    _beside_connectors(report, exchange, server, grants)


def _beside_connectors(report: Report, exchange: Exchange, server: Server, grants: Sequence[Mapping[str, Any]]) -> None:
    """Changes of the source itself, for eight grants: by one connector and the relay, and by eight connectors."""
    # rows that the grants see, so that both sides deliver all of them
    update = """
        update population.person set phone = '1' || lpad(%s::text, 10, '3'), name = name || '又'
        where region like '3206%%'
    """
    with server.connect(OWNER) as source, connectors(exchange, server, 8) as running:
        changed, costs = 0, []
        for turn in range(1 + _ROUNDS):
            parts = [process_of(exchange, part) for part in ("connect", "sync")]
            ours, theirs = [cpu_of(part) for part in parts], cpu_of(running.pid)
            ends = {topic: log_end(exchange, topic) for topic in running.outputs}
            changed = source.execute(update.encode(), (turn,)).rowcount
            _await_ends(exchange, running, {topic: end + changed for topic, end in ends.items()})
            _drained(exchange)
            spent = [cpu_of(part) - before for part, before in zip(parts, ours, strict=True)]
            # the first goes to the compilers of all sides
            if turn:
                costs.append((*spent, cpu_of(running.pid) - theirs))
    connect, sync, eight = (statistics.median(column) / changed / 8 for column in zip(*costs, strict=True))
    report.add("8 Debezium connectors: CPU a delivery", eight * 1e6, "µs")
    report.add("1 Debezium connector and the relay: CPU a delivery", (connect + sync) * 1e6, "µs")
    report.compare("fanout_over_connectors", 1 / sync, 1 / eight)
    report.compare("fanout_over_connectors_with_our_connector", 1 / (connect + sync), 1 / eight)


def _await_ends(exchange: Exchange, running: Running, ends: Mapping[str, int]) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while any(log_end(exchange, topic) < end for topic, end in ends.items()):
        if time.monotonic() > until:
            running.require_well()
            raise AssertionError("the connectors do not write all changes")
        time.sleep(0.1)


# -- relay -------------------------------------------------------------------------------------------------------------


class Source:
    """Makes changes as the connector of the sample population does, as fast as a producer can take them.

    Each is at a later position of the source's log than all before, from `position` on. Rows hold `items`; without any,
    the first sample grant sees them.
    """

    def __init__(self, exchange: Exchange, position: int = 2**50, items: Mapping[str, str] | None = None) -> None:
        self._exchange, self._position, self._items = exchange, position, items or {"region": "320612"}
        reader = exchange.consumer(group_id=f"bench-{uuid.uuid4()}", isolation_level="read_uncommitted")
        reader.assign([TopicPartition(CHANGE_TOPIC, 0, 0)])
        message = reader.poll(30)
        reader.close()
        if message is None or message.value() is None:
            raise AssertionError("the connector has written nothing")
        self._schema_id, self._template = exchange.registry.decode(bytes(message.value() or b""))

    def changes(self, count: int, first: int = 0) -> list[tuple[bytes, bytes]]:
        """Keys and values of creates: rows number `first` and on."""
        envelope: Any = self._template
        made = []
        for number in range(first, first + count):
            self._position += 1
            place, key = self._position, f"3206121990{number:08d}"
            envelope["op"], envelope["before"] = "c", None
            envelope["after"] |= {"id_number": key, **self._items}
            envelope["source"] |= {
                "sequence": f'["{place}","{place + 1}"]', "lsn": place + 1, "ts_us": time.time_ns() // 1_000,
            }  # fmt: skip
            made.append((key.encode(), self._exchange.registry.encode(self._schema_id, envelope)))
        return made


def drain(
    exchange: Exchange, changes: Sequence[tuple[bytes, bytes]], calm_seconds: float = _CALM_SECONDS
) -> tuple[float, float]:
    """Put `changes` before the relay; its seconds of CPU, and by the clock, until all are delivered and committed."""
    process = process_of(exchange, "sync")
    producer = Producer(client_config(exchange.settings, "admin", linger_ms=5, compression_type="lz4"))
    # what others in the exchange have to do with the round before is no load of this one, as it is none of a peer's
    time.sleep(calm_seconds)
    before, begun = cpu_of(process), time.monotonic()
    produce(producer, CHANGE_TOPIC, changes)
    _drained(exchange)
    return cpu_of(process) - before, time.monotonic() - begun


@contextmanager
def _resting(exchange: Exchange, part: str) -> Iterator[None]:
    """A part does nothing for a moment, shorter than the supervisor waits for its answers."""
    process = psutil.Process(process_of(exchange, part))
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def produce(producer: Producer, topic: str, changes: Sequence[tuple[bytes, bytes]]) -> None:
    """Write `changes` and wait until the broker has them."""
    for start in range(0, len(changes), 10_000):
        some: list[Any] = [{"key": key, "value": value} for key, value in changes[start : start + 10_000]]
        # into one partition, so that one reader can copy the same and find deliveries in the order of the changes
        producer.produce_batch(topic, some, partition=0)
        while len(producer) > 50_000:
            producer.poll(0.01)
    producer.flush()


def _drained(exchange: Exchange) -> None:
    """Wait until the relay has committed all changes that there are."""
    reader, admin = exchange.consumer(group_id="bench", isolation_level="read_uncommitted"), exchange.admin()
    places = [
        TopicPartition(CHANGE_TOPIC, number)
        for number in reader.list_topics(CHANGE_TOPIC, 30).topics[CHANGE_TOPIC].partitions
    ]
    ends = {one.partition: reader.get_watermark_offsets(one, 30)[1] for one in places}
    reader.close()
    while True:
        told = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(GROUP, places)])[GROUP].result(30)
        # behind the last change there may stand the marker of its transaction, which nobody commits past
        if all(one.offset + 1 >= ends[one.partition] for one in told.topic_partitions if ends[one.partition]):
            return
        time.sleep(0.02)


def _copied(exchange: Exchange, records: int) -> tuple[float, float]:
    """The same for the loop that copies the last `records` changes; in a process of its own, as the relay is."""
    topic = f"bench.copy.{uuid.uuid4().hex[:8]}"
    ensure_topics(exchange.admin(), [Topic(topic)], 1)
    end = log_end(exchange, CHANGE_TOPIC)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    config = client_config(exchange.settings, "admin")
    process = context.Process(target=_copy, args=(config, topic, end - records, end, there))
    process.start()
    found: tuple[float, float] = here.recv()
    process.join()
    exchange.admin().delete_topics([topic])
    return found


def _copy(config: dict[str, Any], topic: str, start: int, end: int, parent: Connection) -> None:
    """Consume, produce, commit: in transactions as large as the relay's may be."""
    consumer = Consumer({**config, "group.id": "bench.copy", "isolation.level": "read_committed"})
    producer = Producer(
        {**config, "transactional.id": topic, "linger.ms": 0, "compression.type": "lz4",
         "queue.buffering.max.messages": 1_000_000}
    )  # fmt: skip
    producer.init_transactions()
    consumer.assign([TopicPartition(CHANGE_TOPIC, 0, start)])
    position = start
    before, begun = time.process_time(), time.monotonic()
    while position < end:
        messages = consumer.consume(LIVE_BATCH, 0.05)
        if not messages:
            continue
        producer.begin_transaction()
        for message in messages:
            if message.error() is not None:
                raise KafkaException(message.error())
            producer.produce(topic, message.value(), message.key())
        position = int(messages[-1].offset() or 0) + 1
        offsets = [TopicPartition(CHANGE_TOPIC, 0, position)]
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
        producer.commit_transaction()
    parent.send((time.process_time() - before, time.monotonic() - begun))
    consumer.close()


def served(exchange: Exchange, grants: Sequence[Mapping[str, Any]]) -> None:
    """Wait until all of `grants` are on the live stream."""
    for grant in grants:
        while True:
            try:
                told = exchange.ask("GET", "sync", f"/grants/{grant['id']}")
                if told["live"] and not told["catching_up"]:
                    break
            except Refused:
                pass
            time.sleep(0.2)


def _told(exchange: Exchange, grant: Mapping[str, Any], changes: Sequence[tuple[bytes, bytes]]) -> dict[str, Any]:
    """What a peer must know to project as the relay does for `grant`."""
    plan, registry = _plan(exchange, grant, changes), exchange.registry
    login = client_config(exchange.settings, "admin")
    return {
        "bootstrap": exchange.bootstrap, "username": login["sasl.username"], "password": login["sasl.password"],
        "writer": registry.schema(registry.decode(changes[0][1])[0]), "key": plan.key_schema,
        "value": plan.value_schema, "key_id": registry.register(f"{grant['topic']}-key", plan.key_schema),
        "value_id": registry.register(f"{grant['topic']}-value", plan.value_schema), "system": plan.system,
        "grant": plan.grant, "contract_version": plan.contract_version,
    }  # fmt: skip


def _plan(exchange: Exchange, grant: Mapping[str, Any], changes: Sequence[tuple[bytes, bytes]]) -> Plan:
    resource = _state(exchange, "catalog.resources", "population")
    schema_id, _ = exchange.registry.decode(changes[0][1])
    master = bytes.fromhex(exchange.home.secret("pseudonym_key"))
    return compile_plan(
        exchange.registry.schema(schema_id), resource, _state(exchange, "demand.grants", grant["id"]), master
    )


def by_reference(exchange: Exchange, grant: Mapping[str, Any], changes: Sequence[tuple[bytes, bytes]]) -> list[Any]:
    """What the reference makes of each of `changes` for `grant`."""
    plan, found = _plan(exchange, grant, changes), []
    for _, value in changes:
        (one,) = project(plan, exchange.registry.decode(value)[1])
        found.append(one.value)
    return found


def require_same(pairs: Iterable[tuple[Any, Any]]) -> None:
    """No figure counts before the outputs are, record for record, what they must be."""
    for held, wanted in pairs:
        if held != wanted:
            raise AssertionError(f"a record is {held} and not {wanted}")


def _round_by_round(
    exchange: Exchange, running: Running, changes: Sequence[tuple[bytes, bytes]], seen: Sequence[Any]
) -> tuple[float, float]:
    """Median seconds of CPU, and by the clock, that a peer takes for `changes`, after it was warmed up with them.

    Its first output must be `seen`, or the changes themselves where it only copies.
    """
    producer = Producer(client_config(exchange.settings, "admin", linger_ms=5, compression_type="lz4"))
    places = dict.fromkeys(running.outputs, 0)

    def put_through() -> tuple[list[bytes], tuple[float, float]]:
        before, begun = cpu_of(running.pid), time.monotonic()
        produce(producer, running.input, changes)
        values = _outputs(exchange, running, places, len(changes))
        return values, (cpu_of(running.pid) - before, time.monotonic() - begun)

    warm = time.monotonic() + _WARM_UP_SECONDS
    values, _ = put_through()
    if running.copies:
        require_same(zip(values, (value for _, value in changes), strict=True))
    else:
        require_same(zip((exchange.registry.decode(value)[1] for value in values), seen, strict=True))
    while time.monotonic() < warm:
        put_through()
    return _medians([put_through()[1] for _ in range(_ROUNDS)])


def _outputs(exchange: Exchange, running: Running, places: dict[str, int], count: int) -> list[bytes]:
    """Read `count` records of each output from its place on; gives those of the first."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while missing := set(running.outputs) - set(exchange.admin().list_topics(timeout=30).topics):
        running.require_well()
        if time.monotonic() > until:
            raise AssertionError(f"the peer has not made {missing}")
        time.sleep(0.2)
    reader = exchange.consumer(group_id=f"bench-{uuid.uuid4()}")
    reader.assign([TopicPartition(topic, 0, place) for topic, place in places.items()])
    left, first = dict.fromkeys(running.outputs, count), []
    while any(left.values()):
        if not (messages := reader.consume(10_000, 0.05)):
            running.require_well()
        for message in messages:
            if message.error() is not None:
                raise KafkaException(message.error())
            topic = str(message.topic())
            left[topic] -= 1
            places[topic] = int(message.offset() or 0) + 1
            if topic == running.outputs[0]:
                first.append(bytes(message.value() or b""))
        if time.monotonic() > until:
            raise AssertionError(f"the peer does not write what is left: {left}; {running.said()}")
    reader.close()
    return first


def values(exchange: Exchange, topic: str, start: int, count: int) -> list[bytes]:
    """The values of `count` records from `start` on."""
    reader, found = exchange.consumer(group_id=f"bench-{uuid.uuid4()}"), list[bytes]()
    reader.assign([TopicPartition(topic, 0, start)])
    while len(found) < count:
        found += [bytes(message.value() or b"") for message in reader.consume(count - len(found), 0.2)]
    reader.close()
    return found


def _medians(rounds: Sequence[tuple[float, float]]) -> tuple[float, float]:
    cpu, seconds = (statistics.median(column) for column in zip(*rounds, strict=True))
    return cpu, seconds


def _state(exchange: Exchange, topic: str, key: str) -> dict[str, Any]:
    """The last state of `key` in a compacted topic."""
    value = {found: value for found, value, _ in exchange.read_all(topic)}[key.encode()]
    return Codec(exchange.registry, topic).decode(value or b"")


def log_end(exchange: Exchange, topic: str) -> int:
    reader = exchange.consumer(group_id="bench", isolation_level="read_uncommitted")
    try:
        return int(reader.get_watermark_offsets(TopicPartition(topic, 0), 30)[1])
    finally:
        reader.close()
