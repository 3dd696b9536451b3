"""One trace for one change, from its commit in the source to the receipts of those it was delivered to."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from services.sync.tracing import ids_of
from tests.collector import Collector, Span
from tests.road.catalog.test_topic_mounts import FIRST, as_table, mounted, resource
from tests.road.databases import OwnDatabase
from tests.road.town import OWNER, Table, Town, eventually

RULES = [{"id": "there", "kind": "required", "items": ["name"], "parameters": {}, "severity": "warning"}]
CARRIED = re.compile(rb"traceparent00-([0-9a-f]{32})-([0-9a-f]{16})-0[13]")
SECRETS = ("王小明", "k-77")


@pytest.fixture(scope="module")
def office(town: Town) -> Iterator[OwnDatabase]:
    one = OwnDatabase(town.exchange.home.secrets, f"traced_{uuid.uuid4().hex[:6]}")
    yield one
    one.remove()


@pytest.fixture
def watched(collector: Collector | None) -> Collector:
    """The collector that the exchange was started with."""
    if collector is None:
        pytest.skip("this exchange tells its spans to nobody: start it, and the tests, with TONGSHU_OTLP_ENDPOINT")
    return collector


def hops(table: Table, grant: dict[str, Any], office: OwnDatabase) -> list[str]:
    """The spans that one change leads to, each before those that follow from it."""
    share = grant["topic"]
    return [
        f"commit {OWNER.database}", f"send {table.topic}", f"process {table.topic}", "check", "project",
        f"send {share}", f"process {share}", f"process {share}", "cache rows", "send sync.receipts",
        f"upsert {grant['table_target']['schema']}.people",
    ]  # fmt: skip


def test_one_trace_leads_from_the_sources_commit_to_every_receipt(
    town: Town, office: OwnDatabase, watched: Collector
) -> None:
    table = town.table({"id": "text", "name": "text"}, rules=RULES, query_keys=["id"])
    grant = town.live_grant(
        table, ["id", "name"], channels=["topic", "table", "api"], table_target=office.target("people")
    )
    reader = town.reader(grant)
    table.run("insert into {t} values (%s, %s)", SECRETS[1], SECRETS[0])
    (record,) = reader.await_records(1)
    reader.close()
    carried = CARRIED.search(record.raw)
    assert carried is not None, "the delivered record tells nothing of its trace"
    trace, sender = (found.decode() for found in carried.groups())

    assert record.value is not None
    source = record.value["source"]
    derived = ids_of(source["system"], source["position"], source["committed_at"])
    assert trace == f"{derived[0]:032x}"

    wanted = sorted(hops(table, grant, office))
    eventually(lambda: sorted(span.name for span in watched.trace(trace)), lambda seen: seen == wanted, "all hops")
    spans = watched.trace(trace)
    by_id = {span.id: span for span in spans}
    (root,) = (span for span in spans if not span.parent)
    assert (root.name, root.id) == (f"commit {OWNER.database}", f"{derived[1]:016x}")
    for span in spans:
        if span is not root:
            before = by_id[span.parent]
            assert before.start <= span.start <= span.end, (before, span)

    def way(span: Span) -> list[str]:
        return [*way(by_id[span.parent]), span.name] if span.parent else [span.name]

    receipt = next(span for span in spans if span.name == "send sync.receipts")
    assert way(receipt) == [
        f"commit {OWNER.database}", f"send {table.topic}", f"process {table.topic}",
        f"send {grant['topic']}", f"process {grant['topic']}", "send sync.receipts",
    ]  # fmt: skip
    assert by_id[sender].attributes["messaging.kafka.offset"] == record.offset
    assert {span.service for span in spans} == {"tongshu-sync", "tongshu-sync-table", "tongshu-sync-rows"}
    told = repr(spans)
    assert not any(secret in told for secret in SECRETS)

    def sealed() -> set[str]:
        entries = town.exchange.ask("GET", "audit", f"/entries?trace={trace}")["items"]
        return {entry["topic"] for entry in entries}

    eventually(sealed, lambda topics: topics == {"sync.deliveries", "sync.receipts"}, "the log names the trace")


def test_a_system_that_traces_its_changes_finds_them_in_its_own_trace(town: Town, watched: Collector) -> None:
    code = resource(town)
    system = mounted(town, code)
    topic = system.credentials["topic"]
    grant = town.live_grant(as_table(town, system, code), ["id", "name"])
    trace, caller = uuid.uuid4().hex, uuid.uuid4().hex[:16]
    key, value = system.change("c", None, {**FIRST, "name": SECRETS[0]})
    producer = system.producer()
    producer.produce(topic, value, key, headers={"traceparent": f"00-{trace}-{caller}-01"})
    assert producer.flush(15) == 0

    def told() -> dict[str, str]:
        return {span.name: span.parent for span in watched.trace(trace)}

    begun = f"commit {OWNER.database}"
    wanted = {begun, f"send {topic}", f"process {topic}", "project", f"send {grant['topic']}"}
    assert eventually(told, lambda seen: seen.keys() == wanted, "the relay's part")[begun] == caller

    # a histogram leads to it, for whoever scrapes in a form that has exemplars
    address = f"http://127.0.0.1:{town.exchange.home.ports['sync']}/metrics"
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    families = text_string_to_metric_families(httpx.get(address, headers=accept).text)
    (seconds,) = (one for one in families if one.name == "tongshu_relay_transaction_seconds")
    led = {sample.exemplar.labels["trace_id"] for sample in seconds.samples if sample.exemplar}
    assert any(watched.trace(one) for one in led)
    plain = httpx.get(address)
    assert plain.headers["content-type"].startswith("text/plain") and "trace_id" not in plain.text
