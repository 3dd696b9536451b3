"""The demand side's API, `/api/demand/v1`: one router a kind of thing, each saying of every route who may call it."""

from __future__ import annotations

from fastapi import FastAPI

from services.core.http import include
from services.demand.api import (
    api_keys,
    assessment,
    clocks,
    feedback,
    grants,
    matching,
    notices,
    objections,
    returns,
    usage,
)
from services.demand.api import demands as demand_routes
from services.demand.demands import Demands

PREFIX = "/api/demand/v1"
ROUTERS = (
    demand_routes.router,
    matching.router,
    clocks.router,
    notices.router,
    grants.router,
    returns.router,
    api_keys.router,
    usage.router,
    feedback.router,
    objections.router,
    assessment.router,
)


def install(app: FastAPI, demands: Demands) -> None:
    """Put all routers over `demands` into `app`."""
    for make in ROUTERS:
        include(app, make(demands), PREFIX)
