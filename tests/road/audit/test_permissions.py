"""Who may call what of the audit's API: one table, held against what the API says and against what it does."""

from __future__ import annotations

import itertools
import re
from typing import Any

import httpx
import pytest

from cli.exchange import Exchange
from services.core.identity import OF_A_DEPARTMENT, Role
from tests.road.audit.conftest import Books
from tests.road.catalog.office import Place
from tests.road.town import eventually

EVERYONE = frozenset(Role)
ALONE = frozenset({Role.ADMINISTRATOR})
OVERSEERS = frozenset({Role.ADMINISTRATOR, Role.AUDITOR})
WHO: dict[str, frozenset[Role]] = {
    "GET /tile/entries/{path}": OVERSEERS,
    "GET /entries": OVERSEERS,
    "GET /entries/{sequence}": OVERSEERS,
    "GET /tail": OVERSEERS,
    "GET /actors/{reference}": OVERSEERS,
    "DELETE /actors/{reference}": ALONE,
    "POST /findings": OVERSEERS,
    "GET /matters": EVERYONE,
    "GET /matters/{number}": EVERYONE,
    "POST /matters/{number}/steps": EVERYONE,
    "POST /operations": ALONE,
    "GET /status": frozenset({Role.ADMINISTRATOR, Role.OPS, Role.AUDITOR}),
}
# what proves is open to everybody, as proofs are
OPEN = {"GET /checkpoint", "GET /cosigned", "GET /key", "GET /tile/{path}"}
_PREFIX = "/api/audit/v1"


@pytest.fixture(scope="module")
def described(exchange: Exchange) -> dict[str, dict[str, Any]]:
    document = httpx.get(exchange.url("audit") + "/openapi.json").json()
    return {
        f"{method.upper()} {re.sub(r':path', '', path.removeprefix(_PREFIX))}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_every_operation_is_in_the_table_and_says_the_same(described: dict[str, dict[str, Any]]) -> None:
    said = {
        name: frozenset(Role(role) for role in one["x-roles"]) for name, one in described.items() if "x-roles" in one
    }
    assert said == WHO
    assert described.keys() - said.keys() == OPEN


def call(exchange: Exchange, operation: str, token: str | None) -> httpx.Response:
    method, path = operation.split(" ")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = exchange.url("audit") + re.sub(r"\{\w+\}", "999999999", path)
    with httpx.stream(method, url, headers=headers, json={}, timeout=30) as answer:
        return answer


def test_every_role_meets_what_every_operation_says(place: Place, exchange: Exchange, books: Books) -> None:
    office = place.office()
    tokens = {role: _token(place, role.value, office.slug if role in OF_A_DEPARTMENT else None) for role in Role}
    for token in tokens.values():
        eventually(
            lambda token=token: call(exchange, "GET /matters", token).status_code, lambda code: code == 200, "a token"
        )
    for (name, allowed), (role, token) in itertools.product(WHO.items(), tokens.items()):
        answer = call(exchange, name, token)
        assert (answer.status_code == 403) == (role not in allowed), f"{role} {name}: {answer.status_code}"
        assert answer.status_code < 500, f"{role} {name}: {answer.status_code}"
    assert books.await_entry("GET /api/audit/v1/entries", outcome="denied")["type"].endswith("access_denied.v1")
    for name in WHO:
        assert call(exchange, name, None).status_code == 401


def _token(place: Place, role: str, department: str | None) -> str:
    form = {"name": f"{role} of the audit", "roles": [role], "department": department}
    made: str = place.operator.must(place.operator.post("/tokens", form), 201)["token"]
    return made
