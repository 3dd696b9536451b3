"""The console in a real browser: what its first view weighs and when it is usable, and how a long table moves.

Each view is opened in a browser that has never been here: no cache, no compiled code. It is usable when its heading is
there and nothing in it waits any more. Bytes are those that came over the wire, heads included, once as the browser
asks for them and once as a browser that takes gzip only. The peer of a table's frames are those of the same page while
nothing moves: what the machine can do at all.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, Route, sync_playwright

from benchmarks.report import Report
from benchmarks.road import consuming
from cli.exchange import Exchange

ROWS = 10_000
_PASSWORD = "a harbour for the bench"
_VIEWS = {"sign-in": "/", "overview": "/", "catalogue": "/catalogue", "own resources": "/providing"}
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_USABLE = """window.usable = new Promise((done) => {
  const look = () => {
    if (document.querySelector('h1, input[autocomplete=username]') && !document.querySelector('main .loading'))
      requestAnimationFrame(() => done(performance.now()))
    else requestAnimationFrame(look)
  }
  requestAnimationFrame(look)
})"""
_PLOTS_MS = 3_000
_FRAMES = """async ({count, step}) => {
  const box = document.querySelector('.table-scroll.windowed')
  const frame = () => new Promise(requestAnimationFrame)
  const took = []
  let before = await frame()
  for (let at = 0; at < count; at += 1) {
    box.scrollTop += step
    const now = await frame()
    took.push(now - before)
    before = now
  }
  return took
}"""
_SORT = """async () => {
  const begun = performance.now()
  document.querySelector('.table-scroll.windowed thead button').click()
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
  return performance.now() - begun
}"""


class NoBrowser(Exception):
    """There is no Chromium on this machine."""


def run(report: Report, exchange: Exchange, *, rounds: int) -> None:
    """Measure on a fresh `exchange` with samples; medians of `rounds`. Raises NoBrowser."""
    program = next((found for name in _PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        raise NoBrowser("there is no Chromium here (Debian: apt-get install chromium)")
    with consuming(exchange):
        pass  # what was delivered is what the views show
    base = f"http://127.0.0.1:{exchange.home.ports['console']}"
    cookies = _sign_in(exchange, base)
    flags = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        for view, path in _VIEWS.items():
            known = [] if view == "sign-in" else cookies
            opened = [_open(browser, base + path, known) for _ in range(rounds)]
            _, plain = _open(browser, base + path, known, encoding="gzip")
            report.add(f"{view}: usable, cold cache, median", statistics.median(one[0] for one in opened), "ms")
            report.add(f"{view}: usable, cold cache, worst of {rounds}", max(one[0] for one in opened), "ms")
            report.add(f"{view}: transferred", opened[0][1] / 1024, "KiB")
            report.add(f"{view}: transferred, gzip only", plain / 1024, "KiB")
        _table(report, browser, base, cookies)
        browser.close()


def _sign_in(exchange: Exchange, base: str) -> list[dict[str, Any]]:
    """The cookies of the first account, once it has a password of its own."""
    first = exchange.home.secret("console_admin_password")
    with httpx.Client(base_url=f"{base}/api/console/v1", headers={"Sec-Fetch-Site": "same-origin"}) as http:
        csrf = http.post("/session", json={"login": "admin", "password": first}).raise_for_status().json()["csrf"]
        chosen = {"current": first, "new": _PASSWORD}
        http.put("/password", json=chosen, headers={"X-CSRF-Token": csrf}).raise_for_status()
        return [{"name": one.name, "value": one.value, "url": base} for one in http.cookies.jar]


@contextmanager
def _page(browser: Browser, cookies: list[dict[str, Any]]) -> Iterator[Page]:
    """A page of a browser that knows nothing but these cookies."""
    context = browser.new_context(locale="zh-CN", viewport={"width": 1440, "height": 900})
    context.add_cookies(cookies)  # type: ignore[arg-type]
    try:
        yield context.new_page()
    finally:
        context.close()


def _open(
    browser: Browser, url: str, cookies: list[dict[str, Any]], *, encoding: str | None = None
) -> tuple[float, float]:
    """Milliseconds until a view is usable, and the bytes of all that it has then asked for, its plots included."""
    with _page(browser, cookies) as page:
        wire, came = page.context.new_cdp_session(page), [0.0]
        wire.on("Network.loadingFinished", lambda told: came.append(told["encodedDataLength"]))
        wire.send("Network.enable")
        wire.send("Network.setCacheDisabled", {"cacheDisabled": True})
        if encoding:
            wire.send("Network.setExtraHTTPHeaders", {"headers": {"Accept-Encoding": encoding}})
        page.add_init_script(_USABLE)
        page.goto(url, wait_until="commit")
        usable = float(page.evaluate("() => window.usable"))
        page.wait_for_timeout(_PLOTS_MS)
        return usable, sum(came)


def _table(report: Report, browser: Browser, base: str, cookies: list[dict[str, Any]]) -> None:
    """A table of many rows: the first of the page's own answer, so often."""
    with _page(browser, cookies) as page:
        page.route("**/api/catalog/v1/resources?*", partial(_many, []))
        page.goto(f"{base}/providing")
        page.locator(".table-scroll.windowed tbody tr").nth(5).wait_for()
        still = _frames(page, step=0)
        for name, step in (("slowly", 41), ("by pages", 520), ("in leaps", 9_000)):
            took = _frames(page, step=step)
            report.add(f"table of {ROWS:,} rows, scrolled {name}: frame, p95", took(0.95), "ms")
            report.add(f"table of {ROWS:,} rows, scrolled {name}: frame, worst", took(1.0), "ms")
        report.add("the same page, still: frame, p95", still(0.95), "ms")
        sorting = [page.evaluate(_SORT) for _ in range(6)]
        report.add(f"table of {ROWS:,} rows, sorted: until shown, worst", max(sorting), "ms")


def _many(body: list[str], route: Route) -> None:
    """Answer with so many rows; made once into `body`, for the page asks again when something happens."""
    if not body:
        first, items = route.fetch().json()["items"][0], []
        part = "published" if first["published"] else "draft"
        # what a table shows of a resource is not in its items
        terms = {**first[part], "items": first[part]["items"][:1]}
        for number in range(ROWS):
            title = f"{terms['title']} {number * 7919 % ROWS}"
            items.append({**first, "code": f"resource_{number}", part: {**terms, "title": title}})
        body.append(json.dumps({"items": items, "next": None}))
    route.fulfill(content_type="application/json", body=body[0])


def _frames(page: Page, *, step: int, count: int = 180) -> Callable[[float], float]:
    """How long frames took while a table was scrolled, by their rank."""
    page.locator(".table-scroll.windowed").evaluate("(box) => { box.scrollTop = 0 }")
    took = sorted(page.evaluate(_FRAMES, {"count": count, "step": step}))
    return lambda rank: float(took[min(len(took) - 1, int(rank * len(took)))])
