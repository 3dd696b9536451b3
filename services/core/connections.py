"""Connections of producers that were lost, as librdkafka tells of them: in its log, and nowhere else.

What was under way on a lost connection it says again on the next one, and reports nothing to the caller when that goes
well. What it said first may still come: a commit would end the half of a later transaction of the same epoch (KIP-890,
which librdkafka lacks). `error_cb` hears of some of these losses only.
"""

from __future__ import annotations

import logging

from confluent_kafka import KafkaError, KafkaException, Producer

_LOST, _ESTABLISHED = "FAIL", "in state UP"


class Connections(logging.Handler):
    """Hears the words of producers that are given its `logger`."""

    def __init__(self) -> None:
        super().__init__()
        self._lost: str | None = None
        self._onward = logging.getLogger("librdkafka")
        self.logger = logging.Logger("librdkafka.heard", logging.INFO)
        self.logger.addHandler(self)

    def require(self, *producers: Producer) -> None:
        """That none of the producers has lost a connection that stood. Raises KafkaException."""
        for one in producers:
            one.poll(0)
        if self._lost:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT, self._lost))

    def emit(self, record: logging.LogRecord) -> None:
        words = record.getMessage()
        if self._lost is None and words.startswith(_LOST) and _ESTABLISHED in words:
            self._lost = words
        if self._onward.isEnabledFor(record.levelno):
            self._onward.handle(record)
