"""Message by message, by librdkafka.

On any failure of a transaction its writer is thrown away: librdkafka lacks KIP-890, and after a transaction request
that timed out, no other transaction may begin in the same epoch. So it is when a connection was lost under one that
went well all the same (`services/core/connections.py`).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Received

from services.core import telemetry
from services.core.connections import Connections
from services.core.kafka import OffsetSender, producer, state_consumer
from services.core.settings import Settings
from services.sync.relay.changes import Partition, Stretch
from services.sync.relay.client import (
    BACKLOG_SECONDS,
    LANE_SLICE,
    LIVE_BATCH,
    REQUEST_TIMEOUT_SECONDS,
    TIMEOUT_SECONDS,
    TRANSACTION_SECONDS,
    Begin,
    DeliveryFailed,
    Gathered,
    Headers,
    Message,
)
from services.sync.tracing import carrying

QUEUE_MESSAGES = 1_000_000
"""What a producer holds that the broker has not taken yet. It is never filled: what did not fit would lose its turn."""
_ENQUEUED = 5_000
_BEGINNING_SECONDS = 5.0


class Reader:
    """Of what the group assigns to `source`, which reads it."""

    def __init__(self, source: Consumer) -> None:
        self._source = source

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """`source` reads them of itself."""

    def place(self, at: Mapping[Partition, int]) -> None:
        until = time.monotonic() + _BEGINNING_SECONDS
        for where, offset in at.items():
            while not self._is_sought(TopicPartition(*where, offset), until):
                time.sleep(0.005)

    def _is_sought(self, place: TopicPartition, until: float) -> bool:
        """Not while librdkafka has not begun yet to read what it was assigned, which it does in a thread of its own."""
        try:
            self._source.seek(place)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._STATE or time.monotonic() > until:
                raise
            return False
        return True

    def leave(self, partitions: Sequence[Partition]) -> None:
        """`source` reads them no more."""

    def take(self, wait_seconds: float, begin: Begin, listening: Callable[[], None]) -> list[Stretch]:
        listening()
        first = self._source.poll(wait_seconds)
        if first is None:
            return []
        runs = defaultdict[Partition, list[Received]](list)
        for where, run in _by_partition((first, *self._source.consume(LIVE_BATCH - 1, 0))):
            runs[where] += run
        stretches = list[Stretch]()
        for where, run in runs.items():
            stretch = begin(where)
            # one that has been given to us is read from what its last owner had committed when it was read first
            if stretch is not None and (new := [one for one in run if cast(int, one.offset()) >= stretch.end]):
                _fill(stretch, new)
                stretches.append(stretch)
        return stretches

    def close(self) -> None:
        """`source` is its owner's to close."""


class Backlog:
    """Of a consumer that belongs to no group."""

    def __init__(self, settings: Settings, client_id: str, *, committed: bool) -> None:
        self._settings, self._client_id = settings, client_id
        self._isolation = "read_committed" if committed else "read_uncommitted"
        self._source: Consumer | None = None
        self._next: tuple[Partition, int] | None = None
        """What `_source` gives next, as far as that is known."""

    def fill(self, stretch: Stretch, before: int) -> None:
        taken, is_over = list[Received](), False
        for message in self._at(stretch.where, stretch.end).consume(LANE_SLICE, BACKLOG_SECONDS):
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            # the live stream's from here on, or the end: nothing is missing
            if is_over := cast(int, message.offset()) >= before:
                break
            if error is None:
                taken.append(message)
        if taken:
            stretch.fill(taken)
        elif is_over:
            stretch.end = before
        self._next = None if is_over else (stretch.where, stretch.end)

    def rest(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = self._next = None

    def _at(self, where: Partition, offset: int) -> Consumer:
        if self._source is None:
            self._source = state_consumer(
                self._settings, "sync", "sync.catch-up", isolation_level=self._isolation, client_id=self._client_id
            )
        if self._next != (where, offset):
            self._source.assign([TopicPartition(*where, offset)])
        return self._source


def _fill(stretch: Stretch, messages: Sequence[Received]) -> None:
    sound = stretch.fill(messages)

    def about(number: int) -> tuple[int, Sequence[tuple[str, bytes | None]]]:
        return sound[number].timestamp()[1], cast(Any, sound[number].headers()) or ()

    if telemetry.is_exporting():
        stretch.about = about


def _by_partition(messages: Sequence[Received]) -> Iterator[tuple[Partition, Sequence[Received]]]:
    """Messages by partition, each in its order. Raises KafkaException where one is an error that matters.

    Nothing is asked of each message that can be asked of all of them in one go: they come by the ten thousand a second.
    """
    if errors := list(filter(None, map(Received.error, messages))):
        for error in errors:
            if error.code() not in (KafkaError._PARTITION_EOF, KafkaError.UNKNOWN_TOPIC_OR_PART):
                raise KafkaException(error)
        messages = [message for message in messages if message.error() is None]
    begun = 0
    for where, run in groupby(zip(map(Received.topic, messages), map(Received.partition, messages), strict=True)):
        end = begun + sum(1 for _ in run)
        yield cast(Partition, where), messages[begun:end]
        begun = end


class Writer:
    """A transactional producer of librdkafka's."""

    def __init__(self, settings: Settings, transactional_id: str, client_id: str) -> None:
        self._connections = Connections()
        self._producer = producer(
            settings, "sync", self._connections.logger,
            transactional_id=transactional_id,
            transaction_timeout_ms=int(TRANSACTION_SECONDS * 1_000),
            message_timeout_ms=int(TRANSACTION_SECONDS * 1_000),
            socket_timeout_ms=int(REQUEST_TIMEOUT_SECONDS * 1_000),
            queue_buffering_max_messages=QUEUE_MESSAGES,
            queue_buffering_max_kbytes=2_097_151,
            client_id=client_id,
        )  # fmt: skip
        self._producer.init_transactions(TIMEOUT_SECONDS)
        self._offsets = OffsetSender()
        self._ends: dict[Partition, tuple[int, int]] = {}
        self._failed: KafkaError | None = None
        self._sent: Callable[[], None] | None = None

    def gather(self) -> Gathered:
        return list[Message]()

    def begin(self) -> None:
        self._connections.require(self._producer)
        self._producer.begin_transaction()
        self._ends.clear()

    def produce(self, topic: str, *, key: str | bytes, value: bytes | None, headers: Headers | None = None) -> None:
        told = dict(headers) if isinstance(headers, Mapping) else headers
        self._producer.produce(topic, key=key, value=value, headers=cast(Any, told), on_delivery=self._acknowledged)

    def deliver(self, topic: str, partition: int, messages: Gathered, traced: tuple[int, str] | None) -> None:
        batch, done = cast(list[Message], messages), 0
        for one in (batch[0], batch[-1]):
            one["callback"] = self._acknowledged
        if traced is not None:
            # one by one, for a batch takes no headers
            number, traceparent = traced
            done = number + 1
            self._enqueue(topic, partition, batch[:number])
            self._make_room(1)
            one = batch[number]
            self._producer.produce(
                topic, one["value"], one["key"], partition,
                on_delivery=one.get("callback"), headers=carrying(traceparent),
            )  # fmt: skip
        for start in range(done, len(batch), _ENQUEUED):
            self._enqueue(topic, partition, batch[start : start + _ENQUEUED])

    def send_offsets(self, offsets: Sequence[TopicPartition], member: Any) -> None:
        # neither waits for the other: the offsets go to the coordinator while the records go to their partitions
        self._sent = self._offsets.send(self._producer, list(offsets), member, TIMEOUT_SECONDS)

    def flush(self) -> None:
        try:
            left = self._producer.flush(TIMEOUT_SECONDS)
        finally:
            sent, self._sent = self._sent, None
            if sent is not None:
                sent()
        if self._failed is not None:
            raise DeliveryFailed(str(self._failed))
        if left:
            raise DeliveryFailed("the broker has not acknowledged every record in time")

    def ends(self, topic: str, partition: int) -> tuple[int, int]:
        return self._ends[topic, partition]

    def commit(self) -> None:
        self._producer.commit_transaction(TIMEOUT_SECONDS)

    def end(self) -> None:
        self._offsets.end()

    def _acknowledged(self, error: KafkaError | None, message: Received) -> None:
        if error is not None:
            self._failed = error
            return
        where, offset = (str(message.topic()), int(message.partition() or 0)), int(message.offset() or 0)
        first, last = self._ends.get(where, (offset, offset))
        self._ends[where] = (min(first, offset), max(last, offset))

    def _make_room(self, count: int) -> None:
        while len(self._producer) + count > QUEUE_MESSAGES:
            self._producer.poll(0.05)

    def _enqueue(self, topic: str, partition: int, messages: list[Message]) -> None:
        """Give the producer messages for one partition, in their order. Raises DeliveryFailed."""
        self._make_room(len(messages))
        if self._producer.produce_batch(topic, messages, partition=partition) != len(messages):
            failure = next(message["_error"] for message in messages if "_error" in message)
            raise DeliveryFailed(str(failure))
        self._producer.poll(0)
