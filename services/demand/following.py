"""Following topics of others: what is read is kept in the transaction that says how far one has read.

So what is delivered again is not applied again, whatever crashes, and nothing is left out. A topic has one partition or
several; records of one partition are taken in order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.demand import demand_store as store

log = structlog.get_logger()

_BATCH = 500
_WAIT_SECONDS = 0.2

Apply = Callable[[Session, Sequence[Message]], Callable[[], None] | None]


class Follower(threading.Thread):
    """Applies the records of `topic`, from where it left off, until the process ends.

    `apply` gets the records of a batch and a session; what it returns, if anything, is called after the commit.
    """

    def __init__(
        self, make_consumer: Callable[[], Consumer], topic: str, session: Callable[[], Session], apply: Apply
    ) -> None:
        super().__init__(name=f"follow {topic}", daemon=True)
        self._make_consumer, self._topic, self._session, self._apply = make_consumer, topic, session, apply
        self.not_ready: str | None = "starting"

    def run(self) -> None:
        stop = threading.Event()
        while True:
            try:
                self._follow()
            except (KafkaException, OperationalError) as error:
                self.not_ready = str(error)
                log.warning("topic cannot be followed just now", topic=self._topic, reason=str(error))
            except Exception as failure:  # what cannot be taken in must be seen: nothing after it is read
                self.not_ready = f"{self._topic}: {type(failure).__name__}"
                log.exception("a record cannot be taken in", topic=self._topic)
            stop.wait(1.0)

    def _follow(self) -> None:
        source = self._make_consumer()
        try:
            partitions = source.list_topics(self._topic, timeout=30).topics[self._topic].partitions
            if not partitions:
                raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, f"{self._topic} does not exist"))
            with self._session() as session:
                source.assign(
                    [TopicPartition(self._topic, one, position(session, self._topic, one)) for one in partitions]
                )
            self.not_ready = None
            while True:
                self._take(source)
        finally:
            source.close()

    def _take(self, source: Consumer) -> None:
        batch = []
        # the wait is full, so that a topic with dozens of records a second does not make dozens of transactions
        for message in source.consume(_BATCH, _WAIT_SECONDS):
            error = message.error()
            if error is not None:
                raise KafkaException(error)
            batch.append(message)
        if not batch:
            return
        with self._session() as session, session.begin():
            then = self._apply(session, batch)
            read = {int(message.partition() or 0): int(message.offset() or 0) + 1 for message in batch}
            for partition, following in read.items():
                keep_position(session, self._topic, partition, following)
        if then is not None:
            then()


def position(session: Session, topic: str, partition: int) -> int:
    """The offset that is to be read next; 0 where nothing was read yet."""
    query = select(store.Position.following).where(store.Position.topic == topic, store.Position.partition == partition)
    return session.scalars(query).one_or_none() or 0


def keep_position(session: Session, topic: str, partition: int, following: int) -> None:
    row = {"topic": topic, "partition": partition, "following": following}
    key = [store.Position.topic, store.Position.partition]
    session.execute(insert(store.Position).values(row).on_conflict_do_update(index_elements=key, set_=row))
