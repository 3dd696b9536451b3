"""Posts that may be repeated: the same `Idempotency-Key` is done once and answered the same again.

The key is written in the transaction that does the work, so that work and key are there both or neither, whatever
crashes; two posts at once with one key meet on its uniqueness. The answer is kept beside it right after. A post whose
work was done but whose answer was lost in a crash is told so, and nothing is done twice.

Source: draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from sqlalchemy import (
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    func,
    insert,
    select,
    update,
)
from sqlalchemy import event as orm_event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool

from services.core.identity import require_signed_in
from services.core.problems import Problem
from services.core.words import Words

_LONGEST_KEY = 255
_WAIT_SECONDS = 5.0
_KEPT_HEADERS = ("content-type", "etag", "location")


class KeyTaken(Exception):
    """Another request with the same key has committed."""


def idempotency_table(tables: MetaData) -> Table:
    """The keys of a service; `status` is null until the answer is kept."""
    return Table(
        "idempotency",
        tables,
        Column("caller", String(64), primary_key=True),
        Column("key", Text, primary_key=True),
        Column("digest", String(64), nullable=False),
        Column("status", Integer),
        Column("headers", JSONB),
        Column("body", LargeBinary),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    )


@dataclass(slots=True)
class _Claim:
    caller: str
    key: str
    digest: str
    written: bool = False


_claim: ContextVar[_Claim | None] = ContextVar("idempotency claim", default=None)


class Keys:
    """The keys of a service. Sessions of `sessions` claim the key of the request that they work for."""

    def __init__(self, sessions: sessionmaker[Session], table: Table) -> None:
        self._sessions, self._table = sessions, table
        orm_event.listen(sessions, "before_commit", self._write)

    def _write(self, session: Session) -> None:
        claim = _claim.get()
        if claim is None or claim.written:
            return
        row = {"caller": claim.caller, "key": claim.key, "digest": claim.digest}
        try:
            session.execute(insert(self._table).values(row))
        except IntegrityError as error:
            raise KeyTaken from error
        claim.written = True

    def find(self, claim: _Claim) -> Any:
        with self._sessions() as session:
            return session.execute(select(self._table).where(*self._is(claim))).one_or_none()

    def keep(self, claim: _Claim, response: Response) -> None:
        headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        values = {"status": response.status_code, "headers": headers, "body": bytes(response.body)}
        with self._sessions() as session, session.begin():
            session.execute(update(self._table).where(*self._is(claim)).values(values))

    def _is(self, claim: _Claim) -> tuple[Any, Any]:
        return self._table.c.caller == claim.caller, self._table.c.key == claim.key


class IdempotentRoute(APIRoute):
    """A route whose posts honour `Idempotency-Key`; the app's `state.keys` holds the service's keys."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def once(request: Request) -> Response:
            key = request.headers.get("idempotency-key")
            if request.method != "POST" or key is None:
                return await handle(request)
            keys: Keys = request.app.state.keys
            claim = _claim_of(request, key, await request.body())
            await run_in_threadpool(require_signed_in, request)
            if kept := await run_in_threadpool(keys.find, claim):
                return await run_in_threadpool(_again, keys, claim, kept)
            token = _claim.set(claim)
            try:
                response = await handle(request)
            except Exception:
                # what failed because the same post was done meanwhile is answered as that one was
                if claim.written or (kept := await run_in_threadpool(keys.find, claim)) is None:
                    raise
                return await run_in_threadpool(_again, keys, claim, kept)
            finally:
                _claim.reset(token)
            if claim.written:
                await run_in_threadpool(keys.keep, claim, response)
            return response

        return once


def _claim_of(request: Request, key: str, body: bytes) -> _Claim:
    if not key.strip() or len(key) > _LONGEST_KEY or not key.isprintable():
        raise Problem(
            422,
            "idempotency-key-invalid",
            Words("The Idempotency-Key is not valid", "Idempotency-Key 无效"),
            Words(
                f"An Idempotency-Key has 1 to {_LONGEST_KEY} printable characters.",
                f"Idempotency-Key 应为 1 至 {_LONGEST_KEY} 个可打印字符。",
            ),
        )
    caller = hashlib.sha256(request.headers.get("authorization", "").encode()).hexdigest()
    head = f"{request.method} {request.url.path}?{request.url.query}\n{request.headers.get('if-match', '')}\n"
    return _Claim(caller, key, hashlib.sha256(head.encode() + body).hexdigest())


def _again(keys: Keys, claim: _Claim, kept: Any) -> Response:
    deadline = time.monotonic() + _WAIT_SECONDS
    while kept is None or kept.status is None:
        if kept is not None and kept.digest != claim.digest:
            break
        if time.monotonic() > deadline:
            raise Problem(
                409,
                "idempotency-answer-lost",
                Words("Done before; the answer was not kept", "此前已处理，但结果未能保存"),
                Words(
                    "The post with this key was done, but its answer is not here; read what it has made.",
                    "使用该键的请求已经处理，但没有保存响应；请直接查询其结果。",
                ),
            )
        time.sleep(0.05)
        kept = keys.find(claim)
    if kept.digest != claim.digest:
        raise Problem(
            422,
            "idempotency-key-reused",
            Words("The key was used for something else", "该键已用于其他请求"),
            Words(
                "This Idempotency-Key came with another request before: use a new key for a new request.",
                "该 Idempotency-Key 已随另一请求使用：新的请求请使用新的键。",
            ),
        )
    return Response(kept.body, kept.status, headers={**kept.headers, "Idempotency-Replayed": "true"})
