"""The relay's API, `/api/sync/v1`: one router a kind of thing, each saying of every route who may call it."""

from __future__ import annotations

from fastapi import FastAPI

from services.core.http import include
from services.sync.api import inconsistencies, quality, quarantine, reconciliations, replays, serving
from services.sync.room import Room
from services.sync.ways import Ways

PREFIX = "/api/sync/v1"


def install(app: FastAPI, ways: Ways, room: Room) -> None:
    """Put all routers over `ways` and `room` into `app`."""
    include(app, serving.router(ways), PREFIX)
    include(app, replays.router(ways, room), PREFIX)
    for make in (quarantine.router, quality.router, reconciliations.router, inconsistencies.router):
        include(app, make(room), PREFIX)
