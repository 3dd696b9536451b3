"""The process of the row API: the route, and beside it the thread that fills its cache."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI

from services.core import identity, telemetry
from services.core.avro import Registry
from services.core.http import KEEP_ALIVE_SECONDS, application, spare_the_loaded
from services.core.settings import settings
from services.sync.rows.access import Access
from services.sync.rows.api import OPERATIONS, PATH
from services.sync.rows.exchange import RowExchange
from services.sync.rows.route import Receive, Rows, Scope, Send
from services.sync.rows.wire import Wire


class Front:
    """Look-ups go straight to their route, all else (health, OpenAPI) to the application."""

    def __init__(self, rows: Rows, app: FastAPI) -> None:
        self._rows, self._app = rows, app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        takes = scope["type"] == "http" and self._rows.takes(scope)
        return self._rows(scope, receive, send) if takes else self._app(scope, receive, send)


def describe(app: FastAPI) -> None:
    """Put the look-ups into the application's OpenAPI."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        described = generate()
        described["paths"][PATH] = OPERATIONS
        described["components"].setdefault("securitySchemes", {})["HTTPBearer"] = {"type": "http", "scheme": "bearer"}
        return described

    app.openapi = openapi  # type: ignore[method-assign]


async def serve(front: Front, wire: Wire, stop: threading.Event, host: str, port: int) -> None:
    """Answer until `stop` is set; calls under way get 15 seconds."""
    server = uvicorn.Server(
        uvicorn.Config(
            front, host=host, port=port, log_config=None, access_log=False, http="httptools", interface="asgi3",
            lifespan="off", timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=15, server_header=False, date_header=False, proxy_headers=False,
        )
    )  # fmt: skip
    keeping = asyncio.create_task(wire.keep())
    serving = asyncio.create_task(server.serve())
    while not stop.is_set() and not serving.done():
        await asyncio.sleep(0.1)
    stop.set()
    server.should_exit = True
    await serving
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping


def main() -> None:
    here = settings()
    telemetry.start("sync-rows", here)
    stop = threading.Event()
    registry = Registry(here.registry_url)
    identities = identity.view(here, registry, "sync")
    identities.start()
    access, wire = Access(here, registry), Wire(here)
    rows = Rows(here, wire, access, identity.known(identities.get), lambda grant: exchange.stale(grant))

    def publish(index: Any) -> None:
        rows.index = index

    exchange = RowExchange(here, registry, publish)
    checks = {
        "row exchange": exchange.why_not_ready,
        "identities": lambda: str(identities.failure) if identities.failure else None,
    }
    app = application("sync", checks)
    describe(app)

    def fill() -> None:
        try:
            exchange.run(stop)
        finally:  # the route must not go on over a cache that nobody fills
            stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    access.start()
    spare_the_loaded()
    with ThreadPoolExecutor(1, "filling") as pool:
        filling = pool.submit(fill)
        uvloop.run(serve(Front(rows, app), wire, stop, here.http_host, here.http_port))
        access.stop()
        filling.result()


if __name__ == "__main__":
    main()
