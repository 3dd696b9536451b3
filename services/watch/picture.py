"""The exchange as the watch sees it at one time: what the API, the metrics and the alerts are made from."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.core.connect import Status as ConnectorStatus
from services.watch.domain.book import Partition, Standing
from services.watch.domain.day import Carried
from services.watch.domain.flow import Spread
from services.watch.domain.hops import Row
from services.watch.domain.lag import Status
from services.watch.domain.places import Place, Places


@dataclass(frozen=True, slots=True)
class GroupOnTopic:
    name: str
    status: Status
    records: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A topic; `records` are offsets between its beginnings and ends, at most as many records."""

    name: str
    place: Place
    partitions: int
    records: int
    produced_rate: float
    last_record_at: float | None
    groups: Sequence[GroupOnTopic]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One sample and what follows from it; `number` counts samples. Times in seconds."""

    number: int
    at: float
    complete: bool
    standings: Sequence[Standing]
    topics: Sequence[Topic]
    rows: Mapping[str, Sequence[Row]]
    latencies: Mapping[str, Spread | None]
    connectors: Mapping[str, ConnectorStatus]
    connect_reachable: bool
    last_committed: Mapping[str, float]
    places: Places
    carried: Carried = field(default_factory=Carried)
    """Since the watch has begun."""
    ends: Mapping[Partition, int] = field(default_factory=dict)


class Board:
    """Where the newest picture hangs; any thread may look."""

    def __init__(self) -> None:
        self._picture: Picture | None = None
        self._lock = threading.Lock()

    def hang(self, picture: Picture) -> None:
        with self._lock:
            self._picture = picture

    def picture(self) -> Picture | None:
        with self._lock:
            return self._picture
