"""Follows the change topics of resources that have checks, and opens a case where rows do not agree.

What rows say is kept in digests beside how far the topics are read, in one transaction, so that it is the topics'
state, whatever is killed when, and however many processes share the topics. A check that is new reads its topics from
their beginnings. Two sources are never changed in one moment, so what differs is told only once it has lasted; it ends
by itself when the rows agree again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.core.avro import Codec, NotAvro, Registry, RegistryUnavailable, UnknownSchema
from services.core.following import keep_position, position
from services.core.kafka import StateView, consumer, state_consumer
from services.core.settings import Settings
from services.sync import store
from services.sync.comparing.checks import Check, Digests, Side, sides
from services.sync.events import Publisher
from services.sync.projection.plan import Column, Columns, NotAnEnvelope
from services.sync.projection.reference import UnavailableValue, read
from services.sync.projection.values import WrongType
from services.sync.relay.inspection import BY
from services.sync.relay.routes import State

log = structlog.get_logger()

_BATCH = 2_000
_LOOK_SECONDS = 1.0
_TOLD_AT_ONCE = 500
_PLACES = 20
_UNREADABLE = (
    NotAvro, UnknownSchema, NotAnEnvelope, WrongType, UnavailableValue, KeyError, TypeError, ValueError, OverflowError,
)  # fmt: skip
_Row = tuple[Side, bytes]
_Watched = tuple[str, str, int]


class _Moved(Exception):
    """Somebody else has read on, or the topic is to be read anew."""


@dataclass(slots=True)
class Said:
    """What a batch says: of each row last, where; None: nothing any more."""

    rows: dict[_Row, tuple[tuple[bytes, bytes] | None, tuple[str, int, int]]] = field(default_factory=dict)


class Comparer(threading.Thread):
    """Compares until `stop` is set."""

    def __init__(
        self, settings: Settings, registry: Registry, session: Callable[[], Session], stop: threading.Event
    ) -> None:
        super().__init__(name="comparer", daemon=True)
        self._settings, self._registry, self._session, self._stop_asked = settings, registry, session, stop
        self._publisher = Publisher(registry)
        self._digests = Digests(bytes.fromhex(settings.secret("pseudonym_key")))
        self._changed = threading.Event()
        self._resources: StateView[dict[str, Any]] = StateView(
            lambda wait: state_consumer(settings, "sync", "sync.comparing.resources", wait),
            "catalog.resources",
            Codec(registry, "catalog.resources").decode,
            lambda key, value: self._changed.set(),
        )
        self._sides: dict[str, list[Side]] = {}
        self._by_topic: dict[str, State] = {}
        self._columns: dict[tuple[int, str, int], dict[str, Column]] = {}
        self._places: dict[tuple[str, int], int] = {}
        self._next_look = 0.0
        self.not_ready: str | None = "starting"

    def run(self) -> None:
        self._resources.start()
        self._changed.set()
        while not self._stop_asked.is_set():
            source = consumer(self._settings, "sync", "sync.comparing", session_timeout_ms=6_000)
            try:
                self._sides = {}
                self._changed.set()
                while not self._stop_asked.is_set():
                    self._step(source)
                    self.not_ready = None
            except (OperationalError, KafkaException, RegistryUnavailable) as error:
                self.not_ready = f"{type(error).__name__}: {error}"
                log.warning("rows cannot be compared just now", reason=self.not_ready)
                self._stop_asked.wait(_LOOK_SECONDS)
            finally:
                source.close()
        self._resources.stop()

    def _step(self, source: Consumer) -> None:
        if self._changed.is_set():
            self._changed.clear()
            self._watch(source)
        if self._by_topic:
            batch = self._take(source)
            try:
                if batch:
                    ends = self._apply(batch)
                    # for whoever watches lag; the database is what counts
                    source.commit(offsets=ends, asynchronous=True)
            except _Moved:
                self._place_again(source)
        else:
            self._stop_asked.wait(_LOOK_SECONDS)
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK_SECONDS
            self._tell()

    # -- which topics ------------------------------------------------------------------------------------------------

    def _watch(self, source: Consumer) -> None:
        """Follow the checks that there are now."""
        resources = self._resources.values()
        found = sides(resources)
        by_topic: dict[str, State] = {one["mount"]["topic"]: one for one in resources if one["code"] in found}
        if found == self._sides and by_topic == self._by_topic:
            return
        wanted = {
            (side.check.name, topic, side.number) for topic, one in by_topic.items() for side in found[one["code"]]
        }
        with self._session() as session, session.begin():
            _lock(session)
            there = {(one.check, one.topic, one.side) for one in session.scalars(select(store.Watched))}
            _begin(session, wanted - there)
            self._end(session, there - wanted)
        topics, before = sorted(by_topic), sorted(self._by_topic)
        self._sides, self._by_topic = found, by_topic
        self._columns.clear()
        if topics and topics != before:
            source.subscribe(topics, on_assign=self._on_assign)
        elif topics:
            self._place_again(source)
        elif before:
            source.unsubscribe()

    def _end(self, session: Session, gone: Collection[_Watched]) -> None:
        """Forget what rows have said to checks that are no more; their cases are over."""
        for check, topic, side in gone:
            session.execute(delete(store.Watched).filter_by(check=check, topic=topic, side=side))
            session.execute(delete(store.Compared).filter_by(check=check, topic=topic, side=side))
        names = {check for check, _, _ in gone}
        there = select(store.Inconsistency).where(
            store.Inconsistency.check.in_(names), store.Inconsistency.ended_at.is_(None)
        )
        for one in session.scalars(there):
            self._close(session, one)

    def _on_assign(self, source: Consumer, given: list[TopicPartition]) -> None:
        places = self._kept(given)
        self._places = {(one.topic, one.partition): one.offset for one in places}
        source.assign(places)

    def _place_again(self, source: Consumer) -> None:
        places = self._kept(source.assignment())
        self._places = {(one.topic, one.partition): one.offset for one in places}
        for one in places:
            source.seek(one)

    def _kept(self, partitions: Iterable[TopicPartition]) -> list[TopicPartition]:
        with self._session() as session:
            return [
                TopicPartition(one.topic, one.partition, position(session, store.positions, one.topic, one.partition))
                for one in partitions
            ]

    def _take(self, source: Consumer) -> list[Message]:
        batch = []
        for message in source.consume(_BATCH, 0.2):
            error = message.error()
            if error is None:
                batch.append(message)
            elif error.code() not in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._PARTITION_EOF):
                raise KafkaException(error)
        return batch

    # -- what rows say -----------------------------------------------------------------------------------------------

    def _apply(self, batch: Sequence[Message]) -> list[TopicPartition]:
        """Keep what a batch says, and what follows from it; how far it was read. Raises _Moved."""
        said, ends = Said(), dict[tuple[str, int], int]()
        for message in batch:
            where, offset = (str(message.topic()), int(message.partition() or 0)), int(message.offset() or 0)
            ends[where] = offset + 1
            resource = self._by_topic.get(where[0])
            if resource is not None:
                self._hear(resource, message, (*where, offset), said)
        with self._session() as session, session.begin():
            _lock(session)
            for where in sorted(ends):
                if position(session, store.positions, *where) != self._places.get(where):
                    raise _Moved
            if said.rows:
                self._compare(session, said)
            for where, end in ends.items():
                keep_position(session, store.positions, *where, end)
        self._places |= ends
        return [TopicPartition(*where, end) for where, end in ends.items()]

    def _hear(self, resource: State, message: Message, place: tuple[str, int, int], said: Said) -> None:
        """What a change says; of one that cannot be read, nothing: it is set aside elsewhere."""
        value, key = message.value(), self._digests.key(message.key())
        try:
            schema_id, envelope = (0, {"after": None}) if value is None else self._registry.decode(value)
            row, before = envelope["after"], envelope.get("before")
            columns = {} if row is None else self._columns_of(schema_id, resource)
            values = {item: read(column, row or {}, before) for item, column in columns.items()}
            for side in self._sides[resource["code"]]:
                entry = None if row is None else self._digests.entry(side, values, key)
                said.rows[side, key] = entry, place
        except _UNREADABLE:
            return

    def _columns_of(self, schema_id: int, resource: State) -> dict[str, Column]:
        version = (schema_id, resource["code"], resource["version"])
        if version not in self._columns:
            columns = Columns(self._registry.schema(schema_id), resource)
            items = {item for side in self._sides[resource["code"]] for item in side.items}
            self._columns[version] = {item: columns.column(item) for item in sorted(items)}
        return self._columns[version]

    def _compare(self, session: Session, said: Said) -> None:
        """Keep what rows say, and hold those against each other that have or had a subject with them."""
        checks = {side.check.name: side.check for side, _ in said.rows}
        place = tuple_(store.Compared.check, store.Compared.side, store.Compared.key)
        named = [(side.check.name, side.number, key) for side, key in said.rows]
        kept = {
            (one.check, one.side, one.key): one
            for one in session.scalars(select(store.Compared).where(place.in_(named)))
        }
        subjects, gone, new = set[tuple[str, bytes]](), list[tuple[str, int, bytes]](), list[dict[str, Any]]()
        for (side, key), (entry, (topic, partition, offset)) in said.rows.items():
            name = (side.check.name, side.number, key)
            before = kept.get(name)
            if before is not None:
                if before.partition == partition and before.offset > offset:
                    continue  # it is read again, and has said something else since
                subjects.add((name[0], before.subject))
            if entry is None:
                gone.append(name)
                continue
            subjects.add((name[0], entry[0]))
            new.append(
                {"check": name[0], "side": name[1], "key": key, "subject": entry[0], "value": entry[1],
                 "topic": topic, "partition": partition, "offset": offset}
            )  # fmt: skip
        if gone:
            session.execute(delete(store.Compared).where(place.in_(gone)))
        if new:
            made = insert(store.Compared)
            over = {one: made.excluded[one] for one in ("subject", "value", "topic", "partition", "offset")}
            index = ["check", "side", "key"]
            session.execute(made.on_conflict_do_update(index_elements=index, set_=over), new)
        for check in checks.values():
            self._judge(session, check, {subject for of, subject in subjects if of == check.name})

    def _judge(self, session: Session, check: Check, subjects: Collection[bytes]) -> None:
        """Open a case of each subject of which rows do not agree, and close those of which they do."""
        if not subjects:
            return
        rows, cases = store.Compared, store.Inconsistency
        query = select(rows.subject).where(rows.check == check.name, rows.subject.in_(subjects))
        query = query.group_by(rows.subject).having(func.count(rows.value.distinct()) > 1)
        if check.other:
            query = query.having(func.count(rows.side.distinct()) > 1)
        differing = set(session.scalars(query))
        if differing:
            about = {
                "check": check.name, "kind": check.kind, "rule": check.rule, "resource": check.resource,
                "owner": check.owner, "other": check.other, "other_owner": check.other_owner,
                "since": datetime.now(UTC), "places": [],
            }  # fmt: skip
            session.execute(
                insert(cases).on_conflict_do_nothing(
                    index_elements=["check", "subject"], index_where=cases.ended_at.is_(None)
                ),
                [{**about, "subject": subject} for subject in differing],
            )
        over = select(cases).where(
            cases.check == check.name, cases.ended_at.is_(None), cases.subject.in_(set(subjects) - differing)
        )
        for one in session.scalars(over):
            self._close(session, one)

    # -- what is told ------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Tell both departments what has lasted."""
        cases = store.Inconsistency
        lasting = datetime.now(UTC) - timedelta(seconds=self._settings.inconsistency_seconds)
        query = select(cases).where(cases.told_at.is_(None), cases.ended_at.is_(None), cases.since <= lasting)
        with self._session() as session, session.begin():
            _lock(session)
            for one in session.scalars(query.order_by(cases.number).limit(_TOLD_AT_ONCE)):
                one.told_at, one.places = datetime.now(UTC), _places_of(session, one)
                self._happened(session, "inconsistency_found", one)

    def _close(self, session: Session, one: store.Inconsistency) -> None:
        if one.told_at is None:
            session.delete(one)
            return
        one.ended_at = datetime.now(UTC)
        self._happened(session, "inconsistency_ended", one)

    def _happened(self, session: Session, event: str, one: store.Inconsistency) -> None:
        facts = {
            "inconsistency": str(one.number), "kind": one.kind, "rule": one.rule, "resource": one.resource,
            "other": one.other, "places": " ".join(_named(place) for place in one.places),
        }  # fmt: skip
        for department in dict.fromkeys(filter(None, (one.owner, one.other_owner))):
            thread = f"inconsistency-{one.number}"
            self._publisher.happened(session, event, one.resource, department, thread, BY, facts)


def _lock(session: Session) -> None:
    """One after another: two that each add a row would not see each other's."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext("sync.comparing"))))


def _begin(session: Session, new: Collection[_Watched]) -> None:
    """Have the topics of new checks read from their beginnings."""
    for check, topic, side in new:
        session.add(store.Watched(check=check, topic=topic, side=side))
    session.execute(delete(store.positions).where(store.positions.c.topic.in_({topic for _, topic, _ in new})))


def _places_of(session: Session, one: store.Inconsistency) -> list[dict[str, Any]]:
    rows = select(store.Compared).filter_by(check=one.check, subject=one.subject)
    rows = rows.order_by(store.Compared.side, store.Compared.offset).limit(_PLACES)
    return [
        {"resource": one.other if row.side else one.resource, "topic": row.topic, "partition": row.partition,
         "offset": row.offset}
        for row in session.scalars(rows)
    ]  # fmt: skip


def _named(place: Mapping[str, Any]) -> str:
    return f"{place['topic']}/{place['partition']}/{place['offset']}"
