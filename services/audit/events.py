"""What the audit tells of itself in `audit.events`: reads by auditors, refusals, findings, alerts, commands.

Sealed like all else, so that whoever watches is watched.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.store import outbox
from services.audit.topics import EVENTS
from services.core.avro import Codec, Registry
from services.core.db import Event, emit

SOURCE = "/tongshu/audit"


class Publisher:
    """Writes the audit's events into its outbox, in the transaction of the session it is given."""

    def __init__(self, registry: Registry) -> None:
        self._events = Codec(registry, EVENTS.name)

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
        kind = f"cn.tongshu.audit.{event}.v1"
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
            outbox,
            Event(
                topic=EVENTS.name,
                key=subject,
                payload=self._events.encode(value),
                type=kind,
                source=SOURCE,
                subject=subject,
                thread=thread or subject,
                time=now,
            ),
        )
