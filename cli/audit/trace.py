"""`./tongshu audit trace`: one record – its changes at the source, and every department that it was delivered to.

The audit's key index says where the record occurs; each delivery is tied to the manifest that covers it, and the
manifest to the log, with proofs for both. Pseudonymous keys are worked out per grant, as the relay does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import TopicPartition
from sqlalchemy import select
from sqlalchemy.orm import Session

from cli.audit.reading import Log
from cli.exchange import Exchange
from services.audit.domain.proof import Prover
from services.audit.keys import DELIVERIES, places_of, secret_of
from services.audit.store import Entry, Manifest
from services.audit.verifier import leaf_hashes, root_from_inclusion
from services.core import db, masks, merkle
from services.core.avro import Codec, NotAvro
from services.core.masks import MaskError
from services.sync.projection.plan import NotAnEnvelope, Plan, compile_plan

_TIMEOUT_SECONDS = 10.0


class NoSuchRecord(Exception):
    """What is asked for cannot be a record: no such resource, no mount, or no such key; in one sentence."""


@dataclass(slots=True)
class Delivery:
    """A record of the traced row in a department's topic.

    `in_manifest` and `in_log` say what was proved; `in_manifest` is None when not all its records are kept. `trace` is
    the id of the trace that follows its transaction, where there is one.
    """

    department: str
    grant: str
    channels: list[str]
    topic: str
    partition: int
    offset: int
    op: str | None
    at: datetime | None
    manifest: int | None
    entry: int | None
    in_manifest: bool | None
    in_log: bool
    trace: str | None = None


@dataclass(slots=True)
class Trace:
    """All that is known of one record."""

    resource: str
    topic: str
    changes: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    untraceable: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "resource": self.resource,
            "topic": self.topic,
            "changes": self.changes,
            "deliveries": [
                {name: getattr(one, name) for name in Delivery.__dataclass_fields__} for one in self.deliveries
            ],
            "quarantined": self.quarantined,
            "untraceable": self.untraceable,
        }


def trace(log: Log, resource: str, key: str) -> Trace:
    """The way of the row with this key (a value, or a JSON object of the key's items). Raises NoSuchRecord."""
    tracer = _Tracer(log, resource)
    try:
        return tracer.run(key)
    finally:
        tracer.close()


class _Tracer:
    def __init__(self, log: Log, resource: str) -> None:
        self._log, self._exchange = log, log.exchange
        self._registry = log.exchange.registry
        self._resource = _state(self._exchange, "catalog.resources", resource)
        if self._resource is None or self._resource["mount"] is None:
            raise NoSuchRecord(f"No resource {resource!r} is in force and mounted.")
        self._secret = secret_of(self._exchange.settings)
        self._engine = db.engine(self._exchange.settings, "audit")
        self._session = Session(self._engine)
        self._reader = self._exchange.consumer(
            enable_partition_eof=True, fetch_wait_max_ms=5, queued_max_messages_kbytes=1_024
        )
        self._prover = Prover(log.tiles.whole, log.tiles.hashing)
        self._manifests = Codec(self._registry, DELIVERIES)

    def close(self) -> None:
        self._reader.close()
        self._session.close()
        self._engine.dispose()

    def run(self, key: str) -> Trace:
        assert self._resource is not None
        topic = str(self._resource["mount"]["topic"])
        found = Trace(self._resource["code"], topic)
        schema = self._registry.latest(f"{topic}-key")
        if schema is None:
            raise NoSuchRecord(f"Nothing was ever written to {topic}.")
        row = _key_row(schema, key)
        encoded = self._encoded(f"{topic}-key", schema, row)
        for partition, offset in places_of(self._session, self._secret, topic, encoded):
            found.changes.append(self._change(topic, partition, offset))
        self._find_quarantined(found)
        for grant in _states(self._exchange, "demand.grants"):
            if grant["resource"] == self._resource["code"]:
                self._trace_grant(found, grant, row)
        found.deliveries.sort(key=lambda one: (one.at or datetime.max.replace(tzinfo=UTC), one.offset))
        return found

    def _encoded(self, subject: str, schema: Mapping[str, Any], row: Mapping[str, Any]) -> bytes:
        try:
            return self._registry.encode(self._registry.register(subject, schema), row)
        except (ValueError, TypeError) as error:
            raise NoSuchRecord(f"That is no key of the resource: {error}") from error

    def _change(self, topic: str, partition: int, offset: int) -> dict[str, Any]:
        record = self._record(topic, partition, offset)
        told: dict[str, Any] = {"partition": partition, "offset": offset, "op": None, "committed_at": None}
        if record is None:
            return told | {"kept": False}
        if record[1] is None:
            return told | {"kept": True, "op": "tombstone"}
        _, envelope = self._registry.decode(record[1])
        micros = envelope["source"].get("ts_us") or envelope["source"]["ts_ms"] * 1_000
        at = datetime.fromtimestamp(micros / 1_000_000, UTC)
        return told | {"kept": True, "op": envelope["op"], "committed_at": at}

    def _find_quarantined(self, found: Trace) -> None:
        """Changes of the record that broke a check and were set aside."""
        topic = f"quarantine.{found.resource}"
        if topic not in self._reader.list_topics(timeout=_TIMEOUT_SECONDS).topics:
            return
        places = {(one["partition"], one["offset"]) for one in found.changes}
        codec = Codec(self._registry, topic, "quarantine")
        for _, value, _ in self._exchange.read_all(topic):
            told = codec.decode(value) if value is not None else None
            if told and told["topic"] == found.topic and (told["partition"], told["offset"]) in places:
                names = ("partition", "offset", "grant", "reason", "quarantined_at")
                found.quarantined.append({name: told[name] for name in names})

    def _trace_grant(self, found: Trace, grant: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        topic = str(grant["topic"])
        schema = self._registry.latest(f"{topic}-key")
        if schema is None:
            return  # nothing was delivered under it yet
        try:
            plan = self._plan(found.topic, grant)
        except (NotAnEnvelope, MaskError) as error:
            found.untraceable.append(f"grant {grant['id']}: its key cannot be worked out ({error})")
            return
        shown = {
            one.source.item: masks.shown(one.mask, one.source.read(row[one.source.column]), plan.secret)
            for one in plan.key
        }
        key = self._encoded(f"{topic}-key", schema, shown)
        for partition, offset in places_of(self._session, self._secret, topic, key):
            found.deliveries.append(self._delivery(grant, topic, partition, offset))

    def _plan(self, topic: str, grant: Mapping[str, Any]) -> Plan:
        writer = self._registry.latest(f"{topic}-value")
        assert self._resource is not None
        master = bytes.fromhex(self._exchange.home.secret("pseudonym_key"))
        return compile_plan(writer or {}, self._resource, grant, master)

    def _delivery(self, grant: Mapping[str, Any], topic: str, partition: int, offset: int) -> Delivery:
        record = self._record(topic, partition, offset)
        manifest = self._session.scalar(
            select(Manifest)
            .where(Manifest.topic == topic, Manifest.partition == partition, Manifest.first <= offset)
            .order_by(Manifest.first.desc())
            .limit(1)
        )
        made = Delivery(
            department=grant["department"], grant=grant["id"], channels=list(grant["channels"]), topic=topic,
            partition=partition, offset=offset, op=self._op(record), at=None, manifest=None, entry=None,
            in_manifest=None, in_log=False,
        )  # fmt: skip
        if manifest is not None and manifest.last >= offset:
            made.manifest = manifest.manifest
            self._prove(made, record)
        return made

    def _op(self, record: tuple[bytes, bytes | None] | None) -> str | None:
        if record is None:
            return None
        try:
            return "tombstone" if record[1] is None else str(self._registry.decode(record[1])[1]["op"])
        except NotAvro:
            return None

    def _prove(self, made: Delivery, record: tuple[bytes, bytes | None] | None) -> None:
        """That the manifest is in the log, and the record in the manifest."""
        assert made.manifest is not None
        sealed = self._record(DELIVERIES, 0, made.manifest)
        entry = self._session.scalar(
            select(Entry).where(Entry.topic == DELIVERIES, Entry.partition == 0, Entry.offset == made.manifest)
        )
        if sealed is None or sealed[1] is None:
            return
        told = self._manifests.decode(sealed[1])
        made.at = told["delivered_at"]
        if entry is not None and entry.sequence < self._log.head.checkpoint.size:
            made.entry, made.trace = entry.sequence, entry.trace or None
            made.in_log = self._is_in_log(entry.sequence, sealed)
        if record is not None:
            made.in_manifest = self._is_in_manifest(told)

    def _is_in_log(self, sequence: int, sealed: tuple[bytes, bytes | None]) -> bool:
        (raw,) = self._log.tiles.entries(sequence, sequence + 1)
        signed, new = self._log.head.checkpoint, self._log.tiles.hashing.new
        proof = self._prover.inclusion(sequence, signed.size)
        leaf = leaf_hashes([raw], new)
        digest = new(merkle.record_entry(*sealed)).digest()
        return (
            root_from_inclusion(sequence, signed.size, leaf, proof, new) == signed.root
            and self._log.decode(raw)["digest"] == digest
        )

    def _is_in_manifest(self, told: Mapping[str, Any]) -> bool | None:
        """Whether the records that are there are those of the manifest; None when some are no longer kept."""
        leaves = [
            merkle.leaf_hash(merkle.record_entry(*record))
            for target in told["targets"]
            for record in self._between(target["topic"], target["partition"], target["first"], target["last"])
        ]
        if len(leaves) < told["records"]:
            return None
        return bool(merkle.root(leaves) == told["root"])

    def _record(self, topic: str, partition: int, offset: int) -> tuple[bytes, bytes | None] | None:
        """Key and value of a record; None when it is no longer kept."""
        return next(iter(self._between(topic, partition, offset, offset)), None)

    def _between(self, topic: str, partition: int, first: int, last: int) -> list[tuple[bytes, bytes | None]]:
        """What is kept from `first` to `last`."""
        self._reader.assign([TopicPartition(topic, partition, first)])
        found: list[tuple[bytes, bytes | None]] = []
        while (message := self._reader.poll(_TIMEOUT_SECONDS)) is not None:
            if message.error() is not None or int(message.offset() or 0) > last:
                break
            found.append((message.key() or b"", message.value()))
            if message.offset() == last:
                break
        return found


def _key_row(schema: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The key's columns with the values that `key` names."""
    fields = {field["name"]: field["type"] for field in schema["fields"]}
    if key.startswith("{"):
        try:
            given = json.loads(key)
        except ValueError as error:
            raise NoSuchRecord(f"The key is no JSON object: {error}") from error
    elif len(fields) == 1:
        given = dict.fromkeys(fields, key)
    else:
        raise NoSuchRecord(f"The key has {len(fields)} items ({', '.join(fields)}): give a JSON object of them.")
    if given.keys() != fields.keys():
        raise NoSuchRecord(f"The key's items are {', '.join(fields)}.")
    return {name: _typed(fields[name], value) for name, value in given.items()}


def _typed(schema: Any, value: Any) -> Any:
    kind = schema.get("type") if isinstance(schema, dict) else schema
    if kind in ("int", "long") and isinstance(value, str):
        try:
            return int(value)
        except ValueError as error:
            raise NoSuchRecord(f"{value!r} is no number.") from error
    return value


def _states(exchange: Exchange, topic: str) -> list[dict[str, Any]]:
    """What a compacted topic says now."""
    latest: dict[bytes, bytes | None] = {key: value for key, value, _ in exchange.read_all(topic)}
    codec = Codec(exchange.registry, topic)
    return [codec.decode(value) for value in latest.values() if value is not None]


def _state(exchange: Exchange, topic: str, key: str) -> dict[str, Any] | None:
    found = [value for name, value, _ in exchange.read_all(topic) if name.decode() == key]
    return Codec(exchange.registry, topic).decode(found[-1]) if found and found[-1] is not None else None
