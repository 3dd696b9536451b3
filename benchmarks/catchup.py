"""A new grant on a long change topic, beside those that are served live: a part of `./tongshu bench sync`.

How soon it is served, and what it costs the others meanwhile: the latency of a steady stream beside the same stream
without it, and the drain of a backlog beside the same drain. What it has got is compared with the reference.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from confluent_kafka import Producer, TopicPartition

from benchmarks.report import Report
from benchmarks.road import changing, consuming
from benchmarks.sync import CHANGE_TOPIC, Source, by_reference, drain, produce, served
from cli.demo.grants import RESOURCES
from cli.demo.stage import Running, percentile
from cli.exchange import Exchange, Refused
from services.core.kafka import client_config, read_to_end

_CHUNK = 50_000
_BACKLOG = 200_000
_WARM_UP_SECONDS = 20.0
_IDLE_SECONDS = 30.0
_ROUNDS = 3
# every so manieth row is compared item by item; of the others, that they are there
_COMPARED = 20
# rows that no sample grant sees, at positions before all that its source will say
_UNSEEN = {"region": "110101", "status": "deceased"}
_REQUEST = {
    "resource": "population",
    "department": "medical_insurance",
    "items": [item["name"] for item in RESOURCES["population"]["items"]],
    "masks": {"name": {"kind": "keep", "first": 1}, "phone": {"kind": "keep", "first": 3, "last": 4}},
    "purpose": "参保资格核验",
}


def run(report: Report, exchange: Exchange, *, records: int, rate: float) -> None:
    """Measure on a running exchange with samples, on which nothing else happens."""
    with consuming(exchange) as (server, running):
        rows = _write(exchange, Source(exchange, 0, _UNSEEN), records)
        with changing(server, rate):
            time.sleep(_WARM_UP_SECONDS)
            _latencies(running)
            time.sleep(_IDLE_SECONDS)
            idle = _latencies(running)
            begun = time.monotonic()
            grant = exchange.ask("POST", "demand", "/grants", _REQUEST)
            served(exchange, [grant])
            seconds = time.monotonic() - begun
            meanwhile = _latencies(running)
        _require_same(exchange, grant, rows, records)
        report.add("catch-up", records, "changes")
        report.add("catch-up: asked for to served live", seconds, "s")
        report.add("catch-up: by the clock", records / seconds, "records/s")
        for name, spread in (("idle", idle), ("during the catch-up", meanwhile)):
            for share in (0.5, 0.99):
                report.add(f"live changes, {name}, p{share * 100:.0f}", percentile(spread, share) * 1_000, "ms")
        report.compare("live_p99_catching_up_over_idle", percentile(meanwhile, 0.99), percentile(idle, 0.99))
    alone, beside = _drains(exchange, Source(exchange))
    report.add(f"a backlog of {_BACKLOG:,} live changes, drained alone", alone, "s")
    report.add("the same during a catch-up", beside, "s")
    report.compare("live_drain_catching_up_over_alone", beside, alone)


def _drains(exchange: Exchange, source: Source) -> tuple[float, float]:
    """Median seconds that a backlog of live changes takes, alone and while a grant catches up that sees none of it."""
    drain(exchange, source.changes(_BACKLOG))
    alone, beside = list[float](), list[float]()
    for _ in range(_ROUNDS):
        alone.append(drain(exchange, source.changes(_BACKLOG))[1])
        changes = source.changes(_BACKLOG)
        grant = exchange.ask("POST", "demand", "/grants", {**_REQUEST, "row_filter": 'region = "110101"'})
        while not _catches_up(exchange, grant["id"]):
            time.sleep(0.02)
        seconds = drain(exchange, changes, 0)[1]
        if not _catches_up(exchange, grant["id"]):
            raise AssertionError("the catch-up was over before the backlog was drained")
        beside.append(seconds)
        served(exchange, [grant])
    return statistics.median(alone), statistics.median(beside)


def _write(exchange: Exchange, source: Source, records: int) -> dict[bytes, bytes]:
    """Write that many changes; some of them by their keys."""
    producer = Producer(client_config(exchange.settings, "admin", linger_ms=5, compression_type="lz4"))
    kept = dict[bytes, bytes]()
    for number in range(0, records, _CHUNK):
        changes = source.changes(min(_CHUNK, records - number), number)
        produce(producer, CHANGE_TOPIC, changes)
        kept |= dict(changes[::_COMPARED])
    return kept


def _latencies(running: Sequence[Running]) -> list[float]:
    """Of what consumers have got since this was asked last, shortest first."""
    found = list[float]()
    for one in running:
        one.update()
        found += one.latencies
        one.latencies.clear()
    return sorted(found)


def _catches_up(exchange: Exchange, grant: str) -> bool:
    try:
        return bool(exchange.ask("GET", "sync", f"/grants/{grant}")["catching_up"])
    except Refused:
        return False  # nothing is known of it yet


def _require_same(exchange: Exchange, grant: dict[str, str], changes: dict[bytes, bytes], records: int) -> None:
    """No figure counts before every row is there, and those that are compared are what the reference says."""
    wanted = {row["row"]["id_number"]: row for row in by_reference(exchange, grant, list(changes.items()))}
    keys, compared = set[bytes](), 0
    reader = exchange.consumer(enable_partition_eof=True)
    partitions = reader.list_topics(grant["topic"], 30).topics[grant["topic"]].partitions
    reader.assign([TopicPartition(grant["topic"], one, 0) for one in partitions])
    for message in read_to_end(reader, len(partitions)):
        keys.add(bytes(message.key() or b""))
        if (value := message.value()) is None:
            continue
        held = exchange.registry.decode(value)[1]
        if held["row"] is not None and (row := wanted.get(held["row"]["id_number"])) is not None:
            compared += 1
            if row | {"op": held["op"]} != held:
                raise AssertionError(f"a record is {held} and not {row}")
    reader.close()
    if len(keys) < records or compared < len(wanted):
        raise AssertionError(f"{len(keys)} rows of {records} were delivered, {compared} of {len(wanted)} compared")
