"""Where a department's own programs connect to: what the pages show to copy."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends

from services.console.admission import EVERYBODY, SignedIn
from services.console.sessions import Session
from services.core.forms import Strict
from services.core.settings import Settings

Here = Annotated[Session, Depends(SignedIn(EVERYBODY))]


class Endpoints(Strict):
    """As they are reached from outside: the broker, the schema registry, and the look-ups of rows.

    `trace` is where a person looks at a trace, with `{trace_id}` in it; null where that is nowhere.
    """

    kafka: str
    security_protocol: Literal["SASL_PLAINTEXT"] = "SASL_PLAINTEXT"
    registry: str
    rows: str
    trace: str | None


def router(here: Settings) -> APIRouter:
    routes = APIRouter(tags=["endpoints"])

    @routes.get("/endpoints")
    def read_endpoints(asker: Here) -> Endpoints:
        """Where programs connect to."""
        return Endpoints(
            kafka=here.kafka_public_bootstrap or here.kafka_bootstrap,
            registry=here.registry_public_url or here.registry_url,
            rows=f"{here.rows_public_url or here.rows_url}/api/sync/v1",
            trace=here.trace_url or None,
        )

    return routes
