"""The log as tools read it: checkpoint, tiles and bundles of entries under the paths of C2SP tlog-tiles."""

from __future__ import annotations

import gzip
import re
from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.responses import PlainTextResponse

from services.audit.room import Room
from services.core.identity import Overseer
from services.core.problems import Problem
from services.core.words import Words

_INDEX = r"(?:x\d{3}/)*\d{3}(?:\.p/(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-5]))?"
_TILE = re.compile(rf"(?:[0-9]|[1-5]\d|6[0-3])/{_INDEX}")
_BUNDLE = re.compile(_INDEX)
_FOR_EVER = "public, max-age=31536000, immutable"


def proofs(room: Room) -> APIRouter:
    """What proves, and tells of nobody: for everybody."""
    routes = APIRouter(tags=["log"])

    @routes.get("/checkpoint", response_class=PlainTextResponse)
    def checkpoint() -> PlainTextResponse:
        """What the log vouches for now (C2SP tlog-checkpoint)."""
        note = room.tiles.checkpoint()
        if note is None:
            detail = Words("Nothing is sealed yet; try again in a moment.", "尚无已封存的记录，请稍后再试。")
            raise Problem(503, "log-empty", Words("The log is empty", "日志为空"), detail, headers={"Retry-After": "1"})
        return PlainTextResponse(note, headers={"Cache-Control": "no-cache"})

    @routes.get("/cosigned", response_class=PlainTextResponse)
    def cosigned() -> PlainTextResponse:
        """The newest checkpoint that witnesses have cosigned (C2SP tlog-cosignature)."""
        note = room.tiles.cosigned()
        if note is None:
            detail = Words("No witness has cosigned the log yet.", "尚无见证方会签。")
            raise Problem(404, "not-cosigned", Words("Not cosigned", "尚未会签"), detail)
        return PlainTextResponse(note, headers={"Cache-Control": "no-cache"})

    @routes.get("/key", response_class=PlainTextResponse)
    def key() -> str:
        """The public key as verifiers configure it (C2SP signed-note)."""
        return room.key.text()

    @routes.get("/tile/{path:path}")
    def tile(path: str) -> Response:
        """A tile of the log's tree: `<level>/<index>[.p/<width>]` (C2SP tlog-tiles)."""
        found = room.tiles.read(f"tile/{path}") if _TILE.fullmatch(path) else None
        if found is None:
            raise _no_such_part(path)
        return Response(found, media_type="application/octet-stream", headers={"Cache-Control": _FOR_EVER})

    return routes


def entries(room: Room) -> APIRouter:
    """What the entries say: for those who may see all."""
    routes = APIRouter(tags=["log"])

    @routes.get("/tile/entries/{path:path}")
    def bundle(path: str, viewer: Overseer, accept: Annotated[str, Header(alias="Accept-Encoding")] = "") -> Response:
        """A bundle of entries: `<index>[.p/<width>]`, each behind its length in two bytes (C2SP tlog-tiles)."""
        found = room.tiles.read(f"tile/entries/{path}") if _BUNDLE.fullmatch(path) else None
        if found is None:
            raise _no_such_part(path)
        headers = {"Cache-Control": _FOR_EVER.replace("public", "private")}
        if "gzip" in accept:
            found, headers["Content-Encoding"] = gzip.compress(found, 1), "gzip"
        return Response(found, media_type="application/octet-stream", headers=headers)

    return routes


def _no_such_part(path: str) -> Problem:
    why = Words(f"The log has no {path}, or not that much of it yet.", f"日志中没有“{path}”，或尚未增长到该宽度。")
    return Problem(404, "tile-unknown", Words("No such part of the log", "日志中没有该部分"), why)
