"""Consumers that have lost their brokers for good.

librdkafka forgets all brokers, those it was configured with too, when one that has just come up answers that it knows
of none yet; it never connects again, and says nothing (confluentinc/librdkafka #5301, open in 2.16). Where nothing
comes, the broker is therefore asked for something once in a while.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message

_SILENT_SECONDS, _ANSWER_SECONDS = 15.0, 3.0
# a broker that comes up, or that is asked to log somebody in who is new, is not lost yet
_MOST_IN_VAIN = 3
_CONNECT_SECONDS = 1.0


class CutOff(KafkaException):
    """A consumer has no broker left though one listens; only another consumer reaches it.

    Who keeps its consumer when the broker is away must let this through, and end.
    """

    def __init__(self, bootstrap: str) -> None:
        super().__init__(KafkaError(KafkaError._ALL_BROKERS_DOWN, f"{bootstrap} listens, and is not reached any more"))


class ReachingConsumer(Consumer):
    """A consumer whose `poll` and `consume` raise CutOff."""

    def __init__(self, config: Mapping[str, Any], **more: Any) -> None:
        super().__init__(dict(config), **more)
        self._bootstrap = str(config["bootstrap.servers"])
        self._heard, self._in_vain = time.monotonic(), 0

    def poll(self, timeout: float = -1) -> Message | None:
        message = super().poll(timeout)
        self._look(is_silent=message is None)
        return message

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message]:
        messages = super().consume(num_messages, timeout)
        self._look(is_silent=not messages)
        return messages

    def _look(self, *, is_silent: bool) -> None:
        if not is_silent:
            self._heard, self._in_vain = time.monotonic(), 0
        elif time.monotonic() - self._heard > _SILENT_SECONDS:
            self._ask()
            self._heard = time.monotonic()

    def _ask(self) -> None:
        read = self.assignment()
        try:
            if read:
                self.list_topics(read[0].topic, _ANSWER_SECONDS)
            else:
                self.list_topics(timeout=_ANSWER_SECONDS)
            self._in_vain = 0
        except KafkaException as error:
            # without a broker nobody can be asked; one that is away, or slow to answer, is something else
            in_vain = error.args[0].code() == KafkaError._TRANSPORT and _listens(self._bootstrap)
            self._in_vain = self._in_vain + 1 if in_vain else 0
        if self._in_vain >= _MOST_IN_VAIN:
            raise CutOff(self._bootstrap)


def _listens(bootstrap: str) -> bool:
    for place in bootstrap.split(","):
        host, _, port = place.strip().rpartition(":")
        try:
            socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
        except OSError:
            continue
        return True
    return False
