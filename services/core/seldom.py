"""What a library says again and again of one matter is said once in a while."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable

_NUMBERS = re.compile(r"\d+")
# of so many matters it is remembered when they were told; more than a library has words for
_MOST = 1_000


class Seldom(logging.Filter):
    """Lets words that differ in their numbers only pass once in `seconds`, and has them tell how many were left out.

    While a broker is away, each client of librdkafka says so with each attempt, ten times a second and more.
    """

    def __init__(self, seconds: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds, self._clock, self._lock = seconds, clock, threading.Lock()
        self._told: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        words, now = record.getMessage(), self._clock()
        matter = _NUMBERS.sub("#", words)
        with self._lock:
            told_at, left_out = self._told.get(matter, (-self._seconds, 0))
            if now - told_at < self._seconds:
                self._told[matter] = told_at, left_out + 1
                return False
            if len(self._told) >= _MOST:
                self._told.clear()
            self._told[matter] = now, 0
        if left_out:
            record.msg, record.args = f"{words} ({left_out} like it were left out)", None
        return True
