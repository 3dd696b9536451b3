"""A consumer without any broker tells an exchange that is away from one that only it does not find."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from confluent_kafka import TopicPartition

from services.core import cutoff
from services.core.cutoff import CutOff, ReachingConsumer
from tests.serving import free_port


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutoff, "_SILENT_SECONDS", 0.1)
    monkeypatch.setattr(cutoff, "_ANSWER_SECONDS", 0.1)


def _consumer(port: int) -> ReachingConsumer:
    made = ReachingConsumer({"bootstrap.servers": f"127.0.0.1:{port}", "group.id": "test", "log_level": 0})
    made.assign([TopicPartition("topic", 0, 0)])
    return made


def _polled(consumer: ReachingConsumer, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        consumer.poll(0.05)


def test_one_that_finds_no_broker_where_somebody_listens_is_cut_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=hang_up, daemon=True).start()
        consumer = _consumer(server.getsockname()[1])
        with pytest.raises(CutOff, match="is not reached any more"):
            _polled(consumer, 10)
        with pytest.raises(CutOff):
            for _ in range(100):
                consumer.consume(10, 0.05)
        server.shutdown(socket.SHUT_RDWR)


def test_while_nobody_listens_it_waits() -> None:
    consumer = _consumer(free_port())
    _polled(consumer, 2)
    consumer.close()
