"""Connect, asked now and then in a thread of its own: a worker that rebalances keeps whoever asks waiting."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import structlog

from services.core.connect import Connect, ConnectRefused, Status

log = structlog.get_logger()


class Connectors(threading.Thread):
    """Follows the connectors until `stop` is set."""

    def __init__(self, connect: Connect, every_seconds: float, stop: threading.Event) -> None:
        super().__init__(name="connectors", daemon=True)
        self._connect, self._every, self._stop_told = connect, every_seconds, stop
        self._statuses: Mapping[str, Status] = {}
        self._reachable = False

    def run(self) -> None:
        while not self._stop_told.is_set():
            self.step()
            self._stop_told.wait(self._every)

    def step(self) -> None:
        """Ask once."""
        try:
            self._statuses = self._connect.statuses()
            self._reachable = True
        except ConnectRefused as refused:
            if self._reachable:
                log.warning("the connectors cannot be seen just now", reason=str(refused))
            self._reachable = False

    def seen(self) -> tuple[Mapping[str, Status], bool]:
        """The connectors as they were seen last, and whether Connect answered just now."""
        return self._statuses, self._reachable
