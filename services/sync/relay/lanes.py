"""Lanes: who is new gets what exists first, read from the change topic beside the live stream.

Lanes that stand at one place of one partition read it together, a slice between two live batches; how far they have
come commits with the records it tells of.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from services.core.kafka import state_consumer
from services.core.settings import Settings
from services.sync.relay.changes import Audience, Partition, Stretch
from services.sync.relay.delivery import Delivery
from services.sync.relay.standing import Lane, Standing
from services.sync.relay.transaction import Filling

log = structlog.get_logger()

LANE_SLICE = 500


class Lanes:
    """Reads what lanes have to read and projects it."""

    def __init__(self, settings: Settings, isolation: str, standing: Standing, delivery: Delivery) -> None:
        """`isolation` is how change topics are read."""
        self._settings, self._isolation, self._standing, self._delivery = settings, isolation, standing, delivery
        self._reader: Consumer | None = None
        self._partition: Partition | None = None
        self._offset = -1

    def take(self, lanes: Iterable[Lane]) -> tuple[Stretch | None, list[Lane]]:
        """The next changes for those of `lanes` that stand at one place of one partition, up to its live position."""
        waiting = list(lanes)
        if not waiting:
            return None, []
        lane, end = waiting[0], self._standing.live[waiting[0].partition]
        place = (lane.partition, lane.cursor, lane.replay)
        together = [one for one in waiting if (one.partition, one.cursor, one.replay) == place]
        if lane.cursor >= end:
            return None, together
        taken: list[Message] = []
        for message in self._reader_at(lane.partition, lane.cursor).consume(LANE_SLICE, 0.01):
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            offset = int(message.offset() or 0)
            if offset >= end:  # the live stream's from here on, or the end: nothing is missing
                self.rewind()
                if not taken:
                    for one in together:
                        one.cursor = end
                break
            if error is None:
                taken.append(message)
                self._offset = offset + 1
        if not taken:
            return None, together
        slice_ = self._standing.stretch(lane.partition)
        slice_.fill(taken)
        return slice_, together

    def relay(self, slice_: Stretch, lanes: list[Lane], tx: Filling) -> None:
        """Fill `tx` with what the grants of `lanes` see of a slice."""
        route = self._standing.routes.get(slice_.where[0])
        if route is not None:
            catching_up = {lane.grant for lane in lanes}
            grants = [grant for grant in route.live(tx.now) if grant["id"] in catching_up]
            self._delivery.relay(slice_, Audience(route, grants, True, bool(lanes[0].replay)), tx)

    def rewind(self) -> None:
        """What the reader has read ahead is not what comes next."""
        self._partition = None

    def rest(self) -> None:
        """Nothing is to be read for now."""
        if self._reader is not None:
            self._reader.close()
            self._reader, self._partition = None, None

    def _reader_at(self, partition: Partition, offset: int) -> Consumer:
        if self._reader is None:
            self._reader = state_consumer(self._settings, "sync", "sync.catch-up", isolation_level=self._isolation)
        if (self._partition, self._offset) != (partition, offset):
            self._reader.assign([TopicPartition(*partition, offset)])
            self._partition, self._offset = partition, offset
        return self._reader
