"""Which partitions are ours: membership of the group, what it gives and takes, and the live stream of what it gave."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from services.core.kafka import committed, consumer
from services.core.settings import Settings
from services.sync.relay.changes import Partition, Stretch
from services.sync.relay.client import TIMEOUT_SECONDS, reader
from services.sync.relay.followed import Followed, News
from services.sync.relay.inspection import Inspection
from services.sync.relay.progress import Progress
from services.sync.relay.reading import ends
from services.sync.relay.repeats import parse
from services.sync.relay.standing import Standing
from services.sync.topics import PROGRESS, WAITING

log = structlog.get_logger()


class Assignment:
    """A member of the group `group`. All but `isolation` is for the worker's own thread."""

    def __init__(
        self,
        settings: Settings,
        admin: AdminClient,
        group: str,
        isolation: str,
        standing: Standing,
        inspection: Inspection,
        progress: Progress,
        followed: Followed,
        news: News,
    ) -> None:
        """`isolation` is how change topics are read; `news` are set anew when partitions have come."""
        self._settings, self._admin, self._group, self.isolation = settings, admin, group, isolation
        self._standing, self._inspection, self._progress = standing, inspection, progress
        self._followed, self._news = followed, news
        self._subscribed: list[str] = []
        self._has_more = False

    def join(self) -> None:
        """Become a member, of no partitions yet."""
        # so that the broker's list of members names processes
        client_id = f"tongshu-relay-{socket.gethostname()}-{os.getpid()}"
        self._source = consumer(
            self._settings,
            "sync",
            self._group,
            group_protocol="consumer",
            isolation_level=self.isolation,
            client_id=client_id,
        )
        self._reader = reader(self._settings, self._source, client_id, committed=self.isolation == "read_committed")
        # asks for offsets that no open transaction of another worker can change any more (KIP-447): a consumer that
        # reads what is not committed would be told the older ones, and what lies between would be delivered twice
        self._settled = consumer(self._settings, "sync", self._group)

    def leave(self) -> None:
        self._reader.close()
        self._source.close()
        self._settled.close()

    def follow(self, topics: Sequence[str]) -> None:
        """Share in these change topics from now on."""
        if topics and list(topics) != self._subscribed:
            self._source.subscribe(
                list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
            )
            self._subscribed = list(topics)

    def take(self, wait_seconds: float) -> list[Stretch] | None:
        """What is there of the live stream: at once what has come, else after a wait for the first.

        None: partitions have come, and who gets what there must be looked up before anything is read.
        """
        self._has_more = False
        stretches = self._reader.take(wait_seconds, self._begin, self._listening)
        if self._has_more:
            self._reader.place(self._standing.live)
            return None
        # a rebalance takes away what was taken of partitions that it takes away
        return [stretch for stretch in stretches if stretch.where in self._standing.live]

    def _begin(self, where: Partition) -> Stretch | None:
        live = self._standing.live.get(where)
        return None if live is None else self._standing.stretch(where, live)

    def partitions_of(self, topic: str) -> int:
        """How many partitions a change topic has. Raises KafkaException."""
        return len(self._source.list_topics(topic, TIMEOUT_SECONDS).topics[topic].partitions)

    def offset_at(self, where: Partition, at: datetime) -> int:
        """The first offset of what was written at or after a time; -1 where nothing was. Raises KafkaException."""
        (found,) = self._source.offsets_for_times(
            [TopicPartition(*where, int(at.timestamp() * 1_000))], TIMEOUT_SECONDS
        )
        return int(found.offset)

    def take_up_again(self) -> None:
        """Go on from what is committed, in all partitions that are ours. Raises KafkaException."""
        assigned = self._source.assignment()
        self._forget(list(self._standing.live))
        if assigned:
            self._take_up(assigned)
        self._reader.place(self._standing.live)

    def _on_assign(self, source: Consumer, partitions: list[TopicPartition]) -> None:
        self._listening()
        if partitions:
            try:
                self._take_up(partitions)
            except KafkaException:
                # Before Python 3.12, confluent-kafka hands on what no Python code has caught in a callback as a bare
                # KafkaError: that is no exception, no `except` catches it, and a thread's future never learns of it.
                raise
            self._reader.assigned(partitions)

    def _take_up(self, partitions: list[TopicPartition]) -> None:
        """Learn where the partitions stand: the committed offset first, then the progress committed with it."""
        standing = self._standing
        for where in committed(self._settled, partitions, TIMEOUT_SECONDS):
            standing.live[where.topic, where.partition] = max(where.offset, 0)
            standing.heard[where.topic, where.partition] = parse(where.metadata)
        mine = {(where.topic, where.partition) for where in partitions}
        written = ends(self._admin, [PROGRESS.name, WAITING.name], IsolationLevel.READ_UNCOMMITTED)
        self._progress.take_up(mine, written[PROGRESS.name])
        self._inspection.take_up(mine, written[WAITING.name])
        self._followed.catch_up(self._admin)
        standing.place(mine, datetime.now(UTC))
        self._has_more = True
        for told in (self._news.routes, self._news.orders, self._news.replays):
            told.set()
        log.info("partitions assigned", partitions=len(mine))

    def _on_revoke(self, source: Consumer, partitions: list[TopicPartition]) -> None:
        self._listening()
        self._forget([(where.topic, where.partition) for where in partitions])
        log.info("partitions given up", partitions=len(partitions))

    def _forget(self, partitions: Sequence[Partition]) -> None:
        self._reader.leave(partitions)
        self._inspection.gate.waits.forget(partitions)
        self._standing.forget(partitions)

    def _listening(self) -> None:
        """Who we are is asked before what we own may change: from then on, a successor may write in our place."""
        self._standing.member = self._source.consumer_group_metadata()
