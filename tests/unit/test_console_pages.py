"""The console's pages: kept by browsers as long as may be, smaller where they can be, and under a strict policy."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.responses import Response

from services.console.front import Front
from services.console.pages import Pages
from services.core import problems


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(
        '<!doctype html><meta property="csp-nonce" nonce="__CSP_NONCE__"><script src="/assets/main-1a.js"></script>'
    )
    (tmp_path / "assets" / "main-1a.js").write_text("console.log('通数')")
    (tmp_path / "assets" / "main-1a.js.gz").write_bytes(gzip.compress("console.log('通数')".encode()))
    (tmp_path / "assets" / "main-1a.js.br").write_bytes(b"as brotli would have it")
    (tmp_path / "favicon.svg").write_text("<svg/>")
    return tmp_path


def client(folder: Path) -> httpx.AsyncClient:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    problems.install(app)
    pages = Pages(folder)

    async def page(request: Request) -> Response:
        return pages.answer(request)

    app.add_route("/{path:path}", page)
    return httpx.AsyncClient(transport=httpx.ASGITransport(Front(app)), base_url="http://console")


@pytest.fixture(params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.anyio
async def test_a_hashed_file_is_kept_for_ever_in_the_smallest_coding_that_is_taken(built: Path) -> None:
    async with client(built) as browser:
        for accepted, coding in [
            ("gzip, br", "br"),
            ("gzip", "gzip"),
            ("identity", None),
            ("br;q=0, gzip", "gzip"),
            ("", None),
        ]:
            answer = await browser.get("/assets/main-1a.js", headers={"Accept-Encoding": accepted})
            assert answer.headers.get("content-encoding") == coding, accepted
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["vary"] == "Accept-Encoding"
            assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.text == "console.log('通数')"
        known = await browser.get("/assets/main-1a.js", headers={"If-None-Match": answer.headers["etag"]})
        assert known.status_code in (200, 304)


@pytest.mark.anyio
async def test_a_file_that_has_not_changed_is_not_sent_again(built: Path) -> None:
    async with client(built) as browser:
        first = await browser.get("/favicon.svg")
        assert first.headers["cache-control"] == "no-cache"
        again = await browser.get("/favicon.svg", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/", "/catalog/resources/population", "/sign-in?to=%2F"])
async def test_every_path_is_the_page_each_time_under_another_nonce(built: Path, path: str) -> None:
    async with client(built) as browser:
        nonces = set()
        for _ in range(2):
            answer = await browser.get(path)
            policy = answer.headers["content-security-policy"]
            (nonce,) = re.findall(r'nonce="([^"]+)"', answer.text)
            assert f"script-src 'self' 'nonce-{nonce}'" in policy
            assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy.replace("style-src-attr 'unsafe-inline'", "")
            assert answer.headers["cache-control"] == "no-cache"
            assert "etag" not in answer.headers
            assert answer.headers["x-content-type-options"] == "nosniff"
            nonces.add(nonce)
        assert len(nonces) == 2


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/assets/main-0.js", "/logo.png", "/index.html.br"])
async def test_a_file_that_is_not_there_is_no_page(built: Path, path: str) -> None:
    async with client(built) as browser:
        answer = await browser.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("application/problem+json")


@pytest.mark.anyio
async def test_pages_that_were_not_built_say_so_in_both_languages(tmp_path: Path) -> None:
    async with client(tmp_path / "nothing") as browser:
        answer = await browser.get("/", headers={"Accept-Language": "zh-CN"})
        assert answer.status_code == 503
        assert "尚未构建" in answer.text and "were not built" in answer.text
        assert answer.text.index("尚未构建") < answer.text.index("were not built")
