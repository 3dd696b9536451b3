"""Default deny: every route of the demand side says who may call it, and that is who can."""

from __future__ import annotations

import itertools
import re
from typing import Any

import httpx
import pytest

from cli.exchange import Exchange
from services.core.identity import OF_A_DEPARTMENT, Role
from tests.road.catalog.office import Place
from tests.road.town import Town, eventually

# What each route says today. A route that is added or changes its mind changes this table too, on purpose.
EVERYONE = frozenset(Role)
ALONE = frozenset({Role.ADMINISTRATOR})
CONSUMERS = ALONE | {Role.CONSUMER}
PROVIDERS = ALONE | {Role.PROVIDER}
PARTIES = CONSUMERS | PROVIDERS
PARTICIPANTS = PARTIES | {Role.AUDITOR}
WHO: dict[str, frozenset[Role]] = {
    "POST /demands": CONSUMERS,
    "GET /demands": PARTICIPANTS,
    "GET /demands/{demand_id}": PARTICIPANTS,
    "PUT /demands/{demand_id}": CONSUMERS,
    "POST /demands/{demand_id}/steps": PARTIES,
    "GET /demands/{demand_id}/steps": PARTICIPANTS,
    "GET /demands/{demand_id}/timeline": PARTICIPANTS,
    "POST /departments/{slug}/credentials": CONSUMERS,
    "POST /grants": ALONE,
    "GET /grants": EVERYONE,
    "GET /grants/{grant_id}": EVERYONE,
    "DELETE /grants/{grant_id}": ALONE,
    "POST /grants/{grant_id}/api-keys": CONSUMERS,
    "DELETE /grants/{grant_id}/api-keys": CONSUMERS,
    "POST /grants/{grant_id}/feedback": CONSUMERS,
    "POST /grants/{grant_id}/renewals": PROVIDERS,
    "GET /feedback": EVERYONE,
    "GET /feedback/requests": EVERYONE,
    "GET /usage": EVERYONE,
    "GET /usage/totals": EVERYONE,
    "GET /usage/grants": EVERYONE,
    "POST /objections": CONSUMERS,
    "GET /objections": EVERYONE,
    "GET /objections/{objection_id}": EVERYONE,
    "POST /objections/{objection_id}/steps": PARTIES,
    "GET /assessments/{period}": EVERYONE,
    "GET /bulletins/{period}": EVERYONE,
    "GET /norms": EVERYONE,
    "GET /norms/{name}": EVERYONE,
    "PUT /norms/{name}": ALONE,
}
_PREFIX = "/api/demand/v1"


@pytest.fixture(scope="module")
def described(exchange: Exchange, town: Town) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{exchange.url('demand')}/openapi.json").json()
    return found


def test_every_operation_is_in_the_table_and_says_the_same(described: dict[str, Any]) -> None:
    said = {
        f"{method.upper()} {path.removeprefix(_PREFIX)}": frozenset(Role(role) for role in operation["x-roles"])
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }
    assert said == WHO


def test_every_role_meets_what_every_operation_says(exchange: Exchange, described: dict[str, Any]) -> None:
    place = Place(exchange)
    office = place.office()
    callers = {
        role: place.caller(role.value, department=office.slug if role in OF_A_DEPARTMENT else None).at("demand")
        for role in Role
    }
    for caller in callers.values():
        eventually(lambda caller=caller: caller.get("/norms").status_code, lambda status: status == 200, "a token")  # type: ignore[misc]
    for (name, allowed), (role, caller) in itertools.product(WHO.items(), callers.items()):
        method, path = name.split(" ")
        # an address of nothing: who may call gets as far as being told so, who may not is refused before
        answer = caller.request(method, re.sub(r"\{(?!slug)\w+\}", "nothing", path).format(slug=office.slug), json={})
        refused = answer.status_code == 403
        assert refused == (role not in allowed), f"{role} {name}: {answer.status_code} {answer.text}"
        assert answer.status_code < 500, f"{role} {name}: {answer.text}"
