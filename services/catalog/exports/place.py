"""The place an export speaks for: what stands in no resource and differs from one installation to the next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Who publishes the catalogue, and where its parts are reached from outside.

    `address` is the exchange's own URL without a slash at its end: the names of all things in exports begin with it,
    so it should not change. `kafka` is a list of `host:port` as Kafka's clients take it.
    """

    title: str
    title_en: str
    abstract: str
    publisher: str
    publisher_en: str
    publisher_uscc: str
    address: str
    kafka: str
    registry: str

    def iri(self, *path: str) -> str:
        """The name of something of the catalogue, which is where its API answers for it."""
        return "/".join([f"{self.address}/api/catalog/v1", *(quote(step, safe="") for step in path)])

    @property
    def brokers(self) -> list[str]:
        return [broker.strip() for broker in self.kafka.split(",")]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAddress:
    """Where an information system's database is; no secret."""

    host: str
    port: int
    database: str


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def json_bytes(document: Mapping[str, Any], *, indent: int | None = 2) -> bytes:
    """JSON for people and for comparison: names in order, Chinese as it is, a line feed at the end."""
    separators = None if indent else (",", ":")
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, indent=indent, separators=separators)
    return text.encode() + b"\n"
