"""Where each key occurs: in the change topics, and in what was delivered; so that one record can be traced at once.

A row is the keyed hash of topic and key, a partition and an offset; nobody can read a key out of it, and without the
exchange's secret nobody can look one up. Offsets are kept with the rows, in one transaction.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from hashlib import blake2b, sha256
from typing import Any

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.audit.store import Cursor, KeyPlace, Manifest
from services.core.avro import Codec, NotAvro, RegistryUnavailable, UnknownSchema
from services.core.kafka import consumer, gathered
from services.core.settings import Settings

log = structlog.get_logger()

DELIVERIES = "sync.deliveries"
_PREFIXES = ("cdc.", "share.")
_BATCH = 20_000
_EVERY_SECONDS = 2.0
_HEADER_BYTES = 5

# a topic that was lost and made again begins anew with its offsets: a key may then be where it was before
_ADD_KEYS = """insert into audit.key_places (hash, "partition", "offset")
    select * from unnest(%s::bigint[], %s::int[], %s::bigint[]) on conflict do nothing"""


def secret_of(settings: Settings) -> bytes:
    """What the hashes are keyed with; nothing of the signing key can be told from it."""
    return sha256(b"tongshu key index" + bytes.fromhex(settings.secret("audit_signing_key"))).digest()


def hash_of(secret: bytes, topic: str, key: bytes) -> int:
    """The keyed hash of a record's key (in wire format) in `topic`, as the database keeps it.

    The schema's id does not count: the same key is found whichever version of its schema it was written with.
    """
    digest = blake2b(topic.encode() + b"\n" + key[_HEADER_BYTES:], key=secret, digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


class KeyIndex(threading.Thread):
    """Follows change, share and manifest topics while `is_mine` says that it is this process's turn."""

    def __init__(
        self,
        settings: Settings,
        session: Callable[[], Session],
        manifests: Codec,
        is_mine: Callable[[], bool],
        stop: threading.Event,
    ) -> None:
        super().__init__(name="key index", daemon=True)
        self._settings, self._session, self._manifests = settings, session, manifests
        self._is_mine, self._stop_told = is_mine, stop
        self._secret = secret_of(settings)
        self._assigned: set[tuple[str, int]] = set()

    def run(self) -> None:
        while not self._stop_told.wait(_EVERY_SECONDS):
            if not self._is_mine():
                continue
            source = consumer(self._settings, "audit", "audit.keys", **gathered(500))
            self._assigned = set()
            try:
                self._follow(source)
            except (KafkaException, SQLAlchemyError, RegistryUnavailable) as failure:
                log.warning("keys cannot be indexed just now", reason=type(failure).__name__)
            finally:
                source.close()

    def _follow(self, source: Consumer) -> None:
        while self._is_mine() and not self._stop_told.is_set():
            self._discover(source)
            batch = _good(source.consume(_BATCH, 0.1))
            if batch:
                with self._session() as session, session.begin():
                    self._take(session, batch)
            if len(batch) < _BATCH:
                self._stop_told.wait(_EVERY_SECONDS)

    def _discover(self, source: Consumer) -> None:
        found = {
            (name, partition)
            for name, topic in source.list_topics(timeout=30).topics.items()
            if name == DELIVERIES or name.startswith(_PREFIXES)
            for partition in topic.partitions
        }
        fresh = found - self._assigned
        if not fresh:
            return
        with self._session() as session:
            names = [_cursor(*where) for where in fresh]
            rows = session.execute(select(Cursor.name, Cursor.next).where(Cursor.name.in_(names)))
            known: dict[str, int] = {str(name): int(following) for name, following in rows}
        source.incremental_assign(
            [TopicPartition(*where, known.get(_cursor(*where), OFFSET_BEGINNING)) for where in fresh]
        )
        self._assigned |= fresh

    def _take(self, session: Session, batch: list[Message]) -> None:
        keys: list[tuple[int, int, int]] = []
        manifests: list[dict[str, Any]] = []
        ends: dict[str, int] = {}
        for message in batch:
            topic, partition, offset = str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)
            ends[_cursor(topic, partition)] = offset + 1
            if topic == DELIVERIES:
                manifests += self._ranges(message.value() or b"", offset)
            else:
                keys.append((hash_of(self._secret, topic, message.key() or b""), partition, offset))
        if keys:
            add_keys(session, keys)
        if manifests:
            session.execute(insert(Manifest).on_conflict_do_nothing(), manifests)
        moved = insert(Cursor).values([{"name": name, "next": end} for name, end in ends.items()])
        session.execute(
            moved.on_conflict_do_update(index_elements=[Cursor.name], set_={"next": moved.excluded["next"]})
        )

    def _ranges(self, value: bytes, offset: int) -> list[dict[str, Any]]:
        try:
            targets = self._manifests.decode(value)["targets"]
        except (NotAvro, UnknownSchema) as error:
            log.error("a manifest cannot be read", offset=offset, reason=str(error))
            return []
        names = ("topic", "partition", "first", "last")
        return [{name: one[name] for name in names} | {"manifest": offset} for one in targets]


def add_keys(session: Session, keys: Sequence[tuple[int, int, int]]) -> None:
    """Add places of keys, as far as they are not there yet."""
    columns = tuple(list(column) for column in zip(*keys, strict=True))
    session.connection().exec_driver_sql(_ADD_KEYS, columns)


def places_of(session: Session, secret: bytes, topic: str, key: bytes) -> list[tuple[int, int]]:
    """`(partition, offset)` of each record of `topic` with this key, in their order."""
    query = select(KeyPlace.partition, KeyPlace.offset).where(KeyPlace.hash == hash_of(secret, topic, key))
    return [(partition, offset) for partition, offset in session.execute(query.order_by(KeyPlace.offset))]


def _cursor(topic: str, partition: int) -> str:
    return f"keys {topic}/{partition}"


def _good(batch: list[Message]) -> list[Message]:
    for message in batch:
        error = message.error()
        if error is not None and error.code() not in (KafkaError._PARTITION_EOF, KafkaError.UNKNOWN_TOPIC_OR_PART):
            raise KafkaException(error)
    return [message for message in batch if message.error() is None]
