"""One trace for one change, from the source's commit to the receipt of whoever it was delivered to.

    commit <system>                 the source's commit, until its connector has read it
      send cdc.…                    the connector, until the change is in its topic
        process cdc.…               the relay, until its transaction is committed
          check                     its contract's rules
          project                   what each grant may see of it
          send share.…              one grant's record, until it is committed
            process share.…         a department's table, or the look-ups of its rows
              upsert … / cache      their store
              send sync.receipts    the table's receipt

A trace that no system has begun has an id that follows from the change itself, and so has its first span: whoever holds
a delivered record knows in which trace it was made. Where the record of a change topic brings a `traceparent`, what is
here follows it. From the relay on the context travels as `traceparent` of the share record, where a department's own
client may take it up, and of the manifest and the receipt, so that the audit's entries name the trace.

Spans are told where the exchange is given a collector; else none is made, and no record has such a header.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, cast

from confluent_kafka import Message
from opentelemetry.trace import Span, SpanKind

from services.core import telemetry
from services.sync.projection.reference import EPOCH

_HEADER = "traceparent"
_TRACE_BYTES, _SPAN_BYTES = 16, 8

Ids = tuple[int, int]


def ids_of(system: str, position: str, committed_at: datetime) -> Ids:
    """The ids of a change's trace and of its first span, from what a share record says of its source."""
    micros = (committed_at - EPOCH) // timedelta(microseconds=1)
    digest = sha256(f"tongshu trace\0{system}\0{position}\0{micros}".encode()).digest()
    trace, span = digest[:_TRACE_BYTES], digest[_TRACE_BYTES : _TRACE_BYTES + _SPAN_BYTES]
    return int.from_bytes(trace), int.from_bytes(span)


def carried_by(message: Message) -> str | None:
    """The `traceparent` of a record; None where it has none."""
    return carried_in(cast(Any, message.headers()) or ())


def carried_in(headers: Iterable[tuple[str, Any]]) -> str | None:
    """The `traceparent` among a record's headers; None where there is none."""
    found = dict(headers).get(_HEADER)
    return found.decode("ascii", "replace") if isinstance(found, bytes) else None


def carrying(traceparent: str | None) -> dict[str, str | bytes | None] | None:
    """The headers of a record that gives a `traceparent` along; none where there is nothing to give."""
    return {_HEADER: traceparent} if traceparent else None


def place(topic: str, partition: int, offset: int | None = None) -> dict[str, str | int]:
    """Attributes of a span that has to do with one partition, by OpenTelemetry's conventions for messaging."""
    found: dict[str, str | int] = {
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": str(partition),
    }
    return found if offset is None else {**found, "messaging.kafka.offset": offset}


def operation(kind: str) -> dict[str, str | int]:
    """Attributes that name what is done with a message: `send` or `process`."""
    return {"messaging.operation.name": kind, "messaging.operation.type": kind}


def of_grant(grant: Mapping[str, Any]) -> dict[str, str | int]:
    return {
        "tongshu.grant": str(grant["id"]),
        "tongshu.department": str(grant["department"]),
        "tongshu.resource": str(grant["resource"]),
        "tongshu.thread": str(grant["thread"]),
    }


@dataclass(frozen=True, slots=True)
class Received:
    """A traced record of a share topic, in the hands of `group` from `at` on (nanoseconds since 1970)."""

    grant: Mapping[str, Any]
    group: str
    topic: str
    partition: int
    offset: int
    traceparent: str
    at: int

    def process(self) -> Span:
        """The span of what is done with it; its end is when that is committed."""
        return telemetry.begin(
            f"process {self.topic}",
            SpanKind.CONSUMER,
            {
                **place(self.topic, self.partition, self.offset),
                **operation("process"),
                **of_grant(self.grant),
                "messaging.consumer.group.name": self.group,
            },
            parent=telemetry.context_of(self.traceparent),
            at=self.at,
        )


def received(grant: Mapping[str, Any], group: str, messages: Iterable[Message]) -> Sequence[Received]:
    """The traced ones among records of a share topic that are about to be written to a store of `group`."""
    if not telemetry.is_exporting():
        return ()
    at = time.time_ns()
    return [
        Received(
            grant, group, str(message.topic()), int(message.partition() or 0), int(message.offset() or 0), carried, at
        )
        for message in messages
        if (carried := carried_by(message)) is not None
    ]


def stored(span: Span, name: str, system: str, attributes: dict[str, str | int], begun: int, ended: int) -> None:
    """Tell, under `span`, of a write to the store `system` (as OpenTelemetry names databases)."""
    telemetry.begin(
        name,
        SpanKind.CLIENT,
        {"db.system.name": system, **attributes},
        parent=telemetry.context_in(span),
        at=begun,
    ).end(ended)
