"""What is said again and again is said once in a while, and nothing else is kept back."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter

from confluent_kafka import Consumer
from hypothesis import given
from hypothesis import strategies as st

from services.core.seldom import Seldom
from tests.serving import free_port

WORDS = ["broker {} is away", "broker {} is back", "no numbers"]


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.words.append(record.getMessage())


def logger_of(heard: Heard, seldom: Seldom) -> logging.Logger:
    made = logging.Logger("test")
    made.addHandler(heard)
    made.addFilter(seldom)
    return made


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from(WORDS), st.integers(0, 3)), max_size=60))
def test_each_matter_is_told_once_in_its_time_and_none_is_lost_count_of(said: list[tuple[int, str, int]]) -> None:
    now, heard = 0.0, Heard()
    logger = logger_of(heard, Seldom(30, lambda: now))
    told_at, owed, expected = dict[str, float](), Counter[str](), list[str]()
    for later, words, number in said:
        now += later
        logger.warning(words.format(number))
        if now - told_at.get(words, -30) < 30:
            owed[words] += 1
            continue
        more = f" ({owed.pop(words)} like it were left out)" if owed[words] else ""
        expected.append(words.format(number) + more)
        told_at[words] = now
    assert heard.words == expected


def test_clients_of_a_broker_that_is_away_do_not_fill_the_log() -> None:
    heard = Heard()
    logger = logger_of(heard, Seldom())
    config = {"bootstrap.servers": f"127.0.0.1:{free_port()}", "group.id": "test", "reconnect.backoff.ms": 10}
    clients = [Consumer(config, logger=logger) for _ in range(5)]
    until = time.monotonic() + 2
    while time.monotonic() < until:
        for client in clients:
            client.poll(0.02)
    for client in clients:
        client.close()
    assert any("Connection refused" in words for words in heard.words)
    matters = [re.sub(r"\d+", "", words) for words in heard.words]
    assert len(matters) == len(set(matters))
