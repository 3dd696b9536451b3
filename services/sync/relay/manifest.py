"""Delivery manifests: what one transaction delivered under one grant, counted and hashed."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from services.core import merkle
from services.sync.projection.native import root
from services.sync.relay.client import Gathered, Message
from services.sync.relay.placing import partition_of

_WIRE_HEADER = 5
_DIGEST_BYTES = 16
# in the order in which the native engine counts them
_COUNTED = {"c": "create", "u": "update", "d": "delete", "r": "read", "tombstone": "tombstone"}


def key_digest(secret: bytes, key: bytes) -> bytes:
    """Stands for a key of a share topic, by the grant's secret: of its bytes without the schema's id."""
    return hmac.new(secret, key[_WIRE_HEADER:], sha256).digest()[:_DIGEST_BYTES]


def op_of(value: bytes | None) -> str:
    """The operation of a record of a share topic, which is its first field: a text of one letter."""
    return "tombstone" if value is None else chr(value[_WIRE_HEADER + 1])


@dataclass(slots=True)
class _Range:
    first: int
    last: int
    records: int = 0


@dataclass(frozen=True, slots=True)
class Traced:
    """Which message of a part is followed by a trace, by its number, and the `traceparent` that it carries."""

    number: int
    traceparent: str


@dataclass(slots=True)
class Part:
    """What one partition of a share topic gets in a transaction, in its order: messages, and their leaf hashes.

    `ends` are the offsets of the first and the last one, once the broker has acknowledged them.
    """

    messages: Gathered
    leaves: bytearray = field(default_factory=bytearray)
    ends: tuple[int, int] = (-1, -1)
    traced: Traced | None = None


@dataclass(slots=True)
class Tally:
    """Collects the deliveries of one grant while a transaction is filled; its manifest carries the `traceparent`.

    `gather` makes what takes the messages for a partition.
    """

    grant: Mapping[str, Any]
    partitions: int
    gather: Callable[[], Gathered] = list[Message]
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTED.values(), 0))
    latency_min_us: int = -1
    latency_max_us: int = -1
    records: int = 0
    replay: str = ""
    size: int = 0
    traceparent: str = ""
    parts: dict[int, Part] = field(default_factory=dict)
    _sources: dict[tuple[str, int], _Range] = field(default_factory=dict)

    def read(self, topic: str, partition: int, first: int, last: int, changes: int) -> None:
        """Changes that led to deliveries: how many, the offsets of the first and the last."""
        one = self._sources.setdefault((topic, partition), _Range(first, last))
        one.last = last
        one.records += changes

    @property
    def last_change(self) -> tuple[str, int, int] | None:
        """Where the last change stands that led to a delivery; None where what is delivered comes of no change."""
        for (topic, partition), read in reversed(self._sources.items()):
            return topic, partition, read.last
        return None

    @property
    def changes(self) -> int:
        """How many changes led to deliveries."""
        return sum(read.records for read in self._sources.values())

    def add(self, op: str, key: bytes, value: bytes | None, latency_us: int | None) -> None:
        """One record, from the reference engine."""
        self.counts[_COUNTED[op]] += 1
        self.records += 1
        self.size += len(key) + len(value or b"")
        part = self._part(partition_of(key, self.partitions))
        part.messages.append({"key": key, "value": value})
        part.leaves += merkle.leaf_hash(merkle.record_entry(key, value))
        if latency_us is not None:
            self._took(latency_us, latency_us)

    def take(self, outcomes: Any, place: int, topic: str, partition: int, offsets: Callable[[int], int]) -> None:
        """What a run of the native engine has made for the grant that is its number `place`.

        `offsets` gives the offset of the run's changes by their number.
        """
        counts, changes, first, last, least, most, size = outcomes.figures(place)
        self.size += size
        self.read(topic, partition, offsets(first), offsets(last), changes)
        for name, count in zip(_COUNTED.values(), counts, strict=True):
            self.counts[name] += count
        if least >= 0:
            self._took(least, most)
        for number in range(self.partitions):
            if count := outcomes.count(place, number):
                part = self._part(number)
                outcomes.gather(place, number, part.messages)
                part.leaves += outcomes.leaves(place, number)
                self.records += count

    def keep_only(self, secret: bytes, keys: Container[bytes]) -> None:
        """Leave out the records whose keys (`key_digest`) are not among `keys`."""
        parts, self.parts, self.records, self.size = self.parts, {}, 0, 0
        self.counts = dict.fromkeys(_COUNTED.values(), 0)
        for message in (one for part in parts.values() for one in part.messages):
            if key_digest(secret, message["key"]) in keys:
                self.add(op_of(message["value"]), message["key"], message["value"], None)

    def _part(self, number: int) -> Part:
        if number not in self.parts:
            self.parts[number] = Part(self.gather())
        return self.parts[number]

    def _took(self, least_us: int, most_us: int) -> None:
        self.latency_min_us = least_us if self.latency_min_us < 0 else min(self.latency_min_us, least_us)
        self.latency_max_us = max(self.latency_max_us, most_us)

    def manifest(self, worker: str, sequence: int, now: datetime) -> dict[str, Any]:
        """The value for `sync.deliveries`, once all records are acknowledged."""
        parts = sorted(self.parts.items())
        targets = [_range(self.grant["topic"], partition, *part.ends, len(part.messages)) for partition, part in parts]
        return {
            "grant": self.grant["id"],
            "thread": self.grant["thread"],
            "resource": self.grant["resource"],
            "department": self.grant["department"],
            "worker": worker,
            "sequence": sequence,
            "sources": [_range(*where, one.first, one.last, one.records) for where, one in self._sources.items()],
            "targets": targets,
            "records": self.records,
            "bytes": self.size,
            "counts": self.counts,
            "latency_min_us": self.latency_min_us,
            "latency_max_us": self.latency_max_us,
            "root": root(b"".join(part.leaves for _, part in parts)),
            "delivered_at": now,
            "replay": self.replay,
        }


def _range(topic: str, partition: int, first: int, last: int, records: int) -> dict[str, Any]:
    return {"topic": topic, "partition": partition, "first": first, "last": last, "records": records}
