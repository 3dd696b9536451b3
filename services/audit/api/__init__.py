"""The auditors' API, `/api/audit/v1`: the log for tools, and for people who search it."""

from __future__ import annotations

from fastapi import FastAPI

from services.audit.api import entries, log, matters, operations
from services.audit.room import Room
from services.core.http import include

PREFIX = "/api/audit/v1"


def install(app: FastAPI, room: Room) -> None:
    """Put all routes into `app`."""
    app.state.room = room
    for routes in (log.entries(room), entries.router(room), matters.router(room), operations.router(room)):
        include(app, routes, PREFIX)
    # what proves is open to everybody, as proofs are; what tells of anybody's doings is not
    app.include_router(log.proofs(room), prefix=PREFIX)
