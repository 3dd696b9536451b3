"""The relay: every granted change, once, from `cdc.*` to `share.*`.

Guarantee: records, manifests, quarantine entries, progress and source offsets of a batch are one Kafka transaction. On
any failure of a transaction the producer is thrown away, a new one with the same transactional id fences whatever was
still in flight, and the worker goes on from what the broker says is committed. (librdkafka lacks KIP-890: after a
transaction request that timed out, no other transaction may begin in the same epoch.)

A new grant gets what exists first: a catch-up lane reads the change topic from its beginning, beside the live stream,
until it has reached the live position of the partition; from that offset on, the live stream serves the grant. Live
changes come first: between two of their batches a lane gets one slice.

Where a contract has rules, each change is judged before it is projected; a row that breaks one is set aside and its key
waits (`services/sync/quality/gate.py`), in the same transaction as everything else. A resource without rules never
comes near that.
"""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from services.core import telemetry
from services.core.avro import (
    Codec,
    NotAvro,
    Registry,
    RegistryUnavailable,
    SchemaRefused,
    UnknownSchema,
    wire_schema_id,
)
from services.core.kafka import OffsetSender, StateView, consumer, ensure_topics, producer, read_to_end, state_consumer
from services.core.masks import MaskError
from services.core.rowfilter import FilterError
from services.core.settings import Settings
from services.sync.projection import native
from services.sync.projection.plan import NotAnEnvelope, grant_secret
from services.sync.projection.reference import (
    NOTHING_MORE,
    Known,
    UnavailableValue,
    UnknownOperation,
    committed_at,
    sees,
)
from services.sync.projection.values import WrongType
from services.sync.quality.gate import Decision, Fate
from services.sync.relay import metrics
from services.sync.relay.budget import SealingBudget
from services.sync.relay.inspection import BY, ENDS, Exceptions, Findings, Inspection
from services.sync.relay.manifest import Message as Made
from services.sync.relay.manifest import Tally, key_digest, op_of
from services.sync.relay.repeats import Mark, later, parse
from services.sync.relay.routes import Route, State, build
from services.sync.relay.serving import records, serve
from services.sync.relay.tracing import Followed, Times, Tracing
from services.sync.topics import DELIVERIES, ORDERS, PROGRESS, REPLAYS, quarantine
from services.sync.tracing import carrying

log = structlog.get_logger()

GROUP = "sync.relay"
LIVE_BATCH = 5_000
LANE_SLICE = 500
QUEUE_MESSAGES = 1_000_000
"""What a producer holds that the broker has not taken yet. It is never filled: what did not fit would lose its turn."""
TRANSACTION_TIMEOUT_SECONDS = 30.0
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
# a broker that says nothing more, on a connection that seems alive
REQUEST_TIMEOUT_MS = 10_000

Partition = tuple[str, int]
Place = tuple[str, int, int]
"""Topic, partition, offset."""


def _day(now: datetime) -> int:
    """The day of `now` in days since 1970-01-01."""
    return now.date().toordinal() - _EPOCH_ORDINAL


def _read_at(reader: Consumer, place: TopicPartition) -> tuple[bytes, bytes] | None:
    """Key and value of the record at a place; None where there is none any more. Raises KafkaException."""
    reader.assign([place])
    message = reader.poll(TRANSACTION_TIMEOUT_SECONDS)
    if message is None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "a record could not be read again"))
    if message.error() is not None or message.offset() != place.offset or (value := message.value()) is None:
        return None
    return bytes(message.key() or b""), value


def _timed(found: Exceptions, tx: _Filling) -> Exceptions:
    """The same, while it is noted how long they took to be found."""
    while True:
        begun = time.perf_counter()
        one = next(found, None)
        tx.checking += time.perf_counter() - begun
        if one is None:
            return
        yield one


def _was_otherwise(grants: Iterable[State]) -> bool:
    """Whether rows may have left the sight of one of these because divisions have changed: the reference finds them."""
    return any(grant["divisions_before"] for grant in grants)


def _keep_found(scan: Scan, tally: Tally | None, secret: bytes) -> None:
    """Keep the last records that a slice has made of the keys that are looked for."""
    for message in (one for part in tally.parts.values() for one in part.messages) if tally else ():
        digest = key_digest(secret, message["key"])
        if digest in scan.keys:
            earlier = scan.found.get(digest, []) if message["value"] is None else []
            scan.found[digest] = [*earlier[-1:], message]


_UNPROJECTED = (
    NotAnEnvelope, UnknownOperation, SchemaRefused, UnavailableValue, WrongType, MaskError, FilterError,
    KeyError, TypeError, ValueError, OverflowError,
)  # fmt: skip


class DeliveryFailed(Exception):
    """The broker did not take a record of the open transaction."""


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


@dataclass(slots=True)
class Scan:
    """A look for the last records of some keys of a grant in a partition, beside the live stream."""

    lane: Lane
    keys: frozenset[bytes]
    asked: State
    found: dict[bytes, list[Made]] = field(default_factory=dict)


@dataclass(slots=True)
class Stretch:
    """Changes of one partition in their order: their offsets and bytes. `end` is the offset after the last message.

    `keys` are the bytes of their keys, where the resource has rules; else None.
    """

    where: Partition
    end: int = 0
    keys: list[bytes | None] | None = None
    offsets: list[int] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)

    def append(self, offset: int, message: Message) -> None:
        """One message; a tombstone follows a delete, which has made its own, and is only read past."""
        self.end = offset + 1
        if (value := message.value()) is not None:
            self.offsets.append(offset)
            self.values.append(value)
            if self.keys is not None:
                self.keys.append(message.key())


@dataclass(frozen=True, slots=True)
class _Change:
    """A change that was decoded: where it stands, its bytes and what they say."""

    place: Place
    value: bytes
    schema_id: int
    envelope: Any


@dataclass(slots=True)
class Figures:
    """What the relay has delivered under a grant since it started: for the console, not for the books."""

    records: int = 0
    last_delivered_at: datetime | None = None
    latency_max_us: int = -1


@dataclass(frozen=True, slots=True)
class Serving:
    """How far a grant is served: partitions on the live stream, partitions that catch up, and what those have to go.

    `behind` is in offsets: at most as many changes, for compaction and transactions leave gaps.
    """

    live: int
    catching_up: int
    behind: int


@dataclass(slots=True)
class _Filling:
    """What the open transaction holds so far."""

    now: datetime
    tallies: dict[str, Tally] = field(default_factory=dict)
    marks: dict[Partition, Mark] = field(default_factory=dict)
    heard: Mark | None = None
    findings: Findings = field(default_factory=Findings)
    checking: float = 0.0
    quiet: bool = False
    failed: list[KafkaError] = field(default_factory=list)


class Relay:
    """One relay worker. `run` works until `stop` is set; `why_not_ready` may be asked from any thread.

    A worker relays either what connectors write or, if `filled`, the topics that are filled from outside. The former
    it reads before it is committed, for a connector says again what came to nothing
    (docs/decisions/0005-positions.md); nobody else does, so the latter count only once they are committed.
    """

    def __init__(
        self, settings: Settings, registry: Registry, admin: AdminClient, *, worker: int = 0, filled: bool = False
    ) -> None:
        self._filled, self._group = filled, f"{GROUP}.filled" if filled else GROUP
        self._isolation = "read_committed" if filled else "read_uncommitted"
        self._settings, self._registry, self._admin = settings, registry, admin
        self._transactional_id = f"sync-relay-{worker}"
        self._run_id = f"{self._transactional_id}/{uuid.uuid4().hex[:12]}"
        self._master = bytes.fromhex(settings.secret("pseudonym_key"))
        self._deliveries = Codec(registry, DELIVERIES.name)
        self._progress = Codec(registry, PROGRESS.name)
        self._changed = threading.Event()
        self._resources = self._view("catalog.resources")
        self._grants = self._view("demand.grants")
        self._code_lists = self._view("catalog.code_lists")
        self._ordered = threading.Event()
        self._orders = self._view(ORDERS.name, self._ordered)
        self._carried_out: set[str] = set()
        self._asked = threading.Event()
        self._replays = self._view(REPLAYS.name, self._asked)
        self._replayed: dict[tuple[str, str, int], str] = {}
        self._scans: dict[tuple[str, str, int], Scan] = {}
        self._inspection = Inspection(settings, registry, self._master, self._run_id)
        self._sealing = SealingBudget(settings, registry)
        self._tracing = Tracing(self._group, registry, self._master, settings.traced_changes_per_second)
        self._taken: Sequence[Message] = ()
        self._followed = (self._resources, self._grants, self._code_lists, self._orders, self._replays)
        self._views = (*self._followed, self._sealing.view)
        self._routes: dict[str, Route] = {}
        self._plans: dict[tuple[int, str, datetime, int], native.Served] = {}
        self._projections: dict[tuple[int, str, int, tuple[tuple[str, datetime], ...]], Any] = {}
        self._partitions: dict[str, int] = {}
        self._live: dict[Partition, int] = {}
        self._marks: dict[Partition, Mark] = {}
        self._lanes: dict[tuple[str, str, int], Lane] = {}
        self._merged: set[tuple[str, str, int]] = set()
        self._unwritten: set[tuple[str, str, int]] = set()
        self._offsets = OffsetSender()
        self._fills: dict[str, int] = {}
        self._sequences: dict[str, int] = {}
        self._subscribed: list[str] = []
        self._next_begin: datetime | None = None
        self._lane_consumer: Consumer | None = None
        self._lane_partition: Partition | None = None
        self._lane_offset = -1
        self.figures: dict[str, Figures] = {}
        self._not_ready: str | None = "starting"
        metrics.follow(
            self._group,
            ready=lambda: self._not_ready is None,
            waiting=self._inspection.gate.waits.count,
            behind=self._sealing.behind,
            budget=settings.audit_budget_seconds,
        )

    def why_not_ready(self) -> str | None:
        """Why data does not flow just now; None when it does."""
        return self._not_ready

    def serving(self, grant: str) -> Serving | None:
        """How `grant` is served by this worker; None when it is not."""
        live = [mark for mark in self._merged.copy() if mark[0] == grant]
        lanes = [lane for lane in self._lanes.copy().values() if lane.grant == grant]
        if not live and not lanes:
            return None
        behind = sum(max(0, self._live.get(lane.partition, 0) - lane.cursor) for lane in lanes)
        return Serving(len(live), len(lanes), behind)

    def replaying(self, replay: str) -> list[tuple[int, int, int]]:
        """By partition that a replay is served in just now: where it began, where it is, and where it ends."""
        lanes = [lane for lane in self._lanes.copy().values() if lane.replay == replay]
        lanes += [scan.lane for scan in self._scans.copy().values() if scan.lane.replay == replay]
        return [(lane.begun_at, lane.cursor, self._live.get(lane.partition, lane.cursor)) for lane in lanes]

    # -- the loop ----------------------------------------------------------------------------------------------------

    def run(self, stop: threading.Event, on_idle: Callable[[], None] = lambda: None) -> None:
        """Relay until `stop` is set. Raises when a state topic can no longer be followed: it must not go on blind."""
        for view in self._followed:
            view.start()
        self._sealing.start()
        self._changed.set()
        self._source = consumer(
            self._settings,
            "sync",
            self._group,
            group_protocol="consumer",
            isolation_level=self._isolation,
            client_id=f"tongshu-{self._run_id}",
        )
        # asks for offsets that no open transaction of another worker can change any more (KIP-447): a consumer that
        # reads what is not committed would be told the older ones, and what lies between would be delivered twice
        self._settled = consumer(self._settings, "sync", self._group)
        self._begin_epoch()
        self._not_ready = None
        try:
            while not stop.is_set():
                for view in self._views:
                    if view.failure:
                        raise view.failure
                if reason := self._sealing.exceeded():
                    self._not_ready = reason
                    stop.wait(0.2)
                    continue
                try:
                    self._step()
                    on_idle()
                    self._not_ready = None
                except (KafkaException, DeliveryFailed, RegistryUnavailable) as error:
                    self._not_ready = f"{type(error).__name__}: {error}"
                    metrics.TRANSACTIONS.labels("given_up").inc()
                    log.warning("the batch is given up and begun anew", reason=self._not_ready)
                    stop.wait(0.5)
                    self._recover(stop)
        finally:
            self._source.close()
            self._settled.close()
            self._offsets.end()
            if self._lane_consumer:
                self._lane_consumer.close()
            for view in self._views:
                view.stop()

    def _step(self) -> None:
        if self._changed.is_set() or (self._next_begin and datetime.now(UTC) >= self._next_begin):
            self._changed.clear()
            self._reroute()
        batch = self._take()
        if batch:
            self._deliver(batch, lanes=None)
        slice_, lanes = self._take_slice(self._lanes.values())
        if slice_:
            self._deliver(slice_, lanes=lanes)
        self._merge_lanes(lanes)
        if not lanes and self._scans:
            self._look_for_keys()
        if self._asked.is_set():
            self._asked.clear()
            self._begin_replays()
        if self._ordered.is_set():
            self._ordered.clear()
            self._carry_out_orders()

    def _take(self) -> list[Stretch]:
        """What is there of the live stream: at once what has come, else after a short wait for the first."""
        first = self._source.poll(0.001 if self._lanes or self._scans else 0.1)
        if first is None:
            return []
        taken: dict[Partition, Stretch] = {}
        messages = (first, *self._source.consume(LIVE_BATCH - 1, 0))
        self._taken = messages if telemetry.is_exporting() else ()
        for message in messages:
            error = message.error()
            if error is None:
                where, offset = (str(message.topic()), int(message.partition() or 0)), int(message.offset() or 0)
                stretch = taken.get(where) or taken.setdefault(where, self._stretch(where, self._live.get(where, -1)))
                # a rebalance in between may have taken the partition away, or given it back from an earlier offset
                if where in self._live and offset >= stretch.end:
                    stretch.append(offset, message)
            elif error.code() in (KafkaError._PARTITION_EOF, KafkaError.UNKNOWN_TOPIC_OR_PART):
                continue
            else:
                raise KafkaException(error)
        return [stretch for where, stretch in taken.items() if where in self._live]

    def _stretch(self, where: Partition, end: int = 0) -> Stretch:
        route = self._routes.get(where[0])
        return Stretch(where, end, [] if route is not None and route.has_rules else None)

    # -- one transaction ---------------------------------------------------------------------------------------------

    def _deliver(self, batch: list[Stretch], lanes: list[Lane] | None) -> None:
        """Project `batch` and commit it; for `lanes` (catching up) or, with None, for all merged grants."""
        began_at, tx, begun = time.time_ns(), self._begin(), time.perf_counter()
        ends = {stretch.where: stretch.end for stretch in batch}
        for stretch in batch:
            self._relay(stretch, tx, lanes)
        projecting = time.perf_counter() - begun
        for lane in lanes or ():
            self._settle_replay(lane, ends[lane.partition], tx)
        followed = self._follow(tx, began_at, projecting) if lanes is None else None
        self._write(tx)
        if lanes is None:
            self._write_merges(set(ends))
        else:
            for lane in lanes:
                mark = (lane.grant, *lane.partition)
                self._produce_progress(mark, ends[lane.partition], merged=False, replay=lane.replay)
        # neither waits for the other: the offsets go to the coordinator while the records go to their partitions
        sent = self._send_offsets(ends, self._marks | tx.marks) if lanes is None else None
        try:
            self._producer.flush(TRANSACTION_TIMEOUT_SECONDS)
        finally:
            if sent:
                sent()
        self._commit(tx)
        if lanes is None:
            self._live.update(ends)
            self._unwritten -= {mark for mark in self._unwritten if mark[1:] in ends}
        else:
            for lane in lanes:
                lane.cursor = ends[lane.partition]
        metrics.committed(
            self._group,
            changes=sum(len(stretch.values) for stretch in batch),
            records=sum(tally.records for tally in tx.tallies.values()),
            projecting=projecting,
            seconds=time.perf_counter() - begun,
            trace=followed.committed() if followed else None,
        )

    def _follow(self, tx: _Filling, began_at: int, projecting: float) -> Followed | None:
        """Begin a trace of one change of the live batch, where spans go anywhere and it is due."""
        if not self._taken or (place := self._tracing.choose(tx.tallies)) is None:
            return None
        message = next((one for one in self._taken if (one.topic(), one.partition(), one.offset()) == place), None)
        if message is None:
            return None
        checking = int(tx.checking * 1e9)
        times = Times(begun=began_at, checking=checking, projecting=int(projecting * 1e9) - checking)
        return self._tracing.follow(message, self._routes[place[0]], tx.tallies, times)

    def _begin(self) -> _Filling:
        self._producer = next(self._turns)
        self._producer.begin_transaction()
        return _Filling(datetime.now(UTC))

    def _write(self, tx: _Filling) -> None:
        """Give the producer what the transaction delivers and has found."""
        for tally in tx.tallies.values():
            self._produce(tally, tx)
        self._inspection.write(self._producer.produce, tx.findings, tx.now)

    def _commit(self, tx: _Filling) -> None:
        """Commit what has been flushed, with its manifests. Raises DeliveryFailed and KafkaException."""
        if tx.failed:
            raise DeliveryFailed(str(tx.failed[0]))
        self._account(tx)
        self._producer.commit_transaction(TRANSACTION_TIMEOUT_SECONDS)
        self._sealing.committed()
        self._marks.update(tx.marks)
        self._inspection.gate.waits.commit()
        for tally in tx.tallies.values():
            self._note(tally, tx.now)

    def _send_offsets(self, ends: Mapping[Partition, int], marks: Mapping[Partition, Mark]) -> Callable[[], None]:
        return self._offsets.send(
            self._producer,
            [TopicPartition(*where, end, marks.get(where, Mark()).text()) for where, end in ends.items()],
            self._source.consumer_group_metadata(),
            TRANSACTION_TIMEOUT_SECONDS,
        )

    def _relay(self, stretch: Stretch, tx: _Filling, lanes: list[Lane] | None) -> None:
        """Project a stretch for the grants that are served there: the native engine as far as it goes, each change
        before which it stops by the reference."""
        route = self._routes.get(stretch.where[0])
        if route is None:
            return
        if lanes is not None:
            catching_up = {lane.grant for lane in lanes}
            grants = [grant for grant in route.live(tx.now) if grant["id"] in catching_up]
        else:
            grants = [grant for grant in route.live(tx.now) if (grant["id"], *stretch.where) in self._merged]
        at = 0
        if stretch.keys is not None:
            exceptions = _timed(self._exceptions(stretch, stretch.keys, route, tx, lanes), tx)
            for number, schema_id, envelope, decision in exceptions:
                self._pass_on(stretch, at, number, route, grants, tx, lanes)
                place = (*stretch.where, stretch.offsets[number])
                change = _Change(place, stretch.values[number], schema_id, envelope)
                replays = lanes is not None and bool(lanes[0].replay)
                self._decide(change, decision, route, grants, tx, replays=replays)
                at = number + 1
        self._pass_on(stretch, at, len(stretch.values), route, grants, tx, lanes)
        if tx.heard is not None and lanes is None:
            # where nobody is served, projection does not follow what was heard
            tx.marks[stretch.where], tx.heard = tx.heard, None

    def _pass_on(
        self,
        stretch: Stretch,
        at: int,
        until: int,
        route: Route,
        grants: list[State],
        tx: _Filling,
        lanes: list[Lane] | None,
    ) -> None:
        """Project changes number `at` up to `until` (left out)."""
        values = stretch.values if until == len(stretch.values) else stretch.values[:until]
        at = at if grants else until
        while at < until:
            projection = None if lanes and _was_otherwise(grants) else self._projection(values[at], route, grants)
            stopped_at = at
            if projection is not None:
                stopped_at = self._run(projection, stretch, values, at, grants, tx, lanes)
            if stopped_at == at:
                self._relay_one(stretch, at, route, grants, tx, lanes)
                at += 1
            else:
                at = stopped_at

    def _run(
        self,
        projection: Any,
        stretch: Stretch,
        values: list[bytes],
        at: int,
        grants: list[State],
        tx: _Filling,
        lanes: list[Lane] | None,
    ) -> int:
        """Have the native engine project from change number `at` on; the number of the one before which it stopped."""
        mark = self._mark(stretch.where, tx) if lanes is None else None
        now_us = int(datetime.now(UTC).timestamp() * 1_000_000)
        outcomes = projection.run(values, at, mark, now_us, lanes is not None)
        for place, grant in enumerate(grants):
            if outcomes.delivers(place):
                self._tally(grant, tx).take(outcomes, place, *stretch.where, stretch.offsets.__getitem__)
        if mark is not None:
            tx.marks[stretch.where] = Mark(*outcomes.mark)
        return int(outcomes.stopped_at)

    def _projection(self, value: bytes, route: Route, grants: Sequence[State]) -> Any:
        """The native engine for changes written as `value` is; None where the reference does the work."""
        try:
            schema_id = wire_schema_id(value)
        except NotAvro:
            return None
        served = tuple((grant["id"], grant["updated_at"]) for grant in grants)
        versions = (schema_id, route.resource["code"], route.resource["version"], served)
        if versions not in self._projections:
            try:
                plans = [self._plan(schema_id, route, grant) for grant in grants]
                most = self._settings.max_record_bytes
                found = native.compiled(self._registry.schema(schema_id), schema_id, plans, most)
            except native.Unsupported as why:
                found = None
                log.info("the reference engine projects", resource=route.resource["code"], why=str(why))
            except (NotAnEnvelope, SchemaRefused, UnknownSchema, MaskError, FilterError, KeyError):
                found = None  # what is wrong is found change by change, and set aside
            self._projections[versions] = found
        return self._projections[versions]

    def _relay_one(
        self,
        stretch: Stretch,
        at: int,
        route: Route,
        grants: list[State],
        tx: _Filling,
        lanes: list[Lane] | None,
    ) -> None:
        """Project change number `at` by the reference, for each grant apart; what cannot be is set aside."""
        place, value = (*stretch.where, stretch.offsets[at]), stretch.values[at]
        if len(value) > self._settings.max_record_bytes:
            self._set_aside(place, value, route, None, "oversized", f"{len(value)} bytes", tx)
            return
        try:
            schema_id = wire_schema_id(value)
            _, envelope = self._registry.decode(value)
        except NotAvro as error:
            self._set_aside(place, value, route, None, "not-avro", str(error), tx)
            return
        except UnknownSchema as error:
            self._set_aside(place, value, route, None, "unknown-schema", str(error), tx)
            return
        if lanes is None and self._repeats(stretch.where, envelope, tx):
            return
        for grant in grants:
            reason = self._project(place, schema_id, envelope, route, grant, tx, catching_up=lanes is not None)
            if reason:
                self._set_aside(place, value, route, grant["id"], *reason, tx)

    def _mark(self, where: Partition, tx: _Filling) -> Mark:
        return tx.marks.get(where) or self._marks.get(where, Mark())

    def _repeats(self, where: Partition, envelope: Any, tx: _Filling) -> bool:
        """Whether the source's log has said this before; a change that makes no sense is new, and set aside as such."""
        try:
            mark = later(self._mark(where, tx), envelope)
        except (KeyError, TypeError, ValueError):
            return False
        if mark is not None:
            tx.marks[where] = mark
        return mark is None

    def _project(
        self,
        place: Place,
        schema_id: int,
        envelope: Any,
        route: Route,
        grant: State,
        tx: _Filling,
        *,
        catching_up: bool,
        known: Known = NOTHING_MORE,
        timed: bool = True,
    ) -> tuple[str, str] | None:
        """Keep what `grant` sees of a change, all of it or nothing; the reason when it cannot be projected.

        How long it took counts where the change is `timed`.
        """
        try:
            served = self._plan(schema_id, route, grant)
            made = records(self._registry, served, envelope, catching_up=catching_up, known=known)
        except (NotAnEnvelope, UnknownOperation, SchemaRefused, KeyError) as error:
            return "wrong-shape", str(error)
        except UnavailableValue as error:
            return "unavailable-value", str(error)
        except (WrongType, MaskError, FilterError) as error:
            return "wrong-type", str(error)
        except (TypeError, ValueError, OverflowError) as error:
            # the words of these may quote the value, and a quarantine entry must not
            return "wrong-type", f"a value does not fit the contract ({type(error).__name__})"
        if not made:
            return None
        tally = self._tally(grant, tx)
        topic, partition, offset = place
        tally.read(topic, partition, offset, offset, 1)
        latency = None
        if timed and not catching_up and envelope["op"] != "r":
            latency = max(0, int((datetime.now(UTC) - committed_at(envelope)).total_seconds() * 1_000_000))
        for op, key, value in made:
            tally.add(op, key, value, latency)
        return None

    def _tally(self, grant: State, tx: _Filling) -> Tally:
        if grant["id"] not in tx.tallies:
            tx.tallies[grant["id"]] = Tally(grant, self._partitions_of(grant["topic"]))
        return tx.tallies[grant["id"]]

    def _partitions_of(self, topic: str) -> int:
        """How many partitions a share topic has. Raises KafkaException where there is no such topic."""
        if topic not in self._partitions:
            told = self._producer.list_topics(timeout=TRANSACTION_TIMEOUT_SECONDS).topics
            self._partitions = {name: len(one.partitions) for name, one in told.items()}
        if topic not in self._partitions:
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, f"there is no topic {topic}"))
        return self._partitions[topic]

    def _produce(self, tally: Tally, tx: _Filling) -> None:
        for partition, part in tally.parts.items():
            part.ask_for_ends(tx.failed.append)
            topic, done = tally.grant["topic"], 0
            if part.traced is not None:
                # one by one, for a batch takes no headers
                done = part.traced.number + 1
                self._enqueue(topic, partition, part.messages[: done - 1])
                self._enqueue_traced(topic, partition, part.messages[done - 1], part.traced.traceparent)
            for start in range(done, len(part.messages), LIVE_BATCH):
                self._enqueue(topic, partition, part.messages[start : start + LIVE_BATCH])

    def _enqueue_traced(self, topic: str, partition: int, message: Made, traceparent: str) -> None:
        self._make_room(1)
        self._producer.produce(
            topic, message["value"], message["key"], partition,
            on_delivery=message.get("callback"), headers=carrying(traceparent),
        )  # fmt: skip

    def _make_room(self, count: int) -> None:
        while len(self._producer) + count > QUEUE_MESSAGES:
            self._producer.poll(0.05)

    def _enqueue(self, topic: str, partition: int, messages: list[Made]) -> None:
        """Give the producer messages for one partition, in their order. Raises DeliveryFailed."""
        self._make_room(len(messages))
        if self._producer.produce_batch(topic, messages, partition=partition) != len(messages):
            failure = next(message["_error"] for message in messages if "_error" in message)
            raise DeliveryFailed(str(failure))
        self._producer.poll(0)

    def _account(self, tx: _Filling) -> None:
        """A manifest for each grant that got something. Raises DeliveryFailed when a record was not acknowledged."""
        for grant_id, tally in tx.tallies.items():
            if not all(part.is_acknowledged for part in tally.parts.values()):
                raise DeliveryFailed("the broker has not acknowledged every record in time")
            self._sequences[grant_id] = self._sequences.get(grant_id, 0) + 1
            manifest = tally.manifest(self._run_id, self._sequences[grant_id], datetime.now(UTC))
            value = self._deliveries.encode(manifest)
            self._producer.produce(
                DELIVERIES.name,
                key=grant_id,
                value=value,
                on_delivery=self._sealing.acknowledged,
                headers=carrying(tally.traceparent),
            )

    def _set_aside(
        self, place: Place, value: bytes, route: Route, grant: str | None, reason: str, detail: str, tx: _Filling
    ) -> None:
        """Put a change that cannot be relayed into quarantine: where it is and why, none of its data."""
        if tx.quiet:
            return
        topic, partition, offset = place
        self._inspection.put_aside(
            self._producer.produce, place, value, route, tx.now,
            grant=grant, reason=reason, detail=detail, digest=sha256(value).digest(),
        )  # fmt: skip
        log.warning("change quarantined", topic=topic, partition=partition, offset=offset, grant=grant, reason=reason)

    def _plan(self, schema_id: int, route: Route, grant: State) -> native.Served:
        versions = (schema_id, grant["id"], grant["updated_at"], route.resource["version"])
        if versions not in self._plans:
            self._plans[versions] = serve(
                self._registry, schema_id, route.resource, grant, self._master, self._partitions_of
            )
        return self._plans[versions]

    def _note(self, tally: Tally, now: datetime) -> None:
        figures = self.figures.setdefault(tally.grant["id"], Figures())
        figures.records += tally.records
        figures.last_delivered_at, figures.latency_max_us = now, tally.latency_max_us

    # -- who is served ----------------------------------------------------------------------------------------------

    def _view(self, topic: str, changed: threading.Event | None = None) -> StateView[dict[str, Any]]:
        told = changed or self._changed
        return StateView(
            lambda wait: state_consumer(self._settings, "sync", f"sync.{topic}", wait),
            topic,
            Codec(self._registry, topic).decode,
            lambda key, value: told.set(),
        )

    def _reroute(self) -> None:
        """Take up what the catalogue and the demand side have changed."""
        found = build(self._resources.values(), self._grants.values())
        routes = {topic: route for topic, route in found.items() if route.is_filled is self._filled}
        ensure_topics(
            self._admin,
            [quarantine(route.resource["code"]) for topic, route in routes.items() if topic not in self._routes],
            self._settings.replication_factor,
        )
        self._routes = routes
        self._forget_plans()
        topics = sorted(routes)
        if topics and topics != self._subscribed:
            self._source.subscribe(
                topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
            )
            self._subscribed = topics
        now = datetime.now(UTC)
        begins = (grant["valid_from"] for route in routes.values() for grant in route.grants)
        self._next_begin = min((begin for begin in begins if begin > now), default=None)
        served = {(str(grant["id"]), topic) for topic, route in routes.items() for grant in route.grants}
        self._lanes = {mark: lane for mark, lane in self._lanes.items() if mark[:2] in served}
        self._scans = {mark: scan for mark, scan in self._scans.items() if mark[:2] in served}
        self._begin_fills(grant for route in routes.values() for grant in route.grants)
        self._place_grants(self._live)

    def _begin_fills(self, grants: Iterable[State]) -> None:
        """Serve grants whose share topic was lost from the beginning again."""
        for grant in grants:
            known = self._fills.get(grant["id"])
            self._fills[grant["id"]] = grant["fill"]
            if known is not None and known != grant["fill"]:
                self._lanes = {mark: lane for mark, lane in self._lanes.items() if mark[0] != grant["id"]}
                self._merged = {mark for mark in self._merged if mark[0] != grant["id"]}
                self._unwritten = {mark for mark in self._unwritten if mark[0] != grant["id"]}
                self._replayed = {mark: replay for mark, replay in self._replayed.items() if mark[0] != grant["id"]}

    def _on_assign(self, source: Consumer, partitions: list[TopicPartition]) -> None:
        """Learn where the partitions stand: the committed offset first, then the progress committed with it."""
        for where in self._settled.committed(partitions, TRANSACTION_TIMEOUT_SECONDS):
            self._live[where.topic, where.partition] = max(where.offset, 0)
            self._marks[where.topic, where.partition] = parse(where.metadata)
        mine = {(where.topic, where.partition) for where in partitions}
        for one in self._read_progress():
            mark = (one["grant"], one["topic"], one["partition"])
            if mark[1:] not in mine:
                continue
            self._replayed[mark] = one["replay"]
            if one["merged"]:
                self._merged.add(mark)
                self._lanes.pop(mark, None)
            else:
                self._lanes[mark] = Lane(mark[0], mark[1:], one["cursor"], one["replay"], one["cursor"])
        self._inspection.take_up(mine)
        self._ordered.set()
        self._asked.set()
        self._place_grants(mine)
        log.info("partitions assigned", partitions=len(mine))

    def _on_revoke(self, source: Consumer, partitions: list[TopicPartition]) -> None:
        self._forget({(where.topic, where.partition) for where in partitions})
        log.info("partitions given up", partitions=len(partitions))

    def _forget(self, partitions: Iterable[Partition]) -> None:
        gone = set(partitions)
        self._inspection.gate.waits.forget(gone)
        for partition in gone:
            self._live.pop(partition, None)
            self._marks.pop(partition, None)
        self._lanes = {mark: lane for mark, lane in self._lanes.items() if mark[1:] not in gone}
        self._merged = {mark for mark in self._merged if mark[1:] not in gone}
        self._unwritten = {mark for mark in self._unwritten if mark[1:] not in gone}
        self._scans = {mark: scan for mark, scan in self._scans.items() if mark[1:] not in gone}
        self._replayed = {mark: replay for mark, replay in self._replayed.items() if mark[1:] not in gone}

    def _read_progress(self) -> Iterable[Mapping[str, Any]]:
        """What is known of each grant's way through a partition; of earlier fills of its share topic, nothing."""
        latest: dict[bytes, Mapping[str, Any]] = {}
        reader = state_consumer(self._settings, "sync", "sync.progress.reader")
        try:
            reader.assign([TopicPartition(PROGRESS.name, 0, 0)])
            for message in read_to_end(reader, 1):
                if (value := message.value()) is not None:
                    latest[bytes(message.key() or b"")] = self._progress.decode(value)
        finally:
            reader.close()
        for one in latest.values():
            if one["fill"] == self._fills.get(one["grant"], one["fill"]):
                yield one

    def _place_grants(self, partitions: Iterable[Partition]) -> None:
        """Give each grant that has begun and has no place yet a lane - or the live stream, where nothing was read."""
        now = datetime.now(UTC)
        for topic, partition in list(partitions):
            route = self._routes.get(topic)
            for grant in route.live(now) if route else ():
                mark = (str(grant["id"]), topic, partition)
                if mark in self._merged or mark in self._lanes:
                    continue
                if self._live.get((topic, partition), 0) == 0:
                    self._merged.add(mark)
                    self._unwritten.add(mark)
                else:
                    self._lanes[mark] = Lane(mark[0], (topic, partition), 0)
                    log.info("catching up", grant=mark[0], topic=topic, partition=partition)

    # -- the catch-up lanes ------------------------------------------------------------------------------------------

    def _take_slice(self, lanes: Iterable[Lane]) -> tuple[list[Stretch], list[Lane]]:
        """The next changes for those of `lanes` that stand at one place of one partition, up to its live position."""
        waiting = list(lanes)
        lane = next(iter(waiting), None)
        if lane is None:
            if self._lane_consumer and not self._scans:
                self._lane_consumer.close()
                self._lane_consumer, self._lane_partition = None, None
            return [], []
        place = (lane.partition, lane.cursor, lane.replay)
        lanes = [one for one in waiting if (one.partition, one.cursor, one.replay) == place]
        if lane.cursor >= self._live[lane.partition]:
            return [], lanes
        if self._lane_consumer is None:
            self._lane_consumer = state_consumer(
                self._settings, "sync", "sync.catch-up", isolation_level=self._isolation
            )
        if (self._lane_partition, self._lane_offset) != (lane.partition, lane.cursor):
            self._lane_consumer.assign([TopicPartition(*lane.partition, lane.cursor)])
            self._lane_partition, self._lane_offset = lane.partition, lane.cursor
        slice_ = self._stretch(lane.partition)
        for message in self._lane_consumer.consume(LANE_SLICE, 0.01):
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            offset = int(message.offset() or 0)
            if offset >= self._live[lane.partition]:  # the live stream's from here on, or the end: nothing is missing
                self._lane_partition = None
                if not slice_.end:
                    for one in lanes:
                        one.cursor = self._live[lane.partition]
                break
            if error is None:
                slice_.append(offset, message)
                self._lane_offset = offset + 1
        return [slice_] if slice_.end else [], lanes

    def _merge_lanes(self, lanes: list[Lane]) -> None:
        """Hand lanes that have reached the live position over to the live stream, with the next transaction's word."""
        for lane in lanes:
            if lane.cursor >= self._live.get(lane.partition, lane.cursor + 1):
                mark = (lane.grant, *lane.partition)
                self._asked.set()
                if lane.replay:
                    self._end_replay(lane)
                    continue
                self._lanes.pop(mark, None)
                self._merged.add(mark)
                self._unwritten.add(mark)
                log.info("caught up", grant=lane.grant, topic=lane.partition[0], partition=lane.partition[1])

    def _write_merges(self, partitions: set[Partition]) -> None:
        for mark in self._unwritten:
            if mark[1:] in partitions:
                self._produce_progress(mark, self._live.get(mark[1:], 0), merged=True)

    def _produce_progress(
        self, mark: tuple[str, str, int], cursor: int, *, merged: bool, replay: str | None = None
    ) -> None:
        grant, topic, partition = mark
        value = {"grant": grant, "topic": topic, "partition": partition, "cursor": cursor, "merged": merged}
        value["replay"] = self._replayed.get(mark, "") if replay is None else replay
        value["fill"] = self._fills.get(grant, 0)
        self._producer.produce(PROGRESS.name, key=f"{grant}/{topic}/{partition}", value=self._progress.encode(value))

    # -- replays -----------------------------------------------------------------------------------------------------

    def _begin_replays(self) -> None:
        """Begin what was asked for and has not begun: of grants that are on the live stream, in partitions of ours."""
        grants = {
            grant["id"]: topic for topic, route in self._routes.items() for grant in route.live(datetime.now(UTC))
        }
        for asked in self._replays.values():
            topic = grants.get(asked["grant"])
            for mark in [mark for mark in self._merged if mark[:2] == (asked["grant"], topic)]:
                if self._replayed.get(mark) == asked["id"] or mark in self._scans or mark[1:] not in self._live:
                    continue
                if asked["cancelled"]:
                    self._end_replay(Lane(mark[0], mark[1:], 0, asked["id"]))
                elif asked["mode"] == "keys":
                    keys = frozenset(bytes(key) for key in asked["keys"])
                    self._scans[mark] = Scan(Lane(mark[0], mark[1:], 0, asked["id"]), keys, asked)
                else:
                    self._begin_replay(mark, asked)

    def _begin_replay(self, mark: tuple[str, str, int], asked: State) -> None:
        """Take a grant off the live stream of a partition and serve it from an earlier offset on.

        It comes back as a lane of a new grant does, so no key steps back once it was delivered again. That it is off is
        committed first: what the stream says meanwhile would be lost if we forgot.
        """
        start = 0
        if asked["since"] is not None:
            at_ms = int(asked["since"].timestamp() * 1_000)
            (found,) = self._source.offsets_for_times([TopicPartition(*mark[1:], at_ms)], TRANSACTION_TIMEOUT_SECONDS)
            start = found.offset if found.offset >= 0 else self._live[mark[1:]]
        start = min(start, self._live[mark[1:]])
        tx = self._begin()
        self._produce_progress(mark, start, merged=False, replay=asked["id"])
        self._producer.flush(TRANSACTION_TIMEOUT_SECONDS)
        self._commit(tx)
        self._merged.discard(mark)
        self._unwritten.discard(mark)
        self._replayed[mark] = asked["id"]
        self._lanes[mark] = Lane(mark[0], mark[1:], start, asked["id"], start, set(), self._live[mark[1:]])
        log.info("replay begun", replay=asked["id"], grant=mark[0], topic=mark[1], partition=mark[2], offset=start)

    def _settle_replay(self, lane: Lane, end: int, tx: _Filling) -> None:
        """Of what a slice makes for a replay that is cancelled, only keys that were delivered again already go out.

        A slice with changes that came since the replay began goes out whole: nobody else delivers those.
        """
        tally = tx.tallies.get(lane.grant)
        if not lane.replay or tally is None:
            return
        tally.replay = lane.replay
        asked = self._replays.get(lane.replay)
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

    def _end_replay(self, lane: Lane) -> None:
        """Back to the live stream, at its very position."""
        mark = (lane.grant, *lane.partition)
        tx = self._begin()
        self._produce_progress(mark, self._live[lane.partition], merged=True, replay=lane.replay)
        self._tell_served(lane)
        self._producer.flush(TRANSACTION_TIMEOUT_SECONDS)
        self._commit(tx)
        self._lanes.pop(mark, None)
        self._merged.add(mark)
        self._replayed[mark] = lane.replay
        log.info("replay ended", replay=lane.replay, grant=lane.grant, topic=lane.partition[0])

    def _look_for_keys(self) -> None:
        """One slice for the scans that stand at one place; those at the end deliver what they have found."""
        slice_, lanes = self._take_slice([scan.lane for scan in self._scans.values()])
        scans = [self._scans[lane.grant, *lane.partition] for lane in lanes]
        if slice_:
            tx = _Filling(datetime.now(UTC), quiet=True)
            for stretch in slice_:
                self._relay(stretch, tx, lanes)
            for scan in scans:
                _keep_found(scan, tx.tallies.get(scan.lane.grant), grant_secret(self._master, scan.lane.grant))
                scan.lane.cursor = slice_[0].end
        for scan in scans:
            if scan.lane.cursor >= self._live.get(scan.lane.partition, scan.lane.cursor + 1):
                self._deliver_found(scan)

    def _deliver_found(self, scan: Scan) -> None:
        """Deliver the keys' last state, which nothing later has been delivered of: the scan has reached the stream."""
        lane = scan.lane
        mark, route = (lane.grant, *lane.partition), self._routes.get(lane.partition[0])
        tx = self._begin()
        for grant in route.live(tx.now) if route else ():
            if grant["id"] != lane.grant:
                continue
            # one partition's scan speaks for all: a ghost has no record in any
            ghosts = self._ghosts(grant, scan.asked) if lane.partition[1] == 0 else []
            if scan.found or ghosts:
                tally = self._tally(grant, tx)
                tally.replay = lane.replay
                for message in (*(one for found in scan.found.values() for one in found), *ghosts):
                    tally.add(op_of(message["value"]), message["key"], message["value"], None)
        lane.records = sum(tally.records for tally in tx.tallies.values())
        self._write(tx)
        self._produce_progress(mark, self._live[lane.partition], merged=True, replay=lane.replay)
        self._tell_served(lane)
        self._producer.flush(TRANSACTION_TIMEOUT_SECONDS)
        self._commit(tx)
        self._scans.pop(mark, None)
        self._replayed[mark] = lane.replay
        self._unwritten.discard(mark)

    def _ghosts(self, grant: State, asked: State) -> list[Made]:
        """What ends rows of the share topic that the source does not have, as far as nothing was said of them since."""
        if not asked["ghosts"]:
            return []
        reader = state_consumer(self._settings, "sync", "sync.ghosts")
        try:
            keys = {
                found[0]: one["partition"]
                for one in asked["ghosts"]
                if (found := _read_at(reader, TopicPartition(grant["topic"], one["partition"], one["offset"])))
            }
            since = [TopicPartition(grant["topic"], one["partition"], one["offset"]) for one in asked["read_to"]]
            reader.assign(since)
            for message in read_to_end(reader, len(since)):
                keys.pop(bytes(message.key() or b""), None)
        finally:
            reader.close()
        return [{"key": key, "value": None} for key in keys]

    def _tell_served(self, lane: Lane) -> None:
        route = self._routes[lane.partition[0]]
        topic = self._source.list_topics(lane.partition[0], TRANSACTION_TIMEOUT_SECONDS).topics[lane.partition[0]]
        facts = {
            "replay": lane.replay, "partition": str(lane.partition[1]), "partitions": str(len(topic.partitions)),
            "records": str(lane.records),
        }  # fmt: skip
        grant = next((one for one in route.grants if one["id"] == lane.grant), None)
        if grant is not None:
            self._inspection.tell(
                self._producer.produce, "replay_served", lane.grant, grant["department"], grant["thread"], facts
            )

    # -- quality -----------------------------------------------------------------------------------------------------

    def _exceptions(
        self, stretch: Stretch, keys: list[bytes | None], route: Route, tx: _Filling, lanes: list[Lane] | None
    ) -> Exceptions:
        """The changes of a stretch that do not simply go on, in their order; each must be settled before the next.

        What cannot be read is no exception: it is found out when it is projected.
        """
        mark, score, gate = self._mark(stretch.where, tx), tx.findings.of(route), self._inspection.gate
        digests, at = list[bytes](), 0
        while at < len(stretch.values):
            number, value = at, stretch.values[at]
            try:
                schema_id = wire_schema_id(value)
                if (fast := self._inspection.fast(schema_id, route)) is not None:
                    if gate.waits.any_in(stretch.where) and not digests:
                        digests = [gate.key_digest(key) for key in keys]
                    end = gate.waits.first(stretch.where, digests, at) if digests else len(keys)
                    values = stretch.values if end == len(keys) else stretch.values[:end]
                    at, rows, heard = fast.run(values, at, mark if lanes is None else None, _day(tx.now))
                    score.judged += rows if lanes is None else 0
                    mark = Mark(*heard) if heard is not None else mark
                    if at > number:
                        continue
                at += 1
                judge = self._inspection.judge(schema_id, route)
                if judge is None or len(value) > self._settings.max_record_bytes:
                    continue
                envelope = self._registry.decode(value)[1]
                if lanes is not None:
                    decision = gate.lane(stretch.where, stretch.offsets[number], keys[number], envelope, judge, tx.now)
                elif (said := later(mark, envelope)) is None:
                    continue
                else:
                    mark = said
                    decision = gate.live(stretch.where, keys[number], envelope, judge, tx.now, score)
            except (NotAvro, UnknownSchema, KeyError, TypeError, ValueError):
                at = number + 1
                continue
            if decision is not None:
                yield number, schema_id, envelope, decision
        tx.heard = mark

    def _decide(
        self,
        change: _Change,
        decision: Decision,
        route: Route,
        grants: list[State],
        tx: _Filling,
        *,
        replays: bool = False,
    ) -> None:
        """Settle a change that does not simply go on."""
        where, offset, gate = change.place[:2], change.place[2], self._inspection.gate
        if decision.fate is Fate.HIDDEN:
            if replays:
                return  # who was delivered what came before keeps it
            self._deliver_known(change, route, grants, tx, lambda _: Known(hidden=True), catching_up=True)
            return
        self._repeats(where, change.envelope, tx)
        if decision.fate is Fate.ASIDE:
            self._inspection.tell_aside(self._producer.produce, change.place, change.value, route, decision, tx.now)
            gate.set_aside(
                where, offset, decision, route.resource["code"], lambda: self._holding(change, route, grants)
            )
        elif decision.fate is Fate.UNSURE or decision.waited is None:
            self._deliver_known(change, route, grants, tx, lambda _: Known(unsure=True))
        else:
            waited, how = decision.waited, ENDS[decision.fate]
            self._deliver_known(change, route, grants, tx, lambda grant: Known(held=grant["id"] in waited.holding))
            gate.waits.put(where, decision.digest, None)
            tx.findings.of(route).corrected += decision.fate is Fate.CORRECTED
            told = (*where, waited.offset)
            self._inspection.tell_end(self._producer.produce, told, route, how, BY, by=offset)

    def _deliver_known(
        self,
        change: _Change,
        route: Route,
        grants: list[State],
        tx: _Filling,
        known: Callable[[State], Known],
        *,
        catching_up: bool = False,
        timed: bool = True,
    ) -> None:
        for grant in grants:
            reason = self._project(
                change.place, change.schema_id, change.envelope, route, grant, tx,
                catching_up=catching_up, known=known(grant), timed=timed,
            )  # fmt: skip
            if reason:
                self._set_aside(change.place, change.value, route, grant["id"], *reason, tx)

    def _holding(self, change: _Change, route: Route, grants: list[State]) -> frozenset[str]:
        """The grants that have the row of a change that is set aside, as it was before.

        A snapshot's read does not say how the row was; who would see it now may have it.
        """
        envelope = change.envelope
        row = envelope["after"] if envelope["op"] == "r" else envelope["before"]
        found = set()
        for grant in grants if row is not None else ():
            try:
                if sees(self._plan(change.schema_id, route, grant).plan, row):
                    found.add(grant["id"])
            except _UNPROJECTED:
                continue  # what cannot be projected was not delivered
        return frozenset(found)

    def _carry_out_orders(self) -> None:
        """Do what persons want done with changes that are set aside, in the partitions that are ours."""
        for order in self._orders.values():
            where = (order["topic"], order["partition"])
            route = self._routes.get(where[0])
            if route is None or where not in self._live or order["id"] in self._carried_out:
                continue
            found = self._read_again(where, order["offset"])
            tx = self._begin()
            if found is not None:
                self._obey(order, *found, route, tx)
            self._write(tx)
            self._inspection.done(self._producer.produce, f"{where[0]}/{where[1]}/{order['offset']}")
            self._producer.flush(TRANSACTION_TIMEOUT_SECONDS)
            self._commit(tx)
            self._carried_out.add(order["id"])

    def _obey(self, order: State, key: bytes | None, value: bytes, route: Route, tx: _Filling) -> None:
        """Try a change that is set aside again, or release it; nothing where it is not what its key waits for."""
        gate, place = self._inspection.gate, (order["topic"], order["partition"], order["offset"])
        where, digest = place[:2], gate.key_digest(key)
        waited = gate.waits.get(where, digest)
        if waited is None or waited.released or waited.offset != place[2]:
            return
        change = _Change(place, value, *self._registry.decode(value))
        tell = self._inspection.tell_end
        if order["action"] == "redrive":
            judge = self._inspection.judge(change.schema_id, route)
            verdict = judge.judge(change.envelope["after"], change.envelope["before"], tx.now) if judge else None
            if verdict is not None and verdict.stopping:
                tell(self._producer.produce, place, route, "redrive_failed", order["actor"])
                return
            gate.waits.put(where, digest, None)
            tell(self._producer.produce, place, route, "redriven", order["actor"])
        else:
            gate.waits.put(where, digest, replace(waited, released=True))
            tell(self._producer.produce, place, route, "released", order["actor"])
        merged = [grant for grant in route.live(tx.now) if (grant["id"], *where) in self._merged]
        self._deliver_known(
            change, route, merged, tx, lambda grant: Known(held=grant["id"] in waited.holding), timed=False
        )

    def _read_again(self, where: Partition, offset: int) -> tuple[bytes, bytes] | None:
        """Key and value of one change; None when its topic does not hold it any more. Raises KafkaException."""
        reader = state_consumer(self._settings, "sync", "sync.orders.reader", isolation_level=self._isolation)
        try:
            return _read_at(reader, TopicPartition(*where, offset))
        finally:
            reader.close()

    def _forget_plans(self) -> None:
        """Drop what was compiled for grants and versions that are no longer there."""
        served = {(grant["id"], grant["updated_at"]) for route in self._routes.values() for grant in route.grants}
        versions = {route.resource["code"]: route.resource["version"] for route in self._routes.values()}
        self._plans = {known: plan for known, plan in self._plans.items() if known[1:3] in served}
        self._projections = {
            known: one for known, one in self._projections.items()
            if versions.get(known[1]) == known[2] and served.issuperset(known[3])
        }  # fmt: skip
        self._inspection.keep_only(versions, {one["name"]: one["codes"] for one in self._code_lists.values()})

    # -- failure ----------------------------------------------------------------------------------------------------

    def _begin_epoch(self) -> None:
        """Two new producers, which take the transactions in turn; what older ones had in flight is fenced.

        A committed transaction is not over before its markers are written. A producer that begins the next one earlier
        is told to wait (CONCURRENT_TRANSACTIONS) and does so for 20 ms; the other one need not.
        """
        made = [
            producer(
                self._settings, "sync",
                transactional_id=f"{self._transactional_id}-{turn}",
                transaction_timeout_ms=60_000,
                message_timeout_ms=30_000,
                socket_timeout_ms=REQUEST_TIMEOUT_MS,
                queue_buffering_max_messages=QUEUE_MESSAGES,
                queue_buffering_max_kbytes=2_097_151,
                client_id=f"tongshu-{self._run_id}",
            )
            for turn in ("a", "b")
        ]  # fmt: skip
        for one in made:
            one.init_transactions(TRANSACTION_TIMEOUT_SECONDS)
        self._turns = itertools.cycle(made)
        self._offsets.end()
        self._offsets = OffsetSender()

    def _recover(self, stop: threading.Event) -> None:
        """A new producer epoch, then on from what is committed: the outcome of the old transaction is no matter."""
        while not stop.is_set():
            try:
                self._begin_epoch()
                assigned = self._source.assignment()
                self._forget(list(self._live))
                if assigned:
                    self._on_assign(self._source, assigned)
                for (topic, partition), offset in self._live.items():
                    self._source.seek(TopicPartition(topic, partition, offset))
                self._lane_partition = None
                return
            except (KafkaException, RegistryUnavailable) as error:
                self._not_ready = f"{type(error).__name__}: {error}"
                log.warning("the broker does not let us go on yet", reason=self._not_ready)
                stop.wait(1.0)
