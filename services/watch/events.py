"""What the watch tells in `watch.events`: what became of its alerts, and where they are sent. Sealed like all else."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from services.core.avro import Codec, Registry
from services.core.db import Event, emit
from services.watch.store import Alert, Subscription, outbox
from services.watch.topics import EVENTS

SOURCE = "/tongshu/watch"


class Publisher:
    """Writes events into the watch's outbox, in the transaction of the session it is given."""

    def __init__(self, registry: Registry) -> None:
        self._events = Codec(registry, EVENTS.name)

    def happened(self, session: Session, alert: Alert, event: str, *, actor: str) -> None:
        """`event` happened to `alert`, by `actor`."""
        facts = {"rule": alert.rule, "subject": alert.subject, "severity": alert.severity, "state": alert.state}
        owned = {"owner": alert.owner} if alert.owner else {}
        self._tell(session, event, f"alert/{alert.id}", alert.department, facts | owned, actor)

    def subscription(self, session: Session, one: Subscription, event: str, *, actor: str) -> None:
        """`event` happened to an address that alerts are sent to, by `actor`; the address itself is not told."""
        facts = {"kind": one.kind, "daily": str(one.daily).lower()}
        self._tell(session, event, f"subscription/{one.id}", one.department, facts, actor)

    def _tell(
        self, session: Session, event: str, subject: str, department: str | None, facts: dict[str, str], actor: str
    ) -> None:
        now, kind = datetime.now(UTC), f"cn.tongshu.watch.{event}.v1"
        value = {
            "type": kind, "subject": subject, "actor": actor, "department": department or "", "thread": subject,
            "occurred_at": now, "data": facts,
        }  # fmt: skip
        emit(
            session,
            outbox,
            Event(
                topic=EVENTS.name, key=subject, payload=self._events.encode(value), type=kind, source=SOURCE,
                subject=subject, thread=subject, time=now,
            ),
        )  # fmt: skip
