"""What the catalogue tells the others: the state of resources and of API tokens, and what happened.

`catalog.resources` (compacted) holds every resource in force, in full; a withdrawn one is a tombstone.
`catalog.lists` (compacted) holds every line of the power, service item and data lists, `catalog.code_lists` (compacted)
the codes of every code list, `catalog.identities` (compacted) who may call the APIs. `catalog.events` tells every step;
what it says of a register (departments, systems, categories) is enough to build that register again. What is not
published is in none of them: an event of a draft says that there is one, never what it says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from services.catalog.domain.resource import PublishedResource
from services.catalog.store import DataItem, Power, ServiceItem, Token, outbox
from services.core.avro import Codec, Registry
from services.core.db import Event, emit
from services.core.kafka import Topic

RESOURCES = Topic("catalog.resources", compacted=True)
IDENTITIES = Topic("catalog.identities", compacted=True)
LISTS = Topic("catalog.lists", compacted=True)
CODE_LISTS = Topic("catalog.code_lists", compacted=True)
EVENTS = Topic("catalog.events")
SOURCE = "/tongshu/catalog"


class Publisher:
    """Writes the catalogue's events into its outbox, in the transaction of the session it is given."""

    def __init__(self, registry: Registry) -> None:
        self._resources, self._events = Codec(registry, RESOURCES.name), Codec(registry, EVENTS.name)
        self._identities, self._lists = Codec(registry, IDENTITIES.name), Codec(registry, LISTS.name)
        self._code_lists = Codec(registry, CODE_LISTS.name)

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

    def code_list(self, session: Session, name: str, codes: Collection[str]) -> None:
        """The codes of a list, as rules check them."""
        state = {"name": name, "codes": sorted(codes), "told_at": datetime.now(UTC)}
        self._emit(session, CODE_LISTS, name, self._code_lists.encode(state), "code_list")

    def identity_gone(self, session: Session, token_id: str, event: str) -> None:
        """The token opens nothing any more, and nobody has to remember it."""
        self._emit(session, IDENTITIES, token_id, None, event)

    def lines(self, session: Session, lines: Sequence[Power | ServiceItem | DataItem], event: str) -> None:
        """The state of lines of the lists, as they are now."""
        states = [_line(line) for line in lines]
        emit(
            session,
            outbox,
            *(
                self._event(LISTS, f"{state['list']}/{state['code']}", self._lists.encode(state), event)
                for state in states
            ),
        )

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

    def _emit(self, session: Session, topic: Topic, key: str, payload: bytes | None, event: str) -> None:
        emit(session, outbox, self._event(topic, key, payload, event))

    @staticmethod
    def _event(topic: Topic, key: str, payload: bytes | None, event: str) -> Event:
        return Event(
            topic=topic.name,
            key=key,
            payload=payload,
            type=f"cn.tongshu.catalog.{event}.v1",
            source=SOURCE,
            subject=key,
            thread=key,
        )


def _line(line: Power | ServiceItem | DataItem) -> dict[str, Any]:
    """The value of `catalog.lists` for a line (schemas/avro/catalog.lists.avsc)."""
    state: dict[str, Any] = {"code": line.code, "department": line.department, "name": line.name}
    match line:
        case Power():
            return {**state, "list": "powers", "power_kind": line.kind, "legal_basis": line.legal_basis}
        case ServiceItem():
            return {**state, "list": "service_items", "power": line.power}
        case DataItem():
            exception = {"exception": line.exception, "exception_by": line.exception_by}
            return {**state, "list": "data_items", "service_item": line.service_item, "use": line.use, **exception}
