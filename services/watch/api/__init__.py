"""The watch's API, `/api/watch/v1`: for whoever runs the exchange, and for departments about their own part of it."""

from __future__ import annotations

from fastapi import FastAPI

from services.core.http import include
from services.watch.api import alerts, events, lag, road, sending
from services.watch.room import Room

PREFIX = "/api/watch/v1"


def install(app: FastAPI, room: Room) -> None:
    """Put all routes into `app`."""
    for make in (lag.router, road.router, alerts.router, sending.router, events.router):
        include(app, make(room), PREFIX)
