"""Keeps what follows from administrative divisions: grants by division, and orders that return rows to lower levels."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import date, datetime

import structlog
from confluent_kafka import KafkaException
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.core.calendar import today
from services.core.divisions import Divisions
from services.demand import demand_store, divisions, granting, store
from services.demand.demands import Demands, now
from services.demand.domain import grant as grants
from services.demand.domain.local_return import Order, owed, row_filter

log = structlog.get_logger()

_EVERY_SECONDS = 0.5
_ENDED = "its return order has ended, or its division has"
_EVENTS = "catalog.events"


def order_of(row: store.ReturnOrder) -> Order:
    return Order(item=row.item, level=row.level, departments=row.departments)


def seats(session: Session) -> dict[str, str | None]:
    """The division of each department; None where it is registered in none."""
    return {one.slug: one.division for one in session.scalars(select(demand_store.DepartmentName))}


def asked(row: store.ReturnOrder, department: str, division: str) -> grants.Asked:
    """The grant by which an order serves a department."""
    return grants.Asked(
        department=department, items=row.items, masks=row.masks, row_filter=row_filter(order_of(row), division),
        purpose=row.purpose, valid_from=now(), valid_to=None, channels=row.channels,
    )  # fmt: skip


class DivisionWatch(threading.Thread):
    """Looks after them when the catalogue's registers, the orders or the day have changed, until the process ends."""

    def __init__(self, demands: Demands) -> None:
        super().__init__(name="division watch", daemon=True)
        self._demands = demands
        self._seen: tuple[date, int, int] | None = None
        self._pause = threading.Event()

    def run(self) -> None:
        while True:
            try:
                with self._demands.session() as session:
                    stand = self._stand(session)
                if stand != self._seen:
                    self.look()
                    self._seen = stand
                self._pause.wait(_EVERY_SECONDS)
            except (KafkaException, OperationalError) as error:
                log.warning("divisions cannot be looked after just now", reason=str(error))
                self._pause.wait(2.0)

    def look(self) -> None:
        """Bring grants and orders up to date. Raises KafkaException and OperationalError; what is left, next time."""
        with self._demands.session() as session, session.begin():
            there, seated = divisions.known(session), seats(session)
            divisions.regroup(session, self._demands.publisher, there, now())
            orders = session.scalars(select(store.ReturnOrder.id).order_by(store.ReturnOrder.ordered_at)).all()
        for order in orders:
            self._serve(order, there, seated)

    def _serve(self, order_id: str, there: Divisions, seated: Mapping[str, str | None]) -> None:
        with self._demands.session() as session, session.begin():
            row = session.get_one(store.ReturnOrder, order_id, with_for_update=True)
            resource = self._demands.resources.get(row.resource)
            wanted: dict[str, str] = {}
            if row.ended_at is None and resource is not None:
                wanted = owed(order_of(row), row.provider, seated, there, today())
            served = {
                (one.department, one.division): one
                for one in session.scalars(select(store.Returned).where(store.Returned.order == order_id))
            }
            for place, one in served.items():
                if wanted.get(place[0]) != place[1]:
                    grant = session.get_one(store.Grant, one.grant, with_for_update=True)
                    granting.end(
                        session,
                        self._demands.publisher,
                        self._demands.broker,
                        grant,
                        grants.State.REVOKED,
                        _ENDED,
                        now(),
                    )
            for department, division in wanted.items():
                # one that its provider revoked stays revoked, so what was opened once is not opened again
                if resource is None or (department, division) in served:
                    continue
                terms = asked(row, department, division)
                if found := grants.defects(terms, resource):
                    log.warning("rows cannot be returned", order=order_id, department=department, why=str(found[0]))
                    continue
                grant = granting.prepare(session, terms, resource, thread=order_id, by=row.ordered_by, now=now())
                granting.provision(self._demands, grant)
                granting.keep(self._demands, session, grant)
                session.add(store.Returned(order=order_id, department=department, division=division, grant=grant.id))

    @staticmethod
    def _stand(session: Session) -> tuple[date, int, int]:
        """Changes with the day, with what the catalogue has told, and with the orders."""
        positions = demand_store.positions.c
        told = session.scalar(select(func.sum(positions.following)).where(positions.topic == _EVENTS))
        orders = select(func.count() + func.count(store.ReturnOrder.ended_at)).select_from(store.ReturnOrder)
        return today(), int(told or 0), int(session.scalar(orders) or 0)


def end(session: Session, demands: Demands, row: store.ReturnOrder, by: str, reason: str, at: datetime) -> None:
    """End an order; its grants end with it."""
    row.ended_at = at
    facts = {"resource": row.resource, "reason": reason}
    demands.publisher.happened(session, "return_ended", row.id, row.provider, row.id, by, facts)
