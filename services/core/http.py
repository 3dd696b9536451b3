"""The HTTP side of a process: health, readiness and the server that runs until it is told to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from services.core import problems
from services.core.settings import Settings

Check = Callable[[], str | None]


def application(service: str, checks: Mapping[str, Check], version: str = "1") -> FastAPI:
    """An app with `/healthz` (alive) and `/readyz` (ready, or 503 naming what is not).

    A check answers None when all is well, else the reason.
    """
    app = FastAPI(title=f"Tongshu {service}", version=version, openapi_url=f"/api/{service}/v1/openapi.json")
    problems.install(app)

    @app.get("/healthz", include_in_schema=False)
    def alive() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz", include_in_schema=False)
    def ready() -> JSONResponse:
        reasons = {name: reason for name, check in checks.items() if (reason := check()) is not None}
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    return app


def serve(app: FastAPI, settings: Settings) -> None:
    """Serve `app` until SIGTERM or SIGINT; requests under way get 15 seconds."""
    uvicorn.run(
        app,
        host=settings.http_host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=15,
    )
