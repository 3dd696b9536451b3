"""Files that callers send: read to their end, and no further than the largest that is taken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import Request

from services.core.problems import Problem
from services.core.words import Words


def body_up_to(limit: int, title: Words) -> Callable[[Request], Awaitable[bytes]]:
    """A dependency that gives a request's body; raises a 413 problem of this title beyond `limit` bytes (whole MiB)."""

    async def body(request: Request) -> bytes:
        data = bytearray()
        async for part in request.stream():
            data += part
            if len(data) > limit:
                mebibytes = limit // 1024**2
                detail = Words(f"The file is larger than {mebibytes} MiB.", f"文件超过 {mebibytes} MiB。")
                raise Problem(413, "file-too-large", title, detail)
        return bytes(data)

    return body
