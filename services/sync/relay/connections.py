"""Connections of producers that were lost, as librdkafka tells of them: in its log, and nowhere else.

What was under way on a lost connection it says again on the next one, and reports nothing to the caller when that goes
well. `error_cb` hears of some of these losses only.
"""

from __future__ import annotations

import logging

_LOST, _ESTABLISHED = "FAIL", "in state UP"


class Connections(logging.Handler):
    """Hears the words of clients that are given its `logger`; `lost` is the first loss of a connection that stood."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: str | None = None
        self._onward = logging.getLogger("librdkafka")
        self.logger = logging.Logger("librdkafka.heard", logging.INFO)
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        words = record.getMessage()
        if self.lost is None and words.startswith(_LOST) and _ESTABLISHED in words:
            self.lost = words
        if self._onward.isEnabledFor(record.levelno):
            self._onward.handle(record)
