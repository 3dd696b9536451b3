"""Where a worker stands: its partitions, and on which way each grant is served from them. Knows nothing of Kafka.

A grant's way through a partition begins in a lane, which reads what was before, or on the live stream where nothing
was. A lane that has reached the live position is merged: from there on, the live stream serves the grant. A replay is a
lane again, or, for single rows, a scan beside the live stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import structlog

from services.sync.relay.changes import Partition, Stretch
from services.sync.relay.client import Message
from services.sync.relay.repeats import Mark
from services.sync.relay.routes import Route, State

log = structlog.get_logger()

Way = tuple[str, str, int]
"""Grant, topic, partition."""
V = TypeVar("V")


@dataclass(slots=True)
class Lane:
    """A grant that catches up with a partition; `cursor` is the next offset it reads.

    With a `replay` it is delivered what it was delivered before; `touched` are the keys that it got again since, None
    where that is not known any more. From `new_from` on nothing was delivered yet: there it left the live stream.
    """

    grant: str
    partition: Partition
    cursor: int
    replay: str = ""
    begun_at: int = 0
    touched: set[bytes] | None = None
    new_from: int = 0
    records: int = 0

    @property
    def way(self) -> Way:
        return (self.grant, *self.partition)


@dataclass(slots=True)
class Scan:
    """A look for the last records of some keys of a grant in a partition, beside the live stream."""

    lane: Lane
    keys: frozenset[bytes]
    asked: State
    found: dict[bytes, list[Message]] = field(default_factory=dict)


class Standing:
    """The partitions of one worker and the ways of grants through them. One thread changes it."""

    def __init__(self) -> None:
        self.member: object = None
        """Who we were in the group when these partitions were ours: a transaction that says so is refused once we are
        not that any more."""
        self.routes: dict[str, Route] = {}
        self.live: dict[Partition, int] = {}
        """Our partitions, and which offset of each the live stream reads next."""
        self.heard: dict[Partition, Mark] = {}
        """What the sources' logs have said, as far as the live stream has read."""
        self.lanes: dict[Way, Lane] = {}
        self.merged: set[Way] = set()
        self.unwritten: set[Way] = set()
        """Merged, and the topic of progress does not know it yet."""
        self.scans: dict[Way, Scan] = {}
        self.replayed: dict[Way, str] = {}
        """The replay that was served last."""
        self.fills: dict[str, int] = {}

    # -- what is asked -----------------------------------------------------------------------------------------------

    def at(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Where the live stream stands in partitions of ours."""
        return {where: self.live[where] for where in partitions}

    def stretch(self, where: Partition, end: int = 0) -> Stretch:
        """An empty stretch, which keeps the keys of its changes where they are needed."""
        route = self.routes.get(where[0])
        return Stretch(where, end, [] if route is not None and route.has_rules else None)

    def has_caught_up(self, lane: Lane) -> bool:
        """Whether the live stream can serve a lane's grant from here on."""
        return lane.cursor >= self.live.get(lane.partition, lane.cursor + 1)

    # -- what changes ------------------------------------------------------------------------------------------------

    def reroute(self, routes: Mapping[str, Route]) -> set[Partition]:
        """The catalogue or the demand side have changed who gets what; the partitions that this concerns.

        States that have not changed are the same objects, so that one grant of ten thousand costs little.
        """
        changed = {topic for topic, route in routes.items() if route != self.routes.get(topic)}
        self.routes = dict(routes)
        for topic in changed:
            for grant in routes[topic].grants:
                self._fill(grant)
        if self.lanes or self.scans:
            served = {(str(grant["id"]), topic) for topic, route in routes.items() for grant in route.grants}
            self.lanes = {way: lane for way, lane in self.lanes.items() if way[:2] in served}
            self.scans = {way: scan for way, scan in self.scans.items() if way[:2] in served}
        return {where for where in self.live if where[0] in changed}

    def _fill(self, grant: State) -> None:
        """A grant whose share topic was lost is served from the beginning again."""
        known = self.fills.get(grant["id"])
        # another worker may have heard of it, and begun, before us
        self.fills[grant["id"]] = max(known or 0, grant["fill"])
        if known is not None and known < grant["fill"]:
            self.lanes = {way: lane for way, lane in self.lanes.items() if way[0] != grant["id"]}
            self.merged = {way for way in self.merged if way[0] != grant["id"]}
            self.unwritten = {way for way in self.unwritten if way[0] != grant["id"]}
            self.replayed = {way: replay for way, replay in self.replayed.items() if way[0] != grant["id"]}

    def place(self, partitions: Iterable[Partition], now: datetime) -> None:
        """Give each grant that has begun and has no way yet a lane - or the live stream, where nothing was read."""
        for topic, partition in list(partitions):
            route = self.routes.get(topic)
            for grant in route.live(now) if route else ():
                way = (str(grant["id"]), topic, partition)
                if way in self.merged or way in self.lanes:
                    continue
                if self.live.get((topic, partition), 0) == 0:
                    self.merge(way)
                else:
                    self.lanes[way] = Lane(way[0], (topic, partition), 0)
                    log.info("catching up", grant=way[0], topic=topic, partition=partition)

    def resume(self, one: Mapping[str, Any]) -> None:
        """A way as it was committed, in the fields of `sync.progress`; of an earlier fill it says nothing."""
        way = (one["grant"], one["topic"], one["partition"])
        if one["fill"] < self.fills.get(way[0], 0):
            return
        self.fills[way[0]] = one["fill"]
        self.replayed[way] = one["replay"]
        if one["merged"]:
            self.merged.add(way)
        else:
            self.lanes[way] = Lane(way[0], way[1:], one["cursor"], one["replay"], one["begun_at"])

    def merge(self, way: Way) -> None:
        """The live stream serves it from here on; that is to be written."""
        self.lanes.pop(way, None)
        self.merged.add(way)
        self.unwritten.add(way)

    def leave(self, lane: Lane) -> None:
        """A grant goes off the live stream into a lane that replays; that is written already."""
        self.merged.discard(lane.way)
        self.unwritten.discard(lane.way)
        self.replayed[lane.way] = lane.replay
        self.lanes[lane.way] = lane

    def come_back(self, lane: Lane) -> None:
        """A lane that replays is over, and the live stream serves its grant again; that is written already."""
        self.lanes.pop(lane.way, None)
        self.merged.add(lane.way)
        self.replayed[lane.way] = lane.replay

    def found(self, scan: Scan) -> None:
        """A scan is over, and what it has found is delivered; that is written already."""
        self.scans.pop(scan.lane.way, None)
        self.replayed[scan.lane.way] = scan.lane.replay
        self.unwritten.discard(scan.lane.way)

    def forget(self, partitions: Iterable[Partition]) -> None:
        """The partitions are another's now, or are taken up anew."""
        gone = set(partitions)
        for where in gone:
            self.live.pop(where, None)
            self.heard.pop(where, None)
        self.lanes = _outside(gone, self.lanes)
        self.merged = {way for way in self.merged if way[1:] not in gone}
        self.unwritten = {way for way in self.unwritten if way[1:] not in gone}
        self.scans = _outside(gone, self.scans)
        self.replayed = _outside(gone, self.replayed)


def _outside(partitions: Set[Partition], ways: Mapping[Way, V]) -> dict[Way, V]:
    return {way: one for way, one in ways.items() if way[1:] not in partitions}
