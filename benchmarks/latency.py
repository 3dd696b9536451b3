"""What the relay adds to a change that already stands in its topic: a part of `./tongshu bench sync`.

Changes are written as a connector writes them: every five milliseconds, what there is by then. Two readers note when
each comes to them, one of the change topic, where Debezium alone would leave it, and one of the grant's topic. Change
by change, the difference is what sync adds: at a steady rate, and at four fifths of what this arrangement can do.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from benchmarks.report import Report
from benchmarks.road import beside
from benchmarks.sync import CHANGE_TOPIC, Source, by_reference, log_end, produce, require_same, served, values
from cli.demo.grants import GRANTS
from cli.demo.stage import catalogue, percentile, server_of
from cli.demo.world import create
from cli.exchange import Exchange
from services.core.kafka import client_config

_BEAT_SECONDS = 0.005
_BURST = 200_000
_WARM_UP_SECONDS = 15.0
_LOAD = 0.8
_LOADED_SECONDS = 8.0
_COMPARED = 20_000
_PATIENCE_SECONDS = 120.0
# keys of rows from this number on are born in a month that no sample row is
_FIRST, _OURS = 90_000_000, b"32061219909"

Changes = Sequence[tuple[bytes, bytes]]


def run(report: Report, exchange: Exchange, *, rate: int, seconds: float) -> None:
    """Measure on a fresh exchange with samples, on which nothing else happens."""
    server = server_of(exchange)
    create(server, 809)
    catalogue(exchange, server)
    grant = exchange.ask("POST", "demand", "/grants", dict(GRANTS[0].request))
    source = Source(exchange)
    served(exchange, [grant])
    producer = Producer(client_config(exchange.settings, "admin", linger_ms=0, compression_type="lz4"))
    with _noted(exchange, CHANGE_TOPIC, "read_uncommitted") as alone, _noted(exchange, grant["topic"]) as delivered:

        def added(changes: Changes, rate: float) -> list[float]:
            """Seconds, shortest first, that changes at `rate` take from one reader to the other."""
            before = log_end(exchange, grant["topic"])
            _write(producer, changes, rate)
            first, second = alone(len(changes)), delivered(len(changes))
            _require_delivered(exchange, grant, changes, before)
            return sorted(there - here for here, there in zip(first, second, strict=True))

        for _ in range(2):
            changes, begun = source.changes(_BURST, _FIRST), time.time()
            produce(producer, CHANGE_TOPIC, changes)
            alone(_BURST)
            most = _BURST / (delivered(_BURST)[-1] - begun)
        # what the bursts have left others to do is done by then
        added(source.changes(round(rate * _WARM_UP_SECONDS), _FIRST), rate)
        idle = added(source.changes(round(rate * seconds), _FIRST), rate)
        loaded = added(source.changes(round(_LOAD * most * _LOADED_SECONDS), _FIRST), _LOAD * most)
    report.add("latency: the most that is written, delivered and read", most, "changes/s")
    for load, spread in ((f"{rate:,} changes/s", idle), (f"{_LOAD:.0%} of the most", loaded)):
        for share in (0.5, 0.95, 0.99):
            report.add(f"sync adds at {load}, p{share * 100:.0f}", percentile(spread, share) * 1_000, "ms")
    report.compare("added_p99_loaded_over_idle", percentile(loaded, 0.99), percentile(idle, 0.99))


def _write(producer: Producer, changes: Changes, rate: float) -> None:
    """Write `changes` at `rate`, all that are due each beat, into the one partition that is read."""
    begun, written = time.monotonic(), 0
    while written < len(changes):
        due = min(int((time.monotonic() - begun) * rate) + 1, len(changes))
        some: list[Any] = [{"key": key, "value": value} for key, value in changes[written:due]]
        producer.produce_batch(CHANGE_TOPIC, some, partition=0)
        producer.poll(0)
        written = due
        time.sleep(_BEAT_SECONDS)
    producer.flush()


def _require_delivered(exchange: Exchange, grant: Mapping[str, Any], changes: Changes, before: int) -> None:
    """No figure counts before the deliveries are what the reference says."""
    step = -(-len(changes) // _COMPARED)
    held = values(exchange, grant["topic"], before, len(changes))[::step]
    wanted = by_reference(exchange, grant, changes[::step])
    require_same(zip((exchange.registry.decode(value)[1] for value in held), wanted, strict=True))


@contextmanager
def _noted(exchange: Exchange, topic: str, isolation: str = "read_committed") -> Iterator[Any]:
    """A reader of a topic in a process of its own; gives a function that says when the next so many records came."""
    config = client_config(exchange.settings, "admin", group_id="bench.latency", isolation_level=isolation)
    with beside(_note, config, topic, log_end(exchange, topic)) as process:

        def came(count: int) -> array[float]:
            process.send(count)
            if not process.poll(_PATIENCE_SECONDS):
                raise AssertionError(f"{topic} does not get {count:,} records")
            found: array[float] = process.recv()
            return found

        yield came


def _note(config: Mapping[str, Any], topic: str, start: int, parent: Connection) -> None:
    consumer, times, wanted = Consumer(dict(config)), array("d"), 0
    consumer.assign([TopicPartition(topic, 0, start)])
    try:
        while True:
            first = consumer.poll(0.05)
            now = time.time()
            for message in (first, *consumer.consume(10_000, 0)) if first is not None else ():
                if message.error() is not None:
                    raise KafkaException(message.error())
                # what the source itself has said goes by
                if _OURS in bytes(message.key() or b""):
                    times.append(now)
            if parent.poll():
                wanted = parent.recv()
            if wanted and len(times) >= wanted:
                parent.send(times[:wanted])
                times, wanted = times[wanted:], 0
    except (EOFError, BrokenPipeError):
        return
    finally:
        consumer.close()
