"""What follows from the counts, once a minute: use told back per resource, silent grants, old windows forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.demand import evaluation, store
from services.demand.domain.grant import State
from services.demand.domain.usage import is_silent
from services.demand.events import Publisher
from services.demand.norms import norm
from services.demand.tracking.counter import prune

log = structlog.get_logger()

_EVERY_SECONDS = 60.0
_BY = "tongshu"


class Overseer(threading.Thread):
    """Looks once a minute until the process ends."""

    def __init__(
        self,
        session: Callable[[], Session],
        publisher: Publisher,
        resource: Callable[[str], dict[str, Any] | None],
        every_seconds: float = _EVERY_SECONDS,
    ) -> None:
        """`resource` gives a resource in force, or None."""
        super().__init__(name="tracking overseer", daemon=True)
        self._session, self._publisher, self._resource = session, publisher, resource
        self._every_seconds = every_seconds

    def run(self) -> None:
        pause = threading.Event()
        while not pause.wait(self._every_seconds):
            try:
                self.look(datetime.now(UTC))
            except OperationalError as error:
                log.warning("what follows from the counts must wait", reason=str(error))

    def look(self, now: datetime) -> None:
        """Raises OperationalError; what is left, next time."""
        with self._session() as session, session.begin():
            tell_use(session, self._publisher, now)
        with self._session() as session, session.begin():
            self._listen(session, now)
        with self._session() as session, session.begin():
            evaluation.ask(session, self._publisher, now)
        with self._session() as session, session.begin():
            prune(session, now)

    def _listen(self, session: Session, now: datetime) -> None:
        """Note which grants have fallen silent, and which are heard again."""
        hours = norm(session, "silence")
        silent = {one.grant: one for one in session.scalars(select(store.Silence))}
        lasts = dict(session.execute(select(store.Delivered.grant, store.Delivered.last_at)).tuples().all())
        for grant in session.scalars(select(store.Grant).where(store.Grant.state == State.ACTIVE)):
            resource = self._resource(grant.resource)
            last = max(lasts.get(grant.id, grant.valid_from), grant.valid_from)
            quiet = resource is not None and is_silent(last, now, hours.hours(resource["update_cycle"]))
            if quiet and grant.id not in silent:
                session.add(store.Silence(grant=grant.id, since=last))
                self._tell(session, grant, "grant_silent", {"since": last.isoformat()})
            elif not quiet and grant.id in silent:
                session.delete(silent[grant.id])
                self._tell(session, grant, "grant_heard", {"silent_since": silent[grant.id].since.isoformat()})

    def _tell(self, session: Session, grant: store.Grant, event: str, facts: dict[str, str]) -> None:
        facts["resource"] = grant.resource
        self._publisher.happened(session, event, grant.id, grant.department, grant.thread, _BY, facts)


def tell_use(session: Session, publisher: Publisher, now: datetime) -> None:
    """Tell the use of every resource under which something was delivered since it was told last."""
    untold = select(store.Delivered.resource).where(store.Delivered.told_at.is_(None)).distinct()
    sums = (
        select(
            store.Delivered.resource,
            func.sum(store.Delivered.records),
            func.count(store.Delivered.department.distinct()),
            func.count(),
            func.max(store.Delivered.last_at),
        )
        .where(store.Delivered.resource.in_(untold))
        .group_by(store.Delivered.resource)
    )
    for resource, records, departments, grants, last in session.execute(sums).tuples().all():
        use = {
            "resource": resource, "records": int(records), "departments": departments, "grants": grants,
            "last_delivered_at": last, "counted_at": now,
        }  # fmt: skip
        publisher.use(session, use)
        session.execute(
            update(store.Delivered)
            .where(store.Delivered.resource == resource, store.Delivered.told_at.is_(None))
            .values(told_at=now)
        )
