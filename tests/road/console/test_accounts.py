"""Accounts as administrators keep them, and who may call what of the console's own API."""

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
from tests.road.console.conftest import Browser, Reception, must

EVERYONE = frozenset(Role)
ALONE = frozenset({Role.ADMINISTRATOR})
WHO: dict[str, frozenset[Role]] = {
    "GET /me": EVERYONE,
    "PATCH /me": EVERYONE,
    "PUT /password": EVERYONE,
    "GET /accounts": ALONE,
    "POST /accounts": ALONE,
    "GET /accounts/{login}": ALONE,
    "PATCH /accounts/{login}": ALONE,
    "POST /accounts/{login}/password": ALONE,
    "POST /accounts/{login}/unlock": ALONE,
    "GET /live": EVERYONE,
    "GET /endpoints": EVERYONE,
    "DELETE /session": EVERYONE,
}
# whoever is not signed in yet has to be able to do that
OPEN = {"GET /session", "POST /session"}
_PREFIX = "/api/console/v1"


def described(browser: Browser) -> dict[str, dict[str, Any]]:
    document = must(browser.get(f"{_PREFIX}/openapi.json"))
    return {
        f"{method.upper()} {path.removeprefix(_PREFIX)}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_every_operation_is_in_the_table_and_says_the_same(exchange: Exchange) -> None:
    found = described(Browser(exchange))
    said = {name: frozenset(Role(role) for role in one["x-roles"]) for name, one in found.items() if "x-roles" in one}
    assert said == WHO
    assert found.keys() - said.keys() == OPEN


def test_every_role_meets_what_every_operation_says(
    reception: Reception, place: Place, exchange: Exchange, books: Books
) -> None:
    office = place.office()
    people = {
        role: reception.person(role.value, department=office.slug if role in OF_A_DEPARTMENT else None) for role in Role
    }
    # signing out comes last
    for (name, allowed), (role, person) in itertools.product(WHO.items(), people.items()):
        method, path = name.split(" ")
        answer = call(person, method, path)
        assert (answer.status_code == 403) == (role not in allowed), f"{role} {name}: {answer.status_code}"
        assert answer.status_code < 500, f"{role} {name}: {answer.status_code}"
    assert books.await_entry(f"GET {_PREFIX}/accounts", outcome="denied")
    stranger = Browser(exchange)
    for name in WHO:
        method, path = name.split(" ")
        assert call(stranger, method, path).status_code == 401, name


def call(person: Browser, method: str, path: str) -> httpx.Response:
    """What an operation on nobody answers, without what a stream goes on to say."""
    url = _PREFIX + re.sub(r"\{\w+\}", "nobody", path)
    with person.http.stream(method, url, json={}, headers={"X-CSRF-Token": person.csrf}) as answer:
        return answer


def test_an_account_is_made_found_and_changed(administrator: Browser, place: Place) -> None:
    office = place.office()
    form = {"login": f"li.na-{office.slug[:8]}", "name": "李娜", "department": office.slug, "roles": ["consumer"]}
    made = must(administrator.own("POST", "/accounts", form), 201)
    assert len(made["password"]) >= 12 and made["must_change_password"]
    again = administrator.own("POST", "/accounts", form)
    assert again.status_code == 409 and again.json()["type"].endswith(":account-exists")
    path = f"/accounts/{form['login']}"
    read = administrator.own("GET", path)
    assert "password" not in read.json()
    assert administrator.own("PATCH", path, {"name": "李娜"}).status_code == 428
    match = {"If-Match": read.headers["etag"]}
    changed = must(administrator.own("PATCH", path, {"name": "李 娜", "roles": ["provider", "consumer"]}, **match))
    assert (changed["name"], changed["roles"]) == ("李 娜", ["consumer", "provider"])
    assert administrator.own("PATCH", path, {"name": "李娜"}, **match).status_code == 412
    found = must(administrator.own("GET", f"/accounts?q={form['login']}"))["items"]
    assert [one["login"] for one in found] == [form["login"]]
    pages = must(administrator.own("GET", "/accounts?limit=1"))
    assert len(pages["items"]) == 1 and pages["next"]


@pytest.mark.parametrize(
    ("form", "pointer"),
    [
        ({"department": "no_such_department"}, "/department"),
        ({"department": None}, "/department"),
        ({"login": "operator", "roles": ["ops"], "department": None}, "/login"),
        ({"login": "Li Na"}, "/login"),
        ({"roles": []}, "/roles"),
        ({"roles": ["king"]}, "/roles/0"),
    ],
)
def test_an_account_that_cannot_be_is_refused(
    administrator: Browser, place: Place, form: dict[str, Any], pointer: str
) -> None:
    whole = {"login": "some.body", "name": "某人", "department": "civil_affairs", "roles": ["consumer"], **form}
    answer = administrator.own("POST", "/accounts", whole)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


def test_nobody_takes_the_administration_away(reception: Reception) -> None:
    admin = reception.administrator
    own = admin.own("PATCH", "/accounts/admin", {"disabled": True}, **{"If-Match": "*"})
    assert own.status_code == 409 and own.json()["type"].endswith(":own-account")
    assert (
        must(admin.own("PATCH", "/accounts/admin", {"name": "数据管理局"}, **{"If-Match": "*"}))["name"] == "数据管理局"
    )


def test_the_language_is_kept(reception: Reception, exchange: Exchange) -> None:
    person = reception.person("auditor")
    assert person.session()["me"]["language"] == "zh-CN"
    assert must(person.own("PATCH", "/me", {"language": "en"}))["language"] == "en"
    assert person.session()["me"]["language"] == "en"
    assert person.own("PATCH", "/me", {"language": "fr"}).status_code == 422


def test_programs_are_told_where_to_connect(reception: Reception, exchange: Exchange) -> None:
    told = must(reception.known("ops").own("GET", "/endpoints"))
    assert told["kafka"] == exchange.bootstrap and told["registry"] == exchange.registry_url
    assert told["rows"] == exchange.url("rows")
