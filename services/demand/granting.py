"""Opening a grant: the share topic and the right to read it first, so that nobody learns of a grant without them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.demand import divisions, store
from services.demand.broker import Broker
from services.demand.demands import Demands
from services.demand.domain import grant as domain
from services.demand.events import Publisher

_BY = "tongshu"


def prepare(
    session: Session, asked: domain.Asked, resource: Mapping[str, Any], *, thread: str, by: str, now: datetime
) -> store.Grant:
    """The grant of what is `asked` of `resource` (a value of `catalog.resources`), not yet known to anyone."""
    grant_id = uuid.uuid4().hex[:12]
    return store.Grant(
        id=grant_id,
        thread=thread,
        state=domain.State.ACTIVE,
        resource=resource["code"],
        contract_version=resource["contract_version"],
        department=asked.department,
        items=domain.granted_items(asked),
        row_filter=asked.row_filter,
        channels=list(asked.channels),
        table_target=dict(asked.table_target) if asked.table_target else None,
        api_key_digests=[],
        fill=0,
        divisions=divisions.codes(session, asked.row_filter),
        divisions_before=[],
        purpose=asked.purpose,
        valid_from=asked.valid_from,
        valid_to=asked.valid_to,
        topic=f"share.{asked.department}.{grant_id}",
        granted_by=by,
        updated_at=now,
    )


def provision(demands: Demands, grant: store.Grant) -> None:
    """Make the broker state of a grant that is not kept yet: the relay must find the topic when it learns of the grant.

    May be called again; raises KafkaException.
    """
    demands.broker.make_share_topic(grant.topic)
    if "topic" in grant.channels:
        demands.broker.open(grant.topic, grant.department)


def end(
    session: Session,
    publisher: Publisher,
    broker: Broker,
    grant: store.Grant,
    state: domain.State,
    why: str,
    now: datetime,
) -> bool:
    """End a grant that is locked in the session's transaction, by rule; False where it had ended already.

    Raises KafkaException.
    """
    if grant.state != domain.State.ACTIVE:
        return False
    # the broker first: were it the other way round, a crash in between would leave the topic open for good
    broker.close(grant.topic, grant.department)
    grant.state, grant.updated_at = state, now
    publisher.grant(session, grant, f"grant_{state}", _BY, why)
    return True


def keep(demands: Demands, session: Session, grant: store.Grant) -> None:
    """Keep a provisioned grant and tell the others of it, in the session's transaction."""
    session.add(grant)
    session.flush()
    resource = demands.resources.get(grant.resource)
    provider = str(resource["department"]) if resource else ""
    demands.publisher.grant(session, grant, "grant_opened", grant.granted_by, provider=provider)
