"""A console with other settings, over the same exchange: short sessions, https, and another place's identities."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from cli.exchange import Exchange
from services.console.__main__ import make_app
from services.console.front import Front
from services.core import telemetry
from services.core.settings import Settings
from tests.road.audit.conftest import Books
from tests.road.catalog.office import Place
from tests.road.console.conftest import OWN_PASSWORD, Browser, Reception, must
from tests.road.console.provider import CLIENT, SECRET, Provider
from tests.road.town import eventually
from tests.serving import Running


class Consoles:
    """Makes consoles of the shared exchange that differ in settings."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._running: list[Running] = []

    def with_settings(self, **changed: Any) -> Running:
        app, _, feed = make_app(self._exchange.settings.model_copy(update=changed))
        running = Running(Front(app, feed.following))
        self._running.append(running)
        return running

    def browser(self, console: Running, **headers: str) -> Browser:
        made = Browser(self._exchange)
        made.http.base_url = httpx.URL(console.url)
        made.http.headers.update(headers)
        return made

    def stop(self) -> None:
        for running in self._running:
            running.stop()


@pytest.fixture
def consoles(exchange: Exchange) -> Iterator[Consoles]:
    # an event carries a trace, which somebody has to begin
    telemetry.start("console", Settings(log_level="WARNING"))
    made = Consoles(exchange)
    yield made
    made.stop()


def login_of(reception: Reception) -> str:
    return str(reception.known("auditor").session()["me"]["login"])


def test_a_session_ends_when_nothing_is_done_and_looking_on_is_nothing(
    reception: Reception, consoles: Consoles
) -> None:
    browser = consoles.browser(consoles.with_settings(console_idle_minutes=2 / 60))
    must(browser.sign_in(login_of(reception), OWN_PASSWORD))
    for _ in range(5):
        time.sleep(0.7)
        must(browser.own("GET", "/me"))
    background = {"Tongshu-Background": "1"}
    for _ in range(5):
        time.sleep(0.7)
        told = browser.own("GET", "/me", **background)
    assert told.status_code == 401


def test_a_session_ends_at_its_hour_whatever_is_done(reception: Reception, consoles: Consoles) -> None:
    browser = consoles.browser(consoles.with_settings(console_session_hours=2 / 3_600))
    must(browser.sign_in(login_of(reception), OWN_PASSWORD))
    begun = time.monotonic()
    while browser.own("GET", "/me").status_code == 200:
        assert time.monotonic() - begun < 5
        time.sleep(0.1)
    assert time.monotonic() - begun > 1


def test_behind_https_the_cookie_is_for_https_and_this_host_only(reception: Reception, consoles: Consoles) -> None:
    console = consoles.with_settings(console_url="https://console.example.gov.cn")
    browser = consoles.browser(console, Origin="https://console.example.gov.cn")
    cookie = browser.sign_in(login_of(reception), OWN_PASSWORD).headers["set-cookie"]
    assert cookie.startswith("__Host-tongshu=") and "Secure" in cookie and "Path=/" in cookie and "Domain" not in cookie
    elsewhere = consoles.browser(console, Origin=console.url)
    assert elsewhere.sign_in("anybody", "x").json()["type"].endswith(":cross-site")


# -- OpenID Connect ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    made = Provider()
    running = Running(made.app)
    made.issuer = running.url
    yield made
    running.stop()


@pytest.fixture
def vouched(consoles: Consoles, provider: Provider, tmp_path: Path) -> Running:
    """A console that takes whom the provider vouches for."""
    (tmp_path / "secret").write_text(SECRET)
    provider.spoil, provider.signs_with = {}, provider.key
    return consoles.with_settings(
        oidc_issuer=provider.issuer,
        oidc_client_id=CLIENT,
        oidc_client_secret_file=tmp_path / "secret",
        oidc_title="统一身份认证",
        oidc_roles_claim="realm_access.roles",
        oidc_roles="data-admin=administrator, data-consumer=consumer",
    )


def goes_there_and_back(browser: Browser) -> httpx.Response:
    """Follow the way to the provider and back, as a browser does: its cookies go to each host."""
    browser.csrf = ""
    offered = must(browser.own("GET", "/session"))["oidc"]
    answer = browser.http.get(offered["begin"])
    for _ in range(5):
        if not answer.is_redirect or urlsplit(answer.headers["location"]).path == "/":
            break
        answer = browser.http.get(answer.headers["location"])
    return answer


def somebody(office: str | None, *roles: str, subject: str, login: str) -> dict[str, Any]:
    claims = {"sub": subject, "preferred_username": login, "name": "李娜", "realm_access": {"roles": list(roles)}}
    return {**claims, "department": office} if office else claims


def test_whom_the_places_provider_vouches_for_is_let_in_with_the_roles_that_it_says(
    vouched: Running, consoles: Consoles, provider: Provider, place: Place, books: Books
) -> None:
    office, browser = place.office(), consoles.browser(vouched)
    login = f"li.na.{office.slug[:6]}"
    provider.claims = somebody(office.slug, "data-consumer", "of-another-system", subject="17", login=f"{login}@gov.cn")
    assert must(browser.own("GET", "/session"))["oidc"]["title"] == "统一身份认证"
    back = goes_there_and_back(browser)
    assert (back.status_code, back.headers["location"]) == (303, "/")
    told = browser.session()
    me = told["me"]
    assert (me["login"], me["name"], me["department"], me["roles"]) == (login, "李娜", office.slug, ["consumer"])
    assert me["local"] is False and not told["must_change_password"]
    assert must(browser.get("/api/catalog/v1/me"))["name"] == login
    assert books.await_entry(login, type="cn.tongshu.console.signed_in.v1")
    # what the provider says next time counts
    provider.claims = somebody(None, "data-admin", subject="17", login=login)
    goes_there_and_back(again := consoles.browser(vouched))
    assert again.session()["me"]["roles"] == ["administrator"]
    assert Browser(browser.exchange).sign_in(login, "any password at all").status_code == 401


def test_somebody_whom_the_claims_do_not_make_anybody_is_not_let_in(
    vouched: Running, consoles: Consoles, provider: Provider, reception: Reception, place: Place
) -> None:
    slug = place.office().slug
    local = login_of(reception)
    for claims in (
        somebody(slug, "of-another-system", subject="1", login="no.role"),
        somebody(None, "data-consumer", subject="2", login="no.department"),
        somebody(None, "data-admin", subject="3", login="operator"),
        somebody(None, "data-admin", subject="4", login=local),
    ):
        provider.claims = claims
        browser = consoles.browser(vouched)
        back = goes_there_and_back(browser)
        assert (back.status_code, back.headers["location"]) == (303, "/?sign-in=refused"), claims
        assert browser.session()["signed_in"] is False


@pytest.mark.parametrize(
    "spoil",
    [
        {"iss": "https://another.example"},
        {"aud": "another"},
        {"nonce": "another"},
        {"exp": int(time.time()) - 3_600},
    ],
    ids=lambda spoil: next(iter(spoil)),
)
def test_a_token_that_does_not_hold_lets_nobody_in(
    vouched: Running, consoles: Consoles, provider: Provider, spoil: dict[str, Any]
) -> None:
    provider.claims = somebody(None, "data-admin", subject="8", login="some.admin")
    provider.spoil = spoil
    browser = consoles.browser(vouched)
    assert goes_there_and_back(browser).headers["location"] == "/?sign-in=refused"
    assert browser.session()["signed_in"] is False


def test_a_token_that_another_signed_lets_nobody_in_and_changed_keys_do(
    vouched: Running, consoles: Consoles, provider: Provider
) -> None:
    provider.claims = somebody(None, "data-admin", subject="9", login="another.admin")
    forger = Provider()
    provider.signs_with = forger.key
    browser = consoles.browser(vouched)
    assert goes_there_and_back(browser).headers["location"] == "/?sign-in=refused"
    provider.change_keys()
    # it is not asked for its keys more often than every other second
    eventually(
        lambda: goes_there_and_back(browser).headers["location"], lambda path: path == "/", "the changed keys", 10
    )


def test_what_was_begun_in_one_browser_is_not_finished_in_another(
    vouched: Running, consoles: Consoles, provider: Provider
) -> None:
    provider.claims = somebody(None, "data-admin", subject="10", login="a.third.admin")
    victim, attacker = consoles.browser(vouched), consoles.browser(vouched)
    begin = must(attacker.own("GET", "/session"))["oidc"]["begin"]
    at_the_provider = attacker.http.get(begin).headers["location"]
    callback = httpx.get(at_the_provider).headers["location"]
    assert victim.http.get(callback).headers["location"] == "/?sign-in=refused"
    assert victim.session()["signed_in"] is False
    assert attacker.http.get(callback).headers["location"] == "/?sign-in=refused", "each is good once"
