"""The book of lag: looks at the broker go in, and how every group does comes out.

It remembers what judging needs: for each group and partition the samples of a window, for each partition when its end
was where, and for each group its curve.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from services.watch.domain.history import KEPT_SECONDS, Curve, Ends, Point
from services.watch.domain.lag import GroupLag, PartitionLag, Rules, Sample, estimate, judge, of_group

T = TypeVar("T")

Partition = tuple[str, int]
"""Topic and number."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group: its state and protocol in the broker's words, and which client reads which partition."""

    name: str
    state: str
    kind: str
    members: int
    readers: Mapping[Partition, str] = field(default_factory=dict)
    committed: Mapping[Partition, int] = field(default_factory=dict)

    def partitions(self) -> list[Partition]:
        """Those it has committed in, and those of the same topics that its members hold.

        A group that has committed nowhere has all that its members hold; one that has may hold a topic for another
        reason than to read it.
        """
        topics = {topic for topic, _ in self.committed}
        held = {where for where in self.readers if not topics or where[0] in topics}
        return sorted(self.committed.keys() | held)


@dataclass(frozen=True, slots=True)
class Look:
    """The broker at the time `at` (seconds); `ends` are last stable offsets."""

    at: float
    groups: Sequence[Group]
    begins: Mapping[Partition, int]
    ends: Mapping[Partition, int]
    leaderless: frozenset[Partition] = frozenset()

    def places(self) -> Iterator[tuple[Partition, int]]:
        """Where groups stand before the end of a partition: what comes there first is what they have to read next."""
        for group in self.groups:
            for where in group.partitions():
                if where in self.ends:
                    offset = group.committed.get(where)
                    begin = self.begins.get(where, 0)
                    place = begin if offset is None else max(offset, begin)
                    if place < self.ends[where]:
                        yield where, place


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """The first record at or after a place: its offset, its timestamp (seconds; None where it has none), and what was
    made of it."""

    offset: int
    at: float | None
    made: T | None = None


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is no record before the offset `before`."""

    before: int


Firsts = Mapping[tuple[Partition, int], "Found[Any] | Nothing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A group and how it does."""

    group: Group
    lag: GroupLag
    partitions: Sequence[PartitionLag]


class Book:
    """One book for an exchange; not for several threads."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._windows: dict[tuple[str, Partition], deque[Sample]] = {}
        self._ends: dict[Partition, Ends] = {}
        self._curves: dict[str, Curve] = {}
        self._seen: dict[str, float] = {}
        self._begun: float | None = None

    def enter(self, look: Look, firsts: Firsts) -> list[Standing]:
        """Take in a look and what was read of it; the groups that have anything to read, worst first."""
        self._begun = self._begun or look.at
        for where, end in look.ends.items():
            self._ends.setdefault(where, Ends()).append(look.at, end)
        standings = [standing for group in look.groups if (standing := self._standing(group, look, firsts))]
        for one in standings:
            self._draw(one, look.at)
        self._forget(look)
        return sorted(standings, key=_worst_first)

    def complete(self, now: float) -> bool:
        """Whether a whole window has been watched."""
        return self._begun is not None and now - self._begun >= self._rules.window_seconds

    def curve(self, group: str, since: float = 0.0) -> list[Point]:
        """The curve of `group`; empty where it has none."""
        return self._curves[group].points(since) if group in self._curves else []

    def _standing(self, group: Group, look: Look, firsts: Firsts) -> Standing | None:
        found = [self._partition(group, where, look, firsts) for where in group.partitions()]
        partitions = [one for one in found if one is not None]
        return Standing(group, of_group(partitions), partitions) if partitions else None

    def _partition(self, group: Group, where: Partition, look: Look, firsts: Firsts) -> PartitionLag | None:
        window = self._windows.setdefault((group.name, where), deque())
        has_leader, end = where not in look.leaderless, look.ends.get(where)
        if end is None:
            if has_leader or not window:
                return None
            end = window[-1].end
        begin, committed = look.begins.get(where, 0), group.committed.get(where)
        place = begin if committed is None else max(committed, begin)
        first = firsts.get((where, place))
        records = 0 if isinstance(first, Nothing) else max(0, end - place)
        seconds, exact = self._waited(where, place, first, look.at) if records else (0.0, True)
        window.append(Sample(look.at, committed, end, records))
        # one sample at or before the beginning of the window, so that it spans all of it
        while len(window) > 2 and window[1].at <= look.at - self._rules.window_seconds:
            window.popleft()
        samples = list(window)
        return PartitionLag(
            topic=where[0],
            partition=where[1],
            committed=committed,
            begin=begin,
            end=end,
            records=records,
            seconds=seconds,
            exact=exact,
            member=group.readers.get(where),
            verdict=judge(samples, members=group.members > 0, waited=seconds, has_leader=has_leader, rules=self._rules),
            estimate=estimate(samples),
        )

    def _waited(
        self, where: Partition, place: int, first: Found[Any] | Nothing | None, now: float
    ) -> tuple[float, bool]:
        """How long the record at `place` has waited, and whether its own timestamp says so."""
        if isinstance(first, Found) and first.at is not None:
            return max(0.0, now - first.at), True
        came = self._ends[where].came_at(place)
        return (max(0.0, now - came) if came is not None else 0.0), False

    def _draw(self, one: Standing, at: float) -> None:
        committed = sum(part.committed or part.begin for part in one.partitions)
        produced = sum(part.end for part in one.partitions)
        self._curves.setdefault(one.group.name, Curve()).append(
            Point(at, one.lag.records, one.lag.seconds, committed, produced)
        )
        self._seen[one.group.name] = at

    def _forget(self, look: Look) -> None:
        there = {(group.name, where) for group in look.groups for where in group.partitions()}
        self._windows = {place: window for place, window in self._windows.items() if place in there}
        self._ends = {where: ends for where, ends in self._ends.items() if where in look.begins}
        for name in [name for name, at in self._seen.items() if at < look.at - KEPT_SECONDS]:
            del self._seen[name], self._curves[name]


def _worst_first(one: Standing) -> tuple[int, float, int, str]:
    return -one.lag.verdict.status.severity, -one.lag.seconds, -one.lag.records, one.group.name


def joined(looked: Look, more: Iterable[Group]) -> Look:
    """The look with groups that the broker knows nothing of."""
    return Look(looked.at, [*looked.groups, *more], looked.begins, looked.ends, looked.leaderless)
