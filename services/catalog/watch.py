"""The watch over the connectors: what has failed is started again, with back-off, and said.

A task that fails stays failed in Connect until somebody starts it again. Most failures pass (the source restarts, a
transaction was lost in a race); one that does not is tried ever more rarely, and its reason stands in the log and with
its mount.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import structlog

from services.core.connect import Connect, ConnectRefused

log = structlog.get_logger()

_EVERY_SECONDS = 1.0
_LONGEST_SECONDS = 60.0
_FORGIVEN_AFTER_SECONDS = 300.0
_MENDED_AFTER_SECONDS = 15.0


@dataclass(slots=True)
class _Failure:
    """How often a connector has failed in a row, when last and why."""

    times: int
    last: float
    reason: str


class Watch(threading.Thread):
    """Looks after all connectors of the exchange until the process ends."""

    def __init__(self, connect: Connect) -> None:
        super().__init__(name="connector watch", daemon=True)
        self._connect = connect
        self._pauses: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._failures: dict[str, _Failure] = {}

    def failures(self) -> dict[str, str]:
        """The connectors that keep failing, and why: a failure that passes when it is started again is none."""
        now = time.monotonic()
        recent = {name: one for name, one in self._failures.copy().items() if now - one.last < _MENDED_AFTER_SECONDS}
        return {name: one.reason for name, one in recent.items() if one.times > 1}

    def run(self) -> None:
        while True:
            try:
                self._look()
            except ConnectRefused as refused:
                log.info("connectors cannot be watched just now", reason=str(refused))
            time.sleep(_EVERY_SECONDS)

    def _look(self) -> None:
        now = time.monotonic()
        failed = self._connect.failed()
        for name, failure in list(self._failures.items()):
            if name not in failed and now - failure.last > _MENDED_AFTER_SECONDS:
                del self._failures[name]
        for name, reason in failed.items():
            known = self._failures.setdefault(name, _Failure(0, now, reason))
            known.last, known.reason = now, reason
            if now < self._due.get(name, 0.0):
                continue
            known.times += 1
            since = now - self._due.get(name, -_FORGIVEN_AFTER_SECONDS)
            pause = _EVERY_SECONDS if since >= _FORGIVEN_AFTER_SECONDS else self._pauses[name] * 2
            self._pauses[name] = min(pause, _LONGEST_SECONDS)
            self._due[name] = now + self._pauses[name]
            log.warning("connector failed and is started again", connector=name, reason=reason)
            self._connect.restart_failed(name)
