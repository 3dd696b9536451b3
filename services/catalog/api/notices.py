"""Notices of breaking changes, and the consumers' acknowledgement of them."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.catalog import store
from services.catalog.catalogue import Catalogue, missing, now
from services.core.forms import Slug, Strict
from services.core.idempotency import IdempotentRoute
from services.core.identity import Anyone, Consumer, Role, Viewer
from services.core.problems import Problem, language_of
from services.core.words import Words


class AcknowledgementOut(Strict):
    department: str
    acknowledged_at: datetime | None


class NoticeOut(Strict):
    """What will break, and until when its consumers have time to say that they are ready."""

    id: uuid.UUID
    resource: str
    from_version: str
    to_version: str
    reasons: list[str]
    deadline: date
    open: bool
    created_at: datetime
    consumers: list[AcknowledgementOut]


class AcknowledgementForm(Strict):
    department: Slug


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(prefix="/notices", tags=["notices"], route_class=IdempotentRoute)

    @routes.get("")
    def list_notices(
        viewer: Anyone, request: Request, resource: Annotated[Slug | None, Query()] = None
    ) -> list[NoticeOut]:
        """The last 200 notices that concern the caller: as consumer, as provider, or all for the data authority."""
        query = select(store.Notice).order_by(store.Notice.created_at.desc()).limit(200)
        if resource is not None:
            query = query.where(store.Notice.resource == resource)
        if not viewer.sees_all():
            told = select(store.Acknowledgement.notice).where(store.Acknowledgement.department == viewer.department)
            mine = select(store.Resource.code).where(store.Resource.department == viewer.department)
            query = query.where(store.Notice.id.in_(told) | store.Notice.resource.in_(mine))
        with catalogue.session() as session:
            return [_shown(session, viewer, one, language_of(request)) for one in session.scalars(query)]

    @routes.post("/{notice_id}/acknowledgements")
    def acknowledge(notice_id: uuid.UUID, form: AcknowledgementForm, viewer: Consumer, request: Request) -> NoticeOut:
        """Say that a department is ready for the change."""
        if not viewer.consumes_for(form.department):
            raise missing("notice", notice_id)
        with catalogue.session() as session, session.begin():
            notice = session.get(store.Notice, notice_id)
            mine = session.get(store.Acknowledgement, (notice_id, form.department), with_for_update=True)
            if notice is None or mine is None:
                raise missing("notice", notice_id)
            if notice.closed_at is not None:
                detail = Words("What it told of has happened, or was given up.", "所通知的变更已完成或已取消。")
                raise Problem(409, "notice-closed", Words("The notice is closed", "通知已关闭"), detail)
            if mine.acknowledged_at is None:
                mine.acknowledged_at, mine.acknowledged_by = now(), viewer.name
                facts = {"notice": str(notice_id), "to": notice.to_version}
                catalogue.publisher.happened(
                    session, "contract_acknowledged", notice.resource, form.department, viewer.name, facts
                )
            session.flush()
            return _shown(session, viewer, notice, language_of(request))

    return routes


def _shown(session: Session, viewer: Viewer, notice: store.Notice, language: str) -> NoticeOut:
    """The notice; a consumer sees of the consumers only itself."""
    query = select(store.Acknowledgement).where(store.Acknowledgement.notice == notice.id)
    provider = session.get_one(store.Resource, notice.resource).department
    provides = Role.PROVIDER in viewer.roles and viewer.department == provider
    if not (viewer.sees_all() or provides):
        query = query.where(store.Acknowledgement.department == viewer.department)
    told = session.scalars(query.order_by(store.Acknowledgement.department))
    return NoticeOut(
        id=notice.id,
        resource=notice.resource,
        from_version=notice.from_version,
        to_version=notice.to_version,
        reasons=[reason[language] for reason in notice.reasons],
        deadline=notice.deadline,
        open=notice.closed_at is None,
        created_at=notice.created_at,
        consumers=[AcknowledgementOut.model_validate(one) for one in told],
    )
