"""The sequencer: numbers every event of the exchange, hashes it into one tree and appends it to `audit.log`.

Entries and input offsets are one transaction under one transactional id: a second sequencer fences the first, so that
two can never both append. At the start the tree is grown again from the log itself.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.audit.domain.note import Checkpoint, sign
from services.core import merkle
from services.core.avro import Codec, Registry
from services.core.kafka import Topic, consumer, producer, read_to_end, state_consumer
from services.core.settings import Settings

log = structlog.get_logger()

LOG = Topic("audit.log")
INPUTS = ("catalog.events", "demand.events", "sync.deliveries")
ORIGIN = "tongshu.exchange/audit"
_BATCH = 1_000
_TIMEOUT_SECONDS = 30.0
_PAUSE_SECONDS = 0.1


class Sequencer:
    """Seals until told to stop; the checkpoint may be asked for from any thread."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._settings = settings
        self._key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(settings.secret("audit_signing_key")))
        self._entries = Codec(registry, LOG.name)
        self._inputs = {topic: Codec(registry, topic) for topic in INPUTS}
        self._frontier = merkle.Frontier()
        self._lock = threading.Lock()
        self._not_ready: str | None = "starting"

    def why_not_ready(self) -> str | None:
        return self._not_ready

    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def checkpoint(self) -> str:
        """A signed note over all that is sealed."""
        with self._lock:
            now = Checkpoint(ORIGIN, self._frontier.size, self._frontier.root())
        return sign(now, self._key)

    def run(self, stop: threading.Event) -> None:
        """Seal until `stop` is set."""
        while not stop.is_set():
            try:
                self._run(stop)
            except KafkaException as error:
                self._not_ready = str(error)
                log.warning("sealing begins anew from what is committed", reason=str(error))
                stop.wait(1.0)

    def _run(self, stop: threading.Event) -> None:
        # the epoch first: whoever sealed before is fenced, and the log that is then read stays as it is
        sealer = producer(self._settings, "audit", transactional_id="audit-sequencer", transaction_timeout_ms=60_000)
        sealer.init_transactions(_TIMEOUT_SECONDS)
        self._grow()
        source = consumer(self._settings, "audit", "audit.sequencer", group_protocol="consumer", fetch_wait_max_ms=50)
        source.subscribe(list(INPUTS))
        self._not_ready = None
        try:
            while not stop.is_set():
                batch = self._take(source)
                if batch:
                    self._seal(sealer, source, batch)
                    # the relay commits dozens of transactions a second: their manifests are sealed together
                    stop.wait(_PAUSE_SECONDS)
        finally:
            source.close()

    def _take(self, source: Any) -> list[Message]:
        first = source.poll(0.2)
        if first is None:
            return []
        taken = [first, *source.consume(_BATCH - 1, 0)]
        for message in taken:
            if message.error() is not None:
                raise KafkaException(message.error())
        return taken

    def _grow(self) -> None:
        frontier = merkle.Frontier()
        reader = state_consumer(self._settings, "audit", "audit.reader")
        try:
            reader.assign([TopicPartition(LOG.name, 0, 0)])
            for message in read_to_end(reader, 1):
                frontier.append(merkle.leaf_hash(message.value() or b""))
        finally:
            reader.close()
        with self._lock:
            self._frontier = frontier

    def _seal(self, sealer: Producer, source: Any, batch: list[Message]) -> None:
        sealer.begin_transaction()
        frontier = merkle.Frontier(self._frontier.size, self._frontier.hashes)
        failed: list[KafkaError] = []

        def taken(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failed.append(error)

        ends: dict[tuple[str, int], int] = {}
        for message in batch:
            entry = self._entries.encode(self._entry(message, frontier.size))
            sealer.produce(LOG.name, key=str(frontier.size), value=entry, on_delivery=taken)
            sealer.poll(0)
            frontier.append(merkle.leaf_hash(entry))
            ends[str(message.topic()), int(message.partition() or 0)] = int(message.offset() or 0) + 1
        offsets = [TopicPartition(topic, partition, end) for (topic, partition), end in ends.items()]
        sealer.send_offsets_to_transaction(offsets, source.consumer_group_metadata(), _TIMEOUT_SECONDS)
        sealer.commit_transaction(_TIMEOUT_SECONDS)
        if failed:
            raise KafkaException(failed[0])
        with self._lock:
            self._frontier = frontier

    def _entry(self, message: Message, sequence: int) -> dict[str, Any]:
        topic, value = str(message.topic()), message.value() or b""
        event = self._inputs[topic].decode(value)
        is_delivery = topic == "sync.deliveries"
        return {
            "sequence": sequence,
            "type": "cn.tongshu.sync.delivered.v1" if is_delivery else event["type"],
            "topic": topic,
            "partition": message.partition(),
            "offset": message.offset(),
            "subject": event["grant"] if is_delivery else event["subject"],
            "thread": event["thread"],
            "occurred_at": event["delivered_at"] if is_delivery else event["occurred_at"],
            "recorded_at": datetime.now(UTC),
            "digest": sha256(merkle.record_entry(message.key() or b"", value)).digest(),
        }
