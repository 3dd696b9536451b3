"""Requests for the services, passed on in the name of whoever is signed in.

Bodies stream both ways. The browser's cookie goes no further, the person's token comes no nearer: it is put on the
request here, and a service decides by it as it does for a program. What a service answers is never a page of ours: HTML
among it (a bulletin) can run nothing and is in a box of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta

import httpx
import structlog
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

from services.console.admission import BACKGROUND, CSRF
from services.console.sessions import Session, Sessions
from services.core.problems import Problem
from services.core.settings import Settings
from services.core.words import Words

log = structlog.get_logger()

Body = bytes | AsyncIterator[bytes]
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# what holds between two neighbours only (RFC 9110, 7.6.1)
_HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
_NOT_PASSED_ON = _HOP_BY_HOP | {"host", "cookie", "authorization", "forwarded", "origin", "referer", CSRF, BACKGROUND}
_NOT_PASSED_BACK = _HOP_BY_HOP | {"set-cookie", "server", "date", "www-authenticate"}
_BOX = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"
_CONNECT_SECONDS = 3.0
# a token that was just made is known to all services within moments
_YOUNG, _AGAIN_SECONDS = timedelta(seconds=5), 0.05
# shorter than the services keep a connection: one that was just closed at the other end is not used
_KEEP_ALIVE_SECONDS = 3.0
_SMALL_BYTES = 1024**2
_LOOK_SECONDS = 5.0


def client(settings: Settings) -> httpx.AsyncClient:
    """The connections to the services."""
    timeout = httpx.Timeout(settings.console_answer_seconds, connect=_CONNECT_SECONDS, pool=_CONNECT_SECONDS)
    limits = httpx.Limits(max_connections=500, max_keepalive_connections=100, keepalive_expiry=_KEEP_ALIVE_SECONDS)
    return httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False)


_TITLES = {
    "catalog": Words("The catalogue", "目录服务"),
    "demand": Words("The demand service", "供需服务"),
    "sync": Words("The relay", "数据交换服务"),
    "table": Words("The table exchange", "库表交换服务"),
    "rows": Words("The row look-up service", "数据查询服务"),
    "audit": Words("The audit service", "审计服务"),
    "watch": Words("The watch", "运行监测服务"),
}


def places(settings: Settings) -> dict[str, tuple[str, str]]:
    """What paths begin with, the longer ones first, and which service answers them where."""
    return {
        "/api/sync/v1/tables": ("table", settings.table_url),
        "/api/sync/v1/resources": ("rows", settings.rows_url),
        "/api/sync/v1": ("sync", settings.sync_url),
        "/api/catalog/v1": ("catalog", settings.catalog_url),
        "/api/demand/v1": ("demand", settings.demand_url),
        "/api/audit/v1": ("audit", settings.audit_url),
        "/api/watch/v1": ("watch", settings.watch_url),
    }


class Forwarding:
    """The way to the services."""

    def __init__(self, client: httpx.AsyncClient, sessions: Sessions, settings: Settings) -> None:
        self._client, self._sessions, self._places = client, sessions, places(settings)
        self._largest = settings.console_request_mebibytes * 1024**2

    def takes(self, path: str) -> bool:
        return self._place(path) is not None

    async def __call__(self, request: Request, session: Session) -> Response:
        """What a service answers to `request`; raises problems where it does not."""
        place = self._place(request.url.path)
        if place is None or any(step in (".", "..") for step in request.url.path.split("/")):
            raise nothing_there()
        service, base = place
        if not base:
            raise _away(service)
        asked = self._asked(request, session, base)
        body = await self._body(request)
        try:
            answer = await self._answer(asked, body, session)
        except httpx.TimeoutException as error:
            log.warning("a service is slow", service=service, path=request.url.path, reason=type(error).__name__)
            away = isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout)
            raise (_away if away else _slow)(service) from error
        except httpx.TransportError as error:
            log.warning("a service is away", service=service, path=request.url.path, reason=str(error))
            raise _away(service) from error
        if answer.status_code == 401:
            # a session's token ends with the session: the service has not heard of it
            await answer.aclose()
            raise _away(service)
        body = _whole(answer)
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            body = self._while_signed_in(body, session)
        return StreamingResponse(body, answer.status_code, headers=_passed_back(answer.headers))

    async def _while_signed_in(self, body: AsyncIterator[bytes], session: Session) -> AsyncIterator[bytes]:
        """A stream without an end, until the session has one."""
        coming = asyncio.ensure_future(anext(body, None))
        try:
            while await self._sessions.find(session.id, is_active=False) is not None:
                look_again = asyncio.get_running_loop().time() + _LOOK_SECONDS
                while (left := look_again - asyncio.get_running_loop().time()) > 0:
                    done, _ = await asyncio.wait({coming}, timeout=left)
                    if not done:
                        break
                    part = coming.result()
                    if part is None:
                        return
                    yield part
                    coming = asyncio.ensure_future(anext(body, None))
        finally:
            coming.cancel()

    async def is_there(self, session: Session, path: str) -> bool:
        """Whether a service shows the person what is at `path`; raises problems where it does not answer."""
        place = self._place(path)
        if place is None:
            raise nothing_there()
        service, base = place
        headers = {"Authorization": f"Bearer {session.token}"}
        try:
            answer = await self._client.get(base + path, headers=headers)
        except httpx.TransportError as error:
            raise _away(service) from error
        if answer.status_code in (200, 404):
            return answer.status_code == 200
        raise _away(service)

    def _place(self, path: str) -> tuple[str, str] | None:
        return next((at for begins, at in self._places.items() if f"{path}/".startswith(f"{begins}/")), None)

    def _asked(self, request: Request, session: Session, base: str) -> httpx.Request:
        raw = bytes(request.scope["raw_path"])
        query = bytes(request.scope["query_string"])
        named = {name.strip() for name in request.headers.get("connection", "").lower().split(",")}
        headers = [(name, value) for name, value in request.headers.items() if name not in _NOT_PASSED_ON | named]
        url = httpx.URL(base).copy_with(raw_path=raw + (b"?" + query if query else b""))
        asked = self._client.build_request(request.method, url)
        # nothing that the client would add by itself: what a browser does not take, it must not be given
        asked.headers = httpx.Headers([("host", url.netloc.decode()), *headers])
        asked.headers["authorization"] = f"Bearer {session.token}"
        if "text/event-stream" in request.headers.get("accept", ""):
            # a stream may be silent for as long as nothing happens
            asked.extensions["timeout"] = {**asked.extensions["timeout"], "read": None}
        return asked

    async def _body(self, request: Request) -> Body:
        """A small body at once, so that it can be sent again; a large one as it comes. Raises a 413 problem."""
        told = request.headers.get("content-length", "")
        if told.isdigit() and int(told) > self._largest:
            raise self._too_large()
        if "transfer-encoding" in request.headers or (told.isdigit() and int(told) > _SMALL_BYTES):
            return self._counted(request)
        return await request.body()

    async def _counted(self, request: Request) -> AsyncIterator[bytes]:
        taken = 0
        async for part in request.stream():
            taken += len(part)
            if taken > self._largest:
                raise self._too_large()
            yield part

    def _too_large(self) -> Problem:
        mebibytes = self._largest // 1024**2
        return Problem(
            413,
            "request-too-large",
            Words("The request is too large", "请求过大"),
            Words(f"No more than {mebibytes} MiB can be sent at once.", f"一次最多可发送 {mebibytes} MiB。"),
        )

    async def _answer(self, asked: httpx.Request, body: Body, session: Session) -> httpx.Response:
        answer = await self._client.send(_with(asked, body), stream=True)
        while answer.status_code == 401 and isinstance(body, bytes) and datetime.now(UTC) - session.begun_at < _YOUNG:
            await answer.aclose()
            await asyncio.sleep(_AGAIN_SECONDS)
            answer = await self._client.send(_with(asked, body), stream=True)
        return answer


def _with(asked: httpx.Request, body: Body) -> httpx.Request:
    return httpx.Request(asked.method, asked.url, headers=asked.headers, content=body, extensions=asked.extensions)


async def _whole(answer: httpx.Response) -> AsyncIterator[bytes]:
    """The body as it comes, in the coding it came in."""
    try:
        async for part in answer.aiter_raw():
            yield part
    except httpx.TransportError as error:
        # the status has been told: all that is left is to break off, which the browser sees
        log.warning("a service broke off", path=answer.request.url.path, reason=str(error))
        raise ClientDisconnect from error
    finally:
        await answer.aclose()


def _passed_back(told: httpx.Headers) -> Mapping[str, str]:
    named = {name.strip() for name in told.get("connection", "").lower().split(",")}
    headers = {name: value for name, value in told.items() if name not in _NOT_PASSED_BACK | named}
    # what somebody may see is not kept for whoever uses the browser next
    headers.setdefault("cache-control", "no-store")
    headers["content-security-policy"] = _BOX
    return headers


def nothing_there() -> Problem:
    return Problem(404, "not-found", Words("not found", "不存在"), Words("There is nothing here.", "没有该地址。"))


def _away(service: str) -> Problem:
    title = _TITLES[service]
    return Problem(
        502,
        "service-away",
        Words(f"{title} is away", f"{title.zh}暂时不可用"),
        Words(
            f"{title} does not answer just now. The rest goes on; try again in a moment.",
            f"{title.zh}暂时没有响应，其他功能不受影响，请稍后再试。",
        ),
        headers={"Retry-After": "5"},
        more={"service": service},
    )


def _slow(service: str) -> Problem:
    title = _TITLES[service]
    return Problem(
        504,
        "service-slow",
        Words(f"{title} takes too long", f"{title.zh}响应超时"),
        Words(
            f"{title} has not answered in time. What you changed may have been done: look before you repeat it.",
            f"{title.zh}未能及时响应。您的操作可能已经生效，请先查看结果再决定是否重试。",
        ),
        headers={"Retry-After": "10"},
        more={"service": service},
    )
