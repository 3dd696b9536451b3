"""Which change of a transaction is followed by a trace, and the spans of its way up to the commit.

Not every change is: a span costs more than the change. Of a transaction one change at most is followed, and so many a
second as `traced_changes_per_second` allows, so that a relay without much to do follows all that it delivers, and one
that is busy goes on at its pace. Catch-up lanes are not followed: what they deliver was committed long ago.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from opentelemetry.trace import Span, SpanKind, format_trace_id

from services.core import telemetry
from services.core.avro import Registry
from services.sync.projection.plan import grant_secret
from services.sync.projection.reference import EPOCH, committed_at, position
from services.sync.relay.changes import Origin, Place
from services.sync.relay.manifest import Part, Tally, Traced, key_digest, op_of
from services.sync.relay.routes import Route
from services.sync.tracing import carried_in, ids_of, of_grant, operation, place

_MOST_GRANTS = 50
"""How many deliveries of one change are told; a trace of thousands is read by nobody."""


@dataclass(slots=True, kw_only=True)
class Times:
    """When a transaction began, in nanoseconds since 1970, and how long its steps took, in nanoseconds."""

    begun: int
    checking: int
    projecting: int


@dataclass(slots=True)
class FollowedChange:
    """A change that is followed. Nothing of it is told before it is committed: what is given up is begun anew."""

    process: Span
    over: list[tuple[Span, int]]
    sends: list[tuple[Span, Part]] = field(default_factory=list)

    def committed(self) -> str:
        """The transaction is committed; the id of the trace."""
        for span, at in self.over:
            span.end(at)
        for span, part in self.sends:
            if part.traced is not None:
                behind = len(part.messages) - 1 - part.traced.number
                span.set_attribute("messaging.kafka.offset", part.ends[1] - behind)
            span.end()
        self.process.end()
        return format_trace_id(self.process.get_span_context().trace_id)


class Tracing:
    """Chooses the changes that are followed, for the relay that reads in `group`."""

    def __init__(self, group: str, registry: Registry, master: bytes, per_second: float) -> None:
        self._group, self._registry, self._master = group, registry, master
        self._apart, self._next = 1 / per_second, 0.0

    def choose(self, tallies: Mapping[str, Tally]) -> Place | None:
        """The change to be followed of those that a transaction delivers: the last one, to most grants."""
        if not tallies or time.monotonic() < self._next:
            return None
        last = Counter(tally.last_change for tally in tallies.values())
        return last.most_common(1)[0][0]

    def follow(self, origin: Origin, route: Route, tallies: Mapping[str, Tally], times: Times) -> FollowedChange | None:
        """Begin the spans of a change that is about to be delivered; None where its trace is not sampled."""
        envelope, where = self._registry.decode(origin.value)[1], origin.place
        over = self._before(origin, envelope, route)
        if not over[0][0].is_recording():
            return None
        self._next = time.monotonic() + self._apart
        process = telemetry.begin(
            f"process {where[0]}",
            SpanKind.CONSUMER,
            {
                **place(*where),
                **operation("process"),
                "messaging.consumer.group.name": self._group,
                "messaging.batch.message_count": sum(tally.changes for tally in tallies.values()),
            },
            parent=telemetry.context_in(over[-1][0]),
            at=times.begun,
        )
        within = telemetry.context_in(process)
        checked = times.begun + times.checking
        if route.has_rules:
            over.append((telemetry.begin("check", SpanKind.INTERNAL, {}, parent=within, at=times.begun), checked))
        project = telemetry.begin("project", SpanKind.INTERNAL, {}, parent=within, at=checked)
        over.append((project, checked + times.projecting))
        made = FollowedChange(process, over)
        mine = [tally for tally in tallies.values() if tally.last_change == where]
        for tally in mine[:_MOST_GRANTS]:
            self._follow_to(tally, envelope, made)
        return made

    def _before(self, origin: Origin, envelope: Mapping[str, Any], route: Route) -> list[tuple[Span, int]]:
        """The source's commit and the connector's way, which are over, with their ends."""
        source, system = envelope["source"], str(route.resource["mount"]["system"])
        at, stands, carried = committed_at(envelope), position(envelope), carried_in(origin.headers)
        committed = (at - EPOCH) // timedelta(microseconds=1) * 1_000
        # what is known to the millisecond only may seem to be earlier than what it follows
        read = max(committed, _read_at(envelope))
        written = max(read, origin.written_ms * 1_000_000)
        names = {"db.namespace": source.get("db"), "db.collection.name": source.get("table")}
        commit = telemetry.begin(
            f"commit {system}",
            SpanKind.INTERNAL,
            {
                "tongshu.system": system,
                "tongshu.source.position": stands,
                "tongshu.resource": str(route.resource["code"]),
                **{name: str(value) for name, value in names.items() if value},
            },
            parent=telemetry.context_of(carried) if carried else None,
            ids=None if carried else ids_of(system, stands, at),
            at=committed,
        )
        send = telemetry.begin(
            f"send {origin.place[0]}",
            SpanKind.PRODUCER,
            {**place(*origin.place), **operation("send")},
            parent=telemetry.context_in(commit),
            at=read,
        )
        return [(commit, read), (send, written)]

    def _follow_to(self, tally: Tally, envelope: Mapping[str, Any], made: FollowedChange) -> None:
        grant = tally.grant
        for number, part in tally.parts.items():
            at = self._made_of(envelope, part)
            if at is None:
                continue
            message = part.messages[at]
            span = telemetry.begin(
                f"send {grant['topic']}",
                SpanKind.PRODUCER,
                {
                    **place(grant["topic"], number),
                    **operation("send"),
                    **of_grant(grant),
                    "tongshu.op": op_of(message["value"]),
                    "tongshu.key_digest": key_digest(grant_secret(self._master, grant["id"]), message["key"]).hex(),
                },
                parent=telemetry.context_in(made.process),
            )
            made.sends.append((span, part))
            tally.traceparent = telemetry.traceparent_of(span)
            part.traced = Traced(at, tally.traceparent)

    def _made_of(self, envelope: Mapping[str, Any], part: Part) -> int | None:
        """The number of the last message of `part`, tombstones aside, where it tells of `envelope`."""
        for number in reversed(range(len(part.messages))):
            if (value := part.messages[number]["value"]) is not None:
                source = self._registry.decode(value)[1]["source"]
                told = (source["position"], source["committed_at"])
                return number if told == (position(envelope), committed_at(envelope)) else None
        return None


def _read_at(envelope: Mapping[str, Any]) -> int:
    """When the connector had read the change, in nanoseconds; 0 where it does not say."""
    micros = envelope.get("ts_us")
    return int(micros) * 1_000 if micros is not None else int(envelope.get("ts_ms") or 0) * 1_000_000
