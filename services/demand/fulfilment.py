"""What becomes of demands without anybody's step: grants follow approvals, states follow facts, clocks run out.

An approved demand gets its grant: the broker's state first, then the grant, in the transaction that says that it is
provisioned. It is delivering once the first manifest of its grant is seen. A grant that ended by itself, a resource
that was withdrawn or graded higher, an end that is reached, a clock that ran out: each leads to the step that the table
has. Looking twice, or at old news, changes nothing: every step is taken from where the demand stands.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from confluent_kafka import KafkaException, Message
from sqlalchemy import Select, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.demand import cases, granting, timekeeping
from services.demand import demand_store as store
from services.demand import store as grant_store
from services.demand.cases import Desk
from services.demand.demands import Demands
from services.demand.domain import clock as clocks
from services.demand.domain import demand_terms
from services.demand.domain import grant as grants
from services.demand.domain.demand import ENDED, GRANTED, Action, State
from services.demand.noticing import tell

log = structlog.get_logger()

_EVERY_SECONDS = 0.5
_CLOCKS_EVERY = timedelta(seconds=60)
_BATCH = 200


class Fulfilment(threading.Thread):
    """Looks whenever something was told, and twice a second for the time's sake, until the process ends."""

    def __init__(self, demands: Demands, desk: Desk) -> None:
        super().__init__(name="fulfilment", daemon=True)
        self._demands, self._desk = demands, desk
        self._told = threading.Event()
        self._changed: set[str] | None = None
        self._changing = threading.Lock()
        self._clocks_seen: datetime | None = None
        self._delivered: set[str] = set()
        self.failure: str | None = None
        self.failing: str | None = None

    def look_at_resource(self, code: str) -> None:
        """A resource has changed, or a step was taken that is about it: look now."""
        with self._changing:
            if self._changed is not None:
                self._changed.add(code)
        self._told.set()

    def run(self) -> None:
        while True:
            self._told.wait(_EVERY_SECONDS)
            self._told.clear()
            self.failing = None
            try:
                self.look(datetime.now(UTC))
            except (KafkaException, OperationalError) as error:
                log.warning("demands cannot be looked after just now", reason=str(error))
                self._told.wait(1.0)
            self.failure = self.failing
            if self.failure is not None:
                self._told.wait(1.0)

    def _each(self, demands: Iterable[str], do: Callable[[str], None]) -> None:
        """Do something for each demand; one at which it fails unforeseen is told of, and keeps no other waiting."""
        for demand_id in demands:
            try:
                do(demand_id)
            except (KafkaException, OperationalError):
                raise
            except Exception as failure:  # what failed for one demand must be seen, and must not stop the others
                self.failing = f"demand {demand_id}: {type(failure).__name__}"
                log.exception("a demand cannot be looked after", demand=demand_id)

    def look(self, now: datetime) -> None:
        """Do all that is due by `now`. Raises KafkaException and OperationalError; what is left, next time."""
        self._provision(now)
        self._follow_grants(now)
        self._follow_resources(now)
        self._follow_time(now)
        if self._clocks_seen is None or now - self._clocks_seen >= _CLOCKS_EVERY:
            self.look_at_clocks(now)
            self._clocks_seen = now

    # -- grants ------------------------------------------------------------------------------------------------------

    def _provision(self, now: datetime) -> None:
        query = select(store.Demand.id).where(store.Demand.state == State.APPROVED.value)
        self._each(self._some(query), lambda demand_id: self._open(demand_id, now))

    def _open(self, demand_id: str, now: datetime) -> None:
        with self._demands.session() as session, session.begin():
            demand = session.get_one(store.Demand, demand_id, with_for_update=True)
            if demand.state != State.APPROVED:
                return
            resource = self._desk.resources(demand.resource or "")
            if resource is None:
                return  # `_follow_resources` sees to it
            terms = cases.terms_of(demand)
            defects = demand_terms.grant_defects(terms, resource, now)
            if defects or demand_terms.is_higher(resource["grade"], demand.grade):
                why = "; ".join(f"{one.pointer}: {one.detail}" for one in defects) or "the resource was graded higher"
                cases.take_by_rule(self._desk, session, demand, Action.REOPEN, why, now)
                return
            by = demand.approvals[-1] if demand.approvals else cases.THE_RULE
            grant = granting.prepare(
                session, demand_terms.asked(terms, now), resource, thread=demand.thread, by=by, now=now
            )
            granting.provision(self._demands, grant)
            granting.keep(self._demands, session, grant)
            demand.grant = grant.id
            cases.take_by_rule(self._desk, session, demand, Action.PROVISION, "", now)
            if set(demand.channels) == {"api"}:
                # nothing is carried anywhere, so no manifest will tell: rows are there to be asked for
                cases.take_by_rule(self._desk, session, demand, Action.DELIVER, "", now)
        log.info("demand provisioned", demand=demand_id, grant=grant.id)

    def delivered(self, session: Session, batch: Sequence[Message]) -> Callable[[], None]:
        """Take in manifests of `sync.deliveries`, whose keys are grants: the first of a grant says that data flows."""
        new = {(message.key() or b"").decode() for message in batch} - self._delivered
        for grant_id in sorted(new):
            query = select(store.Demand).where(store.Demand.grant == grant_id).with_for_update()
            demand = session.scalars(query).one_or_none()
            if demand is not None:
                cases.take_by_rule(self._desk, session, demand, Action.DELIVER, "", datetime.now(UTC))
        return lambda: self._delivered.update(new)

    def _follow_grants(self, now: datetime) -> None:
        """A grant that is no longer in force takes its demand along."""
        query = (
            select(store.Demand.id)
            .join(grant_store.Grant, grant_store.Grant.id == store.Demand.grant)
            .where(store.Demand.state.in_(sorted(GRANTED)), grant_store.Grant.state != grants.State.ACTIVE)
        )
        self._each(self._some(query), lambda demand_id: self._follow_grant(demand_id, now))

    def _follow_grant(self, demand_id: str, now: datetime) -> None:
        with self._demands.session() as session, session.begin():
            demand = session.get_one(store.Demand, demand_id, with_for_update=True)
            grant = session.get_one(grant_store.Grant, demand.grant)
            if demand.state in GRANTED and grant.state != grants.State.ACTIVE:
                action = self._after_grant(demand, grant)
                cases.take_by_rule(self._desk, session, demand, action, f"its grant is {grant.state}", now)

    def _after_grant(self, demand: store.Demand, grant: grant_store.Grant) -> Action:
        if grant.state == grants.State.EXPIRED:
            return Action.LAPSE
        if grant.state == grants.State.REOPENED:
            return Action.REOPEN
        gone = self._desk.resources(demand.resource or "") is None
        return Action.LOSE if gone else Action.END

    # -- resources and time ------------------------------------------------------------------------------------------

    def _follow_resources(self, now: datetime) -> None:
        """A resource that is withdrawn or graded higher: what waits for it, or was decided for a lower grade."""
        with self._changing:
            changed, self._changed = self._changed, set()
        try:
            self._follow_changed(changed, now)
        except (KafkaException, OperationalError):
            with self._changing:
                self._changed = None
            raise

    def _follow_changed(self, changed: set[str] | None, now: datetime) -> None:
        """`changed` are codes of resources; None: any may have changed."""
        query = select(store.Demand).where(
            store.Demand.state.in_([State.IN_REVIEW.value, State.APPROVED.value]), store.Demand.resource.is_not(None)
        )
        if changed is not None:
            if not changed:
                return
            query = query.where(store.Demand.resource.in_(changed))
        with self._demands.session() as session:
            found = {one.id: one for one in session.scalars(query)}
        self._each(found, lambda demand_id: self._follow_resource(found[demand_id], now))

    def _follow_resource(self, one: store.Demand, now: datetime) -> None:
        resource = self._desk.resources(one.resource or "")
        if resource is None:
            self._step(one.id, Action.LOSE, "the resource is withdrawn", now)
        elif demand_terms.is_higher(resource["grade"], one.grade):
            self._step(one.id, Action.REOPEN, f"the resource is graded {resource['grade']}", now)

    def _follow_time(self, now: datetime) -> None:
        query = select(store.Demand.id).where(
            store.Demand.until <= now, store.Demand.state.not_in([*sorted(ENDED), State.DRAFT.value])
        )
        self._each(self._some(query), lambda demand_id: self._step(demand_id, Action.LAPSE, "its end is reached", now))

    def _step(self, demand_id: str, action: Action, why: str, now: datetime) -> None:
        with self._demands.session() as session, session.begin():
            demand = session.get_one(store.Demand, demand_id, with_for_update=True)
            cases.take_by_rule(self._desk, session, demand, action, why, now)

    def _some(self, query: Select[str]) -> Sequence[str]:
        with self._demands.session() as session:
            return session.scalars(query.limit(_BATCH)).all()

    # -- clocks ------------------------------------------------------------------------------------------------------

    def look_at_clocks(self, now: datetime) -> None:
        """Warn, tell breaches, urge; what expires by its clock, expires."""
        today = timekeeping.day_of(now)
        soon = today + timedelta(days=60)
        query = (
            select(store.DemandClock.id, store.DemandClock.demand)
            .where(store.DemandClock.closed_at.is_(None), store.DemandClock.due_on <= soon)
            .where(store.DemandClock.warned_on.is_(None) | (store.DemandClock.due_on < today))
            .where(store.DemandClock.urged != clocks.Urged.SUPERIOR)
            .order_by(store.DemandClock.due_on)
        )
        with self._demands.session() as session:
            found = [(clock, demand) for clock, demand in session.execute(query)]
        for clock, demand in found:
            self._each([demand], lambda demand_id, clock=clock: self._look_at(demand_id, clock, now))  # type: ignore[misc]

    def _look_at(self, demand_id: str, clock: uuid.UUID, now: datetime) -> None:
        with self._demands.session() as session, session.begin():
            # whoever takes a step locks the demand first, so this does, too
            demand = session.get_one(store.Demand, demand_id, with_for_update=True)
            row = session.get_one(store.DemandClock, clock, with_for_update=True)
            self._look_at_clock(session, demand, row, now)

    def _look_at_clock(self, session: Session, demand: store.Demand, row: store.DemandClock, now: datetime) -> None:
        facts = {"clock": row.clock, "due_on": row.due_on.isoformat() if row.due_on else ""}
        said = list(timekeeping.look(session, row, timekeeping.calendar(session), now))
        for kind, role in said:
            more = {**facts, "role": role}
            self._desk.publisher.happened(session, kind, demand.id, row.department, demand.thread, cases.THE_RULE, more)
            tell(session, demand, row.department, kind, now, role=role, facts=facts)
        if any(kind == "clock_breached" for kind, _ in said):
            if clocks.Clock(row.clock) in clocks.FATAL:
                cases.take_by_rule(self._desk, session, demand, Action.LAPSE, f"the clock {row.clock} ran out", now)
                return
            timekeeping.show(session, demand, now)
            self._desk.publisher.matching(session, demand, "clock_breached")
