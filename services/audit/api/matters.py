"""Findings, alerts and incidents: opened, answered by departments, closed by whoever oversees."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from services.audit.api.watched import WatchedRoute
from services.audit.domain.finding import Action, By, Kind, State, actions, step_of
from services.audit.room import Room
from services.audit.store import Entry, Matter, MatterStep
from services.core import identity
from services.core.conditional import IfMatch, etag, require_match
from services.core.identity import Anyone, Overseer, Viewer
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem
from services.core.words import Words


class FindingForm(BaseModel):
    """An auditor's remark on entries, which goes to a department to be mended."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "title": "授权用途与实际使用不符",
                "text": "请说明 6 月 30 日的大量调用，并提出整改措施。",
                "department": "civil_affairs",
                "entries": [4711, 4712],
                "due": "2026-07-15",
            }
        },
    )

    title: Annotated[str, Field(min_length=1, max_length=200)]
    text: Annotated[str, Field(min_length=1, max_length=10_000)]
    department: Annotated[str, Field(min_length=1, max_length=40)]
    entries: Annotated[list[int], Field(min_length=1, max_length=1_000, description="Numbers of entries.")]
    due: Annotated[date, Field(description="By when the department must have answered.")]


class StepForm(BaseModel):
    """A step and what is said with it: how it is mended, what is missing, what was done, the report."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"action": "answer", "text": "已停用该令牌，并复核授权范围。"}}
    )

    action: Action
    text: Annotated[str, Field(min_length=1, max_length=10_000)]


class StepOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    action: Action
    text: str
    taken_by: str
    taken_at: datetime


class MatterOut(BaseModel):
    """A finding, an alert or an incident; `actions` is what the caller can do next."""

    id: int
    kind: Kind
    state: State
    title: str
    text: str
    department: str | None
    rule: str | None
    evidence: list[int]
    due: date | None
    overdue: bool
    opened_by: str
    opened_at: datetime
    came_from: Annotated[int | None, Field(description="The alert that an incident grew from.")]
    steps: list[StepOut]
    actions: list[Action]


def router(room: Room) -> APIRouter:
    routes = APIRouter(tags=["matters"], route_class=WatchedRoute)

    @routes.post("/findings", status_code=201)
    def open_finding(form: FindingForm, viewer: Overseer, response: Response) -> MatterOut:
        """Remark on entries: the department it goes to must answer by the deadline."""
        with room.session() as session, session.begin():
            _require_entries(session, form.entries)
            made = Matter(
                kind=Kind.FINDING, state=State.OPEN, title=form.title, text=form.text, department=form.department,
                evidence=form.entries, due=form.due, opened_by=viewer.name, opened_at=datetime.now(UTC), revision=1,
            )  # fmt: skip
            session.add(made)
            session.flush()
            _tell(room, session, made, "finding_opened", viewer)
            response.headers["ETag"] = etag(1)
            return _shown(session, made, viewer)

    @routes.get("/matters")
    def list_matters(
        viewer: Anyone,
        kind: Kind | None = None,
        state: State | None = None,
        overdue: Annotated[bool, Query(description="Only such as should be answered by now.")] = False,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[MatterOut]:
        """Findings, alerts and incidents; a department sees the findings that went to it."""
        query = _readable(viewer)
        query = query.where(Matter.kind == kind) if kind else query
        query = query.where(Matter.state == state) if state else query
        query = query.where(Matter.due < _today(), Matter.state == State.OPEN) if overdue else query
        with room.session() as session:
            rows, following = page(session, query, [Matter.id], limit, cursor)
            return Page(items=[_shown(session, row, viewer) for row in rows], next=following)

    @routes.get("/matters/{number}")
    def read_matter(number: int, viewer: Anyone, response: Response) -> MatterOut:
        with room.session() as session:
            found = _need(session, viewer, number)
            response.headers["ETag"] = etag(found.revision)
            return _shown(session, found, viewer)

    @routes.post("/matters/{number}/steps")
    def take_step(
        number: int, form: StepForm, viewer: Anyone, request: Request, response: Response, if_match: IfMatch = None
    ) -> MatterOut:
        """Answer, return, escalate or close; what can be done next stands in `actions`."""
        with room.session() as session, session.begin():
            found = _need(session, viewer, number, lock=True)
            require_match(if_match, found.revision)
            step = step_of(Kind(found.kind), State(found.state), form.action)
            if step is None:
                detail = Words(
                    f"A {found.kind} that is {found.state} has no step {form.action!r}.",
                    f"当前状态（{found.state}）不能执行“{form.action}”。",
                )
                raise Problem(409, "step-not-possible", Words("Not now", "当前不可执行"), detail)
            if step.by not in _sides(viewer, found):
                raise identity.refuse(request, viewer, Words("This step is not yours.", "该步骤不由您执行。"))
            now = datetime.now(UTC)
            session.add(
                MatterStep(matter=found.id, action=form.action, text=form.text, taken_by=viewer.name, taken_at=now)
            )
            found.state, found.revision = step.target, found.revision + 1
            if form.action is Action.ESCALATE:
                session.add(_incident(found, form.text, viewer, now))
            session.flush()
            _tell(room, session, found, f"{found.kind}_{step.target}", viewer)
            response.headers["ETag"] = etag(found.revision)
            return _shown(session, found, viewer)

    return routes


def _incident(alert: Matter, text: str, viewer: Viewer, now: datetime) -> Matter:
    return Matter(
        kind=Kind.INCIDENT, state=State.OPEN, title=alert.title, text=text, department=alert.department,
        rule=alert.rule, evidence=alert.evidence, opened_by=viewer.name, opened_at=now, came_from=alert.id, revision=1,
    )  # fmt: skip


def _readable(viewer: Viewer) -> Select[Matter]:
    """What `viewer` may see: all for overseers, else the findings of the viewer's own department."""
    query = select(Matter)
    if viewer.sees_all():
        return query
    return query.where(Matter.kind == Kind.FINDING, Matter.department == viewer.department)


def _need(session: Session, viewer: Viewer, number: int, *, lock: bool = False) -> Matter:
    query = _readable(viewer).where(Matter.id == number)
    found = session.scalar(query.with_for_update() if lock else query) if 0 < number < 2**63 else None
    if found is None:
        detail = Words(f"There is no finding, alert or incident {number}.", f"没有编号为 {number} 的事项。")
        raise Problem(404, "matter-unknown", Words("No such matter", "没有该事项"), detail)
    return found


def _sides(viewer: Viewer, matter: Matter) -> frozenset[By]:
    sides = {By.OVERSEER} if viewer.sees_all() else set()
    if matter.department is not None and (
        viewer.provides_for(matter.department) or viewer.consumes_for(matter.department)
    ):
        sides.add(By.DEPARTMENT)
    return frozenset(sides)


def _require_entries(session: Session, numbers: list[int]) -> None:
    wanted = set(numbers)
    if min(wanted) >= 0 and max(wanted) < 2**63:
        there = session.scalar(select(func.count()).where(Entry.sequence.in_(wanted)))
        if there == len(wanted):
            return
    detail = Words("/entries: the log has no such entries yet", "/entries：日志中没有这些记录")
    raise Problem(422, "entries-unknown", Words("No such entries", "没有这些记录"), detail)


def _tell(room: Room, session: Session, matter: Matter, event: str, viewer: Viewer) -> None:
    room.publisher.happened(
        session, event, f"matter/{matter.id}", actor=viewer.name, department=matter.department or "",
        facts={"kind": matter.kind, "state": matter.state},
    )  # fmt: skip


def _today() -> date:
    return datetime.now(UTC).date()


def _shown(session: Session, matter: Matter, viewer: Viewer) -> MatterOut:
    steps = session.scalars(select(MatterStep).where(MatterStep.matter == matter.id).order_by(MatterStep.id))
    kind, state = Kind(matter.kind), State(matter.state)
    names = ("id", "title", "text", "department", "rule", "evidence", "due", "opened_by", "opened_at", "came_from")
    told: dict[str, Any] = {name: getattr(matter, name) for name in names}
    return MatterOut(
        **told,
        kind=kind,
        state=state,
        overdue=matter.due is not None and matter.due < _today() and state is State.OPEN,
        steps=[StepOut.model_validate(one) for one in steps],
        actions=actions(kind, state, _sides(viewer, matter)),
    )
