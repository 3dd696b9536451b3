"""Reading a single record of a partition."""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

_WAIT_SECONDS = 30.0


def read_at(reader: Consumer, place: TopicPartition) -> tuple[bytes, bytes] | None:
    """Key and value of the record at a place; None where there is none any more. Raises KafkaException."""
    reader.assign([place])
    message = reader.poll(_WAIT_SECONDS)
    if message is None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "a record could not be read again"))
    if message.error() is not None or message.offset() != place.offset or (value := message.value()) is None:
        return None
    return bytes(message.key() or b""), value
