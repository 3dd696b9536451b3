"""Notices to departments, and where these want them sent: to a webhook, or by e-mail.

A webhook's secret is shown once, in the answer that makes it; so that post is never answered from memory.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from sqlalchemy import select

from services.core.defects import Defect
from services.core.forms import Plain, Strict
from services.core.identity import Role, Viewer
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import language_of, refuse
from services.core.sending import secret_of, target_defects
from services.core.words import Words, in_language
from services.demand import demand_store as store
from services.demand import noticing
from services.demand.api.demands import Participant
from services.demand.demands import Demands, missing, now
from services.demand.timekeeping import AUTHORITY


class NoticeOut(Strict):
    """`role` is who of the department must see it: its handler, or the responsible person; `words` is what it says."""

    id: int
    department: str
    role: str
    kind: str
    demand: str | None
    subject: Annotated[str | None, Field(description="The objection or grant that it is about, if it is no demand.")]
    words: str
    created_at: datetime
    read_at: datetime | None
    read_by: str | None


class SubscriptionForm(Strict):
    """An https address that notices are posted to (Standard Webhooks), or an e-mail address."""

    kind: Literal["webhook", "email"]
    target: Annotated[
        str, Field(min_length=3, max_length=1_000, examples=["https://hooks.example.gov.cn/tongshu"]), Plain
    ]


class SubscriptionOut(Strict):
    id: uuid.UUID
    department: str
    kind: str
    target: str
    created_by: str
    created_at: datetime
    ended_at: datetime | None


class SubscriptionMade(SubscriptionOut):
    """With the secret that signs what is posted to a webhook; it is never shown again."""

    secret: str | None


class DispatchOut(Strict):
    """A notice on its way: how often it was tried, when it is tried next (null: it is over), and what went wrong."""

    id: int
    notice: int
    attempts: int
    next_at: datetime | None
    delivered_at: datetime | None
    failure: str | None


def department_of(viewer: Viewer) -> str:
    """The department whose notices these are; the data authority's where the viewer acts for it."""
    return AUTHORITY if Role.ADMINISTRATOR in viewer.roles else viewer.department or AUTHORITY


def router(demands: Demands) -> APIRouter:
    routes = APIRouter(tags=["notices"])

    @routes.get("/notices")
    def list_notices(
        viewer: Participant,
        request: Request,
        unread: Annotated[bool, Query(description="Only those that nobody has read.")] = False,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[NoticeOut]:
        """The notices to the caller's department, oldest first."""
        query = select(store.Notice).where(store.Notice.department == department_of(viewer))
        if unread:
            query = query.where(store.Notice.read_at.is_(None))
        with demands.session() as session:
            rows, following = page(session, query, [store.Notice.id], limit, cursor)
            return Page(items=[_shown(row, language_of(request)) for row in rows], next=following)

    @routes.put("/notices/{notice_id}/read")
    def read_notice(
        notice_id: Annotated[int, Field(ge=1, le=2**63 - 1)], viewer: Participant, request: Request
    ) -> NoticeOut:
        """Say that a notice was read; saying so again changes nothing."""
        with demands.session() as session, session.begin():
            found = session.get(store.Notice, notice_id, with_for_update=True)
            if found is None or found.department != department_of(viewer):
                raise missing("notice", notice_id)
            if found.read_at is None:
                found.read_at, found.read_by = now(), viewer.name
            return _shown(found, language_of(request))

    @routes.post("/subscriptions", status_code=201)
    def subscribe(form: SubscriptionForm, viewer: Participant) -> SubscriptionMade:
        """Have the department's notices sent to an address, from now on."""
        title = Words("Nothing can be sent there", "无法发送到该地址")
        found = target_defects(form.kind, form.target, demands.settings)
        refuse("target-invalid", title, [Defect("/target", detail) for detail in found])
        with demands.session() as session, session.begin():
            kept = store.Subscription(
                department=department_of(viewer), kind=form.kind, target=form.target, created_by=viewer.name,
                created_at=now(),
            )  # fmt: skip
            session.add(kept)
            session.flush()
            facts: dict[str, str] = {"kind": form.kind}
            subject = str(kept.id)
            demands.publisher.happened(
                session, "notices_subscribed", subject, kept.department, subject, viewer.name, facts
            )
            secret = secret_of(demands.settings, kept.id) if form.kind == "webhook" else None
            return SubscriptionMade(**SubscriptionOut.model_validate(kept).model_dump(), secret=secret)

    @routes.get("/subscriptions")
    def list_subscriptions(viewer: Participant) -> list[SubscriptionOut]:
        """Where the department's notices are sent; at most 500."""
        query = select(store.Subscription).where(store.Subscription.department == department_of(viewer))
        with demands.session() as session:
            rows = session.scalars(query.order_by(store.Subscription.created_at).limit(500))
            return [SubscriptionOut.model_validate(row) for row in rows]

    @routes.delete("/subscriptions/{subscription_id}")
    def unsubscribe(subscription_id: uuid.UUID, viewer: Participant) -> SubscriptionOut:
        """Send nothing there any more; what is on its way is given up."""
        with demands.session() as session, session.begin():
            found = session.get(store.Subscription, subscription_id, with_for_update=True)
            if found is None or found.department != department_of(viewer):
                raise missing("subscription", subscription_id)
            if found.ended_at is None:
                found.ended_at = now()
                subject = str(found.id)
                demands.publisher.happened(
                    session, "notices_unsubscribed", subject, found.department, subject, viewer.name, {}
                )
            return SubscriptionOut.model_validate(found)

    @routes.get("/subscriptions/{subscription_id}/dispatches")
    def list_dispatches(
        subscription_id: uuid.UUID, viewer: Participant, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[DispatchOut]:
        """What became of the notices that were to be sent there."""
        with demands.session() as session:
            found = session.get(store.Subscription, subscription_id)
            if found is None or found.department != department_of(viewer):
                raise missing("subscription", subscription_id)
            query = select(store.Dispatch).where(store.Dispatch.subscription == subscription_id)
            rows, following = page(session, query, [store.Dispatch.id], limit, cursor)
            return Page(items=[DispatchOut.model_validate(row) for row in rows], next=following)

    return routes


def _shown(notice: store.Notice, language: str) -> NoticeOut:
    kept = {name: getattr(notice, name) for name in NoticeOut.model_fields if name != "words"}
    return NoticeOut(**kept, words=in_language(noticing.words(notice), language))
