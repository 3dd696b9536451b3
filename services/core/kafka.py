"""Kafka as the exchange uses it: who logs in, which topics there are, and how state topics are read.

Every process logs in as its own SCRAM user and may do only what its ACLs say. Consumers read committed records only.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    NewTopic,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from services.core.cutoff import ReachingConsumer
from services.core.settings import Settings

log = structlog.get_logger()
# what librdkafka says comes with the rest of a process's log, and not past it
_librdkafka = logging.getLogger("librdkafka")

HOUR_MS = 3_600_000
SCRAM_ITERATIONS = 8_192
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of the exchange and how it is kept.

    `compacted` topics hold state (the last value of each key), the others hold what happened and are kept for ever
    unless `retention_ms` says otherwise.
    """

    name: str
    partitions: int = 1
    compacted: bool = False
    retention_ms: int = -1
    config: Mapping[str, str] = field(default_factory=dict)

    def new_topic(self, replication_factor: int) -> NewTopic:
        config = {
            "cleanup.policy": "compact" if self.compacted else "delete",
            "retention.ms": str(self.retention_ms),
            **self.config,
        }
        return NewTopic(self.name, self.partitions, replication_factor, config=config)


def client_config(settings: Settings, user: str, **more: Any) -> dict[str, Any]:
    """What every client of `user` needs to log in; `more` uses `_` for `.`."""
    return {
        "bootstrap.servers": settings.kafka_bootstrap,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user,
        "sasl.password": settings.secret(f"kafka_{user}_password"),
        "client.id": f"tongshu-{user}",
        "topic.metadata.refresh.interval.ms": 10_000,
        **{name.replace("_", "."): value for name, value in more.items()},
    }


def admin_client(settings: Settings, user: str) -> AdminClient:
    return AdminClient(client_config(settings, user), logger=_librdkafka)


def consumer(settings: Settings, user: str, group: str, **more: Any) -> Consumer:
    """A consumer that sees committed records only, commits nothing by itself and starts at the beginning.

    It raises CutOff when it has lost its brokers for good.
    """
    defaults = {
        "group_id": group,
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "enable_partition_eof": False,
    }
    return ReachingConsumer(client_config(settings, user, **(defaults | more)), logger=_librdkafka)


def committed(reader: Consumer, partitions: list[TopicPartition], seconds: float) -> list[TopicPartition]:
    """What the reader's group has committed of the partitions. Raises KafkaException, also where one is not told.

    The client marks such a one only, and its offset looks like that of a partition that was never read.
    """
    found = reader.committed(partitions, seconds)
    for where in found:
        if where.error is not None:
            raise KafkaException(where.error)
    return found


def state_consumer(settings: Settings, user: str, group: str, wait_ms: int = 50, **more: Any) -> Consumer:
    """A consumer for `StateView` and `read_to_end`: it says when a partition's end is reached.

    The broker answers at once where there is something; where there is not, the end is told after `wait_ms`.
    """
    return consumer(settings, user, group, enable_partition_eof=True, fetch_wait_max_ms=wait_ms, **more)


def gathered(wait_ms: int) -> dict[str, int]:
    """For a consumer that may learn `wait_ms` later what is new: the broker answers it once then, or when it is much.

    Of a topic with a transaction every few milliseconds it would otherwise answer with each of them.
    """
    return {"fetch_min_bytes": 1 << 20, "fetch_wait_max_ms": wait_ms}


def producer(settings: Settings, user: str, logger: logging.Logger = _librdkafka, **more: Any) -> Producer:
    """A producer whose records are placed as Kafka's Java clients would place them."""
    defaults = {"enable_idempotence": True, "linger_ms": 0, "partitioner": "murmur2_random", "compression_type": "lz4"}
    return Producer(client_config(settings, user, **(defaults | more)), logger=logger)


class OffsetSender:
    """Sends offsets to transactions, from a thread of its own.

    librdkafka's call may ignore its timeout and never end (confluentinc/librdkafka #5456). Whoever waits for it is told
    so in time, and goes on with another producer and another of these; `end` lets the thread go once it is free.
    """

    def __init__(self) -> None:
        self._asked: SimpleQueue[tuple[Future[None], Callable[[], None]] | None] = SimpleQueue()
        threading.Thread(target=self._run, name="offsets", daemon=True).start()

    def send(self, producer: Producer, offsets: list[TopicPartition], group: Any, seconds: float) -> Callable[[], None]:
        """Send them; what is returned waits until they are, and raises KafkaException when they could not be."""
        sent: Future[None] = Future()
        self._asked.put((sent, lambda: producer.send_offsets_to_transaction(offsets, group, seconds)))

        def wait() -> None:
            try:
                sent.result(seconds + 1)
            except TimeoutError as error:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "offsets were not sent in time")) from error

        return wait

    def end(self) -> None:
        self._asked.put(None)

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            sent, call = asked
            try:
                call()
                sent.set_result(None)
            except Exception as failure:  # noqa: BLE001 - it is whoever waits that must know
                sent.set_exception(failure)


def ensure_topics(admin: AdminClient, topics: Iterable[Topic], replication_factor: int) -> None:
    """Make the topics that are not there; raises KafkaException."""
    missing = [topic.new_topic(replication_factor) for topic in topics]
    if not missing:
        return
    for made in admin.create_topics(missing, request_timeout=30).values():
        try:
            made.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def issue_password(admin: AdminClient, user: str) -> str:
    """A new password of the broker user `user`, which replaces the one before; it is kept nowhere.

    The user is made where there is none. Raises KafkaException.
    """
    password = secrets.token_urlsafe(24)
    set_password(admin, user, password)
    return password


def remove_user(admin: AdminClient, user: str, mechanisms: Iterable[ScramMechanism]) -> None:
    """Take a broker user's means to log in away; what it does not have is fine. Raises KafkaException."""
    # one request must not name a user twice
    for mechanism in mechanisms:
        for changed in admin.alter_user_scram_credentials([UserScramCredentialDeletion(user, mechanism)]).values():
            try:
                changed.result(30)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.RESOURCE_NOT_FOUND:
                    raise


def set_password(admin: AdminClient, user: str, password: str, iterations: int = SCRAM_ITERATIONS) -> None:
    """Let the broker user `user` log in with `password`, and with no other. Raises KafkaException."""
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, iterations)
    change = UserScramCredentialUpsertion(user, info, password.encode())
    for changed in admin.alter_user_scram_credentials([change]).values():
        changed.result(30)


_READING_WAIT_MS, _FOLLOWING_WAIT_MS = 10, 500


class StateView(Generic[V]):
    """The last value of each key of a compacted topic, followed in a thread of its own.

    `start` returns when everything that was in the topic at that moment has been read, so whoever decides by the view
    never decides by half of it. `on_change` is called in the view's thread, after the view has changed.
    """

    def __init__(
        self,
        make_consumer: Callable[[int], Consumer],
        topic: str,
        decode: Callable[[bytes], V],
        on_change: Callable[[str, V | None], None] | None = None,
    ) -> None:
        """`make_consumer` makes a `state_consumer` of so many milliseconds."""
        self._make_consumer, self.topic, self._decode, self._on_change = make_consumer, topic, decode, on_change
        self._values: dict[str, V] = {}
        self._read_to: dict[int, int] = {}
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: Exception | None = None

    def start(self, timeout: float = 30.0) -> None:
        """Read the topic to its present end, then follow it; raises KafkaException when the topic cannot be read."""
        source = self._make_consumer(_READING_WAIT_MS)
        try:
            partitions = source.list_topics(self.topic, timeout=timeout).topics[self.topic].partitions
            if not partitions:
                raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, f"{self.topic} does not exist"))
            places = {one: TopicPartition(self.topic, one, OFFSET_BEGINNING) for one in partitions}
            source.assign(list(places.values()))
            for message in read_to_end(source, len(partitions), timeout):
                self._take(message)
                places[int(message.partition() or 0)].offset = int(message.offset() or 0) + 1
                self._note(message, int(message.offset() or 0) + 1)
        finally:
            source.close()
        # one that waits for the end in haste would go on asking the broker in haste
        source = self._make_consumer(_FOLLOWING_WAIT_MS)
        source.assign(list(places.values()))
        self._thread = threading.Thread(target=self._follow, args=(source,), name=f"view {self.topic}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread:
            self._thread.join(5)

    def get(self, key: str) -> V | None:
        return self._values.get(key)

    def wait_for(self, key: str, condition: Callable[[V | None], bool], timeout: float) -> V | None:
        """The value of `key` once `condition` holds of it, or whatever it is after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: condition(self._values.get(key)), timeout)
            return self._values.get(key)

    def wait_past(self, ends: Mapping[int, int], timeout: float) -> None:
        """Wait until all before the offset that `ends` gives for each partition was read. Raises KafkaException."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: all(self._read_to.get(one, 0) >= end for one, end in ends.items()), timeout
            ):
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{self.topic} is not followed in time"))

    def values(self) -> list[V]:
        return list(self._values.values())

    def _follow(self, source: Consumer) -> None:
        try:
            while not self._stopping.is_set():
                message = source.poll(0.3)
                if message is None:
                    continue
                error = message.error()
                if error is None:
                    self._take(message)
                    self._note(message, int(message.offset() or 0) + 1)
                elif error.fatal():
                    raise KafkaException(error)
                elif error.code() == KafkaError._PARTITION_EOF:
                    self._note(message, int(message.offset() or 0))
                else:
                    log.warning("state topic cannot be read just now", topic=self.topic, reason=str(error))
        except Exception as failure:  # a view that died must be seen by whoever decides by it
            self.failure = failure
            log.exception("state topic is no longer followed", topic=self.topic)
        finally:
            source.close()

    def _note(self, message: Message, read_to: int) -> None:
        with self._changed:
            self._read_to[int(message.partition() or 0)] = read_to
            self._changed.notify_all()

    def _take(self, message: Message) -> None:
        key, value = (message.key() or b"").decode(), message.value()
        decoded = None if value is None else self._decode(value)
        with self._changed:
            if decoded is None:
                self._values.pop(key, None)
            else:
                self._values[key] = decoded
            self._changed.notify_all()
        if self._on_change:
            self._on_change(key, decoded)


def read_to_end(
    source: Consumer, partitions: int, timeout: float = 60.0, *, past: Mapping[int, int] | None = None
) -> Iterator[Message]:
    """What the `partitions` assigned to `source` hold up to their last stable offsets.

    An end that is not yet at the offset that `past` gives for its partition is none: an open transaction holds it, and
    is waited for. `source` must announce the ends itself (`state_consumer` does): offsets are not contiguous (control
    records, compaction), so no arithmetic on them tells where the end is. Raises KafkaException on errors of the broker
    and after `timeout` seconds in which nothing came.
    """
    ended: set[int | None] = set()
    while len(ended) < partitions:
        message = source.poll(timeout)
        if message is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "a state topic could not be read to its end"))
        error = message.error()
        if error is None:
            yield message
        elif error.code() == KafkaError._PARTITION_EOF:
            if int(message.offset() or 0) >= (past or {}).get(int(message.partition() or 0), 0):
                ended.add(message.partition())
        else:
            raise KafkaException(error)
