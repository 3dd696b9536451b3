"""Objections to delivered records: raised by who received them, answered by where they come from."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from services.core import problems
from services.core.conditional import IfMatch, etag, require_match
from services.core.defects import Defect
from services.core.forms import Note, Slug, Strict, Text
from services.core.idempotency import IdempotentRoute
from services.core.identity import Anyone, Consumer, Role, Viewer, may, refuse
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem
from services.core.words import Words
from services.demand import store
from services.demand.demands import Demands, missing
from services.demand.domain import objection as domain
from services.demand.domain.objection import Action, By, Claim, Outcome, State
from services.demand.objecting import Registrar

Party = Annotated[Viewer, may(Role.ADMINISTRATOR, Role.PROVIDER, Role.CONSUMER)]
ObjectionId = Annotated[str, Field(pattern=r"^[0-9a-f]{1,20}$")]
Value = Annotated[str, Field(max_length=2_000)]


class ClaimForm(Strict):
    item: Slug
    says: Annotated[Value | None, Field(description="As it was delivered; null: missing.")]
    should_say: Annotated[Value | None, Field(description="As it would be delivered if it were right.")]


class PositionForm(Strict):
    """Where the record was read, so that a correction that came meanwhile counts."""

    partition: Annotated[int, Field(ge=0, le=10_000)]
    offset: Annotated[int, Field(ge=0, lt=2**62)]


class ObjectionForm(Strict):
    grant: Annotated[str, Field(pattern=r"^[0-9a-f]{1,40}$")]
    key: Annotated[dict[str, Value], Field(max_length=20, examples=[{"id_number": "320612199001011234"}])]
    items: Annotated[list[ClaimForm], Field(min_length=1, max_length=100)]
    explanation: Text
    position: PositionForm | None = None


class ContentOut(Strict):
    """What the record says: for the two departments only."""

    key: dict[str, str]
    items: list[ClaimForm]
    explanation: str


class ObjectionOut(Strict):
    id: str
    grant: str
    resource: str
    department: Annotated[str, Field(description="Who objects.")]
    provider: Annotated[str, Field(description="Whose record it is.")]
    record: Annotated[str, Field(description="Stands for the record: the same in all objections to it.")]
    items: list[str]
    state: State
    round: Annotated[int, Field(description="How many objections to this record there have been, with this one.")]
    due_on: Annotated[date, Field(description="By when it is to be answered.")]
    provisional: Annotated[bool, Field(description="Whether that reaches a year whose working days are not announced.")]
    overdue: bool
    raised_at: datetime
    answered_at: datetime | None
    reason: str
    closed_at: datetime | None
    outcome: Outcome | None
    proof: Annotated[
        dict[str, Any] | None, Field(description="The delivery that corrected it, and the manifest that counts it.")
    ]
    content: Annotated[
        ContentOut | None, Field(description="What the record says; read it, answers to posts are without it.")
    ] = None


class StoryOut(ObjectionOut):
    chain: Annotated[list[str], Field(description="All objections to this record, oldest first.")]


class StepForm(Strict):
    action: Action
    reason: Note = ""


def router(demands: Demands) -> APIRouter:
    routes = APIRouter(prefix="/objections", tags=["objections"], route_class=IdempotentRoute)
    registrar: Registrar = demands.registrar

    def shown(viewer: Viewer, one: store.Objection) -> ObjectionOut:
        answer = _bare(one)
        if viewer.department in (one.department, one.provider):
            answer.content = ContentOut.model_validate(registrar.opened(one))
        return answer

    def story(session: Session, one: ObjectionOut) -> StoryOut:
        return StoryOut(**one.model_dump(), chain=registrar.earlier(session, one.record))

    def begin(topic: str, position: PositionForm | None) -> dict[int, int]:
        ends = demands.broker.end_offsets(topic)
        if position is not None:
            end = ends.get(position.partition, 0)
            if position.offset >= end:
                defect = Defect("/position/offset", Words("was not delivered yet", "尚未交付"))
                problems.refuse("objection-invalid", _INCOMPLETE, [defect])
            ends[position.partition] = position.offset + 1
        return ends

    @routes.post("", status_code=201)
    def object_to(form: ObjectionForm, viewer: Consumer, response: Response) -> StoryOut:
        """Say that a record that was delivered under a grant is wrong, and what it should say."""
        with demands.session() as session, session.begin():
            grant = session.get(store.Grant, form.grant)
            resource = demands.resources.get(grant.resource) if grant else None
            if grant is None or resource is None or not viewer.consumes_for(grant.department):
                raise missing("grant", form.grant)
            claims = [Claim(one.item, one.says, one.should_say) for one in form.items]
            keys = [item["name"] for item in resource["items"] if item["key"]]
            granted = [item["name"] for item in grant.items]
            problems.refuse("objection-invalid", _INCOMPLETE, domain.defects(form.key, claims, keys, granted))
            made = registrar.raise_(
                session,
                grant,
                resource["department"],
                form.key,
                claims,
                form.explanation,
                begin(grant.topic, form.position),
                viewer.name,
                datetime.now(UTC),
            )
            response.headers["ETag"] = etag(made.revision)
            # without its content: answers to posts are kept, to be given again, and what a record says is not
            return story(session, _bare(made))

    @routes.get("")
    def list_objections(
        viewer: Anyone,
        state: Annotated[State | None, Query()] = None,
        resource: Annotated[Slug | None, Query()] = None,
        record: Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$", description="Only to this record.")] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[ObjectionOut]:
        """Own objections and those to own records; all for the data authority and auditors."""
        query = _visible(viewer)
        for column, wanted in (
            (store.Objection.state, state),
            (store.Objection.resource, resource),
            (store.Objection.record, record),
        ):
            if wanted is not None:
                query = query.where(column == wanted)
        with demands.session() as session:
            found, following = page(session, query, [store.Objection.number], limit, cursor)
            return Page(items=[shown(viewer, one) for one in found], next=following)

    @routes.get("/{objection_id}")
    def read_objection(objection_id: ObjectionId, viewer: Anyone, response: Response) -> StoryOut:
        with demands.session() as session:
            one = session.scalar(_visible(viewer).where(store.Objection.id == objection_id))
            if one is None:
                raise missing("objection", objection_id)
            response.headers["ETag"] = etag(one.revision)
            return story(session, shown(viewer, one))

    @routes.post("/{objection_id}/steps")
    def step(
        objection_id: ObjectionId,
        form: StepForm,
        viewer: Party,
        request: Request,
        response: Response,
        if_match: IfMatch = None,
    ) -> StoryOut:
        """Accept or refuse an objection to own records (a refusal gives its reason); withdraw an own one."""
        with demands.session() as session, session.begin():
            query = _visible(viewer).where(store.Objection.id == objection_id).with_for_update()
            one = session.scalar(query)
            if one is None:
                raise missing("objection", objection_id)
            require_match(if_match, one.revision)
            _require_step(request, viewer, one, form)
            registrar.answer(session, one, form.action, form.reason, viewer.name, datetime.now(UTC))
            session.flush()
            response.headers["ETag"] = etag(one.revision)
            return story(session, _bare(one))

    return routes


_INCOMPLETE = Words("The objection is not complete", "异议不完整")
_FIELDS = tuple(name for name in ObjectionOut.model_fields if name != "content")


def _bare(one: store.Objection) -> ObjectionOut:
    """All of an objection but what the record says."""
    return ObjectionOut.model_validate({name: getattr(one, name) for name in _FIELDS})


def _visible(viewer: Viewer) -> Select[store.Objection]:
    query = select(store.Objection)
    if viewer.sees_all():
        return query
    return query.where(
        (store.Objection.department == viewer.department) | (store.Objection.provider == viewer.department)
    )


def _require_step(request: Request, viewer: Viewer, one: store.Objection, form: StepForm) -> None:
    """Raises a 403, 409 or 422 problem for a step that is not the viewer's, not there, or lacks its reason."""
    following = domain.TRANSITIONS.get((State(one.state), form.action))
    if following is None:
        detail = Words(f"It is {one.state}: that step is not there.", f"当前状态为 {one.state}，不能执行此操作。")
        raise Problem(409, "step-not-there", Words("Not from here", "当前不能执行"), detail)
    is_provider = following[1] is By.PROVIDER
    allowed = viewer.provides_for(one.provider) if is_provider else viewer.consumes_for(one.department)
    if not allowed:
        whose = one.provider if is_provider else one.department
        raise refuse(request, viewer, Words(f"This step is {whose}'s.", f"此步骤由 {whose} 执行。"))
    if form.action in domain.NEEDS_REASON and not form.reason.strip():
        title = Words("A refusal gives its reason", "驳回须说明理由")
        problems.refuse("reason-missing", title, [Defect("/reason", Words("say why", "请说明理由"))])
