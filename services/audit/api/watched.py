"""Routes whose reads are told: whoever looks into the log stands in it too."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from services.audit.room import Room
from services.core.idempotency import IdempotentRoute


class WatchedRoute(IdempotentRoute):
    """A route that tells of every read that it answers; a read that cannot be told is not answered."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def told(request: Request) -> Response:
            response = await handle(request)
            if request.method == "GET" and response.status_code < 400:
                await run_in_threadpool(_tell, request)
            return response

        return told


def _tell(request: Request) -> None:
    room: Room = request.app.state.room
    viewer = request.state.viewer
    with room.session() as session, session.begin():
        room.publisher.happened(
            session, "log_read", request.url.path, actor=viewer.name, department=viewer.department or "",
            facts={"query": request.url.query},
        )  # fmt: skip
