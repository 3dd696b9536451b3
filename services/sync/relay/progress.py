"""How far each grant has come on its way through a partition, as `sync.progress` keeps it."""

from __future__ import annotations

from collections.abc import Collection

from services.core.avro import Codec, Registry
from services.core.settings import Settings
from services.sync.relay.changes import Partition
from services.sync.relay.inspection import Produce
from services.sync.relay.reading import read_settled
from services.sync.relay.standing import Lane, Standing, Way
from services.sync.topics import PROGRESS


class Progress:
    """Reads and writes the progress of the ways of one worker."""

    def __init__(self, settings: Settings, registry: Registry, standing: Standing) -> None:
        self._settings, self._standing = settings, standing
        self._codec = Codec(registry, PROGRESS.name)

    def take_up(self, partitions: Collection[Partition], end: int) -> None:
        """Go on with the ways through `partitions` where they were left; `end` is where the topic ends by now.

        Raises KafkaException.
        """
        latest: dict[bytes, bytes] = {}
        ours = {f"{topic}/{partition}".encode() for topic, partition in partitions}
        for message in read_settled(self._settings, PROGRESS.name, end):
            key, value = bytes(message.key() or b""), message.value()
            if value is not None and key.partition(b"/")[2] in ours:
                latest[key] = value
        for value in latest.values():
            self._standing.resume(self._codec.decode(value))

    def write(self, produce: Produce, lane: Lane, cursor: int) -> None:
        """How far a lane has come, in the open transaction."""
        self._write(produce, lane.way, cursor, merged=False, replay=lane.replay, begun_at=lane.begun_at)

    def write_merged(self, produce: Produce, way: Way, replay: str | None = None) -> None:
        """A way is served by the live stream from its present position on; `replay` was served last, if any was."""
        replay = self._standing.replayed.get(way, "") if replay is None else replay
        cursor = self._standing.live[way[1:]]
        self._write(produce, way, cursor, merged=True, replay=replay, begun_at=0)

    def _write(self, produce: Produce, way: Way, cursor: int, *, merged: bool, replay: str, begun_at: int) -> None:
        grant, topic, partition = way
        value = {
            "grant": grant, "topic": topic, "partition": partition, "cursor": cursor, "merged": merged,
            "replay": replay, "fill": self._standing.fills.get(grant, 0), "begun_at": begun_at,
            "live": self._standing.live[way[1:]],
        }  # fmt: skip
        produce(PROGRESS.name, key=f"{grant}/{topic}/{partition}", value=self._codec.encode(value))
