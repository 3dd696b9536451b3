"""Samples as they are taken, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse

from services.core.identity import Anyone, Viewer
from services.watch.api.shapes import connector_out, group_out, hop_out, hops, time_of
from services.watch.picture import Picture
from services.watch.room import Room, Sight

_LOOK_SECONDS = 0.25
_COMMENT_SECONDS = 10.0
_GROUP = {
    "group", "department", "status", "records", "seconds", "trend", "eta_seconds", "consumed_rate", "produced_rate",
}  # fmt: skip
_HOP = {"hop", "status", "records", "seconds", "rate"}
_CONNECTOR = {"connector", "state", "status"}

LastSeen = Annotated[int | None, Header(alias="Last-Event-ID", ge=0, description="Number of the last sample seen.")]


def router(room: Room) -> APIRouter:
    routes = APIRouter(tags=["events"])

    @routes.get("/events", response_class=StreamingResponse)
    def follow(viewer: Anyone, last: LastSeen = None) -> StreamingResponse:
        """Each new sample in short (server-sent events; an event's id is the sample's number)."""
        headers = {"Cache-Control": "no-store"}
        return StreamingResponse(_samples(room, viewer, last), media_type="text/event-stream", headers=headers)

    return routes


async def _samples(room: Room, viewer: Viewer, last: int | None) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    quiet = 0.0
    while True:
        picture = room.board.picture()
        if picture is not None and picture.number != last:
            last, quiet = picture.number, 0.0
            said = json.dumps(_said(picture, viewer), ensure_ascii=False)
            yield f"id: {picture.number}\nevent: sample\ndata: {said}\n\n"
        elif quiet >= _COMMENT_SECONDS:
            quiet = 0.0
            yield ": nothing new\n\n"
        # a thread for each that looks on would leave none for questions
        await asyncio.sleep(_LOOK_SECONDS)
        quiet += _LOOK_SECONDS


def _said(picture: Picture, viewer: Viewer) -> dict[str, Any]:
    sight = Sight(picture, viewer)
    return {
        "measured_at": time_of(picture.at).isoformat(),
        "groups": [group_out(sight, one).model_dump(mode="json", include=_GROUP) for one in sight.standings()],
        "hops": [hop_out(one).model_dump(mode="json", include=_HOP) for one in hops(sight)],
        "connectors": [
            connector_out(sight, name).model_dump(mode="json", include=_CONNECTOR) for name in sight.connectors()
        ],
    }
