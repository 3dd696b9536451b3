"""The transactions of a worker: records, manifests, findings, progress and offsets commit as one, or not at all.

On any failure of a transaction the producers are thrown away, and new ones with the same transactional ids fence
whatever was still in flight. (librdkafka lacks KIP-890: after a transaction request that timed out, no other
transaction may begin in the same epoch.) So they are when a connection was lost under one that went well all the same
(`services/core/connections.py`).

Every transaction carries the offsets of all partitions that it speaks of, though it may not move them, and says who we
were in the group when these were ours. So the broker refuses the transaction of a worker that was thought dead and has
been succeeded, and who succeeds waits for one that was not (KIP-447).
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from confluent_kafka import KafkaError, Producer, TopicPartition

from services.core.avro import Codec, Registry
from services.core.connections import Connections
from services.core.kafka import OffsetSender, producer
from services.core.settings import Settings
from services.sync.relay.budget import SealingBudget
from services.sync.relay.changes import Partition
from services.sync.relay.inspection import Findings, Inspection
from services.sync.relay.manifest import Message, Tally
from services.sync.relay.repeats import Mark
from services.sync.relay.routes import State
from services.sync.relay.standing import Standing
from services.sync.topics import DELIVERIES
from services.sync.tracing import carrying

TIMEOUT_SECONDS = 30.0
# a broker that says nothing more, on a connection that seems alive
REQUEST_TIMEOUT_MS = 10_000
QUEUE_MESSAGES = 1_000_000
"""What a producer holds that the broker has not taken yet. It is never filled: what did not fit would lose its turn."""
_TRANSACTION_MS = 30_000
"""After so long the broker ends what a worker has left open that never comes back."""
_ENQUEUED = 5_000


class DeliveryFailed(Exception):
    """The broker did not take a record of the open transaction."""


@dataclass(slots=True)
class Filling:
    """What a transaction holds so far. One that is `quiet` is only looked at and never written.

    `checking` is how long it took to find out which changes do not simply go on, in seconds.
    """

    now: datetime
    tallies: dict[str, Tally] = field(default_factory=dict)
    marks: dict[Partition, Mark] = field(default_factory=dict)
    heard: Mark | None = None
    findings: Findings = field(default_factory=Findings)
    checking: float = 0.0
    quiet: bool = False
    failed: list[KafkaError] = field(default_factory=list)

    def tally(self, grant: State, partitions: Callable[[str], int]) -> Tally:
        """What is delivered under a grant; `partitions` says how many its topic has."""
        if grant["id"] not in self.tallies:
            self.tallies[grant["id"]] = Tally(grant, partitions(grant["topic"]))
        return self.tallies[grant["id"]]

    @property
    def records(self) -> int:
        return sum(tally.records for tally in self.tallies.values())


class Transactions:
    """One transaction after another. `produce` writes to the one that is open."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        standing: Standing,
        inspection: Inspection,
        sealing: SealingBudget,
    ) -> None:
        self._settings, self._run = settings, ""
        self._standing, self._inspection, self._sealing = standing, inspection, sealing
        self._deliveries = Codec(registry, DELIVERIES.name)
        self._sequences: dict[str, int] = {}
        self._offsets = OffsetSender()
        self._turns: Iterator[Producer] = iter(())
        self._producers: list[Producer] = []
        self._connections = Connections()

    def begin_epoch(self, number: int) -> None:
        """Two new producers, which take the transactions in turn; what older ones of `number` had in flight is fenced.

        A committed transaction is not over before its markers are written. A producer that begins the next one earlier
        is told to wait (CONCURRENT_TRANSACTIONS) and does so for 20 ms; the other one need not.

        It is a run of its own: whether the last manifest of the one before is there is not known, so its number is not
        known to be free either.
        """
        self._run, self._sequences = f"sync-relay-{number}/{uuid.uuid4().hex[:12]}", {}
        self._connections = Connections()
        self._inspection.begin_run(self._run)
        self._producers = [
            producer(
                self._settings, "sync", self._connections.logger,
                transactional_id=f"sync-relay-{number}-{turn}",
                transaction_timeout_ms=_TRANSACTION_MS,
                message_timeout_ms=_TRANSACTION_MS,
                socket_timeout_ms=REQUEST_TIMEOUT_MS,
                queue_buffering_max_messages=QUEUE_MESSAGES,
                queue_buffering_max_kbytes=2_097_151,
                client_id=f"tongshu-{self._run}",
            )
            for turn in ("a", "b")
        ]  # fmt: skip
        for one in self._producers:
            one.init_transactions(TIMEOUT_SECONDS)
        self._turns = itertools.cycle(self._producers)
        self._offsets.end()
        self._offsets = OffsetSender()

    def begin(self) -> Filling:
        """Open one. Raises KafkaException where the one before needs an epoch of its own behind it."""
        self._connections.require(*self._producers)
        self._producer = next(self._turns)
        self._producer.begin_transaction()
        self.produce = self._producer.produce
        return Filling(datetime.now(UTC))

    def commit(self, tx: Filling, ends: Mapping[Partition, int]) -> None:
        """Write what the transaction delivers and has found, and commit it with its manifests.

        `ends` are the offsets that the live stream reads next from then on, of every partition that the transaction
        speaks of. Raises DeliveryFailed and KafkaException.
        """
        for tally in tx.tallies.values():
            self._produce_records(tally, tx)
        self._inspection.write(self.produce, tx.findings, tx.now)
        # neither waits for the other: the offsets go to the coordinator while the records go to their partitions
        sent = self._send_offsets(ends, self._standing.heard | tx.marks)
        try:
            self._producer.flush(TIMEOUT_SECONDS)
        finally:
            sent()
        if tx.failed:
            raise DeliveryFailed(str(tx.failed[0]))
        self._produce_manifests(tx)
        self._producer.commit_transaction(TIMEOUT_SECONDS)
        self._sealing.committed()
        self._standing.heard.update(tx.marks)
        self._inspection.gate.waits.commit()

    def end(self) -> None:
        self._offsets.end()

    def _send_offsets(self, ends: Mapping[Partition, int], marks: Mapping[Partition, Mark]) -> Callable[[], None]:
        return self._offsets.send(
            self._producer,
            [TopicPartition(*where, end, marks.get(where, Mark()).text()) for where, end in ends.items()],
            self._standing.member,
            TIMEOUT_SECONDS,
        )

    def _produce_records(self, tally: Tally, tx: Filling) -> None:
        for partition, part in tally.parts.items():
            part.ask_for_ends(tx.failed.append)
            topic, done = tally.grant["topic"], 0
            if part.traced is not None:
                # one by one, for a batch takes no headers
                done = part.traced.number + 1
                self._enqueue(topic, partition, part.messages[: done - 1])
                self._enqueue_traced(topic, partition, part.messages[done - 1], part.traced.traceparent)
            for start in range(done, len(part.messages), _ENQUEUED):
                self._enqueue(topic, partition, part.messages[start : start + _ENQUEUED])

    def _enqueue_traced(self, topic: str, partition: int, message: Message, traceparent: str) -> None:
        self._make_room(1)
        self._producer.produce(
            topic, message["value"], message["key"], partition,
            on_delivery=message.get("callback"), headers=carrying(traceparent),
        )  # fmt: skip

    def _make_room(self, count: int) -> None:
        while len(self._producer) + count > QUEUE_MESSAGES:
            self._producer.poll(0.05)

    def _enqueue(self, topic: str, partition: int, messages: list[Message]) -> None:
        """Give the producer messages for one partition, in their order. Raises DeliveryFailed."""
        self._make_room(len(messages))
        if self._producer.produce_batch(topic, messages, partition=partition) != len(messages):
            failure = next(message["_error"] for message in messages if "_error" in message)
            raise DeliveryFailed(str(failure))
        self._producer.poll(0)

    def _produce_manifests(self, tx: Filling) -> None:
        """A manifest for each grant that got something. Raises DeliveryFailed when a record was not acknowledged."""
        for grant_id, tally in tx.tallies.items():
            if not all(part.is_acknowledged for part in tally.parts.values()):
                raise DeliveryFailed("the broker has not acknowledged every record in time")
            self._sequences[grant_id] = self._sequences.get(grant_id, 0) + 1
            manifest = tally.manifest(self._run, self._sequences[grant_id], datetime.now(UTC))
            value = self._deliveries.encode(manifest)
            self._producer.produce(
                DELIVERIES.name,
                key=grant_id,
                value=value,
                on_delivery=self._sealing.acknowledged,
                headers=carrying(tally.traceparent),
            )
