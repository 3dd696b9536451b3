"""A real Chromium on the console of the shared exchange, and people who sit before it.

A page that logs an error, breaks its policy (CSP), throws, or is answered with a failure of the server fails its test,
whatever the test looked at. Screenshots stay in the folder `.screenshots` (or TONGSHU_TEST_OUTPUT).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response, expect, sync_playwright

from cli.exchange import Exchange
from infra.embedded import web
from infra.embedded.toolchain import tools_folder
from tests.conftest import ROOT
from tests.debian import program
from tests.road.console.conftest import OWN_PASSWORD, Reception

OUTPUT = Path(os.environ.get("TONGSHU_TEST_OUTPUT") or ROOT / ".screenshots")
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--force-color-profile=srgb", "--font-render-hinting=none",
)  # fmt: skip
# what a page shows comes from services that share a small machine with all else
expect.set_options(timeout=20_000)
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_CHECK = """async (rules) => (await axe.run(document, {runOnly: rules})).violations.map(
    (one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 120)).join(' | ')}`)"""
# a browser tells of every answer of 400 and more on its console: those a test asks for are no faults of the page
_TOLD_BY_ITSELF = re.compile(r"Failed to load resource: the server responded with a status of (4\d\d)")


@dataclass  # no slots: Playwright keeps its wrappers as attributes of whoever listens
class Seat:
    """A person's browser window; `faults` is what went wrong in it."""

    page: Page
    base: str
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._logged)
        self.page.on("pageerror", lambda error: self.faults.append(f"thrown: {error}"))
        self.page.on("response", self._answered)
        self.page.on("request", lambda request: self._asked(request.url))

    def open(self, path: str = "/") -> None:
        self.page.goto(self.base + path, wait_until="load")

    def shot(self, name: str) -> None:
        """Keep what is to be seen now."""
        OUTPUT.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=OUTPUT / f"{name}.png", full_page=True)

    def sign_in(self, login: str, password: str) -> None:
        """As a person does: by the form."""
        self.page.locator("input[autocomplete=username]").fill(login)
        self.page.locator("input[autocomplete=current-password]").fill(password)
        self.page.locator("button[type=submit]").click()

    def _logged(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not _TOLD_BY_ITSELF.match(message.text):
            self.faults.append(f"logged: {message.text}")

    def _answered(self, response: Response) -> None:
        if response.status >= 500:
            self.faults.append(f"{response.status}: {response.request.method} {response.url}")

    def _asked(self, url: str) -> None:
        if not url.startswith((self.base, "data:", "blob:")):
            self.faults.append(f"asked another site: {url}")


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Chromium of this machine, or of Debian where root may install it. Without it, tests say so.

    It goes with the last test of the pages: its driver keeps an event loop running, beside which no other can.
    """
    flags = [*_FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium", *_PROGRAMS), args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def base(exchange: Exchange) -> str:
    return f"http://127.0.0.1:{exchange.home.ports['console']}"


@pytest.fixture(scope="session")
def checker() -> str:
    """The checker's script (axe-core), which is among the packages that the pages are built with."""
    script = web.packages(tools_folder()) / "axe-core" / "axe.min.js"
    assert script.is_file(), f"{script} is not there: are the pages built?"
    return script.read_text()


def open_page(window: Seat, path: str) -> Page:
    """A page of the console once all of it is there."""
    window.open(path)
    page = window.page
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("main .loading")).to_have_count(0, timeout=15_000)
    return page


def faults_of(page: Page, checker: str) -> list[str]:
    """What keeps somebody from using the page as it is now (WCAG 2.2 A and AA, best practice)."""
    page.evaluate(checker)
    found: list[str] = page.evaluate(_CHECK, _RULES)
    return found


Take = Callable[..., Seat]


@pytest.fixture
def seat(chromium: Browser, base: str) -> Iterator[Take]:
    """Opens windows, each a person's own: `seat(locale="en")`. What went wrong in any of them fails the test."""
    opened: list[tuple[BrowserContext, Seat]] = []

    def take(locale: str = "zh-CN", width: int = 1440, height: int = 900) -> Seat:
        context = chromium.new_context(
            locale=locale, viewport={"width": width, "height": height}, color_scheme="light", reduced_motion="reduce"
        )
        made = Seat(context.new_page(), base)
        opened.append((context, made))
        return made

    yield take
    for context, _ in opened:
        context.close()
    faults = [fault for _, one in opened for fault in one.faults]
    assert not faults, "\n".join(faults)


@pytest.fixture(scope="session")
def reception(exchange: Exchange) -> Reception:
    return Reception(exchange)


@contextmanager
def expected_fault(seat: Seat, pattern: str) -> Iterator[None]:
    """What happens here makes the page report a fault of this kind, which is then no fault of the test's."""
    before = len(seat.faults)
    yield
    fresh = seat.faults[before:]
    assert any(re.search(pattern, one) for one in fresh), fresh
    seat.faults[before:] = [one for one in fresh if not re.search(pattern, one)]


def person_of(reception: Reception, *roles: str, department: str | None = None) -> tuple[str, str]:
    """Login name and password of somebody who has chosen one."""
    person = reception.person(*roles, department=department)
    return str(person.session()["me"]["login"]), OWN_PASSWORD
