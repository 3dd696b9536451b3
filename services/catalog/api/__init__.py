"""The catalogue's API, `/api/catalog/v1`: one router a kind of thing, each saying of every route who may call it."""

from __future__ import annotations

from fastapi import FastAPI

from services.catalog.api import (
    categories,
    code_lists,
    contracts,
    departments,
    divisions,
    drops,
    exports,
    filling,
    imports,
    lineage,
    mounts,
    notices,
    place,
    products,
    resources,
    sessions,
    systems,
    tasks,
    tokens,
    upstreams,
)
from services.catalog.catalogue import Catalogue
from services.catalog.search import api as search
from services.core.http import include

PREFIX = "/api/catalog/v1"
ROUTERS = (
    departments.router,
    systems.router,
    divisions.router,
    categories.router,
    code_lists.router,
    imports.router,
    contracts.router,
    resources.router,
    mounts.router,
    filling.router,
    drops.router,
    upstreams.router,
    products.router,
    notices.router,
    tasks.router,
    place.router,
    tokens.router,
    sessions.router,
    exports.router,
    lambda catalogue: search.router(catalogue.session),
    lineage.router,
)


def install(app: FastAPI, catalogue: Catalogue) -> None:
    """Put all routers over `catalogue` into `app`."""
    for make in ROUTERS:
        include(app, make(catalogue), PREFIX)
