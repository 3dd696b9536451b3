"""Corrections: the deliveries that close objections.

While an objection waits, its grant's share topic is read on from where it was raised. A delivery of the record in which
the items in question say something else closes it; the proof is where that record is and the manifest that counts it.
How far was read is kept with the objection, in the transaction that closes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.core import merkle
from services.core.avro import Codec, NotAvro, Registry, RegistryUnavailable
from services.core.kafka import read_to_end, state_consumer
from services.core.settings import Settings
from services.demand import store
from services.demand.domain import objection as domain
from services.demand.objecting import Registrar

log = structlog.get_logger()

_EVERY_SECONDS = 0.5
_DELIVERIES = "sync.deliveries"


class Corrections(threading.Thread):
    """Closes what was corrected, until the process ends."""

    def __init__(
        self, settings: Settings, registry: Registry, session: Callable[[], Session], registrar: Registrar
    ) -> None:
        super().__init__(name="corrections", daemon=True)
        self._settings, self._registry, self._session, self._registrar = settings, registry, session, registrar
        self._deliveries = Codec(registry, _DELIVERIES)
        self._reader: Consumer | None = None  # while something waits

    def run(self) -> None:
        pause = threading.Event()
        while not pause.wait(_EVERY_SECONDS):
            try:
                self.look(datetime.now(UTC))
            except (KafkaException, OperationalError, RegistryUnavailable) as error:
                log.warning("corrections cannot be looked for just now", reason=str(error))

    def look(self, now: datetime) -> None:
        """Raises KafkaException, OperationalError and RegistryUnavailable; what is left, next time."""
        waiting = select(store.Objection.id).where(store.Objection.state.in_(domain.WAITING))
        with self._session() as session, session.begin():
            self._registrar.note_overdue(session, now)
            ids = session.scalars(waiting.order_by(store.Objection.number)).all()
        if self._reader is None and ids:
            self._reader = state_consumer(self._settings, "demand", "demand.corrections")
        for objection_id in ids:
            with self._session() as session, session.begin():
                one = session.get_one(store.Objection, objection_id, with_for_update=True)
                if one.state in domain.WAITING and self._reader is not None:
                    self._follow(session, self._reader, one, now)
        if self._reader is not None and not ids:
            self._reader.close()
            self._reader = None

    def _follow(self, session: Session, reader: Consumer, one: store.Objection, now: datetime) -> None:
        """Read on for one locked objection, up to the end or to the record that closes it."""
        key, claims = self._registrar.claims(one)
        scanned = {int(partition): offset for partition, offset in one.scanned.items()}
        for message in _from(reader, one.topic, scanned):
            partition, offset = int(message.partition() or 0), int(message.offset() or 0)
            scanned[partition] = offset + 1
            row = self._row(message, key)
            outcome = None if row is _OTHER else domain.judge(claims, row)
            if outcome is not None:
                proof = self._proof(reader, one, message)
                self._registrar.close(session, one, outcome, proof, now)
                log.info("objection closed by its correction", objection=one.id, outcome=outcome.value)
                break
        kept = {str(partition): offset for partition, offset in scanned.items()}
        if kept != one.scanned:
            one.scanned = kept

    def _row(self, message: Message, key: Mapping[str, str]) -> Any:
        """The row that a delivery of the record `key` holds, None where it is gone; `_OTHER` for anything else."""
        value = message.value()
        if value is None:
            return _OTHER  # the delete before it has said so
        try:
            found = domain.texts_of(self._registry.decode(message.key() or b"")[1])
            return self._registry.decode(value)[1]["row"] if found == dict(key) else _OTHER
        except NotAvro:
            return _OTHER

    def _proof(self, reader: Consumer, one: store.Objection, message: Message) -> dict[str, Any]:
        """Where the correcting record is, its leaf, and the manifest that counts it."""
        partition, offset = int(message.partition() or 0), int(message.offset() or 0)
        key, value = message.key() or b"", message.value()
        proof: dict[str, Any] = {
            "topic": one.topic,
            "partition": partition,
            "offset": offset,
            "leaf": merkle.leaf_hash(merkle.record_entry(key, value)).hex(),
        }
        since = int(one.raised_at.timestamp() * 1_000) - 60_000
        (begin,) = reader.offsets_for_times([TopicPartition(_DELIVERIES, 0, since)], 10)
        for entry in _from(reader, _DELIVERIES, {0: max(begin.offset, 0)}):
            manifest = self._deliveries.decode(entry.value() or b"")
            ranges = manifest["targets"] if manifest["grant"] == one.grant else []
            if any(r["partition"] == partition and r["first"] <= offset <= r["last"] for r in ranges):
                where = {"manifest_offset": int(entry.offset() or 0), "root": manifest["root"].hex()}
                return proof | {"worker": manifest["worker"], "sequence": manifest["sequence"], **where}
        return proof


_OTHER: Any = object()


def _from(reader: Consumer, topic: str, offsets: Mapping[int, int]) -> Iterator[Message]:
    """What a topic holds from these offsets of its partitions on, up to its present end."""
    reader.assign([TopicPartition(topic, partition, offset) for partition, offset in offsets.items()])
    yield from read_to_end(reader, len(offsets), 10)
