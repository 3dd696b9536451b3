"""What was, kept within bounds: curves that get coarser with age, and when the end of a partition was where."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from itertools import islice

KEPT_SECONDS = 7_200.0
FINE_SECONDS = 600.0
COARSE_SECONDS = 20.0
_ENDS = 240


@dataclass(frozen=True, slots=True)
class Point:
    """A group at a time: records and seconds it is behind, and the sums of its committed offsets and of the ends."""

    at: float
    records: int
    seconds: float
    committed: int
    produced: int


class Curve:
    """The points of a group over two hours: all of the last ten minutes, before that one each twenty seconds.

    Where points are left out, the worst is kept, so that a peak is seen however far back it lies.
    """

    def __init__(self) -> None:
        self._fine: deque[Point] = deque()
        self._coarse: deque[Point] = deque()

    def append(self, point: Point) -> None:
        """The newest point; times only grow."""
        self._fine.append(point)
        while self._fine[0].at < point.at - FINE_SECONDS:
            self._thin(self._fine.popleft())
        while self._coarse and self._coarse[0].at < point.at - KEPT_SECONDS:
            self._coarse.popleft()

    def points(self, since: float = 0.0) -> list[Point]:
        """Oldest first, from the time `since` on."""
        return [one for one in (*self._coarse, *self._fine) if one.at >= since]

    def _thin(self, point: Point) -> None:
        if self._coarse and self._coarse[-1].at // COARSE_SECONDS == point.at // COARSE_SECONDS:
            if (point.records, point.seconds) <= (self._coarse[-1].records, self._coarse[-1].seconds):
                return
            self._coarse.pop()
        self._coarse.append(point)


class Ends:
    """When the last stable offset of a partition was where: by it, the age of an offset can be told without reading."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._ends: list[int] = []

    def append(self, at: float, end: int) -> None:
        """The partition ended at `end` at the time `at`; times only grow."""
        if self._ends and self._ends[-1] == end and len(self._ends) > 1 and self._ends[-2] == end:
            self._times[-1] = at
            return
        if self._ends and end < self._ends[-1]:
            # the topic was made anew
            self._times, self._ends = [], []
        self._times.append(at)
        self._ends.append(end)
        if len(self._ends) > _ENDS:
            # every other one, but the newest: what is long ago need not be known so well
            self._times = [*islice(self._times, 0, _ENDS // 2, 2), *self._times[_ENDS // 2 :]]
            self._ends = [*islice(self._ends, 0, _ENDS // 2, 2), *self._ends[_ENDS // 2 :]]

    def came_at(self, offset: int) -> float | None:
        """About when `offset` was written: between the looks before and after. None where it was not there yet.

        Of what was there at the first look already, the time of that look: it is older.
        """
        after = bisect_right(self._ends, offset)
        if after == len(self._ends):
            return None
        if after == 0:
            return self._times[0]
        behind = (offset - self._ends[after - 1]) / (self._ends[after] - self._ends[after - 1])
        return self._times[after - 1] + behind * (self._times[after] - self._times[after - 1])
