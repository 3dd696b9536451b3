"""What holds for everything that comes in and goes out at the console's origin, whichever route it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request

from services.core.problems import Problem, answer
from services.core.words import Words

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # a page says itself what it may do; all else is no page
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}
_OWN = "/api/console/"
_OWN_BYTES = 64 * 1024


class Front:
    """Adds what every answer says, and takes no larger request for the console's own API than a form is.

    `beside` is entered with the loop in which all of it runs, for as long as that is served.
    """

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        beside: Callable[[asyncio.AbstractEventLoop], AbstractContextManager[None]] = lambda _: nullcontext(),
    ) -> None:
        self._app, self._beside = app, beside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            with self._beside(asyncio.get_running_loop()):
                await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                for name, value in ALWAYS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith(_OWN):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        if scope["path"].startswith(_OWN) and not _is_small(Headers(scope=scope)):
            detail = Words(
                f"No more than {_OWN_BYTES // 1024} KiB can be sent here.", f"此处最多可发送 {_OWN_BYTES // 1024} KiB。"
            )
            problem = Problem(413, "request-too-large", Words("The request is too large", "请求过大"), detail)
            await answer(Request(scope), problem)(scope, receive, tell)
            return
        await self._app(scope, receive, tell)


def _is_small(headers: Headers) -> bool:
    told = headers.get("content-length", "0")
    return "transfer-encoding" not in headers and told.isdigit() and int(told) <= _OWN_BYTES
