"""Who may call what of the relay's API: one table, held against what the API says and against what it does."""

from __future__ import annotations

import itertools
import re

import httpx
import pytest

from cli.exchange import Exchange
from services.core.identity import OF_A_DEPARTMENT, Role
from tests.road.catalog.office import Api, Place
from tests.road.town import OWNER, Town, eventually

EVERYONE = frozenset(Role)
OPERATING = frozenset({Role.ADMINISTRATOR, Role.OPS, Role.AUDITOR})
PROVIDING = frozenset({Role.ADMINISTRATOR, Role.PROVIDER})
CONSUMING = frozenset({Role.ADMINISTRATOR, Role.CONSUMER})
WHO: dict[str, frozenset[Role]] = {
    "GET /grants/{grant_id}": OPERATING,
    "GET /replays": OPERATING | CONSUMING,
    "GET /reconciliations": EVERYONE,
    "POST /grants/{grant_id}/replays": CONSUMING,
    "GET /grants/{grant_id}/replays": OPERATING | CONSUMING,
    "GET /grants/{grant_id}/replays/{replay_id}": OPERATING | CONSUMING,
    "DELETE /grants/{grant_id}/replays/{replay_id}": CONSUMING,
    "POST /grants/{grant_id}/reconciliations": EVERYONE - {Role.AUDITOR},
    "GET /grants/{grant_id}/reconciliations": EVERYONE,
    "GET /grants/{grant_id}/reconciliations/{reconciliation_id}": EVERYONE,
    "GET /quarantine": OPERATING | PROVIDING,
    "GET /quarantine/{number}": OPERATING | PROVIDING,
    "POST /quarantine/{number}/steps": PROVIDING | {Role.OPS},
    "GET /quality": EVERYONE,
    "GET /inconsistencies": EVERYONE,
    "GET /inconsistencies/{number}": EVERYONE,
}
_PREFIX = "/api/sync/v1"


def test_every_operation_is_in_the_table_and_says_the_same(exchange: Exchange) -> None:
    described = httpx.get(exchange.url("sync") + "/openapi.json").json()
    said = {
        f"{method.upper()} {path.removeprefix(_PREFIX)}": frozenset(Role(role) for role in operation["x-roles"])
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }
    assert said == WHO


@pytest.fixture(scope="module")
def callers(town: Town) -> dict[Role, Api]:
    place = Place(town.exchange)
    found = {}
    for role in Role:
        api = place.caller(role.value, department=OWNER.slug if role in OF_A_DEPARTMENT else None).at("sync")
        eventually(lambda api=api: api.get("/quality").status_code, lambda code: code == 200, "a token")
        found[role] = api
    return found


def test_every_role_meets_what_every_operation_says(exchange: Exchange, callers: dict[Role, Api]) -> None:
    for (name, allowed), (role, caller) in itertools.product(WHO.items(), callers.items()):
        method, path = name.split(" ")
        answer = caller.request(method, re.sub(r"\{\w+\}", "999999999", path), json={})
        assert (answer.status_code == 403) == (role not in allowed), f"{role} {name}: {answer.status_code}"
        assert answer.status_code < 500, f"{role} {name}: {answer.status_code} {answer.text}"
    for name in WHO:
        method, path = name.split(" ")
        url = exchange.url("sync") + re.sub(r"\{\w+\}", "999999999", path)
        assert httpx.request(method, url, json={}).status_code == 401
