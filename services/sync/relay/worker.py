"""The relay: every granted change, once, from `cdc.*` to `share.*`.

Guarantee: records, manifests, quarantine entries, progress and source offsets of a batch are one Kafka transaction. On
any failure of a transaction the producer is thrown away, a new one with the same transactional id fences whatever was
still in flight, and the worker goes on from what the broker says is committed. (librdkafka lacks KIP-890: after a
transaction request that timed out, no other transaction may begin in the same epoch.)

A new grant gets what exists first: a catch-up lane reads the change topic from its beginning, beside the live stream,
until it has reached the live position of the partition; from that offset on, the live stream serves the grant. Live
changes come first: between two of their batches a lane gets one slice.
"""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from services.core.avro import (
    Codec,
    NotAvro,
    Registry,
    RegistryUnavailable,
    SchemaRefused,
    UnknownSchema,
    wire_schema_id,
)
from services.core.kafka import StateView, consumer, ensure_topics, producer, read_to_end, state_consumer
from services.core.masks import MaskError
from services.core.rowfilter import FilterError
from services.core.settings import Settings
from services.sync.projection import native
from services.sync.projection.plan import NotAnEnvelope, compile_plan
from services.sync.projection.reference import UnavailableValue, UnknownOperation, committed_at, project
from services.sync.projection.values import WrongType
from services.sync.relay.budget import SealingBudget
from services.sync.relay.manifest import Message, Tally
from services.sync.relay.repeats import Mark, later, parse
from services.sync.relay.routes import Route, State, build
from services.sync.topics import DELIVERIES, PROGRESS, quarantine

log = structlog.get_logger()

GROUP = "sync.relay"
LIVE_BATCH = 5_000
LANE_SLICE = 500
QUEUE_MESSAGES = 1_000_000
"""What a producer holds that the broker has not taken yet. It is never filled: what did not fit would lose its turn."""
TRANSACTION_TIMEOUT_SECONDS = 30.0
# a broker that says nothing more, on a connection that seems alive
REQUEST_TIMEOUT_MS = 10_000

Partition = tuple[str, int]
Place = tuple[str, int, int]
"""Topic, partition, offset."""


class DeliveryFailed(Exception):
    """The broker did not take a record of the open transaction."""


@dataclass(slots=True)
class Lane:
    """A grant that catches up with a partition; `cursor` is the next offset it reads."""

    grant: str
    partition: Partition
    cursor: int


@dataclass(slots=True)
class Stretch:
    """Changes of one partition in their order: their offsets and bytes. `end` is the offset after the last message."""

    where: Partition
    end: int = 0
    offsets: list[int] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)

    def append(self, offset: int, value: bytes | None) -> None:
        """One message; a tombstone follows a delete, which has made its own, and is only read past."""
        self.end = offset + 1
        if value is not None:
            self.offsets.append(offset)
            self.values.append(value)


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
        self._quarantine = Codec(registry, "quarantine")
        self._changed = threading.Event()
        self._resources = self._view("catalog.resources")
        self._grants = self._view("demand.grants")
        self._sealing = SealingBudget(settings, registry)
        self._routes: dict[str, Route] = {}
        self._plans: dict[tuple[int, str, datetime, int], native.Served] = {}
        self._projections: dict[Hashable, Any] = {}
        self._partitions: dict[str, int] = {}
        self._live: dict[Partition, int] = {}
        self._marks: dict[Partition, Mark] = {}
        self._lanes: dict[tuple[str, str, int], Lane] = {}
        self._merged: set[tuple[str, str, int]] = set()
        self._unwritten: set[tuple[str, str, int]] = set()
        self._beside = ThreadPoolExecutor(1, "offsets")
        self._fills: dict[str, int] = {}
        self._sequences: dict[str, int] = {}
        self._subscribed: list[str] = []
        self._next_begin: datetime | None = None
        self._lane_consumer: Consumer | None = None
        self._lane_partition: Partition | None = None
        self._lane_offset = -1
        self.figures: dict[str, Figures] = {}
        self._not_ready: str | None = "starting"

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

    # -- the loop ----------------------------------------------------------------------------------------------------

    def run(self, stop: threading.Event, on_idle: Callable[[], None] = lambda: None) -> None:
        """Relay until `stop` is set. Raises when a state topic can no longer be followed: it must not go on blind."""
        self._resources.start()
        self._grants.start()
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
                for view in (self._resources, self._grants, self._sealing.view):
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
                    log.warning("the batch is given up and begun anew", reason=self._not_ready)
                    stop.wait(0.5)
                    self._recover(stop)
        finally:
            self._source.close()
            self._settled.close()
            if self._lane_consumer:
                self._lane_consumer.close()
            self._resources.stop()
            self._grants.stop()
            self._sealing.view.stop()

    def _step(self) -> None:
        if self._changed.is_set() or (self._next_begin and datetime.now(UTC) >= self._next_begin):
            self._changed.clear()
            self._reroute()
        batch = self._take()
        if batch:
            self._deliver(batch, lanes=None)
        slice_, lanes = self._take_slice()
        if slice_:
            self._deliver(slice_, lanes=lanes)
        self._merge_lanes(lanes)

    def _take(self) -> list[Stretch]:
        """What is there of the live stream: at once what has come, else after a short wait for the first."""
        first = self._source.poll(0.001 if self._lanes else 0.1)
        if first is None:
            return []
        taken: dict[Partition, Stretch] = {}
        for message in (first, *self._source.consume(LIVE_BATCH - 1, 0)):
            error = message.error()
            if error is None:
                where, offset = (str(message.topic()), int(message.partition() or 0)), int(message.offset() or 0)
                stretch = taken.get(where) or taken.setdefault(where, Stretch(where, self._live.get(where, -1)))
                # a rebalance in between may have taken the partition away, or given it back from an earlier offset
                if where in self._live and offset >= stretch.end:
                    stretch.append(offset, message.value())
            elif error.code() in (KafkaError._PARTITION_EOF, KafkaError.UNKNOWN_TOPIC_OR_PART):
                continue
            else:
                raise KafkaException(error)
        return [stretch for where, stretch in taken.items() if where in self._live]

    # -- one transaction ---------------------------------------------------------------------------------------------

    def _deliver(self, batch: list[Stretch], lanes: list[Lane] | None) -> None:
        """Project `batch` and commit it; for `lanes` (catching up) or, with None, for all merged grants."""
        tx = _Filling(datetime.now(UTC))
        ends = {stretch.where: stretch.end for stretch in batch}
        self._producer = next(self._turns)
        self._producer.begin_transaction()
        for stretch in batch:
            self._relay(stretch, tx, lanes)
        for tally in tx.tallies.values():
            self._produce(tally, tx)
        if lanes is None:
            self._write_merges(set(ends))
        else:
            for lane in lanes:
                self._produce_progress((lane.grant, *lane.partition), ends[lane.partition], merged=False)
        # neither waits for the other: the offsets go to the coordinator while the records go to their partitions
        sent = self._beside.submit(self._send_offsets, ends, self._marks | tx.marks) if lanes is None else None
        try:
            self._producer.flush(TRANSACTION_TIMEOUT_SECONDS)
        finally:
            if sent:
                sent.result()
        if tx.failed:
            raise DeliveryFailed(str(tx.failed[0]))
        self._account(tx)
        self._producer.commit_transaction(TRANSACTION_TIMEOUT_SECONDS)
        self._sealing.committed()
        self._marks.update(tx.marks)
        if lanes is None:
            self._live.update(ends)
            self._unwritten -= {mark for mark in self._unwritten if mark[1:] in ends}
        else:
            for lane in lanes:
                lane.cursor = ends[lane.partition]
        for tally in tx.tallies.values():
            self._note(tally, tx.now)

    def _send_offsets(self, ends: Mapping[Partition, int], marks: Mapping[Partition, Mark]) -> None:
        self._producer.send_offsets_to_transaction(
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
        at = 0 if grants else len(stretch.values)
        while at < len(stretch.values):
            projection = self._projection(stretch.values[at], route, grants)
            stopped_at = self._run(projection, stretch, at, grants, tx, lanes) if projection is not None else at
            if stopped_at == at:
                self._relay_one(stretch, at, route, grants, tx, lanes)
                at += 1
            else:
                at = stopped_at

    def _run(
        self, projection: Any, stretch: Stretch, at: int, grants: list[State], tx: _Filling, lanes: list[Lane] | None
    ) -> int:
        """Have the native engine project from change number `at` on; the number of the one before which it stopped."""
        mark = self._mark(stretch.where, tx) if lanes is None else None
        now_us = int(datetime.now(UTC).timestamp() * 1_000_000)
        outcomes = projection.run(stretch.values, at, mark, now_us, lanes is not None)
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
    ) -> tuple[str, str] | None:
        """Keep what `grant` sees of a change, all of it or nothing; the reason when it cannot be projected."""
        try:
            served = self._plan(schema_id, route, grant)
            records = [
                (
                    one.op,
                    self._registry.encode(served.key_id, one.key),
                    None if one.value is None else self._registry.encode(served.value_id, one.value),
                )
                for one in project(served.plan, envelope, catching_up=catching_up)
            ]
        except (NotAnEnvelope, UnknownOperation, SchemaRefused, KeyError) as error:
            return "wrong-shape", str(error)
        except UnavailableValue as error:
            return "unavailable-value", str(error)
        except (WrongType, MaskError, FilterError) as error:
            return "wrong-type", str(error)
        except (TypeError, ValueError, OverflowError) as error:
            # the words of these may quote the value, and a quarantine entry must not
            return "wrong-type", f"a value does not fit the contract ({type(error).__name__})"
        if not records:
            return None
        tally = self._tally(grant, tx)
        topic, partition, offset = place
        tally.read(topic, partition, offset, offset, 1)
        latency = None
        if not catching_up and envelope["op"] != "r":
            latency = max(0, int((datetime.now(UTC) - committed_at(envelope)).total_seconds() * 1_000_000))
        for op, key, value in records:
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
            for start in range(0, len(part.messages), LIVE_BATCH):
                self._enqueue(tally.grant["topic"], partition, part.messages[start : start + LIVE_BATCH])

    def _enqueue(self, topic: str, partition: int, messages: list[Message]) -> None:
        """Give the producer messages for one partition, in their order. Raises DeliveryFailed."""
        while len(self._producer) + len(messages) > QUEUE_MESSAGES:
            self._producer.poll(0.05)
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
            self._producer.produce(DELIVERIES.name, key=grant_id, value=value, on_delivery=self._sealing.acknowledged)

    def _set_aside(
        self, place: Place, value: bytes, route: Route, grant: str | None, reason: str, detail: str, tx: _Filling
    ) -> None:
        """Put a change that cannot be relayed into quarantine: where it is and why, none of its data."""
        topic, partition, offset = place
        entry = {
            "resource": route.resource["code"],
            "owner": route.resource["department"],
            "grant": grant,
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "reason": reason,
            "detail": detail,
            "size": len(value),
            "digest": sha256(value).digest(),
            "quarantined_at": tx.now,
        }
        self._producer.produce(
            quarantine(route.resource["code"]).name,
            key=f"{topic}/{partition}/{offset}",
            value=self._quarantine.encode(entry),
        )
        log.warning("change quarantined", topic=topic, partition=partition, offset=offset, grant=grant, reason=reason)

    def _plan(self, schema_id: int, route: Route, grant: State) -> native.Served:
        versions = (schema_id, grant["id"], grant["updated_at"], route.resource["version"])
        if versions not in self._plans:
            plan = compile_plan(self._registry.schema(schema_id), route.resource, grant, self._master)
            topic = grant["topic"]
            self._plans[versions] = native.Served(
                plan,
                self._registry.register(f"{topic}-key", plan.key_schema, "FULL"),
                self._registry.register(f"{topic}-value", plan.value_schema, "FULL"),
                self._partitions_of(topic),
            )
        return self._plans[versions]

    def _note(self, tally: Tally, now: datetime) -> None:
        figures = self.figures.setdefault(tally.grant["id"], Figures())
        figures.records += tally.records
        figures.last_delivered_at, figures.latency_max_us = now, tally.latency_max_us

    # -- who is served ----------------------------------------------------------------------------------------------

    def _view(self, topic: str) -> StateView[dict[str, Any]]:
        return StateView(
            lambda: state_consumer(self._settings, "sync", f"sync.{topic}"),
            topic,
            Codec(self._registry, topic).decode,
            lambda key, value: self._changed.set(),
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

    def _on_assign(self, source: Consumer, partitions: list[TopicPartition]) -> None:
        """Learn where the partitions stand: the committed offset first, then the progress committed with it."""
        for where in self._settled.committed(partitions, TRANSACTION_TIMEOUT_SECONDS):
            self._live[where.topic, where.partition] = max(where.offset, 0)
            self._marks[where.topic, where.partition] = parse(where.metadata)
        mine = {(where.topic, where.partition) for where in partitions}
        for grant_id, topic, partition, cursor, merged in self._read_progress():
            mark = (grant_id, topic, partition)
            if (topic, partition) not in mine:
                continue
            if merged:
                self._merged.add(mark)
                self._lanes.pop(mark, None)
            else:
                self._lanes[mark] = Lane(grant_id, (topic, partition), cursor)
        self._place_grants(mine)
        log.info("partitions assigned", partitions=len(mine))

    def _on_revoke(self, source: Consumer, partitions: list[TopicPartition]) -> None:
        self._forget({(where.topic, where.partition) for where in partitions})
        log.info("partitions given up", partitions=len(partitions))

    def _forget(self, partitions: Iterable[Partition]) -> None:
        gone = set(partitions)
        for partition in gone:
            self._live.pop(partition, None)
            self._marks.pop(partition, None)
        self._lanes = {mark: lane for mark, lane in self._lanes.items() if mark[1:] not in gone}
        self._merged = {mark for mark in self._merged if mark[1:] not in gone}
        self._unwritten = {mark for mark in self._unwritten if mark[1:] not in gone}

    def _read_progress(self) -> Iterable[tuple[str, str, int, int, bool]]:
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
                yield one["grant"], one["topic"], one["partition"], one["cursor"], one["merged"]

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

    def _take_slice(self) -> tuple[list[Stretch], list[Lane]]:
        """The next changes for the lanes that stand at one place of one partition, up to its live position."""
        lane = next(iter(self._lanes.values()), None)
        if lane is None:
            if self._lane_consumer:
                self._lane_consumer.close()
                self._lane_consumer, self._lane_partition = None, None
            return [], []
        lanes = [one for one in self._lanes.values() if (one.partition, one.cursor) == (lane.partition, lane.cursor)]
        if lane.cursor >= self._live[lane.partition]:
            return [], lanes
        if self._lane_consumer is None:
            self._lane_consumer = state_consumer(
                self._settings, "sync", "sync.catch-up", isolation_level=self._isolation
            )
        if (self._lane_partition, self._lane_offset) != (lane.partition, lane.cursor):
            self._lane_consumer.assign([TopicPartition(*lane.partition, lane.cursor)])
            self._lane_partition, self._lane_offset = lane.partition, lane.cursor
        slice_ = Stretch(lane.partition)
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
                slice_.append(offset, message.value())
                self._lane_offset = offset + 1
        return [slice_] if slice_.end else [], lanes

    def _merge_lanes(self, lanes: list[Lane]) -> None:
        """Hand lanes that have reached the live position over to the live stream, with the next transaction's word."""
        for lane in lanes:
            if lane.cursor >= self._live.get(lane.partition, lane.cursor + 1):
                mark = (lane.grant, *lane.partition)
                self._lanes.pop(mark, None)
                self._merged.add(mark)
                self._unwritten.add(mark)
                log.info("caught up", grant=lane.grant, topic=lane.partition[0], partition=lane.partition[1])

    def _write_merges(self, partitions: set[Partition]) -> None:
        for mark in self._unwritten:
            if mark[1:] in partitions:
                self._produce_progress(mark, self._live.get(mark[1:], 0), merged=True)

    def _produce_progress(self, mark: tuple[str, str, int], cursor: int, *, merged: bool) -> None:
        grant, topic, partition = mark
        value = {"grant": grant, "topic": topic, "partition": partition, "cursor": cursor, "merged": merged}
        value["fill"] = self._fills.get(grant, 0)
        self._producer.produce(PROGRESS.name, key=f"{grant}/{topic}/{partition}", value=self._progress.encode(value))

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
