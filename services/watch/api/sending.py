"""Where alerts are sent, what became of what was sent there, and what the day's summary says so far.

A webhook's secret is shown once, in the answer that makes it; so that post is never answered from memory.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from services.core import problems
from services.core.defects import Defect
from services.core.forms import Plain, Strict
from services.core.identity import Role, Viewer, may
from services.core.pages import Cursor, Limit, Page, page
from services.core.sending import secret_of, target_defects
from services.core.words import Words
from services.watch import summary, telling
from services.watch.domain.day import begin_of
from services.watch.domain.telling import Kind
from services.watch.room import Room, watches_all
from services.watch.store import Dispatch, Subscription

Reader = Annotated[Viewer, may(Role.ADMINISTRATOR, Role.PROVIDER, Role.CONSUMER, Role.OPS)]
Watcher = Annotated[Viewer, may(Role.ADMINISTRATOR, Role.OPS, Role.AUDITOR)]


class SubscriptionForm(Strict):
    """An https address that alerts are posted to (Standard Webhooks), or an e-mail address."""

    kind: Literal["webhook", "email"]
    target: Annotated[
        str, Field(min_length=3, max_length=1_000, examples=["https://hooks.example.gov.cn/on-duty"]), Plain
    ]
    daily: Annotated[bool, Field(description="Whether the daily summary is sent there, too; for who runs it all.")] = (
        False
    )


class SubscriptionOut(Strict):
    id: uuid.UUID
    department: Annotated[str | None, Field(description="Whose alerts; null: all.")]
    kind: str
    target: str
    daily: bool
    created_by: str
    created_at: datetime
    ended_at: datetime | None


class SubscriptionMade(SubscriptionOut):
    """With the secret that signs what is posted to a webhook; it is never shown again."""

    secret: str | None


class DispatchOut(Strict):
    """A message on its way: how often it was tried, when it is tried next (null: it is over), and what went wrong."""

    id: int
    kind: Kind
    alerts: Annotated[list[int], Field(description="Numbers of the alerts that it tells of, the first fifty.")]
    attempts: int
    next_at: datetime | None
    delivered_at: datetime | None
    failure: str | None
    created_at: datetime


def router(room: Room) -> APIRouter:
    routes = APIRouter(tags=["sending"])

    def find(session: Session, viewer: Viewer, subscription_id: uuid.UUID) -> Subscription:
        found = session.scalar(_own(viewer).where(Subscription.id == subscription_id).with_for_update())
        if found is None:
            raise problems.unknown("subscription", "发送地址", subscription_id)
        return found

    @routes.post("/subscriptions", status_code=201)
    def subscribe(form: SubscriptionForm, viewer: Reader) -> SubscriptionMade:
        """Have alerts sent to an address, from now on: all for who runs the exchange, a department's own for it."""
        title = Words("Nothing can be sent there", "无法发送到该地址")
        defects = [Defect("/target", detail) for detail in target_defects(form.kind, form.target, room.settings)]
        if form.daily and not watches_all(viewer):
            defects.append(Defect("/daily", Words("is about the whole exchange", "摘要涉及整个平台，仅供平台运行方")))
        problems.refuse("target-invalid", title, defects)
        with room.session() as session, session.begin():
            kept = Subscription(
                department=_department_of(viewer), kind=form.kind, target=form.target, daily=form.daily,
                created_by=viewer.name, created_at=datetime.now(UTC), ended_at=None,
            )  # fmt: skip
            session.add(kept)
            session.flush()
            room.publisher.subscription(session, kept, "alerts_subscribed", actor=viewer.name)
            secret = secret_of(room.settings, kept.id) if form.kind == "webhook" else None
            return SubscriptionMade(**SubscriptionOut.model_validate(kept).model_dump(), secret=secret)

    @routes.get("/subscriptions")
    def list_subscriptions(viewer: Reader) -> list[SubscriptionOut]:
        """Where alerts are sent: the own department's addresses, those of the whole exchange for who runs it. At most
        500."""
        query = _own(viewer).where(Subscription.ended_at.is_(None)).order_by(Subscription.created_at)
        with room.session() as session:
            return [SubscriptionOut.model_validate(row) for row in session.scalars(query.limit(500))]

    @routes.delete("/subscriptions/{subscription_id}")
    def unsubscribe(subscription_id: uuid.UUID, viewer: Reader) -> SubscriptionOut:
        """Send nothing there any more; what is on its way is given up."""
        with room.session() as session, session.begin():
            found = find(session, viewer, subscription_id)
            if found.ended_at is None:
                found.ended_at = datetime.now(UTC)
                room.publisher.subscription(session, found, "alerts_unsubscribed", actor=viewer.name)
            return SubscriptionOut.model_validate(found)

    @routes.post("/subscriptions/{subscription_id}/trials", status_code=202)
    def try_it(subscription_id: uuid.UUID, viewer: Reader) -> SubscriptionOut:
        """Send a message there now that says it is a trial."""
        with room.session() as session, session.begin():
            found = find(session, viewer, subscription_id)
            telling.put(session, found, Kind.TRIAL, {}, datetime.now(UTC))
            return SubscriptionOut.model_validate(found)

    @routes.get("/subscriptions/{subscription_id}/dispatches")
    def list_dispatches(
        subscription_id: uuid.UUID, viewer: Reader, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[DispatchOut]:
        """What became of what was to be sent there."""
        with room.session() as session:
            found = find(session, viewer, subscription_id)
            query = select(Dispatch).where(Dispatch.subscription == found.id)
            rows, following = page(session, query, [Dispatch.id], limit, cursor)
            return Page(items=[_shown(row) for row in rows], next=following)

    @routes.get("/summary")
    def read_summary(viewer: Watcher) -> dict[str, Any]:
        """What the summary of this day says so far, as it is sent when the day is over."""
        picture, now = room.picture(), datetime.now(UTC)
        with room.session() as session:
            day = summary.day_of(session, begin_of(now, room.settings.watch_summary_hour))
            return summary.told_of(session, day, now, room.wrong(picture))

    return routes


def _department_of(viewer: Viewer) -> str | None:
    return None if watches_all(viewer) else viewer.department


def _own(viewer: Viewer) -> Select[Subscription]:
    """Addresses that `viewer` looks after."""
    return select(Subscription).where(Subscription.department.is_not_distinct_from(_department_of(viewer)))


def _shown(one: Dispatch) -> DispatchOut:
    return DispatchOut(
        id=one.id,
        kind=Kind(one.kind),
        alerts=[int(alert["id"]) for alert in one.told.get("alerts", [])],
        attempts=one.attempts,
        next_at=one.next_at,
        delivered_at=one.delivered_at,
        failure=one.failure,
        created_at=one.created_at,
    )
