"""Batches of records become entries: natively as far as that goes, each other record by the reference.

What an entry is, is written in `domain/entry.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from confluent_kafka import Message

from services.audit import native
from services.audit.domain.entry import NotAnEvent, Record, Sealer, input_of, trace_of, varint
from services.audit.verifier import Hashing


@dataclass(frozen=True, slots=True)
class Sealed:
    """Entries with their leaf hashes, and of each topic and partition the offset after its last record."""

    entries: list[bytes]
    leaves: bytes
    ends: Mapping[tuple[str, int], int]


class Batches:
    """Seals batches for the log `origin`.

    `schema` gives the schema of an id in the registry or raises NotAnEvent, `reference` gives that of an actor's name.
    """

    def __init__(
        self,
        origin: str,
        hashing: Hashing,
        schema: Callable[[int], Mapping[str, Any]],
        reference: Callable[[str], str],
    ) -> None:
        self._hashing, self._schema = hashing, schema
        self._sealer = Sealer(schema, reference, hashing.new)
        self._native = native.sealing(origin, self._wanted, reference, self._body)
        self._recorded = b""

    def seal(self, batch: list[Message], head: bytes, first: int, now: datetime) -> Sealed:
        """Make entries of `batch`, the first of it as number `first`; `head` begins each (Avro's wire format)."""
        self._sealer.begin()
        self._recorded = varint(int(now.timestamp() * 1_000_000))
        if self._native is not None:
            return Sealed(*self._native.run(batch, head, first, self._recorded))
        entries = [head + varint(number) + self._body(message) for number, message in enumerate(batch, first)]
        return Sealed(entries, self._hashing.leaves(entries), _ends(batch))

    def _body(self, message: Message) -> bytes:
        topic, partition = str(message.topic()), int(message.partition() or 0)
        record = Record(
            topic, partition, int(message.offset() or 0), message.key() or b"", message.value(), _trace(message)
        )
        return self._sealer.body(input_of(topic), record, self._recorded)

    def _wanted(self, topic: str, schema_id: int) -> str | None:
        try:
            schema = self._schema(schema_id)
        except NotAnEvent:
            return None
        wanted = [one if isinstance(one, str) else {"constant": one.hex()} for one in input_of(topic).wanted]
        return json.dumps({"schema": schema, "wanted": wanted})


def _ends(batch: Iterable[Message]) -> Mapping[tuple[str, int], int]:
    return {(str(one.topic()), int(one.partition() or 0)): int(one.offset() or 0) + 1 for one in batch}


def _trace(message: Message) -> str:
    found = dict(message.headers() or ()).get("traceparent")
    return trace_of(found.decode(errors="replace")) if isinstance(found, bytes) else ""
