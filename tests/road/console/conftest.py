from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from cli.exchange import Exchange
from tests.road.audit.conftest import Books

OWN_PASSWORD = "a quiet harbour in october"


class Browser:
    """A browser on the console's page: it keeps the cookie, and shows the session's value with what it changes."""

    def __init__(self, exchange: Exchange, language: str = "en") -> None:
        self.exchange, self.csrf = exchange, ""
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{exchange.home.ports['console']}",
            headers={"Accept-Language": language, "Sec-Fetch-Site": "same-origin"},
            timeout=60,
        )

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"X-CSRF-Token": self.csrf, **more.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **more)

    def own(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """The console's own API."""
        return self.request(method, f"/api/console/v1{path}", json=body, headers=headers)

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.request("GET", path, params=query)

    def sign_in(self, login: str, password: str) -> httpx.Response:
        answer = self.own("POST", "/session", {"login": login, "password": password})
        self._remember(answer)
        return answer

    def choose_password(self, current: str, new: str) -> httpx.Response:
        answer = self.own("PUT", "/password", {"current": current, "new": new})
        self._remember(answer)
        return answer

    def session(self) -> dict[str, Any]:
        told: dict[str, Any] = must(self.own("GET", "/session"))
        return told

    def again(self) -> Browser:
        """Another browser that holds the same cookie: a second tab, or a thief of it."""
        other = Browser(self.exchange)
        other.http.cookies, other.csrf = self.http.cookies, self.csrf
        return other

    def _remember(self, answer: httpx.Response) -> None:
        if answer.is_success:
            self.csrf = answer.json()["csrf"]


def must(answer: httpx.Response, status: int | None = None) -> Any:
    fine = answer.status_code == status if status else answer.is_success
    assert fine, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


class Reception:
    """Makes people who can sign in."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._known: dict[tuple[str, str | None], Browser] = {}
        self.administrator = Browser(exchange)
        first = exchange.home.secret("console_admin_password")
        if self.administrator.sign_in("admin", first).is_success:
            must(self.administrator.choose_password(first, OWN_PASSWORD))
        else:
            must(self.administrator.sign_in("admin", OWN_PASSWORD))

    def account(self, *roles: str, department: str | None = None, login: str | None = None) -> tuple[str, str]:
        """A new account: its login name and one-time password."""
        login = login or f"{roles[0]}.{uuid.uuid4().hex[:8]}"
        form = {"login": login, "name": f"{roles[0]} 张伟", "roles": list(roles), "department": department}
        return login, must(self.administrator.own("POST", "/accounts", form), 201)["password"]

    def known(self, role: str, department: str | None = None) -> Browser:
        """Somebody who is signed in already, for tests that leave it so: passwords take their time."""
        if (role, department) not in self._known:
            self._known[role, department] = self.person(role, department=department)
        return self._known[role, department].again()

    def person(self, *roles: str, department: str | None = None) -> Browser:
        """Somebody new who has signed in and chosen a password."""
        login, first = self.account(*roles, department=department)
        browser = Browser(self.exchange)
        must(browser.sign_in(login, first))
        must(browser.choose_password(first, OWN_PASSWORD))
        return browser


@pytest.fixture(scope="session")
def reception(exchange: Exchange) -> Reception:
    return Reception(exchange)


@pytest.fixture
def administrator(reception: Reception) -> Browser:
    return reception.administrator


@pytest.fixture(scope="session")
def books(exchange: Exchange) -> Books:
    return Books(exchange)
