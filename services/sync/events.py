"""What people do on the data road: told in `sync.events`, and what the relay is to do, in compacted topics."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from services.core.avro import Codec, Registry
from services.core.db import Event, emit
from services.core.kafka import Topic
from services.sync.store import Replay, outbox
from services.sync.topics import EVENTS, ORDERS, REPLAYS

SOURCE = "/tongshu/sync"


class Publisher:
    """Writes events and orders into the outbox, in the transaction of the session it is given."""

    def __init__(self, registry: Registry) -> None:
        self._events, self._orders = Codec(registry, EVENTS.name), Codec(registry, ORDERS.name)
        self._replays = Codec(registry, REPLAYS.name)

    def order(self, session: Session, order: Mapping[str, Any]) -> None:
        """What is to be done with a change that is set aside, in the fields of `sync.orders`."""
        key = f"{order['topic']}/{order['partition']}/{order['offset']}"
        self._emit(session, ORDERS, key, self._orders.encode(order), "order", str(order["resource"]))

    def replay(self, session: Session, one: Replay, event: str, actor: str) -> None:
        """What the relay is to deliver once more, and that `event` happened to it; one that has ended is no longer."""
        asked = {
            "id": one.id, "grant": one.grant, "resource": one.resource, "mode": one.mode, "since": one.since,
            "keys": [bytes.fromhex(key) for key in one.keys], "ghosts": one.ghosts, "read_to": one.read_to,
            "cancelled": one.state == "cancelling",
            "asked_by": one.asked_by, "asked_at": one.asked_at,
        }  # fmt: skip
        payload = None if one.ended_at is not None else self._replays.encode(asked)
        self._emit(session, REPLAYS, one.id, payload, event, one.thread)
        facts = {"replay": one.id, "mode": one.mode, "records": str(one.records), "keys": str(len(one.keys))}
        self.happened(session, event, one.grant, one.department, one.thread, actor, facts)

    def happened(
        self, session: Session, event: str, subject: str, department: str, thread: str, actor: str,
        facts: Mapping[str, str],
    ) -> None:  # fmt: skip
        """`event` happened to `subject`, which concerns `department` (empty: none)."""
        value: dict[str, Any] = {
            "type": f"cn.tongshu.sync.{event}.v1",
            "subject": subject,
            "actor": actor,
            "department": department,
            "thread": thread,
            "occurred_at": datetime.now(UTC),
            "data": dict(facts),
        }
        self._emit(session, EVENTS, subject, self._events.encode(value), event, thread)

    @staticmethod
    def _emit(session: Session, topic: Topic, key: str, payload: bytes | None, event: str, thread: str) -> None:
        told = Event(
            topic=topic.name, key=key, payload=payload, type=f"cn.tongshu.sync.{event}.v1", source=SOURCE,
            subject=key, thread=thread,
        )  # fmt: skip
        emit(session, outbox, told)
