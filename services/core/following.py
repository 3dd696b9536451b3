"""Following topics of others: what is read is kept in the transaction that says how far one has read.

So what is delivered again is not applied again, whatever crashes and whoever else follows the same, and nothing is
left out. A topic has one partition or several; records of one partition are taken in order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

log = structlog.get_logger()

_BATCH = 500
_WAIT_SECONDS = 0.2

Apply = Callable[[Session, Sequence[Message]], Callable[[], None] | None]


def positions_table(tables: MetaData) -> Table:
    """How far a service has read the topics of others: the offset that is to be read next."""
    return Table(
        "positions",
        tables,
        Column("topic", String(200), primary_key=True),
        Column("partition", Integer, primary_key=True, autoincrement=False),
        Column("following", BigInteger, nullable=False),
    )


class Follower(threading.Thread):
    """Applies the records of `topics`, from where it left off, until the process ends.

    A topic that begins with `^` is a pattern; then the consumer is of a group. `apply` gets the records of a batch and
    a session; what it returns, if anything, is called after the commit.
    """

    def __init__(
        self,
        make_consumer: Callable[[], Consumer],
        topics: Sequence[str],
        positions: Table,
        session: Callable[[], Session],
        apply: Apply,
    ) -> None:
        self._named = ", ".join(topics)
        super().__init__(name=f"follow {self._named}", daemon=True)
        self._make_consumer, self._topics, self._positions = make_consumer, list(topics), positions
        self._session, self._apply = session, apply
        self.not_ready: str | None = "starting"

    def run(self) -> None:
        stop = threading.Event()
        while True:
            try:
                self._follow()
            except (KafkaException, OperationalError) as error:
                self.not_ready = str(error)
                log.warning("topic cannot be followed just now", topic=self._named, reason=str(error))
            except Exception as failure:  # what cannot be taken in must be seen: nothing after it is read
                self.not_ready = f"{self._named}: {type(failure).__name__}"
                log.exception("a record cannot be taken in", topic=self._named)
            stop.wait(1.0)

    def _follow(self) -> None:
        source = self._make_consumer()
        try:
            if self._is_member:
                source.subscribe(self._topics, on_assign=lambda _, given: source.assign(self._placed(given)))
            else:
                source.assign(self._placed(self._partitions(source)))
            self.not_ready = None
            while True:
                self._take(source)
        finally:
            source.close()

    def _partitions(self, source: Consumer) -> list[TopicPartition]:
        found = []
        for topic in self._topics:
            partitions = source.list_topics(topic, timeout=30).topics[topic].partitions
            if not partitions:
                raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, f"{topic} does not exist"))
            found += [TopicPartition(topic, one) for one in partitions]
        return found

    def _placed(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        with self._session() as session:
            return [
                TopicPartition(one.topic, one.partition, position(session, self._positions, one.topic, one.partition))
                for one in partitions
            ]

    def _take(self, source: Consumer) -> None:
        batch = []
        # the wait is full, so that a topic with dozens of records a second does not make dozens of transactions
        for message in source.consume(_BATCH, _WAIT_SECONDS):
            error = message.error()
            if error is None:
                batch.append(message)
            elif error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise KafkaException(error)
        if not batch:
            return
        with self._session() as session, session.begin():
            then = take(session, self._positions, batch, self._apply)
        if self._is_member:
            # for whoever watches lag; the database is what counts
            ends = {_where(message): int(message.offset() or 0) + 1 for message in batch}
            source.commit(offsets=[TopicPartition(*where, end) for where, end in ends.items()], asynchronous=True)
        if then is not None:
            then()

    @property
    def _is_member(self) -> bool:
        """Whether it follows patterns of names: as a member of its group, which others see."""
        return any(topic.startswith("^") for topic in self._topics)


def take(session: Session, positions: Table, batch: Sequence[Message], apply: Apply) -> Callable[[], None] | None:
    """Apply what of `batch` was not applied yet, and keep how far that is."""
    ends = {_where(message): int(message.offset() or 0) + 1 for message in batch}
    session.execute(
        insert(positions)
        .values([{"topic": topic, "partition": one, "following": 0} for topic, one in sorted(ends)])
        .on_conflict_do_nothing()
    )
    mine = tuple_(positions.c.topic, positions.c.partition).in_(list(ends))
    ordered = select(positions).where(mine).order_by(positions.c.topic, positions.c.partition).with_for_update()
    kept = {(row.topic, row.partition): row.following for row in session.execute(ordered)}
    new = [message for message in batch if int(message.offset() or 0) >= kept[_where(message)]]
    then = apply(session, new) if new else None
    for where, end in ends.items():
        if end > kept[where]:
            keep_position(session, positions, *where, end)
    return then


def _where(message: Message) -> tuple[str, int]:
    return str(message.topic()), int(message.partition() or 0)


def position(session: Session, positions: Table, topic: str, partition: int) -> int:
    """The offset that is to be read next; 0 where nothing was read yet."""
    query = select(positions.c.following).where(positions.c.topic == topic, positions.c.partition == partition)
    return session.scalars(query).one_or_none() or 0


def keep_position(session: Session, positions: Table, topic: str, partition: int, following: int) -> None:
    row: dict[str, Any] = {"topic": topic, "partition": partition, "following": following}
    key = [positions.c.topic, positions.c.partition]
    session.execute(insert(positions).values(row).on_conflict_do_update(index_elements=key, set_=row))
