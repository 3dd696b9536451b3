"""Apply receipts (`sync.receipts`): that a batch is committed in the department's database, and how fresh it is there.

A receipt is kept in the transaction that it tells of, and told once that is committed; what a worker that died had not
told, the next one tells. So every batch is told at least once: (grant, partition, fill, last) counts once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message
from opentelemetry.trace import Span, SpanKind

from services.core import telemetry
from services.core.avro import Codec, Registry
from services.core.kafka import producer
from services.core.settings import Settings
from services.sync.topics import RECEIPTS
from services.sync.tracing import carrying, operation, place

_TELL_SECONDS = 10.0


@dataclass(slots=True, kw_only=True)
class Receipt:
    """One batch of one partition. Latencies are from the source's commit to ours, in microseconds; -1: none known."""

    grant: str
    thread: str
    resource: str
    department: str
    topic: str
    partition: int
    fill: int
    first: int
    last: int
    records: int
    written: int = 0
    deleted: int = 0
    committed_first: int = -1
    committed_last: int = -1
    applied_at: datetime | None = None

    @classmethod
    def begin(cls, grant: Mapping[str, Any], partition: int, run: Sequence[Message]) -> Receipt:
        return cls(
            grant=grant["id"],
            thread=grant["thread"],
            resource=grant["resource"],
            department=grant["department"],
            topic=grant["topic"],
            partition=partition,
            fill=grant.get("fill", 0),
            first=int(run[0].offset() or 0),
            last=int(run[-1].offset() or 0),
            records=len(run),
        )

    def note(self, op: bytes, committed_at: int) -> None:
        """A record that is applied; what was there before the grant says nothing of freshness."""
        if op == b"r":
            return
        if self.committed_first < 0 or committed_at < self.committed_first:
            self.committed_first = committed_at
        if committed_at > self.committed_last:
            self.committed_last = committed_at

    def text(self) -> str:
        """As it is kept beside the offsets."""
        return json.dumps({**asdict(self), "applied_at": self.applied_at and self.applied_at.isoformat()})

    @classmethod
    def parse(cls, text: str) -> Receipt:
        kept = json.loads(text)
        return cls(**{**kept, "applied_at": datetime.fromisoformat(kept["applied_at"])})

    def record(self) -> dict[str, Any]:
        """The value for `sync.receipts`."""
        assert self.applied_at is not None
        at = int(self.applied_at.timestamp() * 1_000_000)
        known = self.committed_first >= 0
        return {
            **{name: value for name, value in asdict(self).items() if not name.startswith("committed_")},
            "latency_min_us": max(0, at - self.committed_last) if known else -1,
            "latency_max_us": max(0, at - self.committed_first) if known else -1,
        }


class Receipts:
    """Tells receipts; one instance a store, used by one thread at a time."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._producer = producer(settings, "sync", message_timeout_ms=30_000, client_id="tongshu-sync-receipts")
        self._codec = Codec(registry, RECEIPTS.name)
        self._failed: KafkaError | None = None

    def tell(self, receipt: Receipt, traced: Sequence[Span] = ()) -> None:
        """Tell a receipt. It goes on with the trace of the newest record that is followed, linked to the others."""
        span = self._begin(receipt, traced) if traced else None
        self._producer.produce(
            RECEIPTS.name,
            key=receipt.grant,
            value=self._codec.encode(receipt.record()),
            on_delivery=self._told,
            headers=carrying(telemetry.traceparent_of(span) if span else None),
        )
        self._producer.poll(0)
        if span is not None:
            # what the broker says of it is heard with the next receipt; told it is in any case, for it is kept
            span.end()

    def _begin(self, receipt: Receipt, traced: Sequence[Span]) -> Span:
        span = telemetry.begin(
            f"send {RECEIPTS.name}",
            SpanKind.PRODUCER,
            {**place(RECEIPTS.name, 0), **operation("send"), "tongshu.grant": receipt.grant},
            parent=telemetry.context_in(traced[-1]),
        )
        for other in traced[:-1]:
            span.add_link(other.get_span_context())
        return span

    def wait(self) -> None:
        """Return once all is told; raises KafkaException when it cannot be."""
        until = time.monotonic() + _TELL_SECONDS
        while len(self._producer):
            self._producer.poll(0.05)
            if time.monotonic() > until:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "receipts cannot be told"))
        failed, self._failed = self._failed, None
        if failed is not None:
            raise KafkaException(failed)

    def _told(self, error: KafkaError | None, _: Message) -> None:
        self._failed = error or self._failed
