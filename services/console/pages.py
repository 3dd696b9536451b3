"""The pages as they were built (`services/console/web`): files whose names never come again, and the page they serve.

All of it is read once, when the process starts. The page itself is made anew for each answer, for it carries the number
(nonce) under which the policy of that answer lets styles in.
"""

from __future__ import annotations

import hashlib
import mimetypes
import secrets
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from services.core.problems import Problem, language_of
from services.core.words import Words

NONCE = "__CSP_NONCE__"
_CODINGS = {"br": ".br", "gzip": ".gz"}
_HASHED = "assets/"
_FOR_EVER = "public, max-age=31536000, immutable"


def policy(nonce: str) -> str:
    """What a page may do: use what comes from here, and nothing else.

    Ant Design puts style elements into the page, which the nonce lets in. The tooltips of ECharts have style
    attributes, for which there is no nonce; such an attribute cannot load or run anything under this policy.
    """
    own = f"'self' 'nonce-{nonce}'"
    return "; ".join((
        "default-src 'self'", f"script-src {own}", f"style-src {own}", f"style-src-elem {own}",
        "style-src-attr 'unsafe-inline'", "img-src 'self' data: blob:", "font-src 'self'", "connect-src 'self'",
        "worker-src 'self'", "object-src 'none'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'",
    ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class File:
    """A file, in each coding that there is of it."""

    kind: str
    codings: dict[str, bytes]
    etag: str


class Pages:
    """The built pages in `folder`; without them, a page that says so."""

    def __init__(self, folder: Path) -> None:
        self._files = _files(folder)
        self._index = (folder / "index.html").read_text() if (folder / "index.html").is_file() else None

    def answer(self, request: Request) -> Response:
        """The file at the request's path, or the page, which finds its way by the path itself."""
        path = request.url.path.lstrip("/")
        if file := self._files.get(path):
            return _sent(file, request, for_ever=path.startswith(_HASHED))
        if path.startswith(_HASHED) or "." in path.rpartition("/")[2] or path.startswith("api/"):
            title, detail = Words("not found", "不存在"), Words("There is no such page.", "没有该页面。")
            raise Problem(404, "not-found", title, detail)
        return self._page(request)

    def _page(self, request: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        # no validator: a page that a browser had kept would have a nonce of another answer's policy
        headers = {"Cache-Control": "no-cache", "Content-Security-Policy": policy(nonce)}
        if self._index is None:
            return HTMLResponse(_not_built(language_of(request)), 503, headers={**headers, "Retry-After": "60"})
        return HTMLResponse(self._index.replace(NONCE, nonce), headers=headers)


def _files(folder: Path) -> dict[str, File]:
    found = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if not path.is_file() or path.suffix in _CODINGS.values() or path.name == "index.html":
            continue
        codings = {"identity": path.read_bytes()}
        for coding, suffix in _CODINGS.items():
            coded = path.with_name(path.name + suffix)
            if coded.is_file():
                codings[coding] = coded.read_bytes()
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        if kind.startswith("text/") or kind in ("application/javascript", "application/json"):
            kind += "; charset=utf-8"
        etag = hashlib.sha256(codings["identity"]).hexdigest()[:20]
        found[path.relative_to(folder).as_posix()] = File(kind, codings, etag)
    return found


def _sent(file: File, request: Request, *, for_ever: bool) -> Response:
    coding = _coding(request.headers.get("accept-encoding", ""), file)
    etag = f'"{file.etag}-{coding}"'
    headers = {"ETag": etag, "Vary": "Accept-Encoding", "Cache-Control": _FOR_EVER if for_ever else "no-cache"}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    if coding != "identity":
        headers["Content-Encoding"] = coding
    return Response(file.codings[coding], headers=headers, media_type=file.kind)


def _coding(accepted: str, file: File) -> str:
    """The smallest coding of `file` that is accepted (RFC 9110, 12.5.3)."""
    taken = set()
    for part in accepted.lower().split(","):
        name, _, parameters = part.partition(";")
        if parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            taken.add(name.strip())
    return next((coding for coding in _CODINGS if coding in file.codings and coding in taken), "identity")


def _not_built(language: str) -> str:
    zh = (
        "控制台页面尚未构建",
        "安装时未能构建控制台页面（例如无法访问 npm 软件源）。各服务的接口照常可用；"
        "条件具备后重新执行 <code>./tongshu up</code> 即可构建。",
    )
    en = (
        "The console's pages were not built",
        "The set-up could not build them (it may not have reached the npm registry). The services' APIs work as ever;"
        " <code>./tongshu up</code> builds the pages once they can be.",
    )
    told = (zh, en) if language == "zh" else (en, zh)
    body = "".join(f"<h1>{title}</h1><p>{text}</p>" for title, text in told)
    return f'<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>Tongshu 通数</title>{body}</html>'
