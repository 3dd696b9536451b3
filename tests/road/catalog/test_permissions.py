"""Default deny: every route says who may call it, and that is who can."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from cli.exchange import Exchange
from services.core.identity import OF_A_DEPARTMENT, Role
from tests.road.catalog.office import Api, Place
from tests.road.town import eventually

# What each route says today. A route that is added or changes its mind changes this table too, on purpose.
EVERYONE = frozenset(Role)
WRITERS = frozenset({Role.ADMINISTRATOR, Role.PROVIDER})
INSIDERS = WRITERS | {Role.AUDITOR}
ALONE = frozenset({Role.ADMINISTRATOR})
WHO: dict[str, frozenset[Role]] = {
    "POST /departments": ALONE,
    "GET /departments": EVERYONE,
    "GET /departments/{slug}": EVERYONE,
    "PUT /departments/{slug}": ALONE,
    "GET /departments/{slug}/appointments": INSIDERS,
    "POST /departments/{slug}/appointments": WRITERS,
    "POST /departments/{slug}/lists/{kind}/imports": WRITERS,
    "POST /systems": WRITERS,
    "GET /systems": EVERYONE,
    "GET /systems/{code}": EVERYONE,
    "PUT /systems/{code}": WRITERS,
    "GET /systems/{code}/tables": WRITERS,
    "GET /divisions": EVERYONE,
    "POST /divisions": ALONE,
    "GET /divisions/{code}": EVERYONE,
    "GET /divisions/{code}/current": EVERYONE,
    "GET /categories": EVERYONE,
    "POST /categories": ALONE,
    "GET /categories/{code}": EVERYONE,
    "PUT /categories/{code}": ALONE,
    "DELETE /categories/{code}": ALONE,
    "GET /code-lists": EVERYONE,
    "GET /code-lists/{name}": EVERYONE,
    "PUT /code-lists/{name}": ALONE,
    "GET /lists/{kind}/template": EVERYONE,
    "GET /lists/powers": EVERYONE,
    "GET /lists/service-items": EVERYONE,
    "GET /lists/data-items": EVERYONE,
    "GET /imports/{import_id}/marked": WRITERS,
    "POST /resources": WRITERS,
    "GET /resources": EVERYONE,
    "GET /resources/{code}": EVERYONE,
    "PUT /resources/{code}/draft": WRITERS,
    "GET /resources/{code}/check": WRITERS,
    "POST /resources/{code}/steps": WRITERS,
    "GET /resources/{code}/steps": INSIDERS,
    "POST /resources/{code}/grade": ALONE,
    "GET /resources/{code}/versions": EVERYONE,
    "GET /resources/{code}/versions/{version}": EVERYONE,
    "GET /resources/{code}/differences": EVERYONE,
    "GET /resources/{code}/contract": EVERYONE,
    "POST /resources/{code}/trial": WRITERS,
    "PUT /resources/{code}/mount": WRITERS,
    "GET /resources/{code}/mount": INSIDERS | {Role.OPS},
    "DELETE /resources/{code}/mount": WRITERS,
    "POST /resources/{code}/mount/preview": WRITERS,
    "POST /resources/{code}/mount/resnapshot": WRITERS,
    "POST /resources/{code}/mount/credentials": WRITERS,
    "POST /resources/{code}/mount/files": WRITERS,
    "POST /resources/{code}/mount/upstream/preview": WRITERS,
    "POST /resources/{code}/mount/product/preview": WRITERS,
    "GET /mounts": frozenset({Role.ADMINISTRATOR, Role.OPS, Role.AUDITOR}),
    "GET /clearances": frozenset({Role.ADMINISTRATOR, Role.OPS, Role.AUDITOR}),
    "GET /notices": EVERYONE,
    "POST /notices/{notice_id}/acknowledgements": frozenset({Role.ADMINISTRATOR, Role.CONSUMER}),
    "GET /tasks": INSIDERS,
    "GET /place/clocks": EVERYONE,
    "GET /place/clocks/{clock}": EVERYONE,
    "PUT /place/clocks/{clock}": ALONE,
    "GET /place/calendar": EVERYONE,
    "GET /place/calendar/{day}": EVERYONE,
    "PUT /place/calendar/{day}": ALONE,
    "GET /place/due": EVERYONE,
    "GET /place/code-scheme": EVERYONE,
    "PUT /place/code-scheme": ALONE,
    "GET /place/words": EVERYONE,
    "POST /place/words": ALONE,
    "GET /me": EVERYONE,
    "POST /tokens": ALONE,
    "GET /tokens": frozenset({Role.ADMINISTRATOR, Role.AUDITOR}),
    "DELETE /tokens/{token_id}": ALONE,
    # the console has a secret of the installation, and no role
    "POST /sessions": frozenset(),
    "DELETE /sessions/{token_id}": frozenset(),
    "GET /search": EVERYONE,
    "GET /suggestions": EVERYONE,
    "GET /resources/{code}/related": EVERYONE,
    "GET /resources/{code}/uses": EVERYONE,
    "GET /resources/{code}/lineage": EVERYONE,
    "GET /exports/dcat.jsonld": EVERYONE,
    "GET /exports/dcat.ttl": EVERYONE,
    "GET /exports/catalogue.xlsx": EVERYONE,
    "GET /exports/asyncapi": EVERYONE,
    "GET /exports/openlineage": frozenset({Role.ADMINISTRATOR, Role.OPS, Role.AUDITOR}),
    "GET /exports/odcs/{code}": EVERYONE,
    "POST /resources/imports/odcs": WRITERS,
}
_PREFIX = "/api/catalog/v1"


@pytest.fixture(scope="module")
def described(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = place.operator.must(place.operator.get("/openapi.json"))
    return found


def operations(described: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path.removeprefix(_PREFIX)}": operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }


def test_every_operation_is_in_the_table_and_says_the_same(described: dict[str, Any]) -> None:
    said = {name: frozenset(Role(role) for role in one["x-roles"]) for name, one in operations(described).items()}
    assert said == WHO


def test_every_role_meets_what_every_operation_says(place: Place, described: dict[str, Any]) -> None:
    office = place.office()
    callers = {
        role: place.caller(role.value, department=office.slug if role in OF_A_DEPARTMENT else None) for role in Role
    }
    for (name, allowed), (role, caller) in itertools.product(WHO.items(), callers.items()):
        method, path = name.split(" ")
        # an address of nothing: who may call gets as far as being told so, who may not is refused before
        answer = caller.request(method, re.sub(r"\{\w+\}", "nothing", path), json={})
        refused = answer.status_code == 403
        assert refused == (role not in allowed), f"{role} {name}: {answer.status_code} {answer.text}"
        assert answer.status_code < 500, f"{role} {name}: {answer.text}"


def test_without_a_valid_token_nothing_opens(place: Place, exchange: Exchange) -> None:
    revoked = place.caller("administrator")
    name = revoked.get("/me").json()["name"]
    listed = place.operator.must(place.operator.get("/tokens", limit=500))["items"]
    token_id = next(one["id"] for one in listed if one["name"] == name)
    place.operator.must(place.operator.request("DELETE", f"/tokens/{token_id}"))
    forged = Api(exchange, f"ts_{token_id}_{'A' * 43}")
    for caller in (Api(exchange, "nonsense"), revoked, forged):
        for operation in WHO:
            method, path = operation.split(" ")
            answer = caller.request(method, re.sub(r"\{\w+\}", "nothing", path), json={})
            assert answer.status_code == 401, f"{operation}: {answer.status_code}"
            assert answer.headers["www-authenticate"] == "Bearer"
    bare = httpx.get(f"{exchange.url('catalog')}/resources")
    assert bare.status_code == 401


def test_an_expired_token_opens_nothing(place: Place, exchange: Exchange) -> None:
    end = datetime.now(UTC) + timedelta(seconds=2)
    form = {"name": "short", "roles": ["auditor"], "expires_at": end.isoformat()}
    token = place.operator.must(place.operator.post("/tokens", form), 201)["token"]
    caller = Api(exchange, token)
    eventually(lambda: caller.get("/me").status_code, lambda status: status == 401, "expiry", 5)


def test_departments_do_not_touch_each_others_things(place: Place) -> None:
    mine, other = place.office(), place.office()
    code = place.published(mine)
    form = {**other.provider.get(f"/resources/{code}").json()["published"], "title": "改名"}
    assert other.provider.put(f"/resources/{code}/draft", form, if_match="*").status_code == 403
    assert other.provider.step(code, "withdraw", "不是我的", match="*").status_code == 403
    assert other.provider.get(f"/resources/{code}/steps").status_code == 403
    assert other.provider.post("/resources", {**form, "code": "taken_over"}).status_code == 403
    assert other.provider.get(f"/departments/{mine.slug}/appointments").status_code == 404
    assert other.provider.send(f"/departments/{mine.slug}/lists/powers/imports", b"x").status_code == 403


def test_the_demand_side_knows_the_same_callers_until_they_are_revoked(place: Place, exchange: Exchange) -> None:
    form = {"name": "second administrator", "roles": ["administrator"]}
    made = place.operator.must(place.operator.post("/tokens", form), 201)
    auditor = place.operator.must(place.operator.post("/tokens", {"name": "an auditor", "roles": ["auditor"]}), 201)

    def status(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.post(f"{exchange.url('demand')}/grants", json={}, headers=headers).status_code

    eventually(lambda: status(made["token"]), lambda found: found == 422, "the token at the demand side")
    eventually(lambda: status(auditor["token"]), lambda found: found == 403, "the auditor at the demand side")
    place.operator.must(place.operator.request("DELETE", f"/tokens/{made['id']}"))
    eventually(lambda: status(made["token"]), lambda found: found == 401, "its end there", 2)


def test_a_refused_attempt_is_told(place: Place, exchange: Exchange) -> None:
    nobody = place.caller("ops")
    assert nobody.post("/departments", {}).status_code == 403
    name = nobody.get("/me").json()["name"]

    def told() -> list[str]:
        events = [exchange.registry.decode(value)[1] for _, value, _ in exchange.read_all("catalog.events") if value]
        return [event["data"]["what"] for event in events if event["actor"] == name]

    eventually(told, lambda found: found == ["POST /api/catalog/v1/departments"], "the event of the refusal")
