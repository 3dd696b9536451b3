"""However partitions wander between workers that die, stop and come back, a grant gets each offset once and in order.

The broker is a model. It keeps what is committed, and refuses the transaction of whoever does not own what it tells of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from services.sync.relay.changes import Partition
from services.sync.relay.routes import Route
from services.sync.relay.standing import Lane, Standing, Way

TOPIC = "cdc.a"
PARTITIONS = [(TOPIC, number) for number in range(3)]
WORKERS = st.integers(0, 2)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Broker:
    def __init__(self) -> None:
        self.ends = dict.fromkeys(PARTITIONS, 0)
        self.owner: dict[Partition, int] = {}
        self.offsets = dict.fromkeys(PARTITIONS, 0)
        self.progress: dict[Way, dict[str, Any]] = {}
        self.delivered: dict[tuple[Way, int], list[int]] = defaultdict(list)


class Wandering(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.broker, self.fills = Broker(), dict[str, int]()
        self.workers = [Standing() for _ in range(3)]
        self.known: list[dict[str, int]] = [{} for _ in range(3)]

    # -- the world ---------------------------------------------------------------------------------------------------

    @rule(where=st.sampled_from(PARTITIONS), count=st.integers(1, 4))
    def change(self, where: Partition, count: int) -> None:
        self.broker.ends[where] += count

    @rule()
    def grant(self) -> None:
        if len(self.fills) < 3:
            self.fills[f"g{len(self.fills)}"] = 0

    @rule(which=st.integers(0, 2))
    def lose_the_share_topic(self, which: int) -> None:
        if (grant := f"g{which}") in self.fills:
            self.fills[grant] += 1

    @initialize()
    def begin(self) -> None:
        for where in PARTITIONS:
            self.give(where, 0)

    @rule(where=st.sampled_from(PARTITIONS), worker=WORKERS, told=st.booleans())
    def move(self, where: Partition, worker: int, told: bool) -> None:
        """The group gives a partition to another; its owner of before may stand still, and hear of it when it acts."""
        owner = self.broker.owner[where]
        if told:
            self.workers[owner].forget([where])
        if told or owner != worker:
            self.give(where, worker)

    def give(self, where: Partition, worker: int) -> None:
        self.broker.owner[where] = worker
        self.take_up(worker, [where])

    # -- the workers, each of which hears of grants in its own time, and when it takes over --------------------------

    @rule(worker=WORKERS)
    def hear(self, worker: int) -> None:
        self.known[worker] = dict(self.fills)
        grants = tuple(
            {"id": grant, "fill": fill, "valid_from": NOW, "valid_to": None} for grant, fill in self.fills.items()
        )
        standing = self.workers[worker]
        standing.reroute({TOPIC: Route({"code": "a", "rules": []}, grants)})
        # as it does when a grant's time begins, and not only where something has changed
        standing.place(standing.live, NOW)

    def take_up(self, worker: int, partitions: list[Partition]) -> None:
        standing = self.workers[worker]
        standing.forget(partitions)
        for where in partitions:
            standing.live[where] = self.broker.offsets[where]
        for way, one in self.broker.progress.items():
            if way[1:] in partitions:
                standing.resume(one)
        self.hear(worker)

    @rule(worker=WORKERS, count=st.integers(0, 3), outcome=st.sampled_from(["known", "unknown", "aborted"]))
    def deliver(self, worker: int, count: int, outcome: str) -> None:
        standing = self.workers[worker]
        begins = set(standing.unwritten)
        batch = {
            where: (at, min(self.broker.ends[where], at + count))
            for where, at in standing.live.items()
            if at < self.broker.ends[where] and count
        }
        ends = standing.at({way[1:] for way in begins}) | {where: end for where, (_, end) in batch.items()}
        if not ends:
            return

        def commit() -> None:
            self.broker.offsets |= ends
            for way in begins:
                self.write(standing, way, standing.live[way[1:]], merged=True)
            for way in standing.merged:
                if way[1:] in batch and way[0] in self.known[worker]:
                    self.broker.delivered[way, standing.fills[way[0]]] += range(*batch[way[1:]])

        if self.settles(worker, set(ends), outcome, commit):
            standing.live.update(ends)
            standing.unwritten = set()

    @rule(worker=WORKERS, count=st.integers(1, 3), outcome=st.sampled_from(["known", "unknown", "aborted"]))
    def catch_up(self, worker: int, count: int, outcome: str) -> None:
        standing = self.workers[worker]
        for lane in list(standing.lanes.values()):
            self.advance(worker, lane, count, outcome)
        for lane in list(standing.lanes.values()):
            if standing.has_caught_up(lane):
                standing.merge(lane.way)

    def advance(self, worker: int, lane: Lane, count: int, outcome: str) -> None:
        standing = self.workers[worker]
        if standing.lanes.get(lane.way) is not lane or lane.cursor == standing.live[lane.partition]:
            return
        end = min(lane.cursor + count, standing.live[lane.partition])

        def commit() -> None:
            self.broker.offsets |= standing.at([lane.partition])
            self.write(standing, lane.way, end, merged=False)
            self.broker.delivered[lane.way, standing.fills[lane.grant]] += range(lane.cursor, end)

        if self.settles(worker, {lane.partition}, outcome, commit):
            lane.cursor = end

    def write(self, standing: Standing, way: Way, cursor: int, *, merged: bool) -> None:
        self.broker.progress[way] = {
            "grant": way[0], "topic": way[1], "partition": way[2], "cursor": cursor, "merged": merged, "replay": "",
            "fill": standing.fills[way[0]], "begun_at": 0,
        }  # fmt: skip

    def settles(self, worker: int, partitions: set[Partition], outcome: str, commit: Callable[[], None]) -> bool:
        """Whether the worker knows that its transaction is committed; else it goes on from what is."""
        owns = all(self.broker.owner[where] == worker for where in partitions)
        if owns and outcome != "aborted":
            commit()
        if owns and outcome == "known":
            return True
        standing = self.workers[worker]
        standing.forget(list(standing.live))
        self.take_up(worker, [where for where, owner in self.broker.owner.items() if owner == worker])
        return False

    # -- what holds --------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        for worker in range(3):
            self.hear(worker)
        for _ in range(60):
            for worker in range(3):
                self.catch_up(worker, 3, "known")
                self.deliver(worker, 3, "known")
        for where in PARTITIONS:
            for grant, fill in self.fills.items():
                assert self.broker.delivered[(grant, *where), fill] == list(range(self.broker.ends[where]))
        for seen in self.broker.delivered.values():
            assert seen == list(range(len(seen)))


TestWandering = Wandering.TestCase
TestWandering.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
