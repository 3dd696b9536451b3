"""Signing in: who gets in, how often one may be wrong, and what ends a session everywhere."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cli.exchange import Exchange
from services.core.avro import Codec
from tests.road.audit.conftest import Books
from tests.road.catalog.office import Place
from tests.road.console.conftest import OWN_PASSWORD, Browser, Reception, must
from tests.road.town import eventually


@pytest.fixture
def stranger(exchange: Exchange) -> Browser:
    return Browser(exchange)


def test_somebody_who_signs_in_acts_under_his_own_name(reception: Reception, place: Place) -> None:
    office = place.office()
    person = reception.person("provider", "consumer", department=office.slug)
    told = person.session()
    assert told["signed_in"] and not told["must_change_password"]
    assert told["me"]["roles"] == ["consumer", "provider"]
    known = must(person.get("/api/catalog/v1/me"))
    assert known == {"name": told["me"]["login"], "department": office.slug, "roles": ["consumer", "provider"]}
    # at a service that learns of tokens from a topic, too
    assert must(person.get("/api/demand/v1/demands"))["items"] == []


def test_the_browser_holds_a_secret_that_no_page_can_read_and_never_the_token(
    reception: Reception, stranger: Browser
) -> None:
    login, first = reception.account("auditor")
    answer = stranger.sign_in(login, first)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/" in cookie
    must(stranger.choose_password(first, OWN_PASSWORD))
    seen = [answer, stranger.own("GET", "/session"), stranger.own("GET", "/me"), stranger.get("/api/catalog/v1/me")]
    for one in seen:
        assert "ts_" not in one.text + str(one.headers)
        assert one.headers["cache-control"] == "no-store"


def test_a_first_password_opens_nothing_but_the_choice_of_another(reception: Reception, stranger: Browser) -> None:
    login, first = reception.account("ops")
    told = must(stranger.sign_in(login, first))
    assert told["must_change_password"]
    for answer in (stranger.own("GET", "/me"), stranger.get("/api/catalog/v1/departments")):
        assert answer.status_code == 403
        assert answer.json()["type"].endswith(":password-change-needed")
    weak = stranger.choose_password(first, "Password2026!")
    assert weak.status_code == 422
    assert [error["pointer"] for error in weak.json()["errors"]] == ["/new"]
    assert stranger.choose_password(first, first).status_code == 422
    assert stranger.choose_password("not the first one", OWN_PASSWORD).json()["type"].endswith(":password-wrong")
    must(stranger.choose_password(first, OWN_PASSWORD))
    must(stranger.get("/api/catalog/v1/departments"))


def test_nobody_is_told_which_names_exist(reception: Reception, exchange: Exchange) -> None:
    wrong, _ = reception.account("auditor")
    disabled, first = reception.account("auditor")
    must(reception.administrator.own("PATCH", f"/accounts/{disabled}", {"disabled": True}, **{"If-Match": "*"}))
    tries = [(wrong, "not its password"), (disabled, first), ("nobody.of.this.name", "any password"), ("ÄÖÜ\n", "x")]
    answers = [Browser(exchange).sign_in(*one) for one in tries]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


def test_a_name_is_locked_after_five_failures_whether_it_exists_or_not(
    reception: Reception, exchange: Exchange, books: Books
) -> None:
    login, first = reception.account("auditor")
    for name in (login, "an.invented.name"):
        reached = [Browser(exchange).sign_in(name, "wrong").status_code for _ in range(5)]
        assert reached == [401] * 5
        locked = Browser(exchange).sign_in(name, first)
        assert locked.status_code == 429
        assert 0 < int(locked.headers["retry-after"]) <= 30
        assert locked.json()["retry_after_seconds"] == int(locked.headers["retry-after"])
    assert books.await_entry(login, type="cn.tongshu.console.account_locked.v1")["actor"]
    failed = books.await_entry("unknown", type="cn.tongshu.console.sign_in_failed.v1")
    assert failed["outcome"] == "failed" and failed["actor"] == ""
    told = must(reception.administrator.own("GET", f"/accounts/{login}"))
    assert told["failures"] == 5 and told["locked_until"]
    must(reception.administrator.own("POST", f"/accounts/{login}/unlock"))
    must(Browser(exchange).sign_in(login, first))
    assert must(reception.administrator.own("GET", f"/accounts/{login}"))["failures"] == 0


def test_many_guesses_at_the_same_time_are_no_way_around_the_lock(reception: Reception, exchange: Exchange) -> None:
    login, _ = reception.account("auditor")
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: Browser(exchange).sign_in(login, f"guess {n}").status_code, range(12)))
    assert sorted(answers) == [401] * 5 + [429] * 7


def token_ids(exchange: Exchange, name: str) -> dict[str, Any]:
    """What `catalog.identities` last says of the tokens of somebody, by token; None for one that is no more."""
    codec = Codec(exchange.registry, "catalog.identities")
    states: dict[str, Any] = {}
    whose: dict[str, str] = {}
    for key, value, _ in exchange.read_all("catalog.identities"):
        state = codec.decode(value) if value else None
        if state:
            whose[key.decode()] = state["name"]
        states[key.decode()] = state
    return {key: state for key, state in states.items() if whose.get(key) == name}


def test_signing_out_ends_the_session_and_its_token(reception: Reception, exchange: Exchange, books: Books) -> None:
    person = reception.person("auditor")
    login = person.session()["me"]["login"]
    thief = person.again()
    must(thief.get("/api/demand/v1/demands"))
    assert any(token_ids(exchange, login).values())
    assert person.own("DELETE", "/session").status_code == 204
    for path in ("/api/demand/v1/demands", "/api/console/v1/me"):
        answer = thief.get(path)
        assert answer.status_code == 401 and answer.json()["type"].endswith(":not-signed-in")
    assert thief.session() == {"signed_in": False, "oidc": None}
    eventually(lambda: token_ids(exchange, login), lambda found: not any(found.values()), "the end of the token")
    for event in ("signed_in", "password_changed", "signed_out"):
        assert books.await_entry(login, type=f"cn.tongshu.console.{event}.v1")["outcome"] == "done"


def test_a_new_password_ends_all_other_sessions(reception: Reception, exchange: Exchange) -> None:
    person, elsewhere = reception.person("auditor"), Browser(exchange)
    login = person.session()["me"]["login"]
    must(elsewhere.sign_in(login, OWN_PASSWORD))
    before = person.again()
    must(person.choose_password(OWN_PASSWORD, f"{OWN_PASSWORD}, again"))
    assert not elsewhere.session()["signed_in"]
    assert not Browser.session(before)["signed_in"]
    must(person.get("/api/catalog/v1/me"))
    assert Browser(exchange).sign_in(login, OWN_PASSWORD).status_code == 401


def test_what_an_administrator_takes_away_is_gone_at_once(reception: Reception, place: Place) -> None:
    admin, office = reception.administrator, place.office()
    for change in ({"disabled": True}, {"roles": ["consumer"]}, {"department": place.office().slug}):
        person = reception.person("provider", department=office.slug)
        login = person.session()["me"]["login"]
        must(admin.own("PATCH", f"/accounts/{login}", change, **{"If-Match": "*"}))
        assert person.get("/api/catalog/v1/me").status_code == 401, change
    person = reception.person("auditor")
    login = person.session()["me"]["login"]
    fresh = must(admin.own("POST", f"/accounts/{login}/password"))["password"]
    assert person.get("/api/catalog/v1/me").status_code == 401
    assert must(Browser(person.exchange).sign_in(login, fresh))["must_change_password"]


def test_what_another_site_has_a_browser_send_does_nothing(reception: Reception) -> None:
    person, other = reception.known("administrator"), reception.known("auditor")
    forms = [
        ("POST", "/api/catalog/v1/categories"),
        ("PATCH", "/api/console/v1/me"),
        ("DELETE", "/api/console/v1/session"),
    ]
    for headers, slug in [
        ({"X-CSRF-Token": ""}, "csrf-invalid"),
        ({"X-CSRF-Token": other.csrf}, "csrf-invalid"),
        ({"Origin": "https://evil.example"}, "cross-site"),
        ({"Origin": "null"}, "cross-site"),
        ({"Sec-Fetch-Site": "cross-site"}, "cross-site"),
        ({"Sec-Fetch-Site": "same-site"}, "cross-site"),
    ]:
        for method, path in forms:
            answer = person.request(method, path, json={"language": "en"}, headers=headers)
            assert answer.status_code == 403, f"{headers} {method} {path}"
            assert answer.json()["type"].endswith(slug)
    # a sign-in that somebody else's page sends would have the victim work under the attacker's name
    forged = other.request(
        "POST", "/api/console/v1/session", json={"login": "admin", "password": "x"}, headers={"Origin": "http://evil"}
    )
    assert forged.status_code == 403
    own = f"http://127.0.0.1:{person.exchange.home.ports['console']}"
    must(person.request("PATCH", "/api/console/v1/me", json={"language": "en"}, headers={"Origin": own}))


def test_answers_come_in_the_language_that_is_asked_for(exchange: Exchange) -> None:
    answer = Browser(exchange, "zh-CN").sign_in("nobody", "wrong password")
    assert answer.json()["title"] == "登录失败"
    assert Browser(exchange, "en").sign_in("nobody", "wrong password").json()["title"] == "Not signed in"
