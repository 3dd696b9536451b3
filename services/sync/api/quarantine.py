"""What was set aside: looked at, tried again, or released by who answers for the data."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from services.core import problems
from services.core.conditional import IfMatch, etag, require_match
from services.core.defects import Defect
from services.core.forms import Name, Note, Slug, Strict
from services.core.idempotency import IdempotentRoute
from services.core.identity import Role, Viewer, may, refuse
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem
from services.core.words import Words
from services.sync import store
from services.sync.room import Room, missing, oversees

Watcher = Annotated[Viewer, may(Role.ADMINISTRATOR, Role.PROVIDER, Role.OPS, Role.AUDITOR)]
Steward = Annotated[Viewer, may(Role.ADMINISTRATOR, Role.PROVIDER, Role.OPS)]
Number = Annotated[str, Path(pattern=r"^[0-9]{1,18}$", description="Number of the entry.")]


class State(StrEnum):
    """What has become of a change that was set aside."""

    WAITING = "waiting"  # its row breaks a rule; its key waits
    SUPERSEDED = "superseded"  # the next change of its key breaks one, too, and waits in its place
    CORRECTED = "corrected"  # the next change of its key broke none and was delivered
    DELETED = "deleted"  # its row is gone
    REDRIVEN = "redriven"  # it was tried again, and was delivered
    RELEASED = "released"  # a person had it delivered though it breaks a rule
    FAILED = "failed"  # it could not be relayed at all


class Action(StrEnum):
    REDRIVE = "redrive"
    RELEASE = "release"


class EntryOut(Strict):
    """A change that was set aside: where it stands and why. Digests are keyed; none of its data is here."""

    id: str
    resource: str
    owner: Annotated[str, Field(description="Short name of the department that answers for it.")]
    grant: Annotated[str | None, Field(description="The grant it could not be projected for; null: for none.")]
    topic: str
    partition: int
    offset: int
    reason: Annotated[str, Field(examples=["quality"])]
    detail: str
    rules: Annotated[list[str], Field(description="Rules of the contract that its row breaks.")]
    key_digest: Annotated[str, Field(description="Stands for the key of its row; the same for the same key.")]
    digest: Annotated[str, Field(description="Stands for the change.")]
    state: State
    quarantined_at: datetime
    ended_at: datetime | None
    ended_by: Annotated[str | None, Field(description="Who or what ended it; `tongshu`: a later change.")]
    by_offset: Annotated[int | None, Field(description="The later change that ended it.")]
    release_reason: str | None
    actions: Annotated[list[Action], Field(description="What the caller may have done with it now.")]


class StepForm(Strict):
    action: Action
    reason: Annotated[
        Note, Field(description="Why it is released; needed for that.", examples=["系统升级期间的合法取值"])
    ] = ""


def router(room: Room) -> APIRouter:
    routes = APIRouter(prefix="/quarantine", tags=["quarantine"], route_class=IdempotentRoute)

    def find(session: Session, viewer: Viewer, number: str, *, lock: bool = False) -> store.Quarantined:
        query = _visible(viewer).where(store.Quarantined.number == int(number))
        one = session.scalar(query.with_for_update() if lock else query)
        if one is None:
            raise missing("entry", number)
        return one

    @routes.get("")
    def list_entries(
        viewer: Watcher,
        resource: Annotated[Slug | None, Query()] = None,
        rule: Annotated[Name | None, Query(description="Only rows that break this rule.")] = None,
        owner: Annotated[Slug | None, Query(description="Only resources of this department.")] = None,
        state: Annotated[State | None, Query()] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[EntryOut]:
        """What was set aside, oldest first: of the own department's resources, all for who oversees."""
        query = _visible(viewer)
        if resource is not None:
            query = query.where(store.Quarantined.resource == resource)
        if owner is not None:
            query = query.where(store.Quarantined.owner == owner)
        if rule is not None:
            query = query.where(store.Quarantined.rules.contains([rule]))
        if state is not None:
            query = query.where(store.Quarantined.state == state)
        with room.session() as session:
            found, following = page(session, query, [store.Quarantined.number], limit, cursor)
            return Page(items=[_shown(one, viewer) for one in found], next=following)

    @routes.get("/{number}")
    def read_entry(number: Number, viewer: Watcher, response: Response) -> EntryOut:
        with room.session() as session:
            one = find(session, viewer, number)
            response.headers["ETag"] = etag(one.revision)
            return _shown(one, viewer)

    @routes.post("/{number}/steps", status_code=202)
    def step(
        number: Number,
        form: StepForm,
        viewer: Steward,
        request: Request,
        response: Response,
        if_match: IfMatch = None,
    ) -> EntryOut:
        """Have a waiting row tried again by the rules of today, or delivered though it breaks them.

        The relay does it within moments; read the entry to see what became of it. Ops may have a row tried again, which
        decides nothing: it is judged anew. To release one is for who answers for the data.
        """
        with room.session() as session, session.begin():
            one = find(session, viewer, number, lock=True)
            require_match(if_match, one.revision)
            if form.action not in _allowed(one, viewer):
                why = Words(f"This is for {one.owner} to decide.", f"应由 {one.owner} 决定。")
                raise refuse(request, viewer, why)
            _require_step(one, form)
            order = {
                "id": uuid.uuid4().hex, "resource": one.resource, "topic": one.topic, "partition": one.partition,
                "offset": one.offset, "action": form.action.value, "actor": viewer.name,
                "ordered_at": datetime.now(UTC),
            }  # fmt: skip
            one.revision += 1
            if form.action is Action.RELEASE:
                one.release_reason = form.reason
            room.publisher.order(session, order)
            facts = {"place": f"{one.topic}/{one.partition}/{one.offset}", "order": str(order["id"])}
            resource = str(one.resource)
            room.publisher.happened(
                session, f"{form.action}_ordered", resource, str(one.owner), resource, viewer.name, facts
            )
            session.flush()
            response.headers["ETag"] = etag(one.revision)
            return _shown(one, viewer)

    return routes


def _allowed(one: store.Quarantined, viewer: Viewer) -> list[Action]:
    """What `viewer` may have done with an entry of a row that waits."""
    if viewer.provides_for(str(one.owner)):
        return [Action.REDRIVE, Action.RELEASE]
    return [Action.REDRIVE] if Role.OPS in viewer.roles else []


def _require_step(one: store.Quarantined, form: StepForm) -> None:
    """Raises a 409 or 422 problem for what cannot be done with an entry."""
    if one.state != State.WAITING:
        detail = Words(f"It is {one.state}: there is nothing to be done.", f"当前状态为 {one.state}，无需处理。")
        raise Problem(409, "step-not-there", Words("Not from here", "当前不能执行"), detail)
    if form.action is Action.RELEASE and not form.reason.strip():
        title = Words("A release gives its reason", "放行须说明理由")
        problems.refuse("reason-missing", title, [Defect("/reason", Words("say why", "请说明理由"))])


def _visible(viewer: Viewer) -> Select[store.Quarantined]:
    """Entries that `viewer` may see. What is not known yet but for its end is not shown."""
    query = select(store.Quarantined).where(store.Quarantined.resource.is_not(None))
    if oversees(viewer):
        return query
    return query.where(store.Quarantined.owner == viewer.department)


def _shown(one: store.Quarantined, viewer: Viewer) -> EntryOut:
    return EntryOut(
        id=str(one.number),
        resource=str(one.resource),
        owner=str(one.owner),
        grant=one.grant or None,
        topic=one.topic,
        partition=one.partition,
        offset=one.offset,
        reason=str(one.reason),
        detail=str(one.detail),
        rules=one.rules or [],
        key_digest=(one.key_digest or b"").hex(),
        digest=(one.digest or b"").hex(),
        state=State(one.state),
        quarantined_at=one.quarantined_at or datetime.now(UTC),
        ended_at=one.ended_at,
        ended_by=one.ended_by,
        by_offset=one.by_offset,
        release_reason=one.release_reason,
        actions=_allowed(one, viewer) if one.state == State.WAITING else [],
    )
