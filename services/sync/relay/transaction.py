"""The transactions of a worker: records, manifests, findings, progress and offsets commit as one, or not at all.

On any failure of a transaction the writers are thrown away, and new ones with the same transactional ids fence
whatever was still in flight: what a request came to that was not answered is never guessed at.

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

from confluent_kafka import TopicPartition

from services.core.avro import Codec, Registry
from services.core.settings import Settings
from services.sync.relay.budget import SealingBudget
from services.sync.relay.changes import Partition
from services.sync.relay.client import Gathered, Message, Writer, writer
from services.sync.relay.inspection import Findings, Inspection
from services.sync.relay.manifest import Tally
from services.sync.relay.repeats import Mark
from services.sync.relay.routes import State
from services.sync.relay.standing import Standing
from services.sync.topics import DELIVERIES
from services.sync.tracing import carrying


@dataclass(slots=True)
class Filling:
    """What a transaction holds so far. One that is `quiet` is only looked at and never written.

    `gather` makes what takes the messages for a partition; `checking` is how long it took to find out which changes do
    not simply go on, in seconds.
    """

    now: datetime
    gather: Callable[[], Gathered] = list[Message]
    tallies: dict[str, Tally] = field(default_factory=dict)
    marks: dict[Partition, Mark] = field(default_factory=dict)
    heard: Mark | None = None
    findings: Findings = field(default_factory=Findings)
    checking: float = 0.0
    quiet: bool = False

    def tally(self, grant: State, partitions: Callable[[str], int]) -> Tally:
        """What is delivered under a grant; `partitions` says how many its topic has."""
        if grant["id"] not in self.tallies:
            self.tallies[grant["id"]] = Tally(grant, partitions(grant["topic"]), self.gather)
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
        self._writers: list[Writer] = []
        self._turns: Iterator[Writer] = iter(())

    def begin_epoch(self, number: int) -> None:
        """Two new writers, which take the transactions in turn; what older ones of `number` had in flight is fenced.

        A committed transaction is not over before its markers are written. A writer that begins the next one earlier is
        told to wait (CONCURRENT_TRANSACTIONS), which librdkafka does for 20 ms; the other one need not.

        It is a run of its own: whether the last manifest of the one before is there is not known, so its number is not
        known to be free either.
        """
        self._run, self._sequences = f"sync-relay-{number}/{uuid.uuid4().hex[:12]}", {}
        self._inspection.begin_run(self._run)
        self.end()
        self._writers = []
        for turn in ("a", "b"):
            self._writers.append(writer(self._settings, f"sync-relay-{number}-{turn}", f"tongshu-{self._run}"))
        self._turns = itertools.cycle(self._writers)

    def begin(self) -> Filling:
        """Open one. Raises KafkaException where the one before needs an epoch of its own behind it."""
        self._writer = next(self._turns)
        self._writer.begin()
        self.produce = self._writer.produce
        return Filling(datetime.now(UTC), self._writer.gather)

    def commit(self, tx: Filling, ends: Mapping[Partition, int]) -> None:
        """Write what the transaction delivers and has found, and commit it with its manifests.

        `ends` are the offsets that the live stream reads next from then on, of every partition that the transaction
        speaks of. Raises DeliveryFailed and KafkaException.
        """
        for tally in tx.tallies.values():
            self._deliver(tally)
        self._inspection.write(self.produce, tx.findings, tx.now)
        self._send_offsets(ends, self._standing.heard | tx.marks)
        self._writer.flush()
        self._produce_manifests(tx)
        self._writer.flush()
        self._writer.commit()
        if tx.tallies:
            self._sealing.committed(self._writer.ends(DELIVERIES.name, 0)[1])
        self._standing.heard.update(tx.marks)
        self._inspection.gate.waits.commit()

    def end(self) -> None:
        for one in self._writers:
            one.end()

    def _send_offsets(self, ends: Mapping[Partition, int], marks: Mapping[Partition, Mark]) -> None:
        self._writer.send_offsets(
            [TopicPartition(*where, end, marks.get(where, Mark()).text()) for where, end in ends.items()],
            self._standing.member,
        )

    def _deliver(self, tally: Tally) -> None:
        for partition, part in tally.parts.items():
            traced = (part.traced.number, part.traced.traceparent) if part.traced else None
            self._writer.deliver(tally.grant["topic"], partition, part.messages, traced)

    def _produce_manifests(self, tx: Filling) -> None:
        """A manifest for each grant that got something. Raises DeliveryFailed when a record was not acknowledged."""
        for grant_id, tally in tx.tallies.items():
            for partition, part in tally.parts.items():
                part.ends = self._writer.ends(tally.grant["topic"], partition)
            self._sequences[grant_id] = self._sequences.get(grant_id, 0) + 1
            manifest = tally.manifest(self._run, self._sequences[grant_id], datetime.now(UTC))
            value = self._deliveries.encode(manifest)
            self._writer.produce(DELIVERIES.name, key=grant_id, value=value, headers=carrying(tally.traceparent))
