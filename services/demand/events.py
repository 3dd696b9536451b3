"""What the demand side tells the others: `demand.grants` (state) and `demand.events` (what happened)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from services.core.avro import Codec, Registry
from services.core.db import Event, emit
from services.core.kafka import Topic
from services.demand.store import Grant, outbox

GRANTS = Topic("demand.grants", compacted=True)
EVENTS = Topic("demand.events")
USAGE = Topic("demand.usage", compacted=True)
SOURCE = "/tongshu/demand"


class Publisher:
    """Writes the demand side's events into its outbox."""

    def __init__(self, registry: Registry) -> None:
        self._grants, self._events = Codec(registry, GRANTS.name), Codec(registry, EVENTS.name)
        self._usage = Codec(registry, USAGE.name)

    def grant(
        self, session: Session, grant: Grant, event: str, actor: str, reason: str = "", provider: str = ""
    ) -> None:
        """The full state of a grant, and the event that brought it about; `provider` is told where it is known."""
        state = {column.name: getattr(grant, column.name) for column in Grant.__table__.columns}
        self._emit(session, GRANTS, grant.id, self._grants.encode(state), event, grant.thread)
        facts = {"resource": grant.resource, "topic": grant.topic, "state": grant.state}
        facts["valid_from"] = grant.valid_from.isoformat()
        if reason:
            facts["reason"] = reason
        if provider:
            facts["provider"] = provider
        self.happened(session, event, grant.id, grant.department, grant.thread, actor, facts)

    def happened(
        self,
        session: Session,
        event: str,
        subject: str,
        department: str,
        thread: str,
        actor: str,
        facts: dict[str, str],
    ) -> None:
        value: dict[str, Any] = {
            "type": f"cn.tongshu.demand.{event}.v1",
            "subject": subject,
            "actor": actor,
            "department": department,
            "thread": thread,
            "occurred_at": datetime.now(UTC),
            "data": facts,
        }
        self._emit(session, EVENTS, subject, self._events.encode(value), event, thread)

    def use(self, session: Session, use: dict[str, Any]) -> None:
        """How much a resource is used, in the fields of `demand.usage`; it belongs to no thread but the resource's."""
        resource = str(use["resource"])
        self._emit(session, USAGE, resource, self._usage.encode(use), "use_counted", resource)

    @staticmethod
    def _emit(session: Session, topic: Topic, key: str, payload: bytes, event: str, thread: str) -> None:
        emit(
            session,
            outbox,
            Event(
                topic=topic.name,
                key=key,
                payload=payload,
                type=f"cn.tongshu.demand.{event}.v1",
                source=SOURCE,
                subject=key,
                thread=thread,
            ),
        )
