"""What the watch tells in `watch.events`: what became of its alerts. Sealed like all else."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from services.core.avro import Codec, Registry
from services.core.db import Event, emit
from services.watch.store import Alert, outbox
from services.watch.topics import EVENTS

SOURCE = "/tongshu/watch"


class Publisher:
    """Writes events into the watch's outbox, in the transaction of the session it is given."""

    def __init__(self, registry: Registry) -> None:
        self._events = Codec(registry, EVENTS.name)

    def happened(self, session: Session, alert: Alert, event: str, *, actor: str) -> None:
        """`event` happened to `alert`, by `actor`."""
        now, subject = datetime.now(UTC), f"alert/{alert.id}"
        kind = f"cn.tongshu.watch.{event}.v1"
        facts = {"rule": alert.rule, "subject": alert.subject, "severity": alert.severity, "state": alert.state}
        value = {
            "type": kind, "subject": subject, "actor": actor, "department": alert.department or "",
            "thread": subject, "occurred_at": now, "data": facts | ({"owner": alert.owner} if alert.owner else {}),
        }  # fmt: skip
        emit(
            session,
            outbox,
            Event(
                topic=EVENTS.name, key=subject, payload=self._events.encode(value), type=kind, source=SOURCE,
                subject=subject, thread=subject, time=now,
            ),
        )  # fmt: skip
