"""Lanes: who is new gets what exists first, read from the change topic beside the live stream.

Lanes that stand at one place of one partition read it together, a slice between two live batches; how far they have
come commits with the records it tells of.
"""

from __future__ import annotations

from collections.abc import Iterable

from services.core.settings import Settings
from services.sync.relay.changes import Audience, Stretch
from services.sync.relay.client import BUSY, backlog
from services.sync.relay.delivery import Delivery
from services.sync.relay.standing import Lane, Standing
from services.sync.relay.transaction import Filling

_LIVE_OVER_LANES = 9
"""While the live stream is busy, it is worked at for so many times as long as lanes are."""


class Turns:
    """When lanes have their turn: after each live batch, but while the stream is busy only for a tenth of the time."""

    def __init__(self) -> None:
        self._owed = 0.0
        """For how long the live stream is to be worked at before, in seconds."""

    def is_lanes(self, changes: int, seconds: float) -> bool:
        """After a live batch of so many changes, which took so long."""
        self._owed = self._owed - seconds if changes >= BUSY else 0.0
        return self._owed <= 0

    def was_lanes(self, seconds: float) -> None:
        """It took so long."""
        self._owed = seconds * _LIVE_OVER_LANES


class Lanes:
    """Reads what lanes have to read and projects it."""

    def __init__(self, settings: Settings, isolation: str, standing: Standing, delivery: Delivery) -> None:
        """`isolation` is how change topics are read."""
        self._standing, self._delivery = standing, delivery
        self._backlog = backlog(settings, "sync.catch-up", committed=isolation == "read_committed")

    def take(self, lanes: Iterable[Lane]) -> tuple[Stretch | None, list[Lane]]:
        """The next changes for those of `lanes` that stand at one place of one partition, up to its live position."""
        waiting = list(lanes)
        if not waiting:
            return None, []
        lane, end = waiting[0], self._standing.live[waiting[0].partition]
        place = (lane.partition, lane.cursor, lane.replay)
        together = [one for one in waiting if (one.partition, one.cursor, one.replay) == place]
        slice_ = self._standing.stretch(lane.partition, lane.cursor)
        if lane.cursor < end:
            self._backlog.fill(slice_, end)
        if slice_.values:
            return slice_, together
        for one in together:  # past what does not count, if anything
            one.cursor = slice_.end
        return None, together

    def relay(self, slice_: Stretch, lanes: list[Lane], tx: Filling) -> None:
        """Fill `tx` with what the grants of `lanes` see of a slice."""
        route = self._standing.routes.get(slice_.where[0])
        if route is not None:
            catching_up = {lane.grant for lane in lanes}
            grants = [grant for grant in route.live(tx.now) if grant["id"] in catching_up]
            self._delivery.relay(slice_, Audience(route, grants, True, bool(lanes[0].replay)), tx)

    def rest(self) -> None:
        """Nothing is to be read for now."""
        self._backlog.rest()
