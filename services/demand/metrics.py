"""How the clocks of demands stand, asked of the database at every scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.core.calendar import PLACE
from services.demand import demand_store as store
from services.demand.domain.clock import Clock

log = structlog.get_logger()


class OpenClocks(Collector):
    """`tongshu_demand_clocks{clock, state}`: open clocks, by whether they are warned of or have run out."""

    def __init__(self, session: Callable[[], Session]) -> None:
        self._session = session

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield _family()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        clock = store.DemandClock
        today = datetime.now(UTC).astimezone(PLACE).date()
        overdue = func.count().filter(clock.due_on < today)
        warned = func.count().filter(clock.warned_on.is_not(None), clock.due_on >= today)
        query = select(clock.clock, func.count(), warned, overdue).where(clock.closed_at.is_(None))
        try:
            with self._session() as session:
                rows = session.execute(query.group_by(clock.clock)).all()
        except SQLAlchemyError as error:
            log.warning("the clocks cannot be counted just now", reason=type(error).__name__)
            return
        found = {name: (total, soon, over) for name, total, soon, over in rows}
        family = _family()
        for one in Clock:
            total, soon, over = found.get(one.value, (0, 0, 0))
            for state, count in (("running", total - soon - over), ("warned", soon), ("overdue", over)):
                family.add_metric((one.value, state), count)
        yield family


def _family() -> GaugeMetricFamily:
    return GaugeMetricFamily("tongshu_demand_clocks", "Open clocks of demands.", labels=("clock", "state"))
