"""Alerts, and what people do about them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from services.core import problems
from services.core.conditional import IfMatch, etag, require_match
from services.core.defects import Defect
from services.core.idempotency import IdempotentRoute
from services.core.identity import Anyone, Role, Viewer, may
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem
from services.core.words import Words
from services.watch import telling
from services.watch.api.shapes import Text, text_of
from services.watch.domain.alert import STEPS, TITLES, Action, Fact, Severity, State, actions
from services.watch.room import Room, watches_all
from services.watch.store import Alert, AlertStep

_EXAMPLE: dict[str, Any] = {
    "id": 7,
    "rule": "group-stands",
    "title": {"zh": "消费停滞", "en": "Group stands"},
    "subject": "civil_affairs.my-program",
    "department": "civil_affairs",
    "severity": "critical",
    "state": "acknowledged",
    "text": {"zh": "已停止读取。", "en": "Nobody reads."},
    "evidence": {"group": "civil_affairs.my-program", "status": "STOP", "records": 120, "seconds": 61.8},
    "owner": "ops on duty",
    "opened_at": "2026-06-30T08:00:00Z",
    "changed_at": "2026-06-30T08:05:00Z",
    "steps": [{"action": "acknowledge", "by": "ops on duty", "to": None, "text": "", "at": "2026-06-30T08:05:00Z"}],
    "actions": ["hand_over", "close"],
}
_EVENTS = {
    State.ACKNOWLEDGED: "alert_acknowledged",
    State.HANDED_OVER: "alert_handed_over",
    State.CLOSED: "alert_closed",
}

Steward = Annotated[Viewer, may(Role.ADMINISTRATOR, Role.OPS)]


class AlertStepForm(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"action": "hand_over", "to": "night shift", "text": "见交接"}}
    )

    action: Action
    to: Annotated[str | None, Field(max_length=200, description="Who gets it; for `hand_over`.")] = None
    text: Annotated[str, Field(max_length=2_000, description="What is to be known; needed for `close`.")] = ""


class AlertStepOut(BaseModel):
    action: Action
    by: str
    to: str | None
    text: str
    at: datetime


class AlertOut(BaseModel):
    """An alert; `actions` is what can be done with it next."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: int
    rule: str
    title: Annotated[Text, Field(description="What the rule watches for.")]
    subject: str
    department: str | None
    severity: Severity
    state: State
    text: Text
    evidence: Annotated[dict[str, Fact], Field(description="What was seen when it was opened.")]
    owner: str | None
    opened_at: datetime
    changed_at: datetime
    steps: list[AlertStepOut]
    actions: list[Action]


def router(room: Room) -> APIRouter:
    routes = APIRouter(tags=["alerts"], route_class=IdempotentRoute)

    @routes.get("/alerts")
    def list_alerts(
        viewer: Anyone,
        state: State | None = None,
        since: Annotated[AwareDatetime | None, Query(description="Not those that were closed before.")] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[AlertOut]:
        """Alerts in the order in which they were opened; a department sees those about its own clients and sources."""
        query = _readable(viewer)
        query = query.where(Alert.state == state) if state else query
        if since is not None:
            query = query.where(or_(Alert.state != State.CLOSED, Alert.changed_at >= since))
        with room.session() as session:
            rows, following = page(session, query, [Alert.id], limit, cursor)
            return Page(items=[_shown(session, row, viewer) for row in rows], next=following)

    @routes.get("/alerts/{number}")
    def read_alert(number: int, viewer: Anyone, response: Response) -> AlertOut:
        with room.session() as session:
            found = _need(session, viewer, number)
            response.headers["ETag"] = etag(found.revision)
            return _shown(session, found, viewer)

    @routes.post("/alerts/{number}/steps")
    def take_step(
        number: int,
        form: AlertStepForm,
        viewer: Steward,
        request: Request,
        response: Response,
        if_match: IfMatch = None,
    ) -> AlertOut:
        """Acknowledge, hand over (to whom), or close (how it was solved)."""
        with room.session() as session, session.begin():
            found = _need(session, viewer, number, lock=True)
            require_match(if_match, found.revision)
            target = STEPS.get((State(found.state), form.action))
            if target is None:
                detail = Words(
                    f"An alert that is {found.state} has no step {form.action!r}.",
                    f"当前状态（{found.state}）不能执行“{form.action}”。",
                )
                raise Problem(409, "step-not-possible", Words("Not now", "当前不可执行"), detail)
            if form.action is Action.HAND_OVER and not (form.to or "").strip():
                detail = Words("/to: say who gets it", "/to：请说明交接给谁")
                raise Problem(422, "receiver-missing", Words("To whom?", "缺少接手人"), detail)
            if form.action is Action.CLOSE and not form.text.strip():
                title = Words("Closing says how it was solved", "关闭须说明如何解决")
                problems.refuse("note-missing", title, [Defect("/text", Words("say how", "请说明如何解决"))])
            now = datetime.now(UTC)
            session.add(
                AlertStep(
                    alert=found.id,
                    action=form.action,
                    taken_by=viewer.name,
                    handed_to=form.to,
                    text=form.text,
                    taken_at=now,
                )
            )
            if form.action is not Action.CLOSE:
                found.owner = form.to if form.action is Action.HAND_OVER else viewer.name
            found.state, found.changed_at, found.revision = target, now, found.revision + 1
            session.flush()
            room.publisher.happened(session, found, _EVENTS[target], actor=viewer.name)
            if target is State.CLOSED:
                telling.tell_over(session, [found])
            response.headers["ETag"] = etag(found.revision)
            return _shown(session, found, viewer)

    return routes  # fmt: skip


def _readable(viewer: Viewer) -> Select[Alert]:
    """What `viewer` may see: all for whoever watches all, else what concerns the viewer's own department."""
    query = select(Alert)
    return query if watches_all(viewer) else query.where(Alert.department == viewer.department)


def _need(session: Session, viewer: Viewer, number: int, *, lock: bool = False) -> Alert:
    query = _readable(viewer).where(Alert.id == number)
    found = session.scalar(query.with_for_update() if lock else query) if 0 < number < 2**63 else None
    if found is None:
        raise problems.unknown("alert", "告警", number)
    return found


def _shown(session: Session, alert: Alert, viewer: Viewer) -> AlertOut:
    steps = session.scalars(select(AlertStep).where(AlertStep.alert == alert.id).order_by(AlertStep.id))
    state = State(alert.state)
    return AlertOut(
        id=alert.id,
        rule=alert.rule,
        title=text_of(TITLES.get(alert.rule, Words(alert.rule))),
        subject=alert.subject,
        department=alert.department,
        severity=Severity(alert.severity),
        state=state,
        text=Text(zh=alert.text_zh, en=alert.text),
        evidence=alert.evidence,
        owner=alert.owner,
        opened_at=alert.opened_at,
        changed_at=alert.changed_at,
        steps=[
            AlertStepOut(action=Action(one.action), by=one.taken_by, to=one.handed_to, text=one.text, at=one.taken_at)
            for one in steps
        ],
        actions=actions(state) if viewer.roles & {Role.ADMINISTRATOR, Role.OPS} else [],
    )
