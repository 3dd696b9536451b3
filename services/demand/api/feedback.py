"""Feedback on grants, and their renewal, which needs it."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from services.core.forms import Note, Slug, Strict, Text
from services.core.idempotency import IdempotentRoute
from services.core.identity import Anyone, Consumer, Provider, Viewer
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem, refuse
from services.core.words import Words
from services.demand import evaluation, store
from services.demand.demands import Demands, missing
from services.demand.domain import feedback as domain
from services.demand.domain import grant as grants

GrantId = Annotated[str, Field(pattern=r"^[0-9a-f]{1,40}$")]


class FeedbackForm(Strict):
    score: Annotated[int, Field(ge=1, le=5, description="1 (bad) to 5 (good).", examples=[4])]
    reasons: Annotated[list[domain.Reason], Field(max_length=10)] = []
    effect: Annotated[Text, Field(examples=["婚姻登记现场核验 1,200 人次，平均缩短 15 分钟"])]
    comment: Note = ""


class FeedbackOut(Strict):
    id: uuid.UUID
    grant: str
    resource: str
    department: str
    score: int
    reasons: list[domain.Reason]
    effect: str
    comment: str
    records: Annotated[int, Field(description="How many records had been delivered by then.")]
    given_by: str
    given_at: datetime


class RequestOut(Strict):
    """Feedback that was asked for and not given yet."""

    grant: str
    resource: str
    department: str
    asked_at: datetime
    records: int


class RenewalForm(Strict):
    valid_to: AwareDatetime


class RenewalOut(Strict):
    grant: str
    valid_to: datetime


def router(demands: Demands) -> APIRouter:
    routes = APIRouter(tags=["feedback"], route_class=IdempotentRoute)

    def provides(viewer: Viewer) -> list[str]:
        return [one["code"] for one in demands.resources.values() if one["department"] == viewer.department]

    @routes.post("/grants/{grant_id}/feedback", status_code=201)
    def give(grant_id: GrantId, form: FeedbackForm, viewer: Consumer) -> FeedbackOut:
        """Say what the data was good for, and how satisfied the department is. It cannot be changed afterwards."""
        given = domain.Given(
            score=form.score, reasons=frozenset(form.reasons), effect=form.effect, comment=form.comment
        )
        refuse("feedback-invalid", Words("The feedback is not complete", "评价不完整"), domain.defects(given))
        with demands.session() as session, session.begin():
            grant = _grant(session, grant_id)
            if grant is None or not viewer.consumes_for(grant.department):
                raise missing("grant", grant_id)
            made = evaluation.give(session, demands.publisher, grant, given, viewer.name, datetime.now(UTC))
            session.flush()
            return FeedbackOut.model_validate(made)

    @routes.get("/feedback")
    def list_feedback(
        viewer: Anyone,
        resource: Annotated[Slug | None, Query(description="Only on this resource.")] = None,
        grant: Annotated[GrantId | None, Query(description="Only on this grant.")] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[FeedbackOut]:
        """A department sees its own, and all on what it provides."""
        query: Select[store.Feedback] = select(store.Feedback)
        if not viewer.sees_all():
            mine = store.Feedback.department == viewer.department
            query = query.where(mine | store.Feedback.resource.in_(provides(viewer)))
        if resource is not None:
            query = query.where(store.Feedback.resource == resource)
        if grant is not None:
            query = query.where(store.Feedback.grant == grant)
        with demands.session() as session:
            found, following = page(session, query, [store.Feedback.number], limit, cursor)
            return Page(items=[FeedbackOut.model_validate(one) for one in found], next=following)

    @routes.get("/feedback/requests")
    def list_requests(viewer: Anyone, limit: Limit = 100, cursor: Cursor = None) -> Page[RequestOut]:
        """Feedback that is asked for: a department sees what it is asked, the data authority all."""
        query = select(store.FeedbackRequest)
        if not viewer.sees_all():
            mine = select(store.Grant.id).where(store.Grant.department == viewer.department)
            query = query.where(store.FeedbackRequest.grant.in_(mine))
        with demands.session() as session:
            found, following = page(session, query, [store.FeedbackRequest.grant], limit, cursor)
            items = []
            for one in found:
                grant = session.get_one(store.Grant, one.grant)
                items.append(
                    RequestOut(
                        grant=grant.id,
                        resource=grant.resource,
                        department=grant.department,
                        asked_at=one.asked_at,
                        records=one.records,
                    )
                )
            return Page(items=items, next=following)

    @routes.post("/grants/{grant_id}/renewals", status_code=201)
    def renew(grant_id: GrantId, form: RenewalForm, viewer: Provider) -> RenewalOut:
        """Let a grant live longer: by who provides the data, once the consumer has given feedback."""
        with demands.session() as session, session.begin():
            grant = _grant(session, grant_id)
            resource = demands.resources.get(grant.resource) if grant else None
            if grant is None or resource is None or not viewer.provides_for(resource["department"]):
                raise missing("grant", grant_id)
            _require_renewable(session, grant, form.valid_to)
            before, grant.valid_to = grant.valid_to, form.valid_to
            title = Words("The grant no longer fits the resource", "授权已不符合资源现状")
            refuse("grant-invalid", title, grants.defects(_asked(grant), resource))
            grant.updated_at = datetime.now(UTC)
            reason = f"from {before.isoformat() if before else 'no end'} to {form.valid_to.isoformat()}"
            demands.publisher.grant(session, grant, "grant_renewed", viewer.name, reason)
            return RenewalOut(grant=grant.id, valid_to=form.valid_to)

    return routes


def _require_renewable(session: Session, grant: store.Grant, valid_to: datetime) -> None:
    if grant.state != grants.State.ACTIVE or grant.valid_to is None or valid_to <= grant.valid_to:
        detail = Words(
            "Only an active grant with an end can be given a later one.", "仅生效中且有截止时间的授权可延长至更晚时间。"
        )
        raise Problem(409, "grant-not-renewable", Words("The grant cannot be renewed so", "该授权不能这样续期"), detail)
    if not evaluation.may_renew(session, grant):
        detail = Words(
            "Its consumer has to give feedback on it first.", "续期前，使用部门须先提交应用成效与满意度评价。"
        )
        raise Problem(409, "feedback-missing", Words("Feedback is missing", "缺少评价"), detail)


def _asked(grant: store.Grant) -> grants.Asked:
    """A grant as it would be asked for now."""
    return grants.Asked(
        department=grant.department,
        items=[item["name"] for item in grant.items],
        masks={item["name"]: json.loads(item["mask"]) for item in grant.items if item["mask"]},
        row_filter=grant.row_filter,
        purpose=grant.purpose,
        valid_from=grant.valid_from,
        valid_to=grant.valid_to,
        channels=grant.channels,
        table_target=grant.table_target,
    )


def _grant(session: Session, grant_id: str) -> store.Grant | None:
    return session.get(store.Grant, grant_id, with_for_update=True)
