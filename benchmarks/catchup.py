"""What a catch-up costs those who are served already: a part of `./tongshu bench sync`.

A grant is opened on a resource whose change topic holds so many records, while sources change at a steady rate. Told
are how fast it is brought to where the others are, and what their deliveries take meanwhile, beside what they take when
nobody catches up.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import psutil
from confluent_kafka import Producer

from benchmarks.report import Report
from benchmarks.road import changing, consuming, process_of, require_equal
from benchmarks.sync import CHANGE_TOPIC, Source, drained, end_of, put, served
from cli.demo.grants import GRANTS
from cli.demo.stage import Running, percentile
from cli.exchange import Exchange
from services.core.kafka import client_config

_RATE = 200.0
_WARM_UP_SECONDS = 60.0
_IDLE_SECONDS = 30.0
_WRITTEN_AT_ONCE = 50_000


def run(report: Report, exchange: Exchange, records: int) -> None:
    """Measure on a running exchange with samples, on which nothing else happens."""
    with consuming(exchange) as (server, running):
        # before all that the connector tells: those who are served have heard it, and who catches up has not
        source = Source(exchange, first=0)
        producer = Producer(client_config(exchange.settings, "admin", linger_ms=5, compression_type="lz4"))
        for start in range(0, records, _WRITTEN_AT_ONCE):
            put(producer, CHANGE_TOPIC, source.changes(min(_WRITTEN_AT_ONCE, records - start)))
        drained(exchange)
        relay = psutil.Process(process_of(exchange, "sync"))
        with changing(server, _RATE) as done:
            time.sleep(_WARM_UP_SECONDS)
            _taken(running)
            time.sleep(_IDLE_SECONDS)
            idle = _taken(running)
            changed, cpu, begun = done(), sum(relay.cpu_times()[:2]), time.monotonic()
            grant = exchange.ask("POST", "demand", "/grants", dict(GRANTS[0].request))
            served(exchange, [grant])
            elapsed, cpu = time.monotonic() - begun, sum(relay.cpu_times()[:2]) - cpu
            busy, changed = _taken(running), done() - changed
        require_equal(exchange, server, running)
    if (brought := end_of(exchange, grant["topic"])) < records:
        raise AssertionError(f"{brought} records were brought to who caught up, of {records} and more")
    report.add("caught up with", records, "records")
    report.add("catch-up: by the clock", records / elapsed, "records/s")
    report.add("catch-up: CPU of the relay a record, live changes included", cpu / records * 1e6, "µs")
    report.add("changes at the sources meanwhile", changed / elapsed, "1/s")
    for name, spread in (("nobody catching up", idle), ("during the catch-up", busy)):
        for share in (0.5, 0.99):
            report.add(f"commit to consumer, {name}, p{share * 100:.0f}", percentile(spread, share) * 1_000, "ms")
    report.compare("live_p99_in_catch_up_over_idle", percentile(busy, 0.99), percentile(idle, 0.99))


def _taken(running: Sequence[Running]) -> list[float]:
    """Latencies of what was delivered since this was last asked, in seconds, ascending."""
    found = []
    for one in running:
        one.update()
        found += one.latencies
        one.latencies.clear()
    return sorted(found)
