"""How far each grant has come on its way through a partition, as `sync.progress` keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import TopicPartition

from services.core.avro import Codec, Registry
from services.core.kafka import read_to_end, state_consumer
from services.core.settings import Settings
from services.sync.relay.inspection import Produce
from services.sync.relay.standing import Standing, Way
from services.sync.topics import PROGRESS


class Progress:
    """Reads and writes the progress of the ways of one worker."""

    def __init__(self, settings: Settings, registry: Registry, standing: Standing) -> None:
        self._settings, self._standing = settings, standing
        self._codec = Codec(registry, PROGRESS.name)

    def read(self) -> Iterator[Mapping[str, Any]]:
        """What is known of each grant's way; of earlier fills of its share topic, nothing. Raises KafkaException."""
        latest: dict[bytes, Mapping[str, Any]] = {}
        reader = state_consumer(self._settings, "sync", "sync.progress.reader")
        try:
            reader.assign([TopicPartition(PROGRESS.name, 0, 0)])
            for message in read_to_end(reader, 1):
                if (value := message.value()) is not None:
                    latest[bytes(message.key() or b"")] = self._codec.decode(value)
        finally:
            reader.close()
        for one in latest.values():
            if one["fill"] == self._standing.fills.get(one["grant"], one["fill"]):
                yield one

    def write(self, produce: Produce, way: Way, cursor: int, *, merged: bool, replay: str | None = None) -> None:
        """Where a way stands, in the open transaction; without `replay`, the one that was served last stays."""
        grant, topic, partition = way
        value = {"grant": grant, "topic": topic, "partition": partition, "cursor": cursor, "merged": merged}
        value["replay"] = self._standing.replayed.get(way, "") if replay is None else replay
        value["fill"] = self._standing.fills.get(grant, 0)
        produce(PROGRESS.name, key=f"{grant}/{topic}/{partition}", value=self._codec.encode(value))

    def write_merged(self, produce: Produce, ways: set[Way]) -> None:
        """The ways are served by the live stream from its present positions on."""
        for way in ways:
            self.write(produce, way, self._standing.live.get(way[1:], 0), merged=True)
