"""Takes the README's pictures of the console: `python -m tests.browser.portraits`.

Of the exchange that runs; what is to be seen is best after `./tongshu demo --keep`.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from cli.exchange import Exchange
from infra.embedded import home as homes
from tests.browser.conftest import Seat, open_page, person_of
from tests.road.console.conftest import Reception

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "images"
PAGES = {
    "overview": "/overview",
    "resource": "/catalogue/population?part=lineage",
    "lag": "/running/lag",
    "entry": "/audit/entries/0",
}


def main() -> None:
    home, program = homes.find(), shutil.which("chromium")
    if home is None or program is None:
        sys.exit("This needs an exchange that runs (`./tongshu demo --keep`) and Chromium.")
    exchange = Exchange(home)
    login, password = person_of(Reception(exchange), "administrator")
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        window = Seat(context.new_page(), f"http://127.0.0.1:{home.ports['console']}")
        window.open("/")
        window.sign_in(login, password)
        expect(window.page.get_by_role("navigation").first).to_be_visible()
        for language in ("zh-CN", "en"):
            window.page.evaluate("(language) => localStorage.setItem('language', language)", language)
            for name, path in PAGES.items():
                page = open_page(window, path)
                # plots draw themselves once their data is there
                page.wait_for_timeout(2_000)
                page.screenshot(path=PICTURES / f"{name}.{language}.jpg", type="jpeg", quality=82)
        browser.close()


if __name__ == "__main__":
    main()
