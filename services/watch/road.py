"""What the road tells of itself: manifests of deliveries and receipts of tables, read as they come.

Only figures are kept: how much, how long it took, and up to where tables are filled. They are for whoever looks on; the
books are the topics themselves. So a reader that falls far behind skips what it missed of the deliveries.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog
from confluent_kafka import OFFSET_END, Consumer, KafkaException, Message, TopicPartition

from services.core.avro import Codec, NotAvro, Registry, RegistryUnavailable, UnknownSchema
from services.watch.domain.book import Group, Partition
from services.watch.domain.day import Carried
from services.watch.domain.flow import LATENCY_SECONDS, Latencies, Meter

log = structlog.get_logger()

DELIVERIES, RECEIPTS = "sync.deliveries", "sync.receipts"
_AT_ONCE = 1_000
_TABLES_SECONDS = 7_200.0
_FAR_BEHIND_SECONDS = 60.0
_MICROSECONDS = 1_000_000


@dataclass(slots=True)
class Flow:
    """What was delivered under a grant, or applied in its table, of late."""

    department: str
    resource: str
    meter: Meter = field(default_factory=Meter)
    last_at: float | None = None
    latency: float | None = None


class Road:
    """Follows deliveries and receipts; not for several threads. Deliveries are summed from offset `counted_to` on."""

    def __init__(self, make_consumer: Callable[[], Consumer], registry: Registry, counted_to: int = 0) -> None:
        self._make_consumer = make_consumer
        self._codecs = {topic: Codec(registry, topic) for topic in (DELIVERIES, RECEIPTS)}
        self._consumer: Consumer | None = None
        self.delivered: dict[str, Flow] = {}
        self.applied: dict[str, Flow] = {}
        self.deliveries, self.receipts = Latencies(), Latencies()
        self.carried = Carried(counted_to=counted_to)
        self._filled: dict[str, tuple[int, dict[Partition, int]]] = {}

    def step(self, seconds: float) -> None:
        """Take in what has come, for `seconds` at most; raises KafkaException where the broker is not there."""
        if self._consumer is None:
            self._consumer = self._begin()
        deadline = time.monotonic() + seconds
        while batch := self._consumer.consume(_AT_ONCE, 0.02):
            for message in batch:
                error = message.error()
                if error is None:
                    self._take(message)
                elif error.fatal():
                    raise KafkaException(error)
            if time.monotonic() > deadline:
                self._skip(batch[-1])
                break

    def tables(self) -> list[Group]:
        """Tables that were filled in the last two hours, as if each were a group on its grant's share topic."""
        return [
            Group(f"table/{grant}", "STABLE", "table", 1, {}, dict(offsets))
            for grant, (_, offsets) in self._filled.items()
        ]

    def close(self) -> None:
        if self._consumer:
            self._consumer.close()

    def _begin(self) -> Consumer:
        made, now = self._make_consumer(), time.time()
        asked = [
            TopicPartition(DELIVERIES, 0, int((now - LATENCY_SECONDS) * 1_000)),
            TopicPartition(RECEIPTS, 0, int((now - _TABLES_SECONDS) * 1_000)),
        ]
        found = made.offsets_for_times(asked, 10)
        begins = {str(one.topic): one.offset if one.offset >= 0 else OFFSET_END for one in found}
        if counted_to := self.carried.counted_to:
            # what was delivered while nobody counted
            begin = begins[DELIVERIES]
            begins[DELIVERIES] = counted_to if begin == OFFSET_END else min(begin, counted_to)
        made.assign([TopicPartition(topic, 0, begin) for topic, begin in begins.items()])
        return made

    def _skip(self, last: Message) -> None:
        """Leave out deliveries that came while there was no time for them."""
        behind = time.time() - last.timestamp()[1] / 1_000
        if self._consumer and last.topic() == DELIVERIES and behind > _FAR_BEHIND_SECONDS:
            self._consumer.seek(TopicPartition(DELIVERIES, 0, OFFSET_END))
            self.carried = replace(self.carried, gaps=self.carried.gaps + 1)
            log.info("deliveries were skipped", seconds=round(behind))

    def _take(self, message: Message) -> None:
        topic = str(message.topic())
        try:
            told = self._codecs[topic].decode(message.value() or b"")
        except (NotAvro, UnknownSchema, RegistryUnavailable) as error:
            log.warning("a record of the road cannot be read", topic=topic, reason=type(error).__name__)
            return
        if topic == DELIVERIES:
            self._note(told, self.delivered, self.deliveries, told["delivered_at"])
            took = told["latency_max_us"]
            seconds = took / _MICROSECONDS if took >= 0 else None
            self.carried = self.carried.plus(int(message.offset() or 0), told["records"], seconds)
        else:
            self._note(told, self.applied, self.receipts, told["applied_at"])
            self._fill(told)

    def _note(self, told: Mapping[str, Any], flows: dict[str, Flow], latencies: Latencies, at: datetime) -> None:
        flow = flows.setdefault(told["grant"], Flow(told["department"], told["resource"]))
        flow.last_at = at.timestamp()
        flow.meter.add(flow.last_at, told["records"])
        if told["latency_max_us"] >= 0:
            flow.latency = told["latency_max_us"] / _MICROSECONDS
            latencies.add(flow.last_at, flow.latency)

    def _fill(self, told: Mapping[str, Any]) -> None:
        fill, offsets = self._filled.get(told["grant"], (told["fill"], {}))
        if told["fill"] < fill:
            return
        if told["fill"] > fill:
            offsets = {}
        where = (told["topic"], told["partition"])
        offsets[where] = max(offsets.get(where, 0), told["last"] + 1)
        self._filled[told["grant"]] = (told["fill"], offsets)
