"""Redis as the row API asks it: commands of all requests under way on one connection, answers in their order.

One write to the socket carries whatever was asked for since the last, so that many requests at a time cost few system
calls; hiredis parses the answers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Any, cast

import hiredis

from services.core.settings import Settings

_RECONNECT_SECONDS = 0.2


class RedisAway(Exception):
    """Redis does not answer."""


def packed(*words: bytes) -> bytes:
    """A command as it goes over the wire."""
    return b"".join((b"*%d\r\n" % len(words), *(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)))


class Wire(asyncio.Protocol):
    """One connection, made anew whenever it is lost. Its methods belong to the loop that `keep` runs in."""

    def __init__(self, settings: Settings) -> None:
        self._host, self._port = settings.redis_host, settings.redis_port
        self._login = packed(b"AUTH", settings.secret("redis_password").encode())
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader()
        self._waiting: deque[tuple[asyncio.Future[list[Any]], int]] = deque()
        self._answers: list[Any] = []
        self._out: list[bytes] = []
        self._lost = asyncio.Event()

    async def keep(self) -> None:
        """Stay connected until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._lost.clear()
            with contextlib.suppress(OSError):
                await loop.create_connection(lambda: self, self._host, self._port)
                await self._lost.wait()
            await asyncio.sleep(_RECONNECT_SECONDS)

    def ask(self, commands: bytes, answers: int) -> asyncio.Future[list[Any]]:
        """The `answers` that come to `commands`; raises RedisAway."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Any]] = loop.create_future()
        if self._transport is None:
            future.set_exception(RedisAway("Redis does not answer"))
            return future
        if not self._out:
            loop.call_soon(self._send)
        self._out.append(commands)
        self._waiting.append((future, answers))
        return future

    def tell(self, command: bytes) -> None:
        """A command whose answer nobody waits for."""
        self.ask(command, 1).add_done_callback(_heard)

    def _send(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None:
            self._transport.write(b"".join(out))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's
        connected = cast(asyncio.Transport, transport)
        self._reader, self._answers, self._transport = hiredis.Reader(), [], connected
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_heard)
        self._waiting.append((future, 1))
        connected.write(self._login)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not False:
            self._answers.append(answer)
            future, wanted = self._waiting[0]
            if len(self._answers) == wanted:
                self._waiting.popleft()
                answers, self._answers = self._answers, []
                if not future.done():
                    future.set_result(answers)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport, self._out = None, []
        waiting, self._waiting = self._waiting, deque()
        for future, _ in waiting:
            if not future.done():
                future.set_exception(RedisAway("the connection to Redis was lost"))
        self._lost.set()


def _heard(future: asyncio.Future[list[Any]]) -> None:
    if not future.cancelled():
        future.exception()
