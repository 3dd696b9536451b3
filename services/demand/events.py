"""What the demand side tells: `demand.grants` and `demand.matching` (state), `demand.events` (what happened).

The events of demands carry all that their states are made of, so that these can be built again from the events alone;
what somebody wrote (reasons, purposes) is in none of them. A draft is told of, never shown: it is not in
`demand.matching`, the list of supply and demand (供需对接清单).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from services.core.avro import Codec, Registry
from services.core.db import Event, emit
from services.core.kafka import Topic
from services.demand.demand_store import Demand
from services.demand.store import Grant, outbox

GRANTS = Topic("demand.grants", compacted=True)
EVENTS = Topic("demand.events")
USAGE = Topic("demand.usage", compacted=True)
MATCHING = Topic("demand.matching", compacted=True)
SOURCE = "/tongshu/demand"
_LINE = (
    "id", "thread", "kind", "title", "department", "supplier", "resource", "state", "path", "level", "grant", "clock",
    "due_on", "overdue", "submitted_at", "updated_at",
)  # fmt: skip


class Publisher:
    """Writes the demand side's events into its outbox."""

    def __init__(self, registry: Registry) -> None:
        self._grants, self._events = Codec(registry, GRANTS.name), Codec(registry, EVENTS.name)
        self._usage = Codec(registry, USAGE.name)
        self._matching = Codec(registry, MATCHING.name)

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

    def demand(
        self, session: Session, demand: Demand, event: str, actor: str, facts: Mapping[str, str] | None = None
    ) -> None:
        """What happened to a demand with all of its state, and its line of the matching list."""
        told = {
            "state": demand.state, "path": demand.path, "kind": demand.kind, "supplier": demand.supplier or "",
            "resource": demand.resource or "", "grant": demand.grant or "", "level": demand.level,
            "papers": demand.papers, "approvals": str(len(demand.approvals)), "needed": str(demand.needed),
            "returned": str(demand.returned).lower(), "ruled": str(demand.ruled).lower(),
            "interrupted": demand.interrupted or "", "revision": str(demand.revision),
        }  # fmt: skip
        self.happened(session, event, demand.id, demand.department, demand.thread, actor, {**told, **(facts or {})})
        self.matching(session, demand, event)

    def matching(self, session: Session, demand: Demand, event: str) -> None:
        """The line of the matching list of a demand; a draft has none."""
        if demand.submitted_at is None:
            return
        line = {name: getattr(demand, name) for name in _LINE}
        line["due_on"] = demand.due_on.isoformat() if demand.due_on else None
        self._emit(session, MATCHING, demand.id, self._matching.encode(line), event, demand.thread)

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
