"""A day of the exchange, from an hour of the place to the same hour of the next day, and what was carried in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from services.core.calendar import PLACE

DAY = timedelta(days=1)
_MINUTE_SECONDS = 60.0


def begin_of(moment: datetime, hour: int) -> datetime:
    """When the day began that `moment` is in."""
    local = moment.astimezone(PLACE)
    begin = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    return (begin if begin <= local else begin - DAY).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Carried:
    """What manifests tell, summed: deliveries (one a transaction and grant), records, how many deliveries have a
    latency and how many of these took longer than a minute.

    `counted_to` is the offset that is to be counted next; `gaps` is how often some were left out.
    """

    deliveries: int = 0
    records: int = 0
    timed: int = 0
    late: int = 0
    counted_to: int = 0
    gaps: int = 0

    def plus(self, offset: int, records: int, seconds: float | None) -> Carried:
        """With one more delivery; what was counted before is not counted again."""
        if offset < self.counted_to:
            return self
        return replace(
            self,
            deliveries=self.deliveries + 1,
            records=self.records + records,
            timed=self.timed + (seconds is not None),
            late=self.late + (seconds is not None and seconds > _MINUTE_SECONDS),
            counted_to=offset + 1,
        )

    def since(self, before: Carried) -> Carried:
        """What has come since."""
        return replace(
            self,
            deliveries=self.deliveries - before.deliveries,
            records=self.records - before.records,
            timed=self.timed - before.timed,
            late=self.late - before.late,
            gaps=self.gaps - before.gaps,
        )
