"""The log for people: search, one entry with its proof, the tail as it grows, and who is behind a reference."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import Select, select

from services.audit.api.watched import WatchedRoute
from services.audit.domain.proof import Prover
from services.audit.references import erase
from services.audit.room import Room
from services.audit.store import Actor, Entry
from services.audit.tiles import TilesBroken
from services.core.identity import Administrator, Overseer
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem
from services.core.words import Words

_TAIL_SECONDS = 0.5
_TAIL_BATCH = 500

LastSeen = Annotated[int | None, Header(alias="Last-Event-ID", ge=0, description="Number of the last entry seen.")]


class EntryOut(BaseModel):
    """An entry of the log as the index has it; the log itself is what counts."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "example": {
                "sequence": 4711,
                "type": "cn.tongshu.demand.grant_opened.v1",
                "topic": "demand.events",
                "partition": 0,
                "offset": 12,
                "subject": "9f2c01d4be7a",
                "thread": "0d9d6f0e-1c5b-4b58-9f2e-6a4f7e1f2b11",
                "occurred_at": "2026-06-30T08:00:00Z",
                "recorded_at": "2026-06-30T08:00:00.2Z",
                "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "actor": "a0123456789abcdef",
                "department": "civil_affairs",
                "trace": "4bf92f3577b34da6a3ce929d0e0e4736",
                "outcome": "done",
                "records": 0,
            }
        },
    )

    sequence: int
    type: str
    topic: str
    partition: int
    offset: int
    subject: str
    thread: str
    occurred_at: datetime
    recorded_at: datetime
    digest: Annotated[str, Field(description="Digest of the sealed record, in hex.")]
    actor: Annotated[str, Field(description="A reference; `/actors/{reference}` tells who it is.")]
    department: str
    trace: str
    outcome: str
    records: int

    @field_validator("digest", mode="before")
    @classmethod
    def _hex(cls, value: object) -> object:
        return value.hex() if isinstance(value, bytes) else value


class ProvedEntry(BaseModel):
    """An entry with the proof that it is in the tree that was signed; `verify.py` of an export checks it."""

    entry: EntryOut
    raw: Annotated[str, Field(description="The entry as it was sealed (base64).")]
    proof: Annotated[list[str], Field(description="Inclusion proof (RFC 6962), from the leaf up, base64.")]
    checkpoint: str
    key: str


class ActorOut(BaseModel):
    """Whom a reference stands for; no name when that was erased."""

    reference: str
    name: str | None
    erased_at: datetime | None


class Wanted(BaseModel):
    """What is searched for; all of it must fit."""

    actor: Annotated[str | None, Field(max_length=200, description="A reference, or a name as tokens have it.")] = None
    department: Annotated[str | None, Field(max_length=200)] = None
    type: Annotated[str | None, Field(max_length=200, description="What happened, e.g. …grant_opened.v1")] = None
    subject: Annotated[str | None, Field(max_length=200)] = None
    thread: Annotated[str | None, Field(max_length=200)] = None
    trace: Annotated[str | None, Field(max_length=200)] = None
    outcome: Annotated[str | None, Field(max_length=20)] = None
    topic: Annotated[str | None, Field(max_length=200)] = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None

    def query(self) -> Select[Entry]:
        found = select(Entry)
        for name in ("department", "type", "subject", "thread", "trace", "outcome", "topic"):
            if (value := getattr(self, name)) is not None:
                found = found.where(getattr(Entry, name) == value)
        if self.actor is not None:
            named = select(Actor.reference).where(Actor.name == self.actor)
            found = found.where((Entry.actor == self.actor) | Entry.actor.in_(named))
        if self.since is not None:
            found = found.where(Entry.occurred_at >= self.since)
        if self.until is not None:
            found = found.where(Entry.occurred_at < self.until)
        return found


def router(room: Room) -> APIRouter:
    routes = APIRouter(tags=["entries"], route_class=WatchedRoute)

    @routes.get("/entries")
    def search_entries(
        viewer: Overseer, wanted: Annotated[Wanted, Query()], limit: Limit = 100, cursor: Cursor = None
    ) -> Page[EntryOut]:
        """Entries by who, for whom, what, under which thread, when; in the order of the log."""
        with room.session() as session:
            rows, following = page(session, wanted.query(), [Entry.sequence], limit, cursor)
            return Page(items=[EntryOut.model_validate(row) for row in rows], next=following)

    @routes.get("/entries/{sequence}")
    def read_entry(sequence: int, viewer: Overseer) -> ProvedEntry:
        """An entry, and the proof that it is in the log."""
        note = room.tiles.checkpoint() or ""
        size = room.tiles.signed_size()
        with room.session() as session:
            row = session.get(Entry, sequence) if 0 <= sequence < size else None
        if row is None:
            detail = Words(f"The log has no entry {sequence} yet.", f"日志中还没有第 {sequence} 条记录。")
            raise Problem(404, "entry-unknown", Words("No such entry", "没有该记录"), detail)
        try:
            (raw,) = room.tiles.entries(sequence, sequence + 1)
            proof = Prover(room.tiles.whole, room.tiles.hashing).inclusion(sequence, size)
        except TilesBroken as error:
            detail = Words(f"It cannot be proved: {error}. Verify the log.", f"无法出具证明：{error}。请校验日志。")
            raise Problem(500, "log-broken", Words("The log is damaged", "日志已损坏"), detail) from error
        return ProvedEntry(
            entry=EntryOut.model_validate(row),
            raw=base64.b64encode(raw).decode(),
            proof=[base64.b64encode(one).decode() for one in proof],
            checkpoint=note,
            key=room.key.text(),
        )

    @routes.get("/tail", response_class=StreamingResponse)
    def follow(
        viewer: Overseer,
        wanted: Annotated[Wanted, Query()],
        last: LastSeen = None,
    ) -> StreamingResponse:
        """Entries as they are sealed (server-sent events; an event's id is the entry's number)."""
        begin = room.tiles.signed_size() if last is None else last + 1
        headers = {"Cache-Control": "no-store"}
        return StreamingResponse(_tail(room, wanted, begin), media_type="text/event-stream", headers=headers)

    @routes.get("/actors/{reference}")
    def read_actor(reference: str, viewer: Overseer) -> ActorOut:
        """Who did what the log tells of under this reference."""
        with room.session() as session:
            return _actor(session.get(Actor, reference), reference)

    @routes.delete("/actors/{reference}")
    def erase_actor(reference: str, viewer: Administrator) -> ActorOut:
        """Erase who is behind a reference. The log stays as it is; nobody can tell any more whom it names there."""
        with room.session() as session, session.begin():
            found = session.get(Actor, reference)
            if erase(session, reference):
                room.publisher.happened(session, "actor_erased", reference, actor=viewer.name)
            return _actor(found, reference)

    return routes


def _actor(found: Actor | None, reference: str) -> ActorOut:
    if found is None:
        detail = Words(f"The log knows no reference {reference!r}.", f"日志中没有引用“{reference}”。")
        raise Problem(404, "actor-unknown", Words("No such reference", "没有该引用"), detail)
    return ActorOut(reference=found.reference, name=found.name, erased_at=found.erased_at)


def _tail(room: Room, wanted: Wanted, begin: int) -> Iterator[str]:
    yield "retry: 1000\n\n"
    while True:
        with room.session() as session:
            query = wanted.query().where(Entry.sequence >= begin).order_by(Entry.sequence).limit(_TAIL_BATCH)
            rows: list[Any] = [EntryOut.model_validate(row) for row in session.scalars(query)]
        for row in rows:
            begin = row.sequence + 1
            said = json.dumps(row.model_dump(mode="json"), ensure_ascii=False)
            yield f"id: {row.sequence}\nevent: entry\ndata: {said}\n\n"
        if not rows:
            yield ": nothing new\n\n"
            time.sleep(_TAIL_SECONDS)
