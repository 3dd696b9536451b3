"""What the catalogue tells the others: `catalog.resources` (state) and `catalog.events` (what happened)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from services.catalog.store import Resource, outbox
from services.core.avro import Codec, Registry
from services.core.db import Event, emit
from services.core.kafka import Topic

RESOURCES = Topic("catalog.resources", compacted=True)
EVENTS = Topic("catalog.events")
SOURCE = "/tongshu/catalog"


class Publisher:
    """Writes the catalogue's events into its outbox."""

    def __init__(self, registry: Registry) -> None:
        self._resources, self._events = Codec(registry, RESOURCES.name), Codec(registry, EVENTS.name)

    def resource(self, session: Session, resource: Resource, department_uscc: str, event: str, actor: str) -> None:
        """The full state of a published resource, and the event that brought it about."""
        now = datetime.now(UTC)
        state = {
            "code": resource.code,
            "title": resource.title,
            "abstract": resource.abstract,
            "department": resource.department,
            "department_uscc": department_uscc,
            "version": resource.version,
            "contract_version": resource.contract_version,
            "sharing_type": resource.sharing_type,
            "sharing_conditions": resource.sharing_conditions,
            "legal_basis": resource.legal_basis,
            "grade": resource.grade,
            "update_cycle": resource.update_cycle,
            "items": resource.items,
            "mount": resource.mount,
            "updated_at": now,
        }
        self._emit(session, RESOURCES, resource.code, self._resources.encode(state), event, now)
        facts = {"version": str(resource.version), "mount": json.dumps(resource.mount, sort_keys=True)}
        self.happened(session, event, resource.code, resource.department, actor, facts)

    def happened(
        self, session: Session, event: str, subject: str, department: str, actor: str, facts: dict[str, str]
    ) -> None:
        now = datetime.now(UTC)
        value: dict[str, Any] = {
            "type": f"cn.tongshu.catalog.{event}.v1",
            "subject": subject,
            "actor": actor,
            "department": department,
            "thread": subject,
            "occurred_at": now,
            "data": facts,
        }
        self._emit(session, EVENTS, subject, self._events.encode(value), event, now)

    @staticmethod
    def _emit(session: Session, topic: Topic, key: str, payload: bytes, event: str, now: datetime) -> None:
        emit(
            session,
            outbox,
            Event(
                topic=topic.name,
                key=key,
                payload=payload,
                type=f"cn.tongshu.catalog.{event}.v1",
                source=SOURCE,
                subject=key,
                thread=key,
                time=now,
            ),
        )
