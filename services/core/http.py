"""The HTTP side of a process: health, readiness and the server that runs until it is told to stop."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from services.core import identity, metrics, problems
from services.core.settings import Settings, settings

Check = Callable[[], str | None]

KEEP_ALIVE_SECONDS = 75
"""How long a connection may rest: longer than clients keep theirs, for one that ends as it is used fails a call."""


def application(service: str, checks: Mapping[str, Check], version: str = "1", *, docs: bool = True) -> FastAPI:
    """An app with `/healthz` (alive), `/readyz` (ready, or 503 naming what is not) and `/metrics`.

    A check answers None when all is well, else the reason. The app's OpenAPI says of every operation who may call it
    (`x-roles`) and that its errors are problem details. Without `docs` it has no page of FastAPI's that shows it.
    """
    shown: dict[str, Any] = {} if docs else {"docs_url": None, "redoc_url": None}
    app = FastAPI(title=f"Tongshu {service}", version=version, openapi_url=f"/api/{service}/v1/openapi.json", **shown)
    app.state.roles = {}
    problems.install(app)
    metrics.install(app, settings())

    @app.get("/healthz", include_in_schema=False)
    def alive() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz", include_in_schema=False)
    def ready() -> JSONResponse:
        reasons = {name: reason for name, check in checks.items() if (reason := check()) is not None}
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    generate = app.openapi
    app.openapi = lambda: _completed(app, generate())  # type: ignore[method-assign]
    return app


_METHODS = frozenset({"get", "post", "put", "patch", "delete"})


def _completed(app: FastAPI, described: dict[str, Any]) -> dict[str, Any]:
    if "Problem" in described.setdefault("components", {}).setdefault("schemas", {}):
        return described
    described["components"]["schemas"]["Problem"] = problems.SCHEMA
    problem = {
        "description": "A problem, told in the caller's language (RFC 9457)",
        "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            if method not in _METHODS:
                continue
            operation["responses"].pop("422", None)
            operation["responses"].setdefault("4XX", problem)
            operation["responses"].setdefault("5XX", problem)
            if (path, method) in app.state.roles:
                operation["x-roles"] = sorted(app.state.roles[path, method])
    for unused in ("HTTPValidationError", "ValidationError"):
        described["components"]["schemas"].pop(unused, None)
    return described


def include(app: FastAPI, router: APIRouter, prefix: str) -> None:
    """Put the routes of `router` into `app`; raises RuntimeError for a route that does not say who may call it."""
    for route in router.routes:
        allowed = identity.roles_of(route) if isinstance(route, APIRoute) else None
        if not isinstance(route, APIRoute) or allowed is None:
            raise RuntimeError(f"{getattr(route, 'path', route)} does not say who may call it")
        metrics.name(route, prefix + route.path_format)
        for method in route.methods or ():
            app.state.roles[prefix + route.path_format, method.lower()] = allowed
    app.include_router(router, prefix=prefix)


def stop_at_signals() -> threading.Event:
    """Set at SIGTERM and SIGINT: for a process whose main thread works in a loop of its own."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def serve_beside(app: FastAPI, settings: Settings) -> None:
    """Serve `app` in a thread that ends with the process."""
    spare_the_loaded()
    server = uvicorn.Server(uvicorn.Config(app, **_served(settings)))
    threading.Thread(target=server.run, name="http", daemon=True).start()


def serve(app: Any, settings: Settings, *, grace_seconds: int = 15) -> None:
    """Serve `app` until SIGTERM or SIGINT; requests under way get the seconds of grace."""
    spare_the_loaded()
    uvicorn.run(app, **_served(settings), timeout_graceful_shutdown=grace_seconds)


def _served(settings: Settings) -> dict[str, Any]:
    return {
        "host": settings.http_host,
        "port": settings.http_port,
        "log_config": None,
        "access_log": False,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
    }


def spare_the_loaded() -> None:
    """Have the search for garbage in cycles leave out what is there now, and be done less often. For who has begun.

    What is loaded stays as long as the process, and batches make no cycles: looking through hundreds of thousands of
    objects again and again took a third of the CPU of a relay that drains a backlog, and stopped all threads meanwhile.
    """
    gc.freeze()
    gc.set_threshold(50_000)
