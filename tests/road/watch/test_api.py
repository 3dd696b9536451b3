"""What the watch's API tells, and to whom."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import httpx
import pytest

from cli.exchange import Exchange
from services.core.identity import OF_A_DEPARTMENT, Role
from tests.road.catalog.office import Place
from tests.road.town import eventually
from tests.road.watch.conftest import Lookout, Scene

EVERYONE = frozenset(Role)
WHO: dict[str, frozenset[Role]] = {
    "GET /lag": EVERYONE,
    "GET /lag/{group}": EVERYONE,
    "GET /topics": EVERYONE,
    "GET /hops": EVERYONE,
    "GET /connectors": EVERYONE,
    "GET /events": EVERYONE,
    "GET /alerts": EVERYONE,
    "GET /alerts/{number}": EVERYONE,
    "POST /alerts/{number}/steps": frozenset({Role.ADMINISTRATOR, Role.OPS}),
    "GET /summary": frozenset({Role.ADMINISTRATOR, Role.OPS, Role.AUDITOR}),
    "GET /subscriptions": EVERYONE - {Role.AUDITOR},
    "POST /subscriptions": EVERYONE - {Role.AUDITOR},
    "DELETE /subscriptions/{subscription_id}": EVERYONE - {Role.AUDITOR},
    "POST /subscriptions/{subscription_id}/trials": EVERYONE - {Role.AUDITOR},
    "GET /subscriptions/{subscription_id}/dispatches": EVERYONE - {Role.AUDITOR},
}
_PREFIX = "/api/watch/v1"


@pytest.fixture(scope="module")
def described(exchange: Exchange) -> dict[str, dict[str, Any]]:
    document = httpx.get(exchange.url("watch") + "/openapi.json").json()
    return {
        f"{method.upper()} {re.sub(r':path', '', path.removeprefix(_PREFIX))}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_every_operation_is_in_the_table_and_says_the_same(described: dict[str, dict[str, Any]]) -> None:
    said = {name: frozenset(Role(role) for role in one["x-roles"]) for name, one in described.items()}
    assert said == WHO


def call(exchange: Exchange, operation: str, token: str | None) -> httpx.Response:
    method, path = operation.split(" ")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.stream(
        method, exchange.url("watch") + re.sub(r"\{\w+\}", "999", path), headers=headers, json={}, timeout=30
    ) as answer:
        return answer


def test_every_role_meets_what_every_operation_says(place: Place, exchange: Exchange) -> None:
    office = place.office()
    tokens = {
        role: place.caller(role.value, department=office.slug if role in OF_A_DEPARTMENT else None).token
        for role in Role
    }
    for token in tokens.values():
        eventually(lambda token=token: call(exchange, "GET /lag", token).status_code, lambda code: code == 200, "known")
    for (name, allowed), (role, token) in itertools.product(WHO.items(), tokens.items()):
        answer = call(exchange, name, token)
        assert (answer.status_code == 403) == (role not in allowed), f"{role} {name}: {answer.status_code}"
        assert answer.status_code < 500, f"{role} {name}: {answer.status_code}"
    for name in WHO:
        assert call(exchange, name, None).status_code == 401


def test_a_department_sees_its_own_groups_topics_and_hops_only(scene: Scene, lookout: Lookout, place: Place) -> None:
    client = scene.client()
    scene.write(5)
    client.read(5)
    client.leave()
    lookout.await_group(client.group, bool, "it is seen")
    own = place.caller("consumer", department="civil_affairs").at("watch")
    other = place.caller("consumer", department=place.office().slug).at("watch")
    ops = place.caller("ops").at("watch")
    for caller in (own, other, ops):
        eventually(lambda caller=caller: caller.get("/lag").status_code, lambda code: code == 200, "a known token")
    mine = own.must(own.get("/lag"))["items"]
    assert client.group in {one["group"] for one in mine}
    assert {one["department"] for one in mine} == {"civil_affairs"}
    assert other.must(other.get("/lag"))["items"] == []
    refused = other.get(f"/lag/{client.group}")
    assert refused.status_code == 404 and refused.json()["type"].endswith("group-unknown")
    # topics are looked at less often than groups
    topics = eventually(
        lambda: {one["topic"]: one for one in own.must(own.get("/topics"))["items"]},
        lambda found: found.get(scene.grant["topic"], {}).get("records", 0) >= 5,
        "the records of its topic",
    )
    assert {one["department"] for one in topics.values()} == {"civil_affairs"}
    shared = topics[scene.grant["topic"]]
    assert (shared["kind"], shared["resource"], shared["grant"]) == ("share", scene.table.code, scene.grant["id"])
    assert client.group in {one["group"] for one in shared["groups"]}
    assert {row["department"] for hop in own.must(own.get("/hops"))["items"] for row in hop["rows"]} == {
        "civil_affairs"
    }
    assert {one["department"] for one in own.must(own.get("/connectors"))["items"]} <= {"civil_affairs"}
    # whoever runs the exchange sees all: the relay, and the connector of the table
    assert "sync.relay" in {one["group"] for one in ops.must(ops.get("/lag"))["items"]}
    assert f"mount.{scene.table.code}" in {one["connector"] for one in ops.must(ops.get("/connectors"))["items"]}


def test_the_hops_tell_how_long_each_took(scene: Scene, exchange: Exchange) -> None:
    scene.write(20)

    def hops() -> dict[str, dict[str, Any]]:
        return {one["hop"]: one for one in exchange.ask("GET", "watch", "/hops")["items"]}

    def row(told: dict[str, dict[str, Any]], hop: str, name: str) -> dict[str, Any] | None:
        return next((one for one in told[hop]["rows"] if one["name"] == name), None)

    def complete(told: dict[str, dict[str, Any]]) -> bool:
        source = row(told, "source_cdc", f"mount.{scene.table.code}")
        delivered = row(told, "relay_share", scene.grant["id"])
        return bool(source and source["last_at"] and delivered and delivered["rate"] > 0)

    told = eventually(hops, complete, "the changes on every hop")
    assert list(told) == ["source_cdc", "cdc_relay", "relay_share", "share_consumer", "consumer_applied"]
    source, delivered = told["source_cdc"]["latency"], told["relay_share"]["latency"]
    assert 0 <= source["p50"] <= source["p95"] <= source["max"] and source["count"] >= 1
    assert 0 < delivered["p50"] <= delivered["max"] < 60
    histogram = [bucket["count"] for bucket in told["relay_share"]["histogram"]]
    assert histogram == sorted(histogram) and histogram[-1] == delivered["count"]
    connector = next(
        one
        for one in exchange.ask("GET", "watch", "/connectors")["items"]
        if one["connector"] == f"mount.{scene.table.code}"
    )
    assert (connector["state"], connector["status"], connector["department"]) == ("RUNNING", "OK", "public_security")
    assert [task["state"] for task in connector["tasks"]] == ["RUNNING"] and connector["last_committed_at"]


def test_samples_come_as_events(exchange: Exchange) -> None:
    token = exchange.home.secret("operator_token")
    seen: list[tuple[int, dict[str, Any]]] = []
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.stream("GET", exchange.url("watch") + "/events", headers=headers, timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        number = -1
        for line in answer.iter_lines():
            if line.startswith("id: "):
                number = int(line.removeprefix("id: "))
            elif line.startswith("data: "):
                seen.append((number, json.loads(line.removeprefix("data: "))))
            if len(seen) == 2:
                break
    (first, told), (second, _) = seen
    assert second > first
    assert "sync.relay" in {one["group"] for one in told["groups"]}
    assert {one["hop"] for one in told["hops"]} >= {"source_cdc", "relay_share"} and told["connectors"]
