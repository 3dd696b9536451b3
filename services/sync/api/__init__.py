"""The relay's API, `/api/sync/v1`: one router a kind of thing, each saying of every route who may call it."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI

from services.core.http import include
from services.sync.api import quality, quarantine, reconciliations, replays, serving
from services.sync.relay.worker import Relay
from services.sync.room import Room

PREFIX = "/api/sync/v1"


def install(app: FastAPI, relays: Sequence[Relay], room: Room) -> None:
    """Put all routers over `relays` and `room` into `app`."""
    include(app, serving.router(relays), PREFIX)
    include(app, replays.router(relays, room), PREFIX)
    for make in (quarantine.router, quality.router, reconciliations.router):
        include(app, make(room), PREFIX)
