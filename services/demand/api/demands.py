"""Demands (需求): applying, deciding, disputing, using; each step is for whom the table says (domain/demand.py)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.core import identity
from services.core.conditional import IfMatch, etag, require_match
from services.core.forms import Json, Name, Note, Slug, Strict, Text
from services.core.idempotency import IdempotentRoute
from services.core.identity import Consumer, Role, Viewer, may
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem
from services.core.words import Words
from services.demand import cases, timekeeping
from services.demand import demand_store as store
from services.demand.api.grants import OwnTable
from services.demand.cases import Given
from services.demand.demands import Demands, missing, now
from services.demand.domain.demand import EDITABLE, Action, By, Level, Papers, Path, State
from services.demand.domain.demand_terms import Frequency, Kind

# Who has a part in demands: those who apply, those who supply, and the data authority.
Participant = Annotated[Viewer, may(Role.ADMINISTRATOR, Role.PROVIDER, Role.CONSUMER)]
Onlooker = Annotated[Viewer, may(Role.ADMINISTRATOR, Role.PROVIDER, Role.CONSUMER, Role.AUDITOR)]
_OURS = (
    Action.SUBMIT, Action.ACCEPT, Action.MATCH, Action.CATALOGUE, Action.RETURN, Action.SUPPLEMENT, Action.APPROVE,
    Action.REFUSE, Action.DISPUTE, Action.ESCALATE, Action.OVERTURN, Action.UPHOLD, Action.HAND_IN, Action.CONFIRM,
    Action.EVALUATE, Action.CLOSE, Action.REVOKE, Action.WITHDRAW,
)  # fmt: skip
Channel = Literal["topic", "table", "api", "product"]


class EmergencyForm(Strict):
    """Why data must flow at once, and who answers for it (责任人)."""

    responsible: Name
    reason: Text


_EXAMPLE: dict[str, Any] = {
    "kind": "catalogued",
    "title": "婚姻登记核验人口信息",
    "resource": "population",
    "items": ["id_number", "name", "region", "status"],
    "masks": {"name": {"kind": "keep", "first": 1}},
    "row_filter": 'region starts with "3206"',
    "purpose": "办理婚姻登记时核验当事人身份",
    "scenario": "婚姻登记",
    "legal_basis": "《婚姻登记条例》第七条",
    "frequency": "real_time",
}


class DemandForm(Strict):
    """What is asked for: of a catalogued resource, or in words what nobody has catalogued yet."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    kind: Kind = Kind.CATALOGUED
    title: Name
    resource: Slug | None = None
    wanted: Text | None = None
    items: Annotated[list[Slug], Field(max_length=2_000)] = []
    masks: Annotated[dict[Slug, dict[str, Any]], Field(max_length=2_000), Json] = {}
    row_filter: Annotated[Note, Field(max_length=4_000)] | None = None
    channels: Annotated[list[Channel], Field(min_length=1, max_length=4)] = ["topic"]
    table: OwnTable | None = None
    purpose: Text
    scenario: Note | None = None
    legal_basis: Note | None = None
    frequency: Frequency = Frequency.REAL_TIME
    until: AwareDatetime | None = None
    emergency: EmergencyForm | None = None


class DefectForm(Strict):
    """One thing that the applicant must mend; `pointer` names the field as a JSON pointer."""

    pointer: Annotated[Name, Field(examples=["/purpose"])]
    detail: Annotated[Text, Field(examples=["请写明对应的业务事项"])]


class StepForm(Strict):
    """A step; what it needs besides depends on the step (docs/demand-states.md)."""

    action: Annotated[Action, Field(examples=["submit"], json_schema_extra={"enum": list(_OURS)})]
    reason: Note | None = None
    legal_basis: Note | None = None
    defects: Annotated[list[DefectForm], Field(max_length=200)] = []
    supplier: Slug | None = None
    resource: Slug | None = None
    items: Annotated[list[Slug], Field(max_length=2_000)] = []
    masks: Annotated[dict[Slug, dict[str, Any]], Field(max_length=2_000), Json] = {}
    rating: Annotated[int, Field(ge=1, le=5)] | None = None

    def given(self) -> Given:
        return Given(**self.model_dump(exclude={"action"}))


class ClockOut(Strict):
    """A clock in working days of the place; `due_on` is null while it is paused."""

    clock: str
    department: Annotated[str, Field(description="Whose it is; empty: the data authority's.")]
    working_days: int
    due_on: date | None
    provisional: bool
    overdue: bool
    urged: str


class DemandOut(Strict):
    """A demand as its viewer may know it; `actions` are the viewer's steps now."""

    id: str
    thread: str
    kind: Kind
    title: str
    department: str
    supplier: str | None
    resource: str | None
    wanted: str | None
    items: list[str]
    masks: dict[str, Any]
    row_filter: str | None
    channels: list[str]
    table: OwnTable | None
    purpose: str
    scenario: str | None
    legal_basis: str | None
    frequency: Frequency
    until: datetime | None
    emergency: EmergencyForm | None
    state: State
    path: Path
    level: Level
    papers: Papers
    approvals: Annotated[int, Field(description="How many approvals there are, of `needed`.")]
    needed: int
    grant: str | None
    clock: str | None
    due_on: date | None
    overdue: bool
    created_at: datetime
    submitted_at: datetime | None
    updated_at: datetime
    actions: list[Action]


class DemandDetail(DemandOut):
    clocks: list[ClockOut]


class StepOut(Strict):
    """What was done, by whom as whom, and what was given with it."""

    action: str
    source: str
    target: str
    actor: str
    party: str
    given: dict[str, Any]
    at: datetime


class TimelineEntry(Strict):
    """A step of the demand, or what happened to one of its clocks."""

    at: datetime
    what: str
    clock: str | None = None
    due_on: date | None = None
    actor: str | None = None
    state: str | None = None
    detail: str | None = None


def router(demands: Demands) -> APIRouter:
    routes = APIRouter(prefix="/demands", tags=["demands"], route_class=IdempotentRoute)

    @routes.post("", status_code=201)
    def draft_demand(form: DemandForm, viewer: Consumer, request: Request, response: Response) -> DemandDetail:
        """Begin a demand of the caller's department as a draft; nobody else sees it until it is submitted."""
        if Role.CONSUMER not in viewer.roles or viewer.department is None:
            why = Words("A department applies for itself.", "只能由申请部门自行提出申请。")
            raise identity.refuse(request, viewer, why)
        moment = now()
        with demands.session() as session, session.begin():
            kept = cases.draft(viewer.department, viewer.name, moment, _kept(form))
            session.add(kept)
            session.flush()
            demands.publisher.demand(session, kept, "demand_drafted", viewer.name)
            response.headers["Location"] = f"{request.url.path}/{kept.id}"
            return _answer(session, viewer, kept, response)

    @routes.get("")
    def list_demands(
        viewer: Onlooker,
        department: Annotated[Slug | None, Query()] = None,
        supplier: Annotated[Slug | None, Query()] = None,
        resource: Annotated[Slug | None, Query()] = None,
        state: Annotated[State | None, Query()] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[DemandOut]:
        """The demands that the caller may see, oldest first: those of its department, and those it supplies."""
        query = cases.readable(viewer)
        for column, value in (
            (store.Demand.department, department),
            (store.Demand.supplier, supplier),
            (store.Demand.resource, resource),
            (store.Demand.state, state.value if state else None),
        ):
            if value is not None:
                query = query.where(column == value)
        with demands.session() as session:
            rows, following = page(session, query, [store.Demand.id], limit, cursor)
            return Page(items=[_shown(viewer, row) for row in rows], next=following)

    @routes.get("/{demand_id}")
    def read_demand(demand_id: str, viewer: Onlooker, response: Response) -> DemandDetail:
        """One demand, with its clocks."""
        with demands.session() as session:
            return _answer(session, viewer, visible(session, viewer, demand_id), response)

    @routes.put("/{demand_id}")
    def write_demand(
        demand_id: str, form: DemandForm, viewer: Consumer, response: Response, if_match: IfMatch = None
    ) -> DemandDetail:
        """Write a draft anew, or mend what was returned for supplement."""
        with demands.session() as session, session.begin():
            found = visible(session, viewer, demand_id, lock=True)
            if By.APPLICANT not in cases.parties(viewer, found):
                raise missing("demand", demand_id)
            require_match(if_match, found.revision)
            _check_editable(found, form)
            for name, value in _kept(form).items():
                setattr(found, name, value)
            found.applicants = sorted({*found.applicants, viewer.name})
            found.revision, found.updated_at = found.revision + 1, now()
            demands.publisher.demand(session, found, "demand_written", viewer.name)
            return _answer(session, viewer, found, response)

    @routes.post("/{demand_id}/steps")
    def take_step(
        demand_id: str, form: StepForm, viewer: Participant, request: Request, response: Response,
        if_match: IfMatch = None,
    ) -> DemandDetail:  # fmt: skip
        """Take a step: whose it is, what it needs and what follows is in docs/demand-states.md."""
        with demands.session() as session, session.begin():
            found = visible(session, viewer, demand_id, lock=True)
            if not cases.is_of(viewer, found, form.action):
                why = Words(f"The step {form.action} of this demand is not yours.", "您无权对该申请执行此步骤。")
                raise identity.refuse(request, viewer, why)
            require_match(if_match, found.revision)
            cases.take(demands.desk, session, viewer, found, form.action, form.given(), now())
            session.flush()
            answer = _answer(session, viewer, found, response)
        demands.decided(answer.resource)
        return answer

    @routes.get("/{demand_id}/steps")
    def list_steps(demand_id: str, viewer: Onlooker) -> list[StepOut]:
        """What was done with the demand, by whom and why."""
        with demands.session() as session:
            visible(session, viewer, demand_id)
            query = select(store.Step).where(store.Step.demand == demand_id).order_by(store.Step.id)
            return [StepOut.model_validate(row) for row in session.scalars(query)]

    @routes.get("/{demand_id}/timeline")
    def read_timeline(demand_id: str, viewer: Onlooker) -> list[TimelineEntry]:
        """Steps and clocks of the demand in one line of time."""
        with demands.session() as session:
            visible(session, viewer, demand_id)
            steps = session.scalars(select(store.Step).where(store.Step.demand == demand_id).order_by(store.Step.id))
            marks = session.execute(
                select(store.ClockMark, store.DemandClock.clock)
                .join(store.DemandClock, store.DemandClock.id == store.ClockMark.clock)
                .where(store.DemandClock.demand == demand_id)
                .order_by(store.ClockMark.id)
            )
            entries = [
                TimelineEntry(
                    at=one.at, what=one.action, actor=one.actor, state=one.target, detail=one.given.get("reason")
                )
                for one in steps
            ]
            entries += [
                TimelineEntry(
                    at=one.at, what=f"clock_{one.what}", clock=clock, due_on=one.due_on, detail=one.detail or None
                )
                for one, clock in marks
            ]
        return sorted(entries, key=lambda entry: entry.at)

    def visible(session: Session, viewer: Viewer, demand_id: str, *, lock: bool = False) -> store.Demand:
        query = cases.readable(viewer).where(store.Demand.id == demand_id)
        found = session.scalars(query.with_for_update() if lock else query).one_or_none()
        if found is None:
            raise missing("demand", demand_id)
        return found

    return routes


def _kept(form: DemandForm) -> dict[str, Any]:
    """The form as it is kept: moments are moments, all else is JSON."""
    return form.model_dump(mode="json", by_alias=True) | {"until": form.until}


def _check_editable(demand: store.Demand, form: DemandForm) -> None:
    if State(demand.state) not in EDITABLE:
        detail = Words(
            f"A demand in state {demand.state} is not written: what was returned, or a draft, is.",
            "只有草稿或被退回补正的申请可以修改。",
        )
        raise Problem(409, "not-editable", Words("It cannot be written just now", "当前不可编辑"), detail)
    if demand.state == State.RETURNED and (form.kind, form.resource) != (demand.kind, demand.resource):
        detail = Words(
            "What a returned demand is for stays: withdraw it and apply anew.", "补正时不得更换资源，请撤回后重新申请。"
        )
        raise Problem(409, "subject-changed", Words("That would be another demand", "不得更换申请对象"), detail)


def _answer(session: Session, viewer: Viewer, demand: store.Demand, response: Response) -> DemandDetail:
    response.headers["ETag"] = etag(demand.revision)
    clocks = [clock_out(row) for row in timekeeping.running(session, demand)]
    return DemandDetail(**_shown(viewer, demand).model_dump(by_alias=True), clocks=clocks)


def _shown(viewer: Viewer, demand: store.Demand) -> DemandOut:
    kept = {name: getattr(demand, name) for name in DemandOut.model_fields if name not in ("actions", "approvals")}
    return DemandOut(**kept, approvals=len(demand.approvals), actions=cases.open_to(viewer, demand))


def clock_out(row: store.DemandClock) -> ClockOut:
    return ClockOut(
        clock=row.clock,
        department=row.department,
        working_days=row.working_days,
        due_on=row.due_on,
        provisional=row.provisional,
        overdue=row.breached_on is not None,
        urged=row.urged,
    )
