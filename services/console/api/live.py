"""What happens, as server-sent events: one stream a browser, each told what concerns him."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header
from fastapi.responses import StreamingResponse

from services.console.admission import EVERYBODY, SignedIn
from services.console.live import Hub, told
from services.console.sessions import Session, Sessions

Here = Annotated[Session, Depends(SignedIn(EVERYBODY, is_active=False))]
LastSeen = Annotated[str | None, Header(alias="Last-Event-ID", max_length=40, description="Id of the last event seen.")]


def router(hub: Hub, sessions: Sessions) -> APIRouter:
    routes = APIRouter(tags=["live"])

    @routes.get("/live", response_class=StreamingResponse)
    async def look_on(session: Here, last_seen: LastSeen = None) -> StreamingResponse:
        """What happens from now on, or since the event last seen. It does not keep an idle session from ending."""
        stream = hub.open(session.viewer, session.id, last_seen)

        async def is_signed_in() -> bool:
            return await sessions.find(session.id, is_active=False) is not None

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(told(hub, stream, is_signed_in), media_type="text/event-stream", headers=headers)

    return routes
