"""Reading what other workers, or we ourselves, have written: all that is settled of a topic, or a single record."""

from __future__ import annotations

from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from services.core.kafka import consumer, read_to_end, state_consumer
from services.core.settings import Settings

_WAIT_SECONDS = 30.0


def read_settled(settings: Settings, topic: str) -> Iterator[Message]:
    """What is committed of a topic of one partition, at least up to its end of now. Raises KafkaException.

    A transaction that another worker has open hides what was committed behind it: that is waited for.
    """
    name = f"{topic}.reader"
    looking = consumer(settings, "sync", name, isolation_level="read_uncommitted")
    try:
        _, end = looking.get_watermark_offsets(TopicPartition(topic, 0), _WAIT_SECONDS)
    finally:
        looking.close()
    reader = state_consumer(settings, "sync", name, wait_ms=10)
    try:
        reader.assign([TopicPartition(topic, 0, 0)])
        yield from read_to_end(reader, 1, past={0: end})
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
