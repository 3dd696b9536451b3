"""Replays: a grant is delivered once more what its consumer has lost, all of it, from a time on, or single rows.

All, or what came since, goes through a lane; the grant leaves the live stream for as long. Single rows are looked for
beside the live stream (a scan) and delivered in their present state when the look has reached it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import structlog
from confluent_kafka import TopicPartition

from services.core.kafka import StateView, read_to_end, state_consumer
from services.core.settings import Settings
from services.sync.projection.plan import grant_secret
from services.sync.relay.assignment import Assignment
from services.sync.relay.client import Message
from services.sync.relay.inspection import Inspection
from services.sync.relay.lanes import Lanes
from services.sync.relay.manifest import Tally, key_digest, op_of
from services.sync.relay.progress import Progress
from services.sync.relay.projecting import Projector
from services.sync.relay.reading import read_at
from services.sync.relay.routes import State
from services.sync.relay.standing import Lane, Scan, Standing, Way
from services.sync.relay.transaction import Filling, Transactions

log = structlog.get_logger()


class Replays:
    """Begins, serves and ends the replays of this worker's partitions."""

    def __init__(
        self,
        settings: Settings,
        view: StateView[dict[str, Any]],
        standing: Standing,
        assignment: Assignment,
        progress: Progress,
        lanes: Lanes,
        projector: Projector,
        inspection: Inspection,
        transactions: Transactions,
    ) -> None:
        self._settings, self._view, self._standing = settings, view, standing
        self._assignment, self._progress, self._lanes = assignment, progress, lanes
        self._projector, self._inspection, self._transactions = projector, inspection, transactions
        self._master = bytes.fromhex(settings.secret("pseudonym_key"))

    def begin(self) -> None:
        """Begin what was asked for and has not begun: of grants that are on the live stream, in partitions of ours."""
        standing, now = self._standing, datetime.now(UTC)
        topics = {grant["id"]: topic for topic, route in standing.routes.items() for grant in route.live(now)}
        for asked in self._view.values():
            topic = topics.get(asked["grant"])
            for way in [way for way in standing.merged if way[:2] == (asked["grant"], topic)]:
                if standing.replayed.get(way) == asked["id"] or way in standing.scans or way[1:] not in standing.live:
                    continue
                if asked["cancelled"]:
                    self.end(Lane(way[0], way[1:], 0, asked["id"]))
                elif asked["mode"] == "keys":
                    keys = frozenset(bytes(key) for key in asked["keys"])
                    standing.scans[way] = Scan(Lane(way[0], way[1:], 0, asked["id"]), keys, asked)
                else:
                    self._begin(way, asked)

    def _begin(self, way: Way, asked: State) -> None:
        """Take a grant off the live stream of a partition and serve it from an earlier offset on.

        It comes back as a lane of a new grant does, so no key steps back once it was delivered again. That it is off is
        committed first: what the stream says meanwhile would be lost if we forgot.
        """
        live, start = self._standing.live[way[1:]], 0
        if asked["since"] is not None:
            found = self._assignment.offset_at(way[1:], asked["since"])
            start = min(found, live) if found >= 0 else live
        lane = Lane(way[0], way[1:], start, asked["id"], start, set(), live)
        tx = self._transactions.begin()
        self._progress.write(self._transactions.produce, lane, start)
        self._transactions.commit(tx, self._standing.at([lane.partition]))
        self._standing.leave(lane)
        log.info("replay begun", replay=asked["id"], grant=way[0], topic=way[1], partition=way[2], offset=start)

    def settle(self, lane: Lane, end: int, tx: Filling) -> None:
        """Of what a slice makes for a replay that is cancelled, only keys that were delivered again already go out.

        A slice with changes that came since the replay began goes out whole: nobody else delivers those.
        """
        tally = tx.tallies.get(lane.grant)
        if not lane.replay or tally is None:
            return
        tally.replay = lane.replay
        asked = self._view.get(lane.replay)
        if lane.touched is not None and (asked is None or asked["cancelled"]) and end <= lane.new_from:
            tally.keep_only(grant_secret(self._master, lane.grant), lane.touched)
            if not tally.records:
                del tx.tallies[lane.grant]
        elif lane.touched is not None:
            secret = grant_secret(self._master, lane.grant)
            lane.touched |= {
                key_digest(secret, message["key"]) for part in tally.parts.values() for message in part.messages
            }
        lane.records += tally.records

    def end(self, lane: Lane) -> None:
        """Back to the live stream, at its very position."""
        tx = self._transactions.begin()
        self._tell_served(lane)
        self._transactions.commit(tx, self._standing.at([lane.partition]))
        self._standing.come_back(lane)
        log.info("replay ended", replay=lane.replay, grant=lane.grant, topic=lane.partition[0])

    def scan(self) -> None:
        """One slice for the scans that stand at one place; those at the end deliver what they have found."""
        slice_, lanes = self._lanes.take([scan.lane for scan in self._standing.scans.values()])
        scans = [self._standing.scans[lane.way] for lane in lanes]
        if slice_ is not None:
            tx = Filling(datetime.now(UTC), quiet=True)
            self._lanes.relay(slice_, lanes, tx)
            for scan in scans:
                _keep_found(scan, tx.tallies.get(scan.lane.grant), grant_secret(self._master, scan.lane.grant))
                scan.lane.cursor = slice_.end
        for scan in scans:
            if self._standing.has_caught_up(scan.lane):
                self._deliver_found(scan)

    def _deliver_found(self, scan: Scan) -> None:
        """Deliver the keys' last state, which nothing later has been delivered of: the scan has reached the stream."""
        lane, route = scan.lane, self._standing.routes.get(scan.lane.partition[0])
        tx = self._transactions.begin()
        for grant in route.live(tx.now) if route else ():
            if grant["id"] != lane.grant:
                continue
            # one partition's scan speaks for all: a ghost has no record in any
            ghosts = self._ghosts(grant, scan.asked) if lane.partition[1] == 0 else []
            if scan.found or ghosts:
                tally = tx.tally(grant, self._projector.partitions_of)
                tally.replay = lane.replay
                for message in (*(one for found in scan.found.values() for one in found), *ghosts):
                    tally.add(op_of(message["value"]), message["key"], message["value"], None)
        lane.records = tx.records
        self._tell_served(lane)
        self._transactions.commit(tx, self._standing.at([lane.partition]))
        self._standing.found(scan)

    def _ghosts(self, grant: State, asked: State) -> list[Message]:
        """What ends rows of the share topic that the source does not have, as far as nothing was said of them since."""
        if not asked["ghosts"]:
            return []
        reader = state_consumer(self._settings, "sync", "sync.ghosts")
        try:
            keys = {
                found[0]: one["partition"]
                for one in asked["ghosts"]
                if (found := read_at(reader, TopicPartition(grant["topic"], one["partition"], one["offset"])))
            }
            since = [TopicPartition(grant["topic"], one["partition"], one["offset"]) for one in asked["read_to"]]
            reader.assign(since)
            for message in read_to_end(reader, len(since)):
                keys.pop(bytes(message.key() or b""), None)
        finally:
            reader.close()
        return [{"key": key, "value": None} for key in keys]

    def _tell_served(self, lane: Lane) -> None:
        """A partition is served, and its grant on the live stream, from the open transaction on."""
        produce, topic = self._transactions.produce, lane.partition[0]
        self._progress.write_merged(produce, lane.way, lane.replay)
        facts = {
            "replay": lane.replay, "partition": str(lane.partition[1]),
            "partitions": str(self._assignment.partitions_of(topic)), "records": str(lane.records),
        }  # fmt: skip
        grant = next((one for one in self._standing.routes[topic].grants if one["id"] == lane.grant), None)
        if grant is not None:
            self._inspection.tell(produce, "replay_served", lane.grant, grant["department"], grant["thread"], facts)


def _keep_found(scan: Scan, tally: Tally | None, secret: bytes) -> None:
    """Keep the last records that a slice has made of the keys that are looked for."""
    for message in (one for part in tally.parts.values() for one in part.messages) if tally else ():
        digest = key_digest(secret, message["key"])
        if digest in scan.keys:
            earlier = scan.found.get(digest, []) if message["value"] is None else []
            scan.found[digest] = [*earlier[-1:], message]
