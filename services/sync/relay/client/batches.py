"""Whole record batches, by the native engine: no message is ever an object of Python's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import tongshu_projection as engine
from confluent_kafka import Consumer, KafkaException, TopicPartition

from services.core.kafka import client_config
from services.core.settings import Settings
from services.sync.relay.changes import Partition, Stretch
from services.sync.relay.client import (
    BACKLOG_SECONDS,
    BUSY,
    GATHER_SECONDS,
    LANE_SLICE,
    LIVE_BATCH,
    REQUEST_TIMEOUT_SECONDS,
    TRANSACTION_SECONDS,
    Begin,
    DeliveryFailed,
    Gathered,
    Headers,
)
from services.sync.tracing import carrying

_MEMBER = b"CGMDv2:"
# what the group has to say comes seldom, and to ask for it costs as much as to deliver many a change
_GROUP_SECONDS = 0.05
_UNKNOWN = -1


class Reader:
    """Of what the group assigns to `source`, which itself reads nothing."""

    def __init__(self, settings: Settings, source: Consumer, client_id: str, *, committed: bool) -> None:
        self._source, self._has_news, self._is_busy = source, False, False
        self._listens_at = 0.0
        self._fetcher = engine.Fetcher(_login(settings, client_id), committed)

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self._source.incremental_assign(list(partitions))
        self._source.pause(list(partitions))
        self._has_news = True

    def place(self, at: Mapping[Partition, int]) -> None:
        # again, for librdkafka assigns what came by itself where something failed before we could
        self._source.pause([TopicPartition(*where) for where in at])
        self._fetcher.place(list(at.items()))

    def leave(self, partitions: Sequence[Partition]) -> None:
        self._fetcher.leave(list(partitions))

    def take(self, wait_seconds: float, begin: Begin, listening: Callable[[], None]) -> list[Stretch]:
        now = time.monotonic()
        if now >= self._listens_at:
            self._listens_at = now + _GROUP_SECONDS
            self._has_news = False
            listening()
            said = self._source.poll(0)
            if said is not None and (error := said.error()) is not None:
                raise KafkaException(error)
            if self._has_news:
                return []
        gather_seconds = min(GATHER_SECONDS, wait_seconds) if self._is_busy else 0.0
        taken = self._fetcher.take(wait_seconds, LIVE_BATCH, gather_seconds=gather_seconds)
        self._is_busy = sum(len(fetched.offsets) for _, fetched in taken) >= BUSY
        stretches = []
        for where, fetched in taken:
            if (stretch := begin(where)) is not None:
                _fill(stretch, fetched)
                stretches.append(stretch)
        return stretches

    def close(self) -> None:
        self._fetcher.end()


class Backlog:
    """Read ahead by a fetcher of its own."""

    def __init__(self, settings: Settings, client_id: str, *, committed: bool) -> None:
        self._login, self._committed = _login(settings, client_id), committed
        self._fetcher: Any = None
        self._reading: Partition | None = None
        self._next = _UNKNOWN
        """The offset of it that the fetcher gives next."""

    def fill(self, stretch: Stretch, before: int) -> None:
        where = stretch.where
        if (self._reading, self._next) != (where, stretch.end):
            self._go_to(where, stretch.end)
        taken = self._fetcher.take(BACKLOG_SECONDS, LANE_SLICE, before=before)
        for _, fetched in taken:
            _fill(stretch, fetched)
        if not taken:
            stretch.end = min(self._fetcher.passed(where) or stretch.end, before)
        # what stands behind was taken, too, and left out
        self._next = stretch.end if stretch.end < before else _UNKNOWN

    def rest(self) -> None:
        # the fetcher stays: each one's thread takes memory of its own, which is not given back when it ends
        if self._reading is not None:
            self._fetcher.leave([self._reading])
            self._reading = None

    def _go_to(self, where: Partition, offset: int) -> None:
        if self._reading != where:
            self.rest()
        self._reading = None  # until it is placed, for that may fail
        if self._fetcher is None:
            self._fetcher = engine.Fetcher(self._login, self._committed)
        self._fetcher.place([(where, offset)])
        self._reading = where


def _fill(stretch: Stretch, fetched: Any) -> None:
    stretch.end, stretch.about = fetched.end, fetched.about
    stretch.offsets, stretch.values = fetched.offsets, fetched.values
    if stretch.keys is not None:
        stretch.keys = fetched.keys


class Writer:
    """Transactions of version 2 (KIP-890): each end begins an epoch, so what comes too late belongs to none."""

    def __init__(self, settings: Settings, transactional_id: str, client_id: str) -> None:
        self._wire = engine.Writer(_login(settings, client_id), transactional_id, TRANSACTION_SECONDS)

    def gather(self) -> Gathered:
        return cast(Gathered, self._wire.gather())

    def begin(self) -> None:
        self._wire.begin()

    def produce(self, topic: str, *, key: str | bytes, value: bytes | None, headers: Headers | None = None) -> None:
        told = list(headers.items()) if isinstance(headers, Mapping) else headers
        self._wire.produce(topic, key=key, value=value, headers=told)

    def deliver(self, topic: str, partition: int, messages: Gathered, traced: tuple[int, str] | None) -> None:
        if traced is None:
            self._wire.deliver(topic, partition, messages)
        else:
            number, traceparent = traced
            ((name, value),) = (carrying(traceparent) or {}).items()
            self._wire.deliver(topic, partition, messages, (number, name, value))

    def send_offsets(self, offsets: Sequence[TopicPartition], member: Any) -> None:
        # Python's client writes a NUL behind the metadata, and reads on until it finds one
        said = [(one.topic, one.partition, one.offset, f"{one.metadata or ''}\0") for one in offsets]
        self._wire.send_offsets(*member_of(member), said)

    def flush(self) -> None:
        self._wire.flush()

    def ends(self, topic: str, partition: int) -> tuple[int, int]:
        ends: tuple[int, int] | None = self._wire.ends(topic, partition)
        if ends is None:
            raise DeliveryFailed(f"{topic}/{partition} has not acknowledged its records")
        return ends

    def commit(self) -> None:
        self._wire.commit()

    def end(self) -> None:
        """Its connections end with it."""


class Member(NamedTuple):
    """Who speaks for a group, and since which of its epochs."""

    group: str
    member: str
    epoch: int


def member_of(metadata: bytes) -> Member:
    """What `Consumer.consumer_group_metadata` says, in librdkafka's own spelling. Raises ValueError for another one."""
    if not metadata.startswith(_MEMBER):
        raise ValueError("librdkafka spells the metadata of a group otherwise than it did")
    at = len(_MEMBER) + 4
    group, member, *_ = metadata[at:].split(b"\0")
    return Member(group.decode(), member.decode(), int.from_bytes(metadata[at - 4 : at], "little", signed=True))


def _login(settings: Settings, client_id: str) -> tuple[list[str], str, str, str, float]:
    config = client_config(settings, "sync")
    bootstrap = [address.strip() for address in config["bootstrap.servers"].split(",")]
    return bootstrap, config["sasl.username"], config["sasl.password"], client_id, REQUEST_TIMEOUT_SECONDS
