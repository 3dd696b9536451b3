"""Reading what other workers, or we ourselves, have written: all that is settled of a topic, or a single record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from services.core.kafka import read_to_end, state_consumer
from services.core.settings import Settings

_WAIT_SECONDS = 30.0


def ends(admin: AdminClient, topics: Iterable[str], isolation: IsolationLevel) -> dict[str, int]:
    """Where topics of one partition end now: what is committed, or all that was written. Raises KafkaException."""
    asked = {TopicPartition(topic, 0): OffsetSpec.latest() for topic in topics}  # type: ignore[no-untyped-call]
    told = admin.list_offsets(asked, isolation_level=isolation, request_timeout=_WAIT_SECONDS)
    return {str(where.topic): int(found.result(_WAIT_SECONDS).offset) for where, found in told.items()}


def read_settled(settings: Settings, topic: str, past: int = 0) -> Iterator[Message]:
    """What is committed of a topic of one partition, at least up to `past`. Raises KafkaException.

    A transaction that another worker has open hides what was committed behind it: that is waited for.
    """
    reader = state_consumer(settings, "sync", f"{topic}.reader", wait_ms=10)
    try:
        reader.assign([TopicPartition(topic, 0, 0)])
        yield from read_to_end(reader, 1, past={0: past})
    finally:
        reader.close()


def read_at(reader: Consumer, place: TopicPartition) -> tuple[bytes, bytes] | None:
    """Key and value of the record at a place; None where there is none any more. Raises KafkaException."""
    reader.assign([place])
    message = reader.poll(_WAIT_SECONDS)
    if message is None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "a record could not be read again"))
    if message.error() is not None or message.offset() != place.offset or (value := message.value()) is None:
        return None
    return bytes(message.key() or b""), value
