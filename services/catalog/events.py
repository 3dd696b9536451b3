"""What the catalogue tells the others: the state of resources and of API tokens, and what happened.

`catalog.resources` (compacted) holds every resource in force, in full; a withdrawn one is a tombstone.
`catalog.identities` (compacted) holds who may call the APIs. `catalog.events` tells every step; what it says of a
register (departments, systems, categories) is enough to build that register again. What is not published is in none of
them: an event of a draft says that there is one, never what it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from services.catalog.domain.resource import PublishedResource
from services.catalog.store import Token, outbox
from services.core.avro import Codec, Registry
from services.core.db import Event, emit
from services.core.kafka import Topic

RESOURCES = Topic("catalog.resources", compacted=True)
IDENTITIES = Topic("catalog.identities", compacted=True)
EVENTS = Topic("catalog.events")
SOURCE = "/tongshu/catalog"


class Publisher:
    """Writes the catalogue's events into its outbox, in the transaction of the session it is given."""

    def __init__(self, registry: Registry) -> None:
        self._resources, self._events = Codec(registry, RESOURCES.name), Codec(registry, EVENTS.name)
        self._identities = Codec(registry, IDENTITIES.name)

    def resource(self, session: Session, resource: PublishedResource, event: str) -> None:
        """The full state of a resource that is in force."""
        self._emit(session, RESOURCES, resource.code, self._resources.encode(resource.record()), event)

    def resource_gone(self, session: Session, code: str, event: str) -> None:
        """The resource is no longer in force: nobody may use it."""
        self._emit(session, RESOURCES, code, None, event)

    def identity(self, session: Session, token: Token, event: str) -> None:
        """Who holds a token and what that may do; never the token."""
        state = {
            "id": token.id,
            "digest": token.digest,
            "name": token.name,
            "department": token.department,
            "roles": list(token.roles),
            "expires_at": token.expires_at,
            "revoked": token.revoked_at is not None,
        }
        self._emit(session, IDENTITIES, token.id, self._identities.encode(state), event)

    def happened(
        self, session: Session, event: str, subject: str, department: str, actor: str, facts: Mapping[str, str]
    ) -> None:
        """`event` happened to `subject`, which concerns `department` (empty: none); `facts` hold no personal data."""
        value: dict[str, Any] = {
            "type": f"cn.tongshu.catalog.{event}.v1",
            "subject": subject,
            "actor": actor,
            "department": department,
            "thread": subject,
            "occurred_at": datetime.now(UTC),
            "data": dict(facts),
        }
        self._emit(session, EVENTS, subject, self._events.encode(value), event)

    @staticmethod
    def _emit(session: Session, topic: Topic, key: str, payload: bytes | None, event: str) -> None:
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
            ),
        )
