"""The log as the operator's tools read it: its files, its topics, and the records that its entries tell of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from cli.exchange import Exchange
from services.audit import native
from services.audit.tiles import TileStore
from services.audit.topics import CHECKPOINTS, LOG
from services.audit.verifier import Key, Note, open_note, parse_key
from services.audit.witness import parse_witnesses
from services.core.avro import Codec
from services.core.kafka import read_to_end

_BATCH = 5_000
_TIMEOUT_SECONDS = 30.0


@dataclass(slots=True)
class Log:
    """The log of a running exchange, up to a checkpoint."""

    exchange: Exchange
    key: Key
    head: Note
    note: str
    tiles: TileStore
    witnesses: list[Key]
    entries: Codec

    def decode(self, entry: bytes) -> dict[str, Any]:
        return self.entries.decode(entry)

    def notes(self) -> Iterator[str]:
        """The checkpoints that were signed before this one, in their order.

        The one that was cosigned last comes with its witnesses.
        """
        codec, cosigned = Codec(self.exchange.registry, CHECKPOINTS.name), self.tiles.cosigned() or ""
        for value in _values(self.exchange, CHECKPOINTS.name):
            told = codec.decode(value)
            # what was signed since may not have its tiles yet
            if told["size"] <= self.head.checkpoint.size:
                yield cosigned if cosigned.startswith(told["note"]) else told["note"]

    def records(self) -> Iterator[bytes]:
        """The records of `audit.log`."""
        yield from _values(self.exchange, LOG.name)


def open_log(exchange: Exchange, key: str | None = None) -> Log:
    """The log as it is signed now. Raises Refused when there is none yet, NotSigned when the key has not signed it."""
    trusted = parse_key(key or exchange.ask("GET", "audit", "/key"))
    note = exchange.ask("GET", "audit", "/checkpoint")
    tiles = TileStore(exchange.settings.audit_folder, native.hashing_of(trusted.name))
    witnesses = [one.key for one in parse_witnesses(exchange.settings.audit_witnesses)]
    return Log(exchange, trusted, open_note(note, trusted), note, tiles, witnesses, Codec(exchange.registry, LOG.name))


def _values(exchange: Exchange, topic: str) -> Iterator[bytes]:
    reader = exchange.consumer(enable_partition_eof=True)
    try:
        reader.assign([TopicPartition(topic, 0, 0)])
        for message in read_to_end(reader, 1):
            yield message.value() or b""
    finally:
        reader.close()


@dataclass(slots=True)
class Kept:
    """The records that a partition still holds, read ahead: cheap for whoever goes forwards."""

    exchange: Exchange
    topic: str
    partition: int
    _reader: Consumer | None = None
    _waiting: list[tuple[int, bytes, bytes | None]] = field(default_factory=list)
    _ended: bool = False
    _passed: int = 0

    def at(self, offset: int) -> tuple[bytes, bytes | None] | None:
        """Key and value of the record at `offset`; None when it is no longer kept."""
        if offset < self._passed:
            self._begin(offset)
        self._passed = offset
        while True:
            while self._waiting and self._waiting[-1][0] < offset:
                self._waiting.pop()
            if self._waiting or self._ended:
                break
            self._fill(offset)
        if self._waiting and self._waiting[-1][0] == offset:
            _, key, value = self._waiting[-1]
            return key, value
        return None

    def between(self, first: int, last: int) -> Iterator[tuple[int, bytes, bytes | None]]:
        """What is kept from `first` to `last`."""
        offset = first
        while offset <= last:
            self.at(offset)
            if not self._waiting or self._waiting[-1][0] > last:
                return
            found = self._waiting.pop()
            yield found
            offset = found[0] + 1

    def _begin(self, offset: int) -> None:
        self._waiting, self._ended = [], False
        if self._reader is not None:
            self._reader.assign([TopicPartition(self.topic, self.partition, offset)])

    def _fill(self, offset: int) -> None:
        if self._reader is None:
            self._reader = self.exchange.consumer(enable_partition_eof=True)
            self._begin(offset)
        found = []
        for message in self._reader.consume(_BATCH, 0.2):
            error = message.error()
            if error is None:
                found.append((int(message.offset() or 0), message.key() or b"", message.value()))
            elif error.code() == KafkaError._PARTITION_EOF or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                self._ended = True
            else:
                raise KafkaException(error)
        self._waiting = found[::-1]

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
