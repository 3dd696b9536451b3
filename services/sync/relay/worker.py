"""The relay: every granted change, once, from `cdc.*` to `share.*`.

Guarantee: records, manifests, quarantine entries, progress and source offsets of a batch are one Kafka transaction
(`transaction.py`). When one fails, the worker goes on from what the broker says is committed.

This is the loop; its rooms are

- `assignment.py`: which partitions are ours, and the live stream of them; `standing.py`: on which way each grant is
  served from them; `progress.py` keeps that;
- `delivery.py`: what becomes of changes: rows that wait or are sound, then `projecting.py`: what each grant sees;
- `lanes.py`: who is new gets what exists first; `replays.py`: who has lost something gets it again;
- `orders.py`: what persons want done with what is set aside.

Live changes come first: between two of their batches, lanes get one slice. Workers, of one process or of several, share
the partitions by the group's protocol (KIP-848); each knows its own only.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from sqlalchemy.exc import DBAPIError

from services.core import telemetry
from services.core.avro import Registry, RegistryUnavailable
from services.core.cutoff import CutOff
from services.core.kafka import ensure_topics
from services.core.settings import Settings
from services.sync.relay import metrics
from services.sync.relay.assignment import Assignment
from services.sync.relay.budget import SealingBudget
from services.sync.relay.changes import Audience, Stretch
from services.sync.relay.client import DeliveryFailed
from services.sync.relay.delivery import Delivery
from services.sync.relay.followed import Followed
from services.sync.relay.inspection import Inspection
from services.sync.relay.lanes import Lanes, Turns
from services.sync.relay.number import Number
from services.sync.relay.orders import Orders
from services.sync.relay.progress import Progress
from services.sync.relay.projecting import Projector
from services.sync.relay.replays import Replays
from services.sync.relay.routes import build
from services.sync.relay.standing import Lane, Standing
from services.sync.relay.tracing import FollowedChange, Times, Tracing
from services.sync.relay.transaction import Filling, Transactions
from services.sync.topics import quarantine

log = structlog.get_logger()

GROUP = "sync.relay"


class Relay:
    """One relay worker of any number. `run` works until `stop` is set; `why_not_ready` may be asked from any thread.

    A worker relays either what connectors write or, if `filled`, the topics that are filled from outside. The former
    it reads before it is committed, for a connector says again what came to nothing
    (docs/decisions/0005-positions.md); nobody else does, so the latter count only once they are committed.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        admin: AdminClient,
        followed: Followed,
        number: Number,
        *,
        filled: bool = False,
    ) -> None:
        self._filled, self._group = filled, f"{GROUP}.filled" if filled else GROUP
        isolation = "read_committed" if filled else "read_uncommitted"
        self._settings, self._admin, self._followed, self._number = settings, admin, followed, number
        self._news, self._sealing = followed.listen(), SealingBudget(settings, registry)
        self._standing = Standing()
        self._inspection = Inspection(settings, registry)
        self._transactions = Transactions(settings, registry, self._standing, self._inspection, self._sealing)
        self._progress = Progress(settings, registry, self._standing)
        self._assignment = Assignment(
            settings,
            admin,
            self._group,
            isolation,
            self._standing,
            self._inspection,
            self._progress,
            followed,
            self._news,
        )
        self._projector = Projector(settings, registry, admin, self._standing, self._inspection, self._transactions)
        self._delivery = Delivery(settings, registry, self._inspection, self._projector, self._transactions)
        self._lanes, self._turns = Lanes(settings, isolation, self._standing, self._delivery), Turns()
        self._replays = Replays(
            settings, followed.replays, self._standing, self._assignment, self._progress, self._lanes, self._projector,
            self._inspection, self._transactions,
        )  # fmt: skip
        self._orders = Orders(
            settings, registry, followed.orders, self._standing, self._assignment, self._inspection, self._delivery,
            self._transactions,
        )  # fmt: skip
        master = bytes.fromhex(settings.secret("pseudonym_key"))
        self._tracing = Tracing(self._group, registry, master, settings.traced_changes_per_second)
        self._next_begin: datetime | None = None
        self._not_ready: str | None = "starting"
        told = metrics.Worker(
            ready=lambda: self._not_ready is None,
            waiting=self._inspection.gate.waits.count,
            behind=self._sealing.behind,
            live=lambda: len(self._standing.merged),
            catching_up=lambda: len(self._standing.lanes),
        )
        metrics.follow(self._group, told, budget=settings.audit_budget_seconds)

    def why_not_ready(self) -> str | None:
        """Why data does not flow just now; None when it does."""
        return self._not_ready

    # -- the loop ----------------------------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Relay until `stop` is set. Raises when a state topic can no longer be followed: it must not go on blind."""
        self._sealing.start()
        self._news.routes.set()
        self._assignment.join()
        try:
            self._begin_epoch(stop)
            while not stop.is_set():
                self._followed.require()
                self._sealing.require()
                if reason := self._sealing.exceeded():
                    self._not_ready = reason
                    stop.wait(0.2)
                    continue
                try:
                    self._step()
                    self._not_ready = None
                except CutOff:
                    raise
                except (KafkaException, DeliveryFailed, RegistryUnavailable) as error:
                    self._not_ready = f"{type(error).__name__}: {error}"
                    metrics.TRANSACTIONS.labels("given_up").inc()
                    log.warning("the batch is given up and begun anew", reason=self._not_ready)
                    stop.wait(0.5)
                    self._begin_epoch(stop)
        finally:
            self._assignment.leave()
            self._transactions.end()
            self._lanes.rest()
            self._sealing.stop()
            self._number.release()

    def _step(self) -> None:
        standing = self._standing
        if self._news.routes.is_set() or (self._next_begin and datetime.now(UTC) >= self._next_begin):
            self._news.routes.clear()
            self._reroute()
        hurry = standing.lanes or standing.scans or standing.unwritten
        batch = self._assignment.take(0.001 if hurry else 0.1)
        if batch is None:
            return
        begun = time.perf_counter()
        if batch or standing.unwritten:
            self._deliver(batch)
        if self._turns.is_lanes(sum(len(stretch.values) for stretch in batch), time.perf_counter() - begun):
            begun = time.perf_counter()
            self._catch_up()
            self._turns.was_lanes(time.perf_counter() - begun)
        if self._news.replays.is_set():
            self._news.replays.clear()
            self._replays.begin()
        if self._news.orders.is_set():
            self._news.orders.clear()
            self._orders.carry_out()

    def _deliver(self, batch: list[Stretch]) -> None:
        """A batch of the live stream, for all grants that it serves, and the word on whom it has begun to serve."""
        began_at, tx, begun = time.time_ns(), self._transactions.begin(), time.perf_counter()
        begins = self._standing.unwritten
        ends = self._standing.at({way[1:] for way in begins}) | {stretch.where: stretch.end for stretch in batch}
        for way in begins:
            self._progress.write_merged(self._transactions.produce, way)
        for stretch in batch:
            if (route := self._standing.routes.get(stretch.where[0])) is not None:
                merged = self._standing.merged
                grants = [grant for grant in route.live(tx.now) if (grant["id"], *stretch.where) in merged]
                self._delivery.relay(stretch, Audience(route, grants), tx)
        projecting = time.perf_counter() - begun
        followed = self._follow(batch, tx, began_at, projecting)
        self._transactions.commit(tx, ends)
        self._standing.live.update(ends)
        self._standing.unwritten = set()
        metrics.committed(
            self._group,
            changes=sum(len(stretch.values) for stretch in batch),
            records=tx.records,
            projecting=projecting,
            seconds=time.perf_counter() - begun,
            trace=followed.committed() if followed else None,
        )

    def _follow(self, batch: list[Stretch], tx: Filling, began_at: int, projecting: float) -> FollowedChange | None:
        """Begin a trace of one change of the live batch, where spans go anywhere and it is due."""
        if not telemetry.is_exporting() or (place := self._tracing.choose(tx.tallies)) is None:
            return None
        stretch = next((one for one in batch if one.where == place[:2]), None)
        origin = stretch.origin(place[2]) if stretch is not None else None
        if origin is None:
            return None
        checking = int(tx.checking * 1e9)
        times = Times(begun=began_at, checking=checking, projecting=int(projecting * 1e9) - checking)
        return self._tracing.follow(origin, self._standing.routes[place[0]], tx.tallies, times)

    def _catch_up(self) -> None:
        """A slice of what who catches up, or looks for lost rows, has to read."""
        slice_, lanes = self._lanes.take(self._standing.lanes.values())
        if slice_ is not None:
            self._deliver_slice(slice_, lanes)
        self._merge(lanes)
        if not lanes and self._standing.scans:
            self._replays.scan()
        elif not lanes:
            self._lanes.rest()

    def _deliver_slice(self, slice_: Stretch, lanes: list[Lane]) -> None:
        """A slice for the grants of `lanes`, which catch up."""
        tx, begun = self._transactions.begin(), time.perf_counter()
        self._lanes.relay(slice_, lanes, tx)
        projecting = time.perf_counter() - begun
        for lane in lanes:
            self._replays.settle(lane, slice_.end, tx)
            self._progress.write(self._transactions.produce, lane, slice_.end)
        self._transactions.commit(tx, self._standing.at([slice_.where]))
        for lane in lanes:
            lane.cursor = slice_.end
        metrics.committed(
            self._group,
            changes=len(slice_.values),
            records=tx.records,
            projecting=projecting,
            seconds=time.perf_counter() - begun,
        )

    def _merge(self, lanes: list[Lane]) -> None:
        """Hand lanes that have reached the live position over to the live stream, with the next transaction's word."""
        for lane in lanes:
            if not self._standing.has_caught_up(lane):
                continue
            self._news.replays.set()
            if lane.replay:
                self._replays.end(lane)
                continue
            self._standing.merge(lane.way)
            log.info("caught up", grant=lane.grant, topic=lane.partition[0], partition=lane.partition[1])

    # -- what changes ------------------------------------------------------------------------------------------------

    def _reroute(self) -> None:
        """Take up what the catalogue and the demand side have changed."""
        found = build(self._followed.resources.values(), self._followed.grants.values())
        routes = {topic: route for topic, route in found.items() if route.is_filled is self._filled}
        ensure_topics(
            self._admin,
            [
                quarantine(route.resource["code"])
                for topic, route in routes.items()
                if topic not in self._standing.routes
            ],
            self._settings.replication_factor,
        )
        now = datetime.now(UTC)
        begun = self._next_begin is not None and now >= self._next_begin
        begins = (grant["valid_from"] for route in routes.values() for grant in route.grants)
        self._next_begin = min((begin for begin in begins if begin > now), default=None)
        concerned = self._standing.reroute(routes)
        self._projector.keep_only(list(routes.values()))
        versions = {route.resource["code"]: route.resource["version"] for route in routes.values()}
        self._inspection.keep_only(versions, {one["name"]: one["codes"] for one in self._followed.code_lists.values()})
        self._assignment.follow(sorted(routes))
        self._standing.place(self._standing.live if begun else concerned, now)

    def _begin_epoch(self, stop: threading.Event) -> None:
        """New producers, then on from what is committed: the outcome of an old transaction is no matter."""
        while not stop.is_set():
            try:
                self._transactions.begin_epoch(self._number.hold())
                self._assignment.take_up_again()
                self._not_ready = None
                return
            except (KafkaException, RegistryUnavailable, DBAPIError) as error:
                self._not_ready = f"{type(error).__name__}: {error}"
                log.warning("we cannot go on yet", reason=self._not_ready)
                stop.wait(1.0)
