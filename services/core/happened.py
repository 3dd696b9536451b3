"""What happened, for services whose events have one shape: type, subject, actor, department, thread, time and facts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table
from sqlalchemy.orm import Session

from services.core.avro import Codec, Registry
from services.core.db import Event, emit
from services.core.kafka import Topic


class EventWriter:
    """Writes the events of `service` for `topic` into its outbox, in the transaction of the session it is given."""

    def __init__(self, registry: Registry, service: str, topic: Topic, outbox: Table) -> None:
        self._codec = Codec(registry, topic.name)
        self._service, self._topic, self._outbox = service, topic, outbox

    def happened(
        self,
        session: Session,
        event: str,
        subject: str,
        *,
        actor: str,
        department: str = "",
        thread: str = "",
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """`event` happened to `subject`; `facts` hold no personal data."""
        now = datetime.now(UTC)
        kind = f"cn.tongshu.{self._service}.{event}.v1"
        value: dict[str, Any] = {
            "type": kind,
            "subject": subject,
            "actor": actor,
            "department": department,
            "thread": thread or subject,
            "occurred_at": now,
            "data": dict(facts or {}),
        }
        emit(
            session,
            self._outbox,
            Event(
                topic=self._topic.name,
                key=subject,
                payload=self._codec.encode(value),
                type=kind,
                source=f"/tongshu/{self._service}",
                subject=subject,
                thread=thread or subject,
                time=now,
            ),
        )
