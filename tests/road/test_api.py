"""What the APIs refuse, and how: problem details that name the field and the reason, nothing half-done."""

from __future__ import annotations

import time
import uuid
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest

from cli.demo.stage import publish
from cli.exchange import Exchange
from services.core.settings import Settings
from tests.road.town import Town, resource_of

ITEMS = [{"name": "id", "title": "id", "type": "string", "column": "id", "key": True, "nullable": False}]


def ask(
    exchange: Exchange, method: str, service: str, path: str, body: Any = None, token: str | None = None
) -> httpx.Response:
    token = exchange.home.secret("operator_token") if token is None else token
    headers = {"If-Match": "*", **({"Authorization": f"Bearer {token}"} if token else {})}
    return httpx.request(method, exchange.url(service) + path, json=body, headers=headers, timeout=60)


def problem(answer: httpx.Response) -> dict[str, Any]:
    """The body of a refusal, once it is what RFC 9457 says."""
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert told["status"] == answer.status_code >= 400
    assert told["type"].startswith("urn:tongshu:problem:") and told["title"] and told["detail"]
    assert told["instance"] == answer.request.url.path
    return told


def routes(exchange: Exchange, service: str) -> list[tuple[str, str]]:
    document = httpx.get(exchange.url(service) + "/openapi.json").json()
    return [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]


@pytest.mark.parametrize("service", ["catalog", "demand"])
@pytest.mark.parametrize("token", ["", "not-the-token"])
def test_nobody_gets_in_without_the_token(exchange: Exchange, service: str, token: str) -> None:
    prefix = f"/api/{service}/v1"
    found = routes(exchange, service)
    assert found
    for method, path in found:
        answer = ask(exchange, method, service, path.removeprefix(prefix), token=token)
        assert (answer.status_code, problem(answer)["type"]) == (401, "urn:tongshu:problem:not-signed-in"), (
            method,
            path,
        )


REFUSED_RESOURCES: dict[str, tuple[dict[str, Any], str]] = {
    "core grade": ({"grade": "core"}, "/grade"),
    "a state secret": ({"classified": True}, "/classified"),
    "conditional without conditions": ({"sharing_type": "conditional"}, "/sharing_conditions"),
    "not shared without a law": ({"sharing_type": "not_shared"}, "/legal_basis"),
    "conditions on the unconditional": ({"sharing_conditions": "先审批"}, "/sharing_conditions"),
    "no items": ({"items": []}, "/items"),
    "an item twice": ({"items": ITEMS * 2}, "/items/1/name"),
    "an unknown type": ({"items": [{**ITEMS[0], "type": "blob"}]}, "/items/0/type"),
    "a field we do not know": ({"colour": "red"}, "/colour"),
}


@pytest.mark.parametrize("name", REFUSED_RESOURCES)
def test_a_resource_that_breaks_a_rule_is_refused_by_field(exchange: Exchange, town: Town, name: str) -> None:
    terms, pointer = REFUSED_RESOURCES[name]
    code = f"refused_{uuid.uuid4().hex[:8]}"
    answer = ask(exchange, "POST", "catalog", "/resources", resource_of(code, **{"items": ITEMS, **terms}))
    if answer.status_code == 201:  # a draft may still lack what publishing needs
        answer = ask(exchange, "POST", "catalog", f"/resources/{code}/steps", {"action": "submit"})
    told = problem(answer)
    assert told["status"] == 422
    assert pointer in [error["pointer"] for error in told["errors"]]
    kept = ask(exchange, "GET", "catalog", f"/resources/{code}")
    assert kept.status_code == 404 or kept.json()["published"] is None


def test_a_code_is_given_once(exchange: Exchange, town: Town) -> None:
    assert problem(ask(exchange, "POST", "catalog", "/resources", resource_of("population", ITEMS)))["status"] == 409
    wrong = {"slug": "fire", "uscc": "11110000000000123Q", "name": "消防", "name_en": "Fire"}
    assert problem(ask(exchange, "POST", "catalog", "/departments", wrong))["errors"][0]["pointer"] == "/uscc"


def test_a_table_that_does_not_fit_is_not_mounted(exchange: Exchange, town: Town) -> None:
    with town.server.connect_admin("public_security") as admin:
        admin.execute("create table population.unfit (id bigint primary key, other text)")
        admin.execute("alter table population.unfit owner to public_security")
    items = [*ITEMS, {**ITEMS[0], "name": "gone", "column": "gone", "key": False, "nullable": True}]
    assert ask(exchange, "POST", "catalog", "/resources", resource_of("unfit", items)).status_code == 201
    publish(exchange, "unfit")
    mount = {"system": "public_security", "schema": "population", "table": "unfit"}
    told = problem(ask(exchange, "PUT", "catalog", "/resources/unfit/mount", mount))
    found = {error["pointer"]: error["detail"] for error in told["errors"]}
    assert "REPLICA IDENTITY FULL" in found["/table"]
    assert "bigint" in found["/items/0/type"]
    assert "no column 'gone'" in found["/items/1/column"]
    missing = problem(ask(exchange, "PUT", "catalog", "/resources/unfit/mount", {**mount, "table": "nowhere"}))
    assert "population.nowhere" in missing["detail"]
    assert ask(exchange, "GET", "catalog", "/resources/unfit").json()["mount"] is None


REFUSED_GRANTS: dict[str, tuple[dict[str, Any], str]] = {
    "an item that is not there": ({"items": ["id_number", "salary"]}, "/items/1"),
    "nothing": ({"items": []}, "/items"),
    "a mask that does not fit": ({"masks": {"name": {"kind": "date_to", "unit": "year"}}}, "/masks/name"),
    "a mask nobody knows": ({"masks": {"name": {"kind": "blur"}}}, "/masks/name"),
    "a mask of an item not granted": ({"masks": {"phone": {"kind": "null"}}}, "/masks/phone"),
    "a filter that is none": ({"row_filter": "region ="}, "/row_filter"),
    "a filter on an item that is not there": ({"row_filter": "salary > 3"}, "/row_filter"),
    "a filter of another type": ({"row_filter": "birth_date > 3"}, "/row_filter"),
    "an end before the beginning": ({"valid_to": "2020-01-01T00:00:00Z"}, "/valid_to"),
    "no purpose": ({"purpose": " "}, "/purpose"),
    "a channel we do not have": ({"channels": ["pigeon"]}, "/channels/0"),
}


@pytest.mark.parametrize("name", REFUSED_GRANTS)
def test_a_grant_that_does_not_fit_is_refused_by_field(exchange: Exchange, town: Town, name: str) -> None:
    changed, pointer = REFUSED_GRANTS[name]
    known = {grant["id"] for grant in ask(exchange, "GET", "demand", "/grants?limit=500").json()["items"]}
    asked = {"resource": "population", "department": "civil_affairs", "items": ["id_number", "name"], "purpose": "核验"}
    told = problem(ask(exchange, "POST", "demand", "/grants", {**asked, **changed}))
    assert told["status"] == 422
    assert pointer in [error["pointer"] for error in told["errors"]], told["errors"]
    assert {grant["id"] for grant in ask(exchange, "GET", "demand", "/grants?limit=500").json()["items"]} == known


def test_unknown_names_are_said_back(exchange: Exchange, town: Town) -> None:
    asked = {"resource": "population", "department": "fire", "items": ["name"], "purpose": "核验"}
    assert "'fire'" in problem(ask(exchange, "POST", "demand", "/grants", asked))["detail"]
    asked = {"resource": "nowhere", "department": "civil_affairs", "items": ["name"], "purpose": "核验"}
    assert "'nowhere'" in problem(ask(exchange, "POST", "demand", "/grants", asked))["detail"]
    assert problem(ask(exchange, "DELETE", "demand", "/grants/none"))["status"] == 404
    assert problem(ask(exchange, "PATCH", "demand", "/grants"))["status"] == 405


def test_every_service_says_that_it_is_ready(exchange: Exchange) -> None:
    for service in ("catalog", "demand", "tracking", "sync", "audit"):
        base = f"http://127.0.0.1:{exchange.home.ports[service]}"
        assert httpx.get(f"{base}/healthz").json() == {"status": "alive"}
        assert httpx.get(f"{base}/readyz").json() == {"ready": True, "reasons": {}}


def test_a_connection_may_rest_longer_than_clients_keep_it(exchange: Exchange) -> None:
    with ExitStack() as stack:
        connections = [
            stack.enter_context(closing(HTTPConnection("127.0.0.1", exchange.home.ports[service], timeout=10)))
            for service in ("catalog", "demand", "tracking", "sync", "table", "rows", "audit", "watch", "console")
        ]

        def ask_all() -> list[int]:
            statuses = []
            for connection in connections:
                connection.request("GET", "/healthz")
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
            return statuses

        assert set(ask_all()) == {200}
        sockets = [connection.sock for connection in connections]
        # most HTTP clients give a connection up after five seconds without use
        time.sleep(6)
        assert set(ask_all()) == {200}
        assert [connection.sock for connection in connections] == sockets


def test_settings_are_one_place(exchange: Exchange) -> None:
    told = {
        name.removeprefix("TONGSHU_").lower() for name in exchange.home.environment() if name.startswith("TONGSHU_")
    }
    assert told - {"exchange"} <= set(Settings.model_fields), "a process is told something that nobody reads"
