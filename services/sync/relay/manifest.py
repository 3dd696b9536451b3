"""Delivery manifests: what one transaction delivered under one grant, counted and hashed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.core import merkle

_COUNTED = {"c": "create", "u": "update", "d": "delete", "r": "read", "tombstone": "tombstone"}


@dataclass(slots=True)
class _Range:
    first: int
    last: int
    records: int = 0


@dataclass(slots=True)
class Tally:
    """Collects the deliveries of one grant while a transaction is filled.

    `delivered` is called as the broker acknowledges each record, from the thread that polls the producer.
    """

    grant: Mapping[str, Any]
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTED.values(), 0))
    latency_min_us: int = -1
    latency_max_us: int = -1
    _sources: dict[tuple[str, int], _Range] = field(default_factory=dict)
    _leaves: dict[int, list[tuple[int, bytes]]] = field(default_factory=dict)

    def read(self, topic: str, partition: int, offset: int) -> None:
        """A change that led to a delivery."""
        one = self._sources.setdefault((topic, partition), _Range(offset, offset))
        one.last = offset
        one.records += 1

    def produced(self, op: str, latency_us: int | None) -> None:
        self.counts[_COUNTED[op]] += 1
        if latency_us is not None:
            self.latency_min_us = latency_us if self.latency_min_us < 0 else min(self.latency_min_us, latency_us)
            self.latency_max_us = max(self.latency_max_us, latency_us)

    def delivered(self, partition: int, offset: int, leaf: bytes) -> None:
        """A record that the broker took."""
        self._leaves.setdefault(partition, []).append((offset, leaf))

    def acknowledged(self) -> int:
        return sum(len(leaves) for leaves in self._leaves.values())

    def manifest(self, worker: str, sequence: int, now: datetime) -> dict[str, Any]:
        """The value for `sync.deliveries`, once all records are acknowledged."""
        targets, leaves = [], []
        for partition, taken in sorted(self._leaves.items()):
            taken.sort()
            targets.append(_range(self.grant["topic"], partition, taken[0][0], taken[-1][0], len(taken)))
            leaves += [leaf for _, leaf in taken]
        return {
            "grant": self.grant["id"],
            "thread": self.grant["thread"],
            "resource": self.grant["resource"],
            "department": self.grant["department"],
            "worker": worker,
            "sequence": sequence,
            "sources": [_range(*where, one.first, one.last, one.records) for where, one in self._sources.items()],
            "targets": targets,
            "records": len(leaves),
            "counts": self.counts,
            "latency_min_us": self.latency_min_us,
            "latency_max_us": self.latency_max_us,
            "root": merkle.root(leaves),
            "delivered_at": now,
        }


def _range(topic: str, partition: int, first: int, last: int, records: int) -> dict[str, Any]:
    return {"topic": topic, "partition": partition, "first": first, "last": last, "records": records}
