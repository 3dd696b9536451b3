"""What passes between a browser and a service, and what does not: over real connections to a service that tells all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from services.console.accounts import Person
from services.console.forwarding import Forwarding, client
from services.console.front import Front
from services.console.sessions import Session
from services.core import problems
from services.core.identity import Role
from services.core.settings import Settings
from tests.serving import Running, free_port

PERSON = Person(
    login="zhang.wei", name="张伟", department="civil_affairs", roles=(Role.CONSUMER,), language="zh-CN",
    must_change=False, epoch=1,
)  # fmt: skip


class Service:
    """A service that answers with what it was sent."""

    def __init__(self) -> None:
        self.unknown_tokens = 0
        self.seen: list[dict[str, Any]] = []

    async def echo(self, request: Request) -> Response:
        body = await request.body()
        told = {
            "method": request.method, "path": request.scope["raw_path"].decode(), "query": request.url.query,
            "headers": dict(request.headers), "bytes": len(body), "body": body[:100].decode(errors="replace"),
        }  # fmt: skip
        self.seen.append(told)
        if self.unknown_tokens > 0:
            self.unknown_tokens -= 1
            return JSONResponse({}, 401, headers={"WWW-Authenticate": "Bearer"})
        more = {"Set-Cookie": "stolen=1", "ETag": '"7"', "X-Hop": "1", "Connection": "X-Hop", "Tongshu-Position": "0:5"}
        return JSONResponse(told, 209, headers=more)

    async def html(self, request: Request) -> Response:
        return HTMLResponse("<script>alert(1)</script>")

    async def slow(self, request: Request) -> Response:
        await asyncio.sleep(5)
        return Response("late")

    async def stream(self, request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            for number in range(3):
                yield f"data: {number}\n\n".encode()
                await asyncio.sleep(0.3)
            while True:
                await asyncio.sleep(0.1)
                yield b": still here\n\n"

        return StreamingResponse(parts(), media_type="text/event-stream")

    async def broken(self, request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"half of it"
            raise RuntimeError("on purpose")

        return StreamingResponse(parts(), headers={"Content-Length": "1000"})


class KnownSessions:
    """Whether the one session of these tests is there."""

    def __init__(self) -> None:
        self.is_there = True

    async def find(self, session_id: str, *, is_active: bool = True) -> Session | None:
        return session() if self.is_there else None


def session(age: timedelta = timedelta()) -> Session:
    now = datetime.now(UTC)
    return Session(
        id="s", person=PERSON, token="ts_of_the_person", token_id="t", begun_at=now - age,
        ends_at=now + timedelta(hours=1), idle=timedelta(minutes=30),
    )  # fmt: skip


class Way:
    """Browser, console and service, on real sockets."""

    def __init__(self) -> None:
        self.service, self.sessions, self.age = Service(), KnownSessions(), timedelta()
        routes = [("html", self.service.html), ("slow", self.service.slow), ("stream", self.service.stream),
                  ("broken", self.service.broken), ("{rest:path}", self.service.echo)]  # fmt: skip
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        self.upstream = Running(
            Starlette(routes=[Route(f"/api/demand/v1/{path}", made, methods=methods) for path, made in routes])
        )
        away = f"http://127.0.0.1:{free_port()}"
        here = Settings(
            demand_url=self.upstream.url, catalog_url=away, sync_url=away, table_url=away,
            console_request_mebibytes=2, console_answer_seconds=1,
        )  # fmt: skip
        app = FastAPI(openapi_url=None)
        problems.install(app)
        forwarding = Forwarding(client(here), self.sessions, here)  # type: ignore[arg-type]

        async def forward(request: Request) -> Response:
            return await forwarding(request, session(self.age))

        app.add_route("/api/{path:path}", forward, methods=methods)
        self.console = Running(Front(app))
        self.browser = httpx.Client(base_url=self.console.url, timeout=20)

    def stop(self) -> None:
        self.browser.close()
        self.console.stop()
        self.upstream.stop()


@pytest.fixture
def way() -> Iterator[Way]:
    made = Way()
    yield made
    made.stop()


def test_a_request_arrives_whole_under_the_persons_token(way: Way) -> None:
    headers = {
        "Cookie": "tongshu=secret", "Authorization": "Bearer another", "X-CSRF-Token": "c", "Connection": "X-Mine",
        "X-Mine": "1", "If-Match": '"6"', "Idempotency-Key": "k", "Accept-Language": "zh-CN", "Tongshu-After": "0:5",
        "X-Forwarded-For": "10.0.0.1",
    }  # fmt: skip
    answer = way.browser.put("/api/demand/v1/demands/%E4%B8%AD%2Fx?q=%E6%95%B0&q=2", json={"a": "数"}, headers=headers)
    told = answer.json()
    assert answer.status_code == 209
    assert told["method"] == "PUT"
    assert told["path"] == "/api/demand/v1/demands/%E4%B8%AD%2Fx"
    assert told["query"] == "q=%E6%95%B0&q=2"
    assert json.loads(told["body"]) == {"a": "数"}
    arrived = told["headers"]
    assert arrived["authorization"] == "Bearer ts_of_the_person"
    assert not {"cookie", "x-csrf-token", "x-mine"} & arrived.keys()
    for name in ("if-match", "idempotency-key", "accept-language", "tongshu-after"):
        assert arrived[name] == headers[next(one for one in headers if one.lower() == name)]


def test_an_answer_comes_back_without_what_is_not_the_browsers(way: Way) -> None:
    answer = way.browser.get("/api/demand/v1/demands")
    assert answer.headers["etag"] == '"7"' and answer.headers["tongshu-position"] == "0:5"
    assert not {"set-cookie", "x-hop", "www-authenticate"} & answer.headers.keys()
    assert answer.headers["cache-control"] == "no-store"
    assert "ts_of_the_person" not in str(answer.headers)


def test_html_of_a_service_can_run_nothing(way: Way) -> None:
    policy = way.browser.get("/api/demand/v1/html").headers["content-security-policy"]
    assert "sandbox" in policy and "default-src 'none'" in policy and "script-src" not in policy


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/api/catalog/v1/me", "catalog"),
        ("/api/sync/v1/grants/1", "sync"),
        ("/api/sync/v1/tables/1", "table"),
        ("/api/watch/v1/lag", "watch"),
    ],
)
def test_a_service_that_is_away_is_told_in_words(way: Way, path: str, service: str) -> None:
    answer = way.browser.get(path, headers={"Accept-Language": "zh-CN"})
    assert answer.status_code == 502
    assert answer.json()["type"].endswith(":service-away")
    assert answer.json()["service"] == service
    assert "暂时没有响应" in answer.json()["detail"]
    assert answer.headers["retry-after"]


def test_a_service_that_says_nothing_for_too_long_is_slow(way: Way) -> None:
    answer = way.browser.get("/api/demand/v1/slow")
    assert answer.status_code == 504 and answer.json()["type"].endswith(":service-slow")


def test_what_is_too_large_is_refused_however_it_is_sent(way: Way) -> None:
    large = b"x" * (2 * 1024**2 + 1)
    assert way.browser.post("/api/demand/v1/files", content=large).status_code == 413
    in_parts = way.browser.post("/api/demand/v1/files", content=iter([large[: 1024**2]] * 3))
    assert in_parts.status_code == 413, in_parts.text
    fits = way.browser.post("/api/demand/v1/files", content=large[:-1])
    assert fits.json()["bytes"] == 2 * 1024**2
    assert way.browser.post("/api/demand/v1/files", content=iter([b"a", b"b"])).json()["body"] == "ab"


def test_a_stream_comes_as_it_is_made_and_ends_with_the_session(way: Way) -> None:
    accept = {"Accept": "text/event-stream"}
    with way.browser.stream("GET", "/api/demand/v1/stream", headers=accept) as answer:
        lines = answer.iter_lines()
        assert [next(lines) for _ in range(3)] == ["data: 0", "", "data: 1"]
        way.sessions.is_there = False
        begun = datetime.now(UTC)
        for _ in lines:
            pass
        assert datetime.now(UTC) - begun < timedelta(seconds=8)


def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(way: Way) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        way.browser.get("/api/demand/v1/broken")


def test_a_token_that_was_just_made_is_tried_again_until_it_is_known(way: Way) -> None:
    way.service.unknown_tokens = 3
    assert way.browser.post("/api/demand/v1/demands", json={"n": 1}).status_code == 209
    assert [json.loads(one["body"]) for one in way.service.seen] == [{"n": 1}] * 4
    way.age = timedelta(minutes=1)
    way.service.unknown_tokens = 1
    answer = way.browser.get("/api/demand/v1/demands")
    assert answer.status_code == 502


@pytest.mark.parametrize("path", ["/api/nobody/v1/x", "/api/demand/v2/x", "/api/demand/v1/%2e%2e/x", "/api/demandv1"])
def test_what_is_nobodys_goes_nowhere(way: Way, path: str) -> None:
    assert way.browser.get(path).status_code == 404
    assert way.service.seen == []
