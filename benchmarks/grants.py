"""How soon the relay serves ten thousand grants: a part of `./tongshu bench sync`.

Five hundred resources with twenty grants each are written to the state topics of a running exchange, as the catalogue
and the demand side would. What is measured is how long the relay takes until it serves all of them: while it runs, and,
what counts after an update, from the start of its process. Decoding the same states with fastavro is the peer.
"""

from __future__ import annotations

import io
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import fastavro
import psutil
from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.report import Report
from benchmarks.road import process_of
from cli.demo.grants import GRANTS
from cli.demo.stage import catalogue, server_of
from cli.demo.world import create
from cli.exchange import Exchange
from services.core.avro import Codec, load
from services.core.kafka import Topic, client_config, ensure_topics
from services.sync.relay.worker import GROUP

_PATIENCE_SECONDS = 300.0
_AT_ONCE = 100


def start(report: Report, exchange: Exchange, *, resources: int, grants: int) -> None:
    """Serve `grants` of each of so many resources."""
    server = server_of(exchange)
    create(server, 809)
    catalogue(exchange, server)
    granted = exchange.ask("POST", "demand", "/grants", dict(GRANTS[0].request))
    partitions = exchange.settings.cdc_partitions
    before = _await_ways(exchange, partitions)
    wanted = before + resources * grants * partitions
    resource_states, grant_states = _states(exchange, granted, resources, grants)
    report.add("grants", resources * grants, "grants")
    report.add("of resources", resources, "resources")
    topics = [Topic(one["mount"]["topic"], partitions, compacted=True) for one in resource_states.values()]
    for at in range(0, len(topics), _AT_ONCE):
        ensure_topics(exchange.admin(), topics[at : at + _AT_ONCE], 1)

    begun = time.monotonic()
    _write(exchange, "catalog.resources", resource_states)
    _write(exchange, "demand.grants", grant_states)
    _await_ways(exchange, wanted)
    report.add("written to served, while the relay runs", time.monotonic() - begun, "s")

    process = psutil.Process(process_of(exchange, "sync"))
    process.terminate()
    process.wait(_PATIENCE_SECONDS)
    _await_ways(exchange, wanted)
    seconds = time.time() - psutil.Process(process_of(exchange, "sync")).create_time()
    report.add("start of the relay's process to serving all", seconds, "s")
    peer = _decoded("catalog.resources", resource_states) + _decoded("demand.grants", grant_states)
    report.add("decoding the same states with fastavro", peer, "s")
    report.compare("start_over_decoding", seconds, peer)


def _states(
    exchange: Exchange, granted: Mapping[str, Any], resources: int, grants: int
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """States like the sample's, of resources and grants that nobody has."""
    resource = _state(exchange, "catalog.resources", str(granted["resource"]))
    grant = _state(exchange, "demand.grants", str(granted["id"]))
    made, given = {}, {}
    for number in range(resources):
        code = f"bench_{number}"
        mount = resource["mount"] | {"table": code, "topic": f"cdc.bench.bench.{code}", "connector": f"bench-{number}"}
        made[code] = resource | {"code": code, "mount": mount}
        for place in range(grants):
            name = f"{number:06x}{place:06x}"
            given[name] = grant | {"id": name, "resource": code, "topic": f"share.bench.{name}", "thread": name}
    return made, given


def _state(exchange: Exchange, topic: str, key: str) -> dict[str, Any]:
    value = {found: value for found, value, _ in exchange.read_all(topic)}[key.encode()]
    return Codec(exchange.registry, topic).decode(value or b"")


def _write(exchange: Exchange, topic: str, states: Mapping[str, Mapping[str, Any]]) -> None:
    codec = Codec(exchange.registry, topic)
    producer = Producer(client_config(exchange.settings, "admin", linger_ms=5, compression_type="lz4"))
    for key, state in states.items():
        producer.produce(topic, key=key, value=codec.encode(state))
        producer.poll(0)
    producer.flush()


def _await_ways(exchange: Exchange, wanted: int) -> int:
    """Wait until so many ways of grants through partitions are live; how many are."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while (live := _live_ways(exchange)) < wanted:
        if time.monotonic() > until:
            raise AssertionError(f"{live} of {wanted} ways are served")
        time.sleep(0.1)
    return live


def _live_ways(exchange: Exchange) -> int:
    address = f"http://127.0.0.1:{exchange.home.ports['sync']}/metrics"
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            told = answer.read().decode()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return 0
    return sum(
        int(sample.value)
        for family in text_string_to_metric_families(told)
        for sample in family.samples
        if sample.name == "tongshu_relay_ways" and sample.labels == {"group": GROUP, "state": "live"}
    )


def _decoded(topic: str, states: Mapping[str, Mapping[str, Any]]) -> float:
    """Seconds that fastavro takes for the states' bytes."""
    schema = fastavro.parse_schema(load(topic))
    made = []
    for state in states.values():
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, state)
        made.append(out.getvalue())
    begun = time.perf_counter()
    for value in made:
        fastavro.schemaless_reader(io.BytesIO(value), schema, schema)
    return time.perf_counter() - begun
