"""What the relay writes of quality, in the transaction of what it delivers: waits, quarantine, events and scores."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from services.core.avro import Codec, Registry, UnknownSchema
from services.core.settings import Settings
from services.core.telemetry import current_traceparent
from services.sync.projection import native
from services.sync.projection.plan import Columns, NotAnEnvelope
from services.sync.quality.gate import Decision, Fate, Gate, Partition, Waiting
from services.sync.quality.judge import Judge, Score
from services.sync.relay import metrics
from services.sync.relay.reading import read_settled
from services.sync.relay.routes import Route
from services.sync.topics import EVENTS, ORDERS, QUALITY, WAITING, quarantine

log = structlog.get_logger()

BY = "tongshu"
Produce = Callable[..., None]
Place = tuple[str, int, int]


@dataclass(slots=True)
class Findings:
    """What one transaction found, by resource."""

    scores: dict[str, tuple[Route, Score]] = field(default_factory=dict)

    def of(self, route: Route) -> Score:
        return self.scores.setdefault(route.resource["code"], (route, Score()))[1]


class Inspection:
    """The gate of one relay worker, its judges, and what is told of both."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._settings, self._registry, self._run = settings, registry, ""
        self.gate = Gate(bytes.fromhex(settings.secret("pseudonym_key")))
        self._judges: dict[tuple[int, str, int], Judge | None] = {}
        self._fast: dict[tuple[int, str, int], Any] = {}
        self._code_lists: dict[str, frozenset[str]] = {}
        self._sequences: dict[str, int] = {}
        self._waiting, self._quality = Codec(registry, WAITING.name), Codec(registry, QUALITY.name)
        self._events, self._quarantine = Codec(registry, EVENTS.name), Codec(registry, "quarantine")

    def judge(self, schema_id: int, route: Route) -> Judge | None:
        """The rules of a resource for changes of a schema; None where there is nothing to judge by.

        Raises RegistryUnavailable.
        """
        version = (schema_id, route.resource["code"], route.resource["version"])
        if version not in self._judges:
            try:
                columns = Columns(self._registry.schema(schema_id), route.resource)
                found = Judge(route.resource["rules"], columns, self._code_lists)
            except (NotAnEnvelope, UnknownSchema, KeyError):
                found = None  # what is wrong is found when the change is projected
            self._judges[version] = found if found is not None and found.is_needed else None
        return self._judges[version]

    def fast(self, schema_id: int, route: Route) -> Any:
        """What passes sound changes of a schema without a second look; None where there is nothing that does.

        Raises RegistryUnavailable.
        """
        version = (schema_id, route.resource["code"], route.resource["version"])
        if version not in self._fast:
            found = None
            judge = self.judge(schema_id, route)
            if judge is not None:
                try:
                    writer = self._registry.schema(schema_id)
                    columns, most = Columns(writer, route.resource), self._settings.max_record_bytes
                    found = native.judging(writer, schema_id, judge.rules, columns, self._code_lists, most)
                except native.Unsupported as why:
                    log.info("the reference judges", resource=route.resource["code"], why=str(why))
            self._fast[version] = found
        return self._fast[version]

    def keep_only(self, resources: Mapping[str, int], code_lists: Mapping[str, Collection[str]]) -> None:
        """Forget judges of other versions of resources than these, and all where the code lists are others."""
        lists = {name: frozenset(codes) for name, codes in code_lists.items()}
        if lists != self._code_lists:
            self._code_lists = lists
            self._judges.clear()
        self._judges = {known: judge for known, judge in self._judges.items() if resources.get(known[1]) == known[2]}
        self._fast = {known: fast for known, fast in self._fast.items() if known in self._judges}

    # -- what is told ------------------------------------------------------------------------------------------------

    def tell_aside(
        self, produce: Produce, place: Place, value: bytes, route: Route, decision: Decision, now: datetime
    ) -> None:
        """A change is set aside; one that waited in its place is superseded."""
        rules = [one.rule for one in decision.broken]
        detail = "; ".join(f"{', '.join(one.items)}: {one.words}" for one in decision.broken)
        self.put_aside(
            produce, place, value, route, now, grant=None, reason="quality", detail=detail,
            digest=self.gate.value_digest(value), rules=rules, key_digest=decision.digest,
        )  # fmt: skip
        if decision.waited is not None and not decision.waited.released:
            self.tell_end(produce, (*place[:2], decision.waited.offset), route, "superseded", BY, by=place[2])
        log.info("row set aside", topic=place[0], partition=place[1], offset=place[2], rules=rules)

    def put_aside(self, produce: Produce, place: Place, value: bytes, route: Route, now: datetime, **told: Any) -> None:
        """A change goes to quarantine: where it is and, in what is `told`, why; none of its data."""
        topic, partition, offset = place
        entry = {
            "resource": route.resource["code"],
            "owner": route.resource["department"],
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "size": len(value),
            "quarantined_at": now,
            **told,
        }
        produce(
            quarantine(route.resource["code"]).name,
            key=f"{topic}/{partition}/{offset}",
            value=self._quarantine.encode(entry),
        )
        metrics.QUARANTINED.labels(told["reason"]).inc()

    def tell_end(
        self,
        produce: Produce,
        place: Place,
        route: Route,
        how: str,
        actor: str,
        *,
        by: int | None = None,
    ) -> None:
        """What became of a change that was set aside: `how` it ended, by which later offset or whom."""
        facts = {"place": f"{place[0]}/{place[1]}/{place[2]}"} | ({"by_offset": str(by)} if by is not None else {})
        resource, owner = route.resource["code"], route.resource["department"]
        self.tell(produce, f"row_{how}", resource, owner, resource, facts, actor=actor)

    def tell(
        self,
        produce: Produce,
        event: str,
        subject: str,
        department: str,
        thread: str,
        facts: Mapping[str, str],
        *,
        actor: str = BY,
    ) -> None:
        """An event of the data road, in the open transaction."""
        kind, now = f"cn.tongshu.sync.{event}.v1", datetime.now(UTC)
        value = {
            "type": kind, "subject": subject, "actor": actor, "department": department, "thread": thread,
            "occurred_at": now, "data": dict(facts),
        }  # fmt: skip
        headers = {
            "ce_specversion": "1.0", "ce_type": kind, "ce_source": "/tongshu/sync", "ce_subject": subject,
            "ce_id": uuid.uuid4().hex, "ce_time": now.isoformat(), "ce_correlationid": thread,
            "content-type": "application/avro", "traceparent": current_traceparent(),
        }  # fmt: skip
        produce(EVENTS.name, key=subject, value=self._events.encode(value), headers=list(headers.items()))

    def done(self, produce: Produce, order: str) -> None:
        """An order is carried out, or has nothing to be carried out on any more."""
        produce(ORDERS.name, key=order, value=None)

    def begin_run(self, run: str) -> None:
        """Scores are numbered anew from here on: each counts once by its run, resource and number."""
        self._run, self._sequences = run, {}

    def write(self, produce: Produce, findings: Findings, now: datetime) -> None:
        """Waits and scores of a transaction that is about to commit."""
        for (where, digest), waiting in self.gate.waits.changed().items():
            value = None if waiting is None else self._waiting.encode(_record(where, digest, waiting))
            produce(WAITING.name, key=f"{where[0]}/{where[1]}/{digest.hex()}", value=value)
        for resource, (route, score) in findings.scores.items():
            if score == Score():
                continue
            self._sequences[resource] = self._sequences.get(resource, 0) + 1
            count = {
                "resource": resource,
                "department": route.resource["department"],
                "worker": self._run,
                "sequence": self._sequences[resource],
                "counted_at": now,
                **score.record(),
            }
            produce(QUALITY.name, key=resource, value=self._quality.encode(count))

    def take_up(self, partitions: Collection[Partition], end: int = 0) -> None:
        """Learn which keys of these partitions wait, at least up to `end` of the topic that tells it.

        Raises KafkaException and RegistryUnavailable.
        """
        found: dict[bytes, Mapping[str, Any]] = {}
        for message in read_settled(self._settings, WAITING.name, end):
            key, value = bytes(message.key() or b""), message.value()
            if value is None:
                found.pop(key, None)
            else:
                found[key] = self._waiting.decode(value)
        for one in found.values():
            where = (one["topic"], one["partition"])
            if where in partitions:
                waiting = Waiting(
                    one["resource"], one["since"], one["offset"], frozenset(one["holding"]), tuple(one["rules"]),
                    one["released"],
                )  # fmt: skip
                self.gate.waits.place(where, one["digest"], waiting)


def _record(where: Partition, digest: bytes, waiting: Waiting) -> dict[str, Any]:
    return {
        "resource": waiting.resource,
        "topic": where[0],
        "partition": where[1],
        "digest": digest,
        "since": waiting.since,
        "offset": waiting.offset,
        "holding": sorted(waiting.holding),
        "rules": list(waiting.rules),
        "released": waiting.released,
    }


ENDS = {Fate.CORRECTED: "corrected", Fate.DELETED: "deleted"}
