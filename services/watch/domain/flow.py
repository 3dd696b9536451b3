"""What flows over a hop of the road: how much of late, and how long it took."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histogram's buckets, in seconds; above the last there is one more."""
LATENCY_SECONDS = 600.0
RATE_SECONDS = 60.0
_STEP = 10.0


class Meter:
    """Counts over the last minute, in steps of ten seconds."""

    def __init__(self) -> None:
        self._steps: deque[list[float]] = deque()

    def add(self, at: float, count: int) -> None:
        """`count` more at the time `at` (seconds), which may lie a little before the newest."""
        step = at // _STEP * _STEP
        if self._steps and step <= self._steps[-1][0]:
            self._steps[-1][1] += count
        else:
            self._steps.append([step, count])

    def rate(self, now: float) -> float:
        """A second, over the last minute."""
        while self._steps and self._steps[0][0] + _STEP <= now - RATE_SECONDS:
            self._steps.popleft()
        return sum(count for _, count in self._steps) / RATE_SECONDS


@dataclass(frozen=True, slots=True)
class Spread:
    """Latencies of the last ten minutes, in seconds; `buckets` are cumulative counts up to `BOUNDS`, and of all."""

    p50: float
    p95: float
    max: float
    count: int
    buckets: Sequence[int]


class Latencies:
    """Latencies of the last ten minutes, in a histogram a minute."""

    def __init__(self) -> None:
        self._minutes: deque[tuple[float, list[int], list[float]]] = deque()

    def add(self, at: float, seconds: float) -> None:
        """One that took `seconds` and was over at the time `at`."""
        minute = at // 60 * 60
        if not self._minutes or minute > self._minutes[-1][0]:
            self._minutes.append((minute, [0] * (len(BOUNDS) + 1), [0.0]))
        _, counts, highest = self._minutes[-1]
        counts[next((place for place, bound in enumerate(BOUNDS) if seconds <= bound), len(BOUNDS))] += 1
        highest[0] = max(highest[0], seconds)

    def spread(self, now: float) -> Spread | None:
        """None where there was none in the last ten minutes."""
        while self._minutes and self._minutes[0][0] + 60 <= now - LATENCY_SECONDS:
            self._minutes.popleft()
        counts = [sum(column) for column in zip(*(one for _, one, _ in self._minutes), strict=True)]
        total = sum(counts)
        if not total:
            return None
        highest = max(one[0] for _, _, one in self._minutes)
        cumulative = [sum(counts[: place + 1]) for place in range(len(counts))]
        return Spread(_quantile(0.5, counts, highest), _quantile(0.95, counts, highest), highest, total, cumulative)


def _quantile(part: float, counts: Sequence[int], highest: float) -> float:
    """Within its bucket a quantile is taken to lie evenly, as Prometheus does (`histogram_quantile`)."""
    wanted, passed = part * sum(counts), 0
    for place, count in enumerate(counts):
        if count and passed + count >= wanted:
            low = BOUNDS[place - 1] if place else 0.0
            high = min(BOUNDS[place], highest) if place < len(BOUNDS) else highest
            return min(highest, low + (max(high, low) - low) * (wanted - passed) / count)
        passed += count
    return highest
