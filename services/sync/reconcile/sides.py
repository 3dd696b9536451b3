"""The sides of a reconciliation that are topics: the source by its change topic, and the share topic.

The source itself is not touched. Its state is what its compacted change topic says, projected for the grant as the
relay would for a grant that is new. All sides are read as the fields of a binary COPY row, so that the same row has the
same bytes everywhere.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from services.core.avro import NotAvro, Registry, UnknownSchema, wire_schema_id
from services.core.kafka import read_to_end, state_consumer
from services.core.masks import MaskError
from services.core.rowfilter import FilterError
from services.core.settings import Settings
from services.sync.projection import native
from services.sync.projection.plan import NotAnEnvelope, grant_secret
from services.sync.projection.reference import UnavailableValue, UnknownOperation
from services.sync.projection.values import WrongType
from services.sync.reconcile.states import Row
from services.sync.relay.inspection import Inspection
from services.sync.relay.manifest import key_digest
from services.sync.relay.routes import Route
from services.sync.relay.serving import records, serve
from services.sync.table.copying import COPY
from services.sync.table.layout import Layout, layout, row_schema
from services.sync.table.postgres import type_of
from services.sync.table.walking import Key, Value

State = Mapping[str, Any]
Record = tuple[bytes, bytes | None]
Wanted = Callable[[bytes], bool]
_BATCH = 2_000
_DIGEST_BYTES = 16
_REFUSED = (
    NotAnEnvelope, UnavailableValue, UnknownOperation, WrongType, MaskError, FilterError, KeyError, TypeError,
    ValueError, OverflowError, NotAvro, UnknownSchema,
)  # fmt: skip


class Digests:
    """What stands for keys and rows of one grant: keyed, so that nobody finds out by trying what they say."""

    def __init__(self, registry: Registry, grant: State, master: bytes) -> None:
        self._registry, self._grant = registry, grant
        self.secret = grant_secret(master, grant["id"])
        self._compiled: dict[tuple[int, int | None], tuple[Key, Value]] = {}
        self.layout: Layout | None = None

    def of(self, fields: bytes) -> bytes:
        return hmac.new(self.secret, fields, sha256).digest()[:_DIGEST_BYTES]

    def record(self, record: Record) -> tuple[bytes, Row | None]:
        """Key and row of a record of the share topic; None for one that ends its row. Raises NotAvro."""
        key, value = record
        read_key, read_value = self._readers(key, value)
        digest = self.of(read_key(key))
        if value is None:
            return digest, None
        _, row, _ = read_value(value)
        return digest, None if row is None else Row(self.of(row), key_digest(self.secret, key))

    def _readers(self, key: bytes, value: bytes | None) -> tuple[Key, Value]:
        ids = wire_schema_id(key), None if value is None else wire_schema_id(value)
        if ids not in self._compiled:
            key_schema = self._registry.schema(ids[0])
            subject = f"{self._grant['topic']}-value"
            value_schema = self._registry.schema(ids[1]) if ids[1] else self._registry.latest(subject) or {}
            made = layout(key_schema, row_schema(value_schema), self._grant, type_of)
            self._compiled[ids] = COPY.compile_key(key_schema, made), COPY.compile_value(value_schema, made)
            if ids[1]:
                self.layout = made
        return self._compiled[ids]


class Side:
    """Rows of a topic by key, kept up with its end; `positions` are the offsets after the last record of each."""

    def __init__(self, consumer: Consumer, topic: str, wanted: Wanted) -> None:
        self.rows: dict[bytes, Row | None] = {}
        self._consumer, self._wanted = consumer, wanted
        partitions = consumer.list_topics(topic, 30).topics[topic].partitions
        self.positions = {(topic, partition): 0 for partition in partitions}

    def messages(self) -> Iterator[list[Any]]:
        """What has come since, up to the end of now, in batches. Raises KafkaException."""
        begin = [TopicPartition(*where, max(0, offset)) for where, offset in self.positions.items()]
        self._consumer.assign(begin)
        batch: list[Any] = []
        for message in read_to_end(self._consumer, len(begin)):
            self.positions[str(message.topic()), int(message.partition() or 0)] = int(message.offset() or 0) + 1
            batch.append(message)
            if len(batch) == _BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def put(self, digest: bytes, row: Row | None) -> None:
        if not self._wanted(digest):
            return
        if row is None:
            self.rows.pop(digest, None)
        else:
            self.rows[digest] = row

    def wait(self, digest: bytes) -> None:
        """Nothing can be said of this key: its row is set aside."""
        if self._wanted(digest):
            self.rows[digest] = None

    def close(self) -> None:
        self._consumer.close()


class ShareTopic(Side):
    """What the department's client can read."""

    def __init__(self, settings: Settings, grant: State, digests: Digests, wanted: Wanted) -> None:
        super().__init__(state_consumer(settings, "sync", "sync.reconcile"), grant["topic"], wanted)
        self._digests = digests

    def catch_up(self) -> None:
        for batch in self.messages():
            for message in batch:
                digest, row = self._digests.record((message.key() or b"", message.value()))
                place = (int(message.partition() or 0), int(message.offset() or 0))
                self.put(digest, replace(row, place=place) if row is not None else None)


class ChangeTopic(Side):
    """What the source says, projected for the grant."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        inspection: Inspection,
        route: Route,
        digests: Digests,
        wanted: Wanted,
    ) -> None:
        isolation = "read_committed" if route.is_filled else "read_uncommitted"
        reader = state_consumer(settings, "sync", "sync.reconcile", isolation_level=isolation)
        super().__init__(reader, route.resource["mount"]["topic"], wanted)
        self._registry, self._inspection, self._route, self._digests = registry, inspection, route, digests
        self._master = bytes.fromhex(settings.secret("pseudonym_key"))
        self._most_bytes = settings.max_record_bytes
        self._plans: dict[int, tuple[native.Served, Any] | None] = {}

    def catch_up(self) -> None:
        """Raises KafkaException and RegistryUnavailable."""
        self._inspection.gate.waits.forget(self.positions)
        self._inspection.take_up(set(self.positions))
        for batch in self.messages():
            runs: dict[tuple[str, int], list[Any]] = {}
            for message in batch:
                if message.value() is not None:
                    runs.setdefault((str(message.topic()), int(message.partition() or 0)), []).append(message)
            for where, run in runs.items():
                self._take(where, run)

    def _take(self, where: tuple[str, int], run: Sequence[Any]) -> None:
        if self._route.has_rules:
            for message in run:
                self._take_one(where, message)
            return
        values, at = [message.value() for message in run], 0
        while at < len(values):
            served = self._plan(values[at])
            stopped_at = at
            if served is not None and served[1] is not None:
                outcomes = served[1].run(values, at, None, 0, True, leaves=False)
                for made in outcomes.messages(0, 0):
                    self.put(*self._digests.record((made["key"], made["value"])))
                stopped_at = outcomes.stopped_at
            if stopped_at == at:
                self._take_one(where, run[at])
                at += 1
            else:
                at = stopped_at

    def _take_one(self, where: tuple[str, int], message: Any) -> None:
        """One change by the reference; what cannot be projected is in quarantine, and not delivered."""
        value = message.value()
        served = self._plan(value)
        if served is None or len(value) > self._most_bytes:
            return
        try:
            schema_id, envelope = self._registry.decode(value)
            judge = self._inspection.judge(schema_id, self._route) if self._route.has_rules else None
            waits = judge is not None and self._inspection.gate.lane(
                where, int(message.offset() or 0), message.key(), envelope, judge, datetime.now(UTC)
            )
            made = records(self._registry, served[0], envelope, catching_up=True)
        except _REFUSED:
            return
        for _, key, one in made:
            digest, row = self._digests.record((key, one))
            if waits:
                self.wait(digest)
            else:
                self.put(digest, row)

    def _plan(self, value: bytes) -> tuple[native.Served, Any] | None:
        """How the grant sees changes of a schema: by the reference, and natively where that is possible."""
        try:
            schema_id = wire_schema_id(value)
        except NotAvro:
            return None
        if schema_id not in self._plans:
            (grant,) = self._route.grants
            try:
                served = serve(self._registry, schema_id, self._route.resource, grant, self._master, lambda _: 1)
            except _REFUSED:
                self._plans[schema_id] = None
                return None
            try:
                writer = self._registry.schema(schema_id)
                self._plans[schema_id] = served, native.compiled(writer, schema_id, [served], self._most_bytes)
            except native.Unsupported:
                self._plans[schema_id] = served, None
        return self._plans[schema_id]
