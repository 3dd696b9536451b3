"""The counter: from `sync.deliveries`, `sync.access`, `quarantine.*` and `demand.events` into the database.

Guarantee: counts and offsets are one Postgres transaction. The row of a partition is locked while it is counted, and
what lies before the offset that it holds is passed over: so a worker that was killed, replaced or is two for a moment
counts nothing twice and leaves nothing out. A manifest counts by its number too, so that even a log that is read again
from its beginning gives the same numbers (docs/decisions/0008-tracking.md).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from sqlalchemy import Table, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.core.avro import Codec, Registry, RegistryUnavailable
from services.core.cutoff import CutOff
from services.core.kafka import consumer, gathered
from services.core.settings import Settings
from services.demand import store
from services.demand.domain.usage import ADDED, KEPT_SECONDS, Party, Sums

log = structlog.get_logger()

GROUP = "demand.tracking"
_DELIVERIES, _ACCESS, _EVENTS = "sync.deliveries", "sync.access", "demand.events"
_BATCH = 1_000
_GATHERED_SECONDS = 0.1
"""A busy exchange has hundreds of manifests a second, and each step costs the database as much as one of a thousand."""

Partition = tuple[str, int]


class Counter:
    """One tracking worker. `run` works until `stop` is set; `why_not_ready` may be asked from any thread."""

    def __init__(self, settings: Settings, registry: Registry, session: Callable[[], Session]) -> None:
        self._settings, self._session = settings, session
        self._deliveries, self._events = Codec(registry, _DELIVERIES), Codec(registry, _EVENTS)
        self._access, self._quarantine = Codec(registry, _ACCESS), Codec(registry, "quarantine")
        self._not_ready: str | None = "starting"

    def why_not_ready(self) -> str | None:
        """Why nothing is counted just now; None when it is."""
        return self._not_ready

    def run(self, stop: threading.Event) -> None:
        # another one takes over as soon as the broker lets it when this one is killed
        source = consumer(self._settings, "demand", GROUP, session_timeout_ms=6_000, **gathered(250))
        source.subscribe([_DELIVERIES, _ACCESS, _EVENTS, "^quarantine\\..*"], on_assign=self._on_assign)
        try:
            while not stop.is_set():
                try:
                    self._step(source)
                    self._not_ready = None
                except CutOff:
                    raise
                except (KafkaException, OperationalError, RegistryUnavailable) as error:
                    self._not_ready = f"{type(error).__name__}: {error}"
                    log.warning("counting is given up and begun anew", reason=self._not_ready)
                    stop.wait(1.0)
                    self._go_back(source)
        finally:
            source.close()

    def _step(self, source: Consumer) -> None:
        batch = []
        for message in source.consume(_BATCH, _GATHERED_SECONDS):
            error = message.error()
            if error is None:
                batch.append(message)
            elif error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise KafkaException(error)
        if batch:
            self.count(batch)
            # for whoever watches lag; the database is what counts
            ends = {_where(message): int(message.offset() or 0) + 1 for message in batch}
            source.commit(offsets=[TopicPartition(*where, end) for where, end in ends.items()], asynchronous=True)

    def count(self, batch: Iterable[Message]) -> None:
        """Add what is new in `batch`. Raises OperationalError and RegistryUnavailable, and has added nothing then."""
        messages = list(batch)
        with self._session() as session, session.begin():
            places = _locked(session, sorted({_where(message) for message in messages}))
            new = [one for one in messages if int(one.offset() or 0) >= places[_where(one)].next_offset]
            deliveries = [self._deliveries.decode(one.value() or b"") for one in new if one.topic() == _DELIVERIES]
            accounts = [self._access.decode(one.value() or b"") for one in new if one.topic() == _ACCESS]
            runs = {(one["worker"], one["grant"]) for one in (*deliveries, *accounts) if one["grant"] is not None}
            sums = Sums(_counted(session, runs))
            for manifest in deliveries:
                sums.deliver(manifest)
            for account in accounts:
                sums.call(account)
            for one in new:
                if one.topic() == _EVENTS:
                    _keep_event(session, _where(one), int(one.offset() or 0), self._events.decode(one.value() or b""))
                elif one.topic() not in (_DELIVERIES, _ACCESS):
                    self._set_aside(session, sums, self._quarantine.decode(one.value() or b""))
            _keep(session, sums)
            for one in messages:
                place = places[_where(one)]
                place.next_offset = max(place.next_offset, int(one.offset() or 0) + 1)

    def _set_aside(self, session: Session, sums: Sums, entry: dict[str, Any]) -> None:
        """Count an error for its grant, or for all grants of the resource that it was meant for."""
        query = select(store.Grant).where(store.Grant.resource == entry["resource"])
        query = query.where(store.Grant.id == entry["grant"] if entry["grant"] else store.Grant.state == "active")
        for grant in session.scalars(query):
            sums.quarantine(grant.id, Party(grant.resource, grant.department), entry["quarantined_at"])

    def _on_assign(self, source: Consumer, partitions: list[TopicPartition]) -> None:
        with self._session() as session:
            kept = {(one.topic, one.partition): one.next_offset for one in session.scalars(select(store.Counted))}
        for where in partitions:
            where.offset = kept.get((where.topic, where.partition), 0)
        source.assign(partitions)

    def _go_back(self, source: Consumer) -> None:
        """Read on from what is counted."""
        try:
            self._on_assign(source, source.assignment())
        except OperationalError as error:
            log.warning("the database does not say yet what is counted", reason=str(error))


def prune(session: Session, now: datetime) -> None:
    """Forget windows that are older than their kind is kept."""
    for granularity, seconds in KEPT_SECONDS.items():
        old = store.Usage.start < int(now.timestamp()) - seconds
        session.execute(delete(store.Usage).where(store.Usage.granularity == granularity, old))


def _where(message: Message) -> Partition:
    return str(message.topic()), int(message.partition() or 0)


def _locked(session: Session, partitions: list[Partition]) -> dict[Partition, store.Counted]:
    """The rows of `partitions`, made where there are none, and locked in one order."""
    rows = [{"topic": topic, "partition": partition, "next_offset": 0} for topic, partition in partitions]
    session.execute(insert(store.Counted).values(rows).on_conflict_do_nothing())
    query = (
        select(store.Counted)
        .where(tuple_(store.Counted.topic, store.Counted.partition).in_(partitions))
        .order_by(store.Counted.topic, store.Counted.partition)
        .with_for_update()
    )
    return {(one.topic, one.partition): one for one in session.scalars(query)}


def _counted(session: Session, runs: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    query = select(store.CountedRun).where(tuple_(store.CountedRun.worker, store.CountedRun.grant).in_(runs))
    return {(one.worker, one.grant): one.sequence for one in session.scalars(query)} if runs else {}


def _keep_event(session: Session, where: Partition, offset: int, event: dict[str, Any]) -> None:
    row = {"partition": where[1], "offset": offset, **event}
    session.execute(insert(store.Happening).values(row).on_conflict_do_nothing())


def _keep(session: Session, sums: Sums) -> None:
    """Add the sums to what is kept."""
    _upsert(
        session, store.CountedRun.__table__,  # type: ignore[arg-type]
        [{"worker": worker, "grant": grant, "sequence": number} for (worker, grant), number in sums.counted.items()],
        lambda old, new: {"sequence": func.greatest(old.sequence, new.sequence)},
    )  # fmt: skip
    _upsert(
        session, store.Usage.__table__,  # type: ignore[arg-type]
        [
            {
                "grant": window.grant, "granularity": window.granularity, "start": window.start,
                **asdict(sums.parties[window.grant]), **asdict(figures),
            }
            for window, figures in sorted(sums.windows.items())
        ],
        lambda old, new: {
            **{name: old[name] + new[name] for name in ADDED},
            "call_max_us": func.greatest(old.call_max_us, new.call_max_us),
            "latency_min_us": func.least(old.latency_min_us, new.latency_min_us),
            "latency_max_us": func.greatest(old.latency_max_us, new.latency_max_us),
        },
    )  # fmt: skip
    _upsert(
        session, store.Delivered.__table__,  # type: ignore[arg-type]
        [
            {
                "grant": grant, **asdict(sums.parties[grant]), "first_at": span.first, "last_at": span.last,
                "records": span.records, "told_at": None,
            }
            for grant, span in sorted(sums.spans.items())
        ],
        lambda old, new: {
            "first_at": func.least(old.first_at, new.first_at),
            "last_at": func.greatest(old.last_at, new.last_at),
            "records": old.records + new.records,
            "told_at": None,
        },
    )  # fmt: skip


def _upsert(session: Session, table: Table, rows: list[dict[str, Any]], change: Callable[[Any, Any], Any]) -> None:
    if not rows:
        return
    made = insert(table).values(rows)
    keys = [column.name for column in table.primary_key]
    session.execute(made.on_conflict_do_update(index_elements=keys, set_=change(table.c, made.excluded)))


def now() -> datetime:
    return datetime.now(UTC)
