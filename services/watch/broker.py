"""One look at the broker: every group, what it has committed, and where every partition begins and ends.

Only what describes is asked: no record is read here. All requests of a kind are on their way at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import structlog
from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from services.watch.domain.book import Group, Look, Partition

log = structlog.get_logger()

T = TypeVar("T")

_SECONDS = 10.0
_INTERNAL = ("__",)
_LEADERLESS = (
    KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.REPLICA_NOT_AVAILABLE,
)  # fmt: skip
_NOT_TOLD = (
    KafkaError.GROUP_ID_NOT_FOUND, KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED,
)  # fmt: skip


class Broker:
    """Looks at the broker. Raises KafkaException where it does not answer."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin
        self._begins: dict[Partition, int] = {}
        self._looks = 0

    def look(self) -> Look:
        topics = self._admin.list_topics(timeout=_SECONDS).topics
        known: set[Partition] = set()
        leaderless: set[Partition] = set()
        for name, topic in topics.items():
            if name.startswith(_INTERNAL):
                continue
            for number, partition in topic.partitions.items():
                (known if partition.leader >= 0 else leaderless).add((name, number))
        # groups first: what is committed then lies before the ends
        groups = [
            Group(one.name, one.state, one.kind, one.members, one.readers, committed)
            for one, committed in self._with_offsets(self._groups(), known | leaderless)
        ]
        at = time.time()
        ends, lost = self._offsets(known, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        self._begins = self._known_begins(known)
        return Look(at, groups, self._begins, ends, frozenset(leaderless | lost))

    def _known_begins(self, known: set[Partition]) -> dict[Partition, int]:
        """Where partitions begin: they move only as old records are deleted, so a look in ten asks anew."""
        self._looks += 1
        fresh = known if self._looks % 10 == 1 else known - self._begins.keys()
        asked, _ = self._offsets(fresh, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        return {where: asked.get(where, self._begins.get(where, 0)) for where in known}

    def _groups(self) -> list[Group]:
        listed = self._admin.list_consumer_groups(request_timeout=_SECONDS).result()
        names = [one.group_id for one in listed.valid or []]
        if not names:
            return []
        kinds = {one.group_id: str(one.type.name).lower() for one in listed.valid or []}
        described = self._admin.describe_consumer_groups(names, request_timeout=_SECONDS)
        found = []
        for name, future in described.items():
            one = _unless_refused(future.result, f"group {name}")
            if one is None:
                continue
            readers = {
                (place.topic, place.partition): member.client_id
                for member in one.members
                for place in (member.assignment.topic_partitions if member.assignment else ())
            }
            found.append(Group(name, str(one.state.name), kinds[name], len(one.members), readers))
        return found

    def _with_offsets(
        self, groups: list[Group], known: set[Partition]
    ) -> Iterable[tuple[Group, Mapping[Partition, int]]]:
        asked = [
            (group, self._admin.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group.name)], request_timeout=_SECONDS
            )[group.name])
            for group in groups
        ]  # fmt: skip
        for group, future in asked:
            told = _unless_refused(future.result, f"offsets of {group.name}")
            committed = {
                (place.topic, place.partition): int(place.offset)
                for place in (told.topic_partitions if told else ())
                if place.offset >= 0 and place.error is None
            }
            yield group, {where: offset for where, offset in committed.items() if where in known}

    def _offsets(self, wanted: set[Partition], spec: OffsetSpec) -> tuple[dict[Partition, int], set[Partition]]:
        """The offsets of `wanted`, and which of them nobody could tell because they have no leader."""
        if not wanted:
            return {}, set()
        asked = {TopicPartition(*where): spec for where in wanted}
        futures = self._admin.list_offsets(
            asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_SECONDS
        )
        found: dict[Partition, int] = {}
        lost: set[Partition] = set()
        for place, future in futures.items():
            where = (str(place.topic), int(place.partition))
            try:
                found[where] = int(future.result().offset)
            except KafkaException as error:
                if error.args[0].code() in _LEADERLESS:
                    lost.add(where)
                elif error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
        return found, lost


def _unless_refused(ask: Callable[[], T], what: str) -> T | None:
    """What `ask` gives; None where the broker knows it no more or keeps it from us."""
    try:
        return ask()
    except KafkaException as error:
        if error.args[0].code() not in _NOT_TOLD:
            raise
        log.warning("the broker does not tell", what=what, reason=str(error))
        return None
