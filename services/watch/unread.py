"""The first record that a group has not committed yet, read from the topic: when it came, or that there is none.

Offsets alone do not tell: markers of transactions, aborted records and what compaction took leave gaps, so that a group
that has read everything still stands before the last stable offset. Reading tells it for good, because a log does not
change: each place is read once, and what lies between a place and the record found there needs no reading either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from services.core.kafka import consumer
from services.core.settings import Settings
from services.watch.domain.book import Found, Nothing, Partition

T = TypeVar("T")

_AT_ONCE = 200
"""Partitions that are read from at a time; each brings a batch of records."""


class FirstRecords(Generic[T]):
    """Reads first records, a bounded time a round, with one consumer. Not for several threads.

    `make` is given each message that was looked for and keeps what it wants of it; by default, nothing.
    """

    def __init__(
        self,
        source: Consumer,
        make: Callable[[Message], T | None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer, self._make, self._clock = source, make, clock
        self._known: dict[Partition, dict[int, Found[T] | Nothing]] = {}

    def look(
        self, places: Iterable[tuple[Partition, int]], ends: Mapping[Partition, int], seconds: float
    ) -> dict[tuple[Partition, int], Found[T] | Nothing]:
        """What is at or after each place, up to the ends; a place that could not be read within `seconds` is left out.

        Raises KafkaException when the broker is not there.
        """
        wanted = {place for place in places if place[1] < ends.get(place[0], 0)}
        self._forget_all_but(wanted)
        deadline = self._clock() + seconds
        while (open_ := self._open(wanted, ends)) and self._clock() < deadline:
            if not self._read(dict(list(open_.items())[:_AT_ONCE]), ends, deadline):
                break
        told = ((place, self._answer(place, ends[place[0]])) for place in wanted)
        return {place: answer for place, answer in told if answer is not None}

    def close(self) -> None:
        self._consumer.close()

    def _forget_all_but(self, wanted: set[tuple[Partition, int]]) -> None:
        """What a group has left behind is not asked for again, unless it lies before what is asked for now."""
        asked: dict[Partition, set[int]] = {}
        for where, offset in wanted:
            asked.setdefault(where, set()).add(offset)
        kept = {}
        for where, offsets in asked.items():
            known = self._known.get(where, {})
            covers = {
                begin: answer for begin, answer in known.items()
                if any(begin <= offset <= _reach(answer) for offset in offsets)
            }  # fmt: skip
            kept[where] = covers
        self._known = kept

    def _answer(self, place: tuple[Partition, int], end: int) -> Found[T] | Nothing | None:
        where, offset = place
        for begin, answer in self._known.get(where, {}).items():
            if begin <= offset <= _reach(answer) and (isinstance(answer, Found) or answer.before >= end):
                return answer
        return None

    def _open(
        self, wanted: set[tuple[Partition, int]], ends: Mapping[Partition, int]
    ) -> dict[Partition, tuple[int, int]]:
        """By partition the first place that is not answered yet: the place, and where to read from."""
        found: dict[Partition, tuple[int, int]] = {}
        for where, offset in sorted(wanted):
            if where in found or self._answer((where, offset), ends[where]) is not None:
                continue
            passed = (
                answer.before
                for begin, answer in self._known.get(where, {}).items()
                if isinstance(answer, Nothing) and begin <= offset <= answer.before
            )
            found[where] = (offset, max(passed, default=offset))
        return found

    def _read(self, open_: Mapping[Partition, tuple[int, int]], ends: Mapping[Partition, int], deadline: float) -> bool:
        """Read each partition to its first record, or to its end; whether any was answered before the deadline."""
        left = set(open_)
        self._consumer.assign([TopicPartition(*where, begin) for where, (_, begin) in open_.items()])
        try:
            while left and self._clock() < deadline:
                message = self._consumer.poll(max(0.0, min(0.1, deadline - self._clock())))
                if message is None:
                    continue
                where = (str(message.topic()), int(message.partition() or 0))
                error = message.error()
                if error is not None and error.code() not in _OF_A_PARTITION:
                    if error.fatal():
                        raise KafkaException(error)
                    continue
                if where not in left:
                    continue
                left.discard(where)
                if error is None:
                    self._keep(where, open_[where][0], _found(message, self._make))
                elif error.code() == KafkaError._PARTITION_EOF:
                    reached = int(message.offset() or 0)
                    self._keep(where, open_[where][0], Nothing(max(reached, ends[where])))
        finally:
            self._consumer.unassign()
        return len(left) < len(open_)

    def _keep(self, where: Partition, place: int, answer: Found[T] | Nothing) -> None:
        self._known.setdefault(where, {})[place] = answer


def reader(settings: Settings, user: str) -> Consumer:
    """A consumer that fetches no more than one batch of a partition, and says at once where a partition ends."""
    return consumer(
        settings, user, f"{user}.reader", enable_partition_eof=True,
        fetch_wait_max_ms=20, queued_min_messages=1, fetch_message_max_bytes=16_384, fetch_queue_backoff_ms=10,
    )  # fmt: skip


_OF_A_PARTITION = (
    KafkaError._PARTITION_EOF, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET,
)  # fmt: skip


def _reach(answer: Found[T] | Nothing) -> int:
    """Up to which place an answer holds."""
    return answer.offset if isinstance(answer, Found) else answer.before


def _found(message: Message, make: Callable[[Message], T | None]) -> Found[T]:
    kind, milliseconds = message.timestamp()
    at = milliseconds / 1_000 if kind and milliseconds > 0 else None
    return Found(int(message.offset() or 0), at, make(message))
