"""Every step leaves an event, every delivery a manifest, and all of it is sealed under a signed root."""

from __future__ import annotations

import uuid
from collections import Counter

from cli.demo.proof import account, check_log
from cli.demo.stage import open_grants, server_of, settle
from cli.demo.workload import Workload
from cli.exchange import Exchange
from services.core.merkle import leaf_hash, record_entry, root
from tests.road.town import Town, eventually


def test_a_busy_day_ends_equal_and_accounted_for(exchange: Exchange, town: Town) -> None:
    server = server_of(exchange)
    running, workload = open_grants(exchange, login=town.login), Workload(server, seed=5)
    try:
        for _ in range(600):
            workload.change()
        assert settle(exchange, server, running) == {}
        assert workload.done.keys() == {"insert", "update", "delete", "rekey"}
        assert account(exchange, running) == []
        assert check_log(exchange) == []
    finally:
        workload.close()
        for one in running:
            one.receiver.stop()


def test_a_manifest_tells_exactly_what_was_delivered(town: Town) -> None:
    table = town.table({"id": "text", "visits": "bigint"})
    grant = town.live_grant(table, ["id", "visits"])
    reader = town.reader(grant)
    table.run("insert into {t} values ('a', 1)")
    table.run("update {t} set visits = 2")
    table.run("delete from {t}")
    records = reader.await_records(4)
    manifests = [
        town.exchange.registry.decode(value)[1]
        for key, value, _ in town.exchange.read_all("sync.deliveries")
        if key.decode() == grant["id"] and value is not None
    ]
    counts = Counter[str]()
    for manifest in manifests:
        counts.update(manifest["counts"])
        assert (manifest["thread"], manifest["department"]) == (grant["thread"], "civil_affairs")
        (target,) = manifest["targets"]
        covered = [record for record in records if target["first"] <= record.offset <= target["last"]]
        entries = {
            record.offset: record_entry(key, value)
            for record in covered
            for key, value, offset in town.exchange.read_all(grant["topic"])
            if offset == record.offset
        }
        assert manifest["root"] == root(leaf_hash(entries[offset]) for offset in sorted(entries))
        assert 0 <= manifest["latency_min_us"] <= manifest["latency_max_us"] < 30_000_000
    assert counts == {"create": 1, "update": 1, "delete": 1, "tombstone": 1, "read": 0}
    assert sorted(manifest["sequence"] for manifest in manifests) == list(range(1, len(manifests) + 1))


def test_events_carry_who_what_and_the_thread_as_cloudevents(town: Town) -> None:
    table = town.table({"id": "text"})
    grant = town.grant(table, ["id"])
    town.exchange.ask("DELETE", "demand", f"/grants/{grant['id']}")
    reader = town.exchange.consumer(group_id=f"test-{uuid.uuid4()}")
    reader.subscribe(["demand.events"])
    found = []

    def read() -> list[str]:
        # all that is there, and not one a look: what other tests did before stands in the same topic
        of_the_grant = (one for one in reader.consume(1_000, 0.2) if one.key() == grant["id"].encode())
        found.extend(one for one in of_the_grant if one.error() is None)
        return [dict(one.headers() or [])["ce_type"].decode() for one in found]

    names = [f"cn.tongshu.demand.grant_{what}.v1" for what in ("opened", "revoked")]
    eventually(read, lambda types: types == names, "events of the grant")
    reader.close()
    headers = {name: value.decode() for name, value in found[0].headers() or []}
    assert (headers["ce_specversion"], headers["ce_source"]) == ("1.0", "/tongshu/demand")
    assert (headers["ce_subject"], headers["ce_correlationid"]) == (grant["id"], grant["thread"])
    assert headers["content-type"] == "application/avro"
    assert uuid.UUID(headers["ce_id"])
    assert headers["traceparent"].startswith("00-") and len(headers["traceparent"]) == 55
    event = town.exchange.registry.decode(found[0].value() or b"")[1]
    assert (event["actor"], event["department"], event["thread"]) == ("operator", "civil_affairs", grant["thread"])


def test_the_state_topic_holds_the_grant_as_the_service_tells_it(town: Town) -> None:
    table = town.table({"id": "text", "name": "text"})
    grant = town.grant(table, ["id", "name"], masks={"name": {"kind": "null"}}, row_filter='id != "x"')

    def state() -> dict[str, object] | None:
        kept = [value for key, value, _ in town.exchange.read_all("demand.grants") if key.decode() == grant["id"]]
        return town.exchange.registry.decode(kept[-1])[1] if kept and kept[-1] is not None else None

    told = eventually(state, lambda found: found is not None, "state of the grant")
    assert told is not None
    for name in ("id", "thread", "state", "resource", "department", "items", "row_filter", "channels", "topic"):
        assert told[name] == grant[name]
