"""`./tongshu bench road`: the whole road, from a commit at the source to the consumers of three grants.

Latency: changes at a steady rate; the same changes are also timed where Debezium has written them, so that what the
relay adds can be told from what the road costs anyway. Throughput: a burst of changes, in deliveries a second and in
CPU time of the relay, beside a confluent-kafka loop that copies the same records and does nothing else.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any

import psutil
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from benchmarks.clock import cpu_of
from benchmarks.report import Report
from cli.demo.grants import MOUNTS, RESOURCES
from cli.demo.stage import Running, catalogue, open_grants, percentile, server_of, settle
from cli.demo.workload import Workload
from cli.demo.world import DEPARTMENTS, Server, create
from cli.exchange import Exchange
from infra.embedded.supervisor import read_status
from services.core.avro import Registry
from services.core.kafka import Topic, client_config, ensure_topics, read_to_end
from services.sync.projection.reference import committed_at

_SEED = 809
_WARM_UP_SECONDS = 30.0
_TAIL = 50
_BURST = (
    ("public_security", "update population.person set phone = '1' || lpad(%s::text, 10, '3'), name = name || '又'", 9),
    ("market_supervision", "update registry.enterprise set legal_representative = '代' || %s::text", 12),
)


def run(report: Report, exchange: Exchange, *, rate: float, seconds: float) -> None:
    """Measure on a running exchange with samples, on which nothing else happens."""
    report.add("resident memory at rest", resident_bytes(exchange) / 1024**2, "MiB")
    with consuming(exchange) as (server, running):
        _latency(report, exchange, server, running, rate=rate, seconds=seconds)
        require_equal(exchange, server, running)
        _throughput(report, exchange, server, running)
        require_equal(exchange, server, running)


@contextmanager
def consuming(exchange: Exchange) -> Iterator[tuple[Server, list[Running]]]:
    """The sources, and the sample grants with a consumer each that holds what they say, of a fresh exchange."""
    server = server_of(exchange)
    create(server, _SEED)
    catalogue(exchange, server)
    running = open_grants(exchange)
    try:
        require_equal(exchange, server, running)
        yield server, running
    finally:
        for one in running:
            one.receiver.stop()


def resident_bytes(exchange: Exchange) -> int:
    """Resident memory of all processes of the exchange; pages that several share are counted once (PSS)."""
    found = 0
    for process in psutil.process_iter():
        try:
            if process.environ().get("TONGSHU_EXCHANGE") == exchange.home.id:
                found += process.memory_full_info().pss
        except psutil.Error:
            continue
    return found


def require_equal(exchange: Exchange, server: Server, running: list[Running]) -> None:
    """No figure counts before its output is what the source says."""
    left = settle(exchange, server, running, patience_seconds=180)
    if left:
        raise AssertionError(f"consumers do not hold what their sources say: {left}")


# -- latency ---------------------------------------------------------------------------------------------------------


def _latency(
    report: Report, exchange: Exchange, server: Server, running: list[Running], *, rate: float, seconds: float
) -> None:
    with changing(server, rate) as done, _timed_at_debezium(exchange) as at_debezium:
        time.sleep(_WARM_UP_SECONDS)
        for one in running:
            one.update()
            one.latencies.clear()
        at_debezium()
        before, begun = done(), time.monotonic()
        time.sleep(seconds)
        changed, elapsed = done() - before, time.monotonic() - begun
        alone = sorted(at_debezium())
        for one in running:
            one.update()
    report.add("changes at the sources", changed / elapsed, "1/s")
    everywhere = sorted(latency for one in running for latency in one.latencies)
    report.add("deliveries", len(everywhere) / elapsed, "1/s")
    for name, spread in (
        ("commit to consumer", everywhere),
        *((f"commit to consumer, {one.sample.name}", sorted(one.latencies)) for one in running),
        ("commit to change topic (Debezium alone)", alone),
    ):
        for share in (0.5, 0.95, 0.99):
            report.add(f"{name}, p{share * 100:.0f}", percentile(spread, share) * 1_000, "ms")
    report.compare("latency_over_debezium", percentile(everywhere, 0.5), percentile(alone, 0.5))


@contextmanager
def changing(server: Server, rate: float) -> Iterator[Any]:
    """A workload in a process of its own; gives a function that says how many changes it has made."""
    context = multiprocessing.get_context("spawn")
    stop, done = context.Event(), context.Value("q", 0)
    process = context.Process(target=_change, args=(server, rate, stop, done))
    process.start()
    try:
        yield lambda: int(done.value)
    finally:
        stop.set()
        process.join(20)


def _change(server: Server, rate: float, stop: Event, done: Any) -> None:
    workload = Workload(server, _SEED + 1)
    stopping = threading.Event()
    worker = threading.Thread(target=workload.run, args=(rate, stopping))
    worker.start()
    while not stop.wait(0.01):
        done.value = workload.done.total()
    stopping.set()
    worker.join()
    workload.close()


@contextmanager
def _timed_at_debezium(exchange: Exchange) -> Iterator[Any]:
    """A consumer of the change topics; gives a function that takes the latencies since it was last called."""
    # as the relay reads them: a connector commits once a second
    config = _admin_config(exchange, group_id=f"bench-{uuid.uuid4()}", isolation_level="read_uncommitted")
    with beside(_time_changes, config, exchange.registry_url, _change_topics()) as process:

        def taken() -> list[float]:
            process.send("take")
            found: list[float] = process.recv()
            return found

        yield taken


@contextmanager
def beside(target: Callable[..., None], *args: Any) -> Iterator[Connection]:
    """Run `target` in a process of its own, with `args` and the other end of what this gives, until that is closed."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=target, args=(*args, there))
    process.start()
    there.close()
    try:
        yield here
    finally:
        here.close()
        process.join(20)


def _time_changes(config: dict[str, Any], registry_url: str, topics: list[str], parent: Connection) -> None:
    registry, consumer = Registry(registry_url), Consumer({**config, "auto.offset.reset": "latest"})
    consumer.subscribe(topics)
    latencies: list[float] = []
    try:
        while True:
            message = consumer.poll(0.05)
            now = time.time()
            value = message.value() if message is not None and message.error() is None else None
            if value is not None:
                latencies.append(now - committed_at(registry.decode(value)[1]).timestamp())
            if parent.poll():
                parent.recv()
                parent.send(latencies)
                latencies = []
    except (EOFError, BrokenPipeError):
        return
    finally:
        consumer.close()


# -- throughput ------------------------------------------------------------------------------------------------------


def _throughput(report: Report, exchange: Exchange, server: Server, running: list[Running]) -> None:
    places = _ends(exchange)
    before = [len(one.received().records) for one in running]
    relay = process_of(exchange, "sync")
    spent, begun, begun_at = cpu_of(relay), time.monotonic(), time.time()
    changes = _burst(server)
    committed = time.monotonic()
    require_equal(exchange, server, running)
    elapsed, spent = time.monotonic() - begun, cpu_of(relay) - spent
    delivered = sum(len(one.received().records) for one in running) - sum(before)
    report.add("burst: changes", changes, "")
    report.add("burst: deliveries", delivered, "")
    report.add("burst: source's own time", committed - begun, "s")
    report.add("burst: first commit to last delivery", elapsed, "s")
    written = _last_written(exchange, _change_topics()) - begun_at
    relayed = _last_written(exchange, [one.grant["topic"] for one in running]) - begun_at
    report.add("burst: first commit to the last change that Debezium wrote", written, "s")
    report.add("burst: first commit to the last delivery that the relay wrote", relayed, "s")
    report.compare("burst_over_debezium", relayed, written)
    report.add("relay: deliveries, by the clock", delivered / elapsed, "1/s")
    report.add("relay: CPU a delivery", spent / delivered * 1e6, "µs")
    copied, copy_seconds, copy_cpu = _copy(exchange, places)
    report.add("copy loop: records, by the clock", copied / copy_seconds, "1/s")
    report.add("copy loop: CPU a record", copy_cpu / copied * 1e6, "µs")
    report.compare("road_relay_over_copy", delivered / spent, copied / copy_cpu)


def _burst(server: Server) -> int:
    changes = 0
    for department in DEPARTMENTS:
        for slug, statement, times in _BURST:
            if slug == department.slug:
                with server.connect(department) as connection:
                    for turn in range(times):
                        changes += connection.execute(statement.encode(), (turn,)).rowcount
    return changes


def _copy(exchange: Exchange, places: dict[tuple[str, int], int]) -> tuple[int, float, float]:
    """Copy what was written from `places` on: `(records, seconds, seconds of CPU)`."""
    topic = f"bench.copy.{uuid.uuid4().hex[:8]}"
    ensure_topics(exchange.admin(), [Topic(topic)], 1)
    ends = _ends(exchange)
    consumer = Consumer(_admin_config(exchange, group_id=f"bench-{uuid.uuid4()}"))
    producer = Producer(_admin_config(exchange, linger_ms=5, compression_type="lz4"))
    left = {place for place, end in ends.items() if end > places.get(place, 0)}
    consumer.assign([TopicPartition(*place, places.get(place, 0)) for place in left])
    copied, begun, spent = 0, time.monotonic(), time.process_time()
    while left:
        for message in consumer.consume(2_000, 0.05):
            if message.error() is not None:
                raise KafkaException(message.error())
            while True:
                try:
                    producer.produce(topic, message.value(), message.key())
                    break
                except BufferError:
                    producer.poll(0.05)
            copied += 1
        producer.poll(0)
        # an end may lie behind control records, which nobody gets to see: the position says where the reader is
        left = {place for place in left if _position(consumer, place) < ends[place]}
    producer.flush()
    elapsed, spent = time.monotonic() - begun, time.process_time() - spent
    consumer.close()
    exchange.admin().delete_topics([topic])
    return copied, elapsed, spent


def _position(consumer: Consumer, place: tuple[str, int]) -> int:
    return int(consumer.position([TopicPartition(*place)])[0].offset)


def _ends(exchange: Exchange) -> dict[tuple[str, int], int]:
    reader = exchange.consumer(group_id="bench")
    try:
        found = {}
        for topic in _change_topics():
            for partition in reader.list_topics(topic, 10).topics[topic].partitions:
                found[topic, partition] = reader.get_watermark_offsets(TopicPartition(topic, partition), 10)[1]
        return found
    finally:
        reader.close()


def _last_written(exchange: Exchange, topics: Sequence[str]) -> float:
    """When the newest record of `topics` was written, in seconds since 1970."""
    reader = exchange.consumer(group_id="bench", enable_partition_eof=True, isolation_level="read_uncommitted")
    newest = 0
    for topic in topics:
        places = [TopicPartition(topic, number) for number in reader.list_topics(topic, 10).topics[topic].partitions]
        for place in places:
            # the last of all may be markers of transactions
            place.offset = max(0, reader.get_watermark_offsets(place, 10)[1] - _TAIL)
        reader.assign(places)
        newest = max(newest, *(message.timestamp()[1] for message in read_to_end(reader, len(places))))
    reader.close()
    return newest / 1_000


def _change_topics() -> list[str]:
    systems = {department.slug: department.database for department in DEPARTMENTS}
    return [
        f"cdc.{systems[RESOURCES[code]['department']]}.{schema}.{table}" for code, (schema, table) in MOUNTS.items()
    ]


def _admin_config(exchange: Exchange, **more: Any) -> dict[str, Any]:
    return client_config(exchange.settings, "admin", **more)


def process_of(exchange: Exchange, part: str) -> int:
    """The id of the process that is `part` of the exchange."""
    told = read_status(exchange.home) or {"parts": []}
    return int(next(one["pid"] for one in told["parts"] if one["name"] == part))
