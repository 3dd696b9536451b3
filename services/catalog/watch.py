"""The watch over the connectors: what has failed is started again, with back-off, and said.

A task that fails stays failed in Connect until somebody starts it again. Most failures pass (the source restarts, a
transaction was lost in a race); one that does not is tried ever more rarely, and its reason stands in the log.
"""

from __future__ import annotations

import threading
import time

import structlog

from services.core.connect import Connect, ConnectRefused

log = structlog.get_logger()

_EVERY_SECONDS = 1.0
_LONGEST_SECONDS = 60.0
_FORGIVEN_AFTER_SECONDS = 300.0


class Watch(threading.Thread):
    """Looks after all connectors of the exchange until the process ends."""

    def __init__(self, connect: Connect) -> None:
        super().__init__(name="connector watch", daemon=True)
        self._connect = connect
        self._pauses: dict[str, float] = {}
        self._due: dict[str, float] = {}

    def run(self) -> None:
        while True:
            try:
                self._look()
            except ConnectRefused as refused:
                log.info("connectors cannot be watched just now", reason=str(refused))
            time.sleep(_EVERY_SECONDS)

    def _look(self) -> None:
        now = time.monotonic()
        for name, reason in self._connect.failed().items():
            if now < self._due.get(name, 0.0):
                continue
            since = now - self._due.get(name, -_FORGIVEN_AFTER_SECONDS)
            pause = _EVERY_SECONDS if since >= _FORGIVEN_AFTER_SECONDS else self._pauses[name] * 2
            self._pauses[name] = min(pause, _LONGEST_SECONDS)
            self._due[name] = now + self._pauses[name]
            log.warning("connector failed and is started again", connector=name, reason=reason)
            self._connect.restart_failed(name)
