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

from services.core.connect import Connect, ConnectRefused, Status

log = structlog.get_logger()

_EVERY_SECONDS = 1.0
_LONGEST_SECONDS = 60.0
_FORGIVEN_AFTER_SECONDS = 300.0
# longer than two heartbeats: a connector that cannot write fails at each of them, and runs in between
_MENDED_AFTER_SECONDS = 25.0
_TOLD_AFTER_SECONDS = 10.0


@dataclass(slots=True)
class _Failure:
    """A connector that has failed: when first, why last, how often it was started again, and since when it runs."""

    first: float
    reason: str
    restarts: int = 0
    running_since: float | None = None


class Watch(threading.Thread):
    """Looks after all connectors of the exchange until the process ends."""

    def __init__(self, connect: Connect) -> None:
        super().__init__(name="connector watch", daemon=True)
        self._connect = connect
        self._pauses: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._failures: dict[str, _Failure] = {}

    def failures(self) -> dict[str, str]:
        """The connectors that do not run though they were started again, and why: what passes at once is no failure."""
        told_before = time.monotonic() - _TOLD_AFTER_SECONDS
        return {
            name: one.reason
            for name, one in self._failures.copy().items()
            if one.restarts > 1 or (one.first < told_before and one.running_since is None)
        }

    def run(self) -> None:
        while True:
            try:
                self._look()
            except ConnectRefused as refused:
                log.info("connectors cannot be watched just now", reason=str(refused))
            time.sleep(_EVERY_SECONDS)

    def _look(self) -> None:
        now = time.monotonic()
        found = self._connect.statuses()
        for name in list(self._failures):
            self._judge(name, found.get(name), now)
        for name, status in found.items():
            if status.failure is None:
                continue
            known = self._failures.setdefault(name, _Failure(now, status.failure))
            known.reason = status.failure
            if now < self._due.get(name, 0.0):
                continue
            since = now - self._due.get(name, -_FORGIVEN_AFTER_SECONDS)
            pause = _EVERY_SECONDS if since >= _FORGIVEN_AFTER_SECONDS else self._pauses[name] * 2
            self._pauses[name] = min(pause, _LONGEST_SECONDS)
            self._due[name] = now + self._pauses[name]
            log.warning("connector failed and is started again", connector=name, reason=status.failure)
            self._connect.restart_failed(name)
            known.restarts += 1

    def _judge(self, name: str, status: Status | None, now: float) -> None:
        """Forget a failure once its connector has run for a while, was stopped on purpose or is gone."""
        if status is None or status.state in ("STOPPED", "PAUSED"):
            del self._failures[name]
            return
        failure = self._failures[name]
        failure.running_since = (failure.running_since or now) if status.running else None
        if failure.running_since is not None and now - failure.running_since > _MENDED_AFTER_SECONDS:
            del self._failures[name]
