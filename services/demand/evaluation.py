"""Feedback as it is asked for, given and needed for a renewal."""

from __future__ import annotations

import uuid
from datetime import datetime
from hashlib import sha256

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.demand import store
from services.demand.domain import feedback as domain
from services.demand.domain.feedback import Given
from services.demand.domain.grant import State
from services.demand.events import Publisher
from services.demand.norms import norm
from services.demand.noticing import tell_of

_BY = "tongshu"


def give(
    session: Session, publisher: Publisher, grant: store.Grant, given: Given, by: str, now: datetime
) -> store.Feedback:
    """Keep feedback on a grant, for good; what was asked for is answered with it."""
    delivered = session.get(store.Delivered, grant.id)
    made = store.Feedback(
        id=uuid.uuid4(),
        grant=grant.id,
        resource=grant.resource,
        department=grant.department,
        score=given.score,
        reasons=sorted(given.reasons),
        effect=given.effect,
        comment=given.comment,
        records=delivered.records if delivered else 0,
        period_end=grant.valid_to,
        given_by=by,
        given_at=now,
    )
    session.add(made)
    asked = session.get(store.FeedbackRequest, grant.id)
    if asked is not None:
        session.delete(asked)
    facts = {
        "resource": grant.resource,
        "feedback": str(made.id),
        "score": str(given.score),
        "reasons": ",".join(made.reasons),
        "digest": sha256(f"{given.effect}\n{given.comment}".encode()).hexdigest(),
    }
    publisher.happened(session, "feedback_given", grant.id, grant.department, grant.thread, by, facts)
    return made


def ask(session: Session, publisher: Publisher, now: datetime) -> None:
    """Ask for feedback on the active grants for which it is time, once each."""
    asked = select(store.FeedbackRequest.grant)
    latest = (
        select(
            store.Feedback.grant,
            func.max(store.Feedback.given_at).label("at"),
            func.max(store.Feedback.records).label("records"),
        )
        .group_by(store.Feedback.grant)
        .subquery()
    )
    query = (
        select(store.Grant, store.Delivered, latest.c.at, latest.c.records)
        .join(store.Delivered, store.Delivered.grant == store.Grant.id)
        .outerjoin(latest, latest.c.grant == store.Grant.id)
        .where(store.Grant.state == State.ACTIVE, store.Grant.id.not_in(asked))
    )
    terms = norm(session, "feedback")
    for grant, delivered, given_at, given_records in session.execute(query).tuples().all():
        records, since = delivered.records - (given_records or 0), given_at or delivered.first_at
        if domain.is_due(records, since, now, terms):
            session.add(store.FeedbackRequest(grant=grant.id, asked_at=now, records=delivered.records))
            facts = {"resource": grant.resource, "records": str(records), "since": since.isoformat()}
            tell_of(session, grant.id, grant.resource, grant.department, "feedback_asked", now, {})
            publisher.happened(session, "feedback_asked", grant.id, grant.department, grant.thread, _BY, facts)


def may_renew(session: Session, grant: store.Grant) -> bool:
    """Whether feedback was given on the grant in its present validity."""
    periods = session.scalars(select(store.Feedback.period_end).where(store.Feedback.grant == grant.id))
    return domain.covers(periods, grant.valid_to)
