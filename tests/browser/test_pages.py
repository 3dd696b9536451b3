"""Every page, as each persona comes to it, in both languages: it shows itself; a checker of accessibility agrees.

What a page asks for is answered by the services of the shared exchange; that nothing fails is the window's own check.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from cli.exchange import Exchange
from tests.browser.conftest import Take, faults_of, open_page, person_of
from tests.road.console.conftest import Reception
from tests.road.town import OWNER

_SEEN_BY_ALL = ("/overview", "/catalogue", "/catalogue/population", "/matching", "/data", "/objections", "/matters")
_KEPT = ("/administration/departments", "/administration/systems", "/administration/calendar")
_RUN = ("/running/lag", "/running/alerts", "/running/quarantine", "/running/replays", "/running/mounts")
PAGES = {
    "administrator": (
        *_SEEN_BY_ALL, "/work", "/demands", *_RUN, "/audit", "/audit/entries/0", "/assessment", *_KEPT,
        "/administration/accounts", "/administration/tokens", "/reviews",
    ),
    "consumer": ("/work", "/demands", "/demands/new?resource=population", "/catalogue/population?part=terms"),
    "provider": (
        "/work", "/running/alerts", "/running/quarantine", "/catalogue/population?part=lineage",
        "/catalogue/population?part=contract", "/providing", "/lists", "/catalogue/new", "/catalogue/population/edit",
        "/catalogue/population/mount",
    ),
    "ops": ("/overview", *_RUN),
    "auditor": ("/audit", "/assessment", "/catalogue/population?part=history"),
}  # fmt: skip


@pytest.mark.parametrize("persona", PAGES)
def test_every_page_is_there_and_can_be_used_by_everybody(
    seat: Take, reception: Reception, checker: str, persona: str
) -> None:
    department = OWNER.slug if persona in ("consumer", "provider") else None
    login, password = person_of(reception, persona, department=department)
    window = seat()
    window.open("/")
    window.sign_in(login, password)
    expect(window.page.get_by_role("navigation").first).to_be_visible()
    wrong: dict[str, Any] = {}
    for language in ("zh-CN", "en"):
        window.page.evaluate("(language) => localStorage.setItem('language', language)", language)
        for path in PAGES[persona]:
            page = open_page(window, path)
            assert page.locator("html").get_attribute("lang") == language
            # what the checker looks at is the same in both
            if language == "zh-CN" and (faults := faults_of(page, checker)):
                wrong[path] = faults
            window.shot(f"{persona}-{_name(path)}-{language}")
    assert not wrong


def _name(path: str) -> str:
    return Path(path.strip("/").replace("?", "-").replace("=", "-").replace("/", "-")).name


def test_an_entry_of_the_log_leads_to_its_trace(seat: Take, reception: Reception, exchange: Exchange) -> None:
    login, password = person_of(reception, "auditor")
    to = reception.known("auditor").get("/api/console/v1/endpoints").json()["trace"]
    if to is None:
        pytest.skip("this exchange is not told where traces are looked at: start it with TONGSHU_TRACE_URL")
    (entry,) = exchange.ask("GET", "audit", "/entries?topic=demand.events&limit=1")["items"]
    window = seat()
    window.open(f"/audit/entries/{entry['sequence']}")
    window.sign_in(login, password)
    link = window.page.get_by_role("link", name=entry["trace"])
    expect(link).to_have_attribute("href", to.replace("{trace_id}", entry["trace"]))


def test_what_is_not_there_is_said_so(seat: Take, reception: Reception) -> None:
    login, password = person_of(reception, "auditor")
    window = seat()
    window.open("/no/such/page")
    window.sign_in(login, password)
    expect(window.page.get_by_text("没有这个页面")).to_be_visible()


def test_a_phone_has_the_navigation_behind_a_button(seat: Take, reception: Reception) -> None:
    login, password = person_of(reception, "provider", department=OWNER.slug)
    window = seat(width=390, height=844)
    window.open("/")
    window.sign_in(login, password)
    menu = window.page.get_by_role("button", name="打开导航")
    expect(menu).to_be_visible()
    expect(window.page.get_by_role("link", name="资源目录")).to_be_hidden()
    menu.click()
    window.page.get_by_role("link", name="资源目录").click()
    expect(window.page.get_by_role("heading", level=1)).to_have_text("资源目录")
    width = window.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    window.shot("phone-catalogue")
