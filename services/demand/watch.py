"""The watch over grants: what a grant stands on may end without anybody who revokes it.

Looked at whenever the catalogue tells something, and twice a second for the clock's sake: two seconds after its time is
over, or its resource is withdrawn or graded higher, nothing can be read under a grant any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from confluent_kafka import KafkaException
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.demand import granting, store
from services.demand.broker import Broker
from services.demand.domain.grant import State, ending
from services.demand.events import Publisher

log = structlog.get_logger()

_EVERY_SECONDS = 0.5


def ended(watches: Sequence[threading.Thread]) -> str | None:
    """Which of these have ended, though they work until the process ends; None when none has."""
    names = [one.name for one in watches if not one.is_alive()]
    return f"{', '.join(names)} ended: see the log" if names else None


class GrantWatch(threading.Thread):
    """Ends grants that stand on nothing any more, until the process ends."""

    def __init__(
        self,
        session: Callable[[], Session],
        publisher: Publisher,
        broker: Broker,
        resource: Callable[[str], dict[str, Any] | None],
        told: threading.Event,
    ) -> None:
        """`resource` gives a resource in force, or None; `told` is set when one of them has changed."""
        super().__init__(name="grant watch", daemon=True)
        self._session, self._publisher, self._broker = session, publisher, broker
        self._resource, self._told = resource, told

    def run(self) -> None:
        while True:
            self._told.wait(_EVERY_SECONDS)
            self._told.clear()
            try:
                self.look(datetime.now(UTC))
            except (KafkaException, OperationalError) as error:
                log.warning("grants cannot be looked after just now", reason=str(error))
                self._told.wait(1.0)

    def look(self, now: datetime) -> None:
        """End what has ended by `now`. Raises KafkaException and OperationalError; what is left, next time."""
        with self._session() as session:
            active = session.scalars(select(store.Grant).where(store.Grant.state == State.ACTIVE)).all()
        for grant in active:
            end = ending(grant.valid_to, grant.updated_at, self._resource(grant.resource), now)
            if end is not None:
                self._end(grant.id, *end, now)

    def _end(self, grant_id: str, state: State, why: str, now: datetime) -> None:
        with self._session() as session, session.begin():
            grant = session.get_one(store.Grant, grant_id, with_for_update=True)
            if not granting.end(session, self._publisher, self._broker, grant, state, why, now):
                return
        log.info("grant ended", grant=grant_id, state=state, reason=why)
