"""Fail closed: nothing is delivered while what was delivered is not sealed within its budget.

The sequencer tells in `audit.progress`, with every batch, how far it has sealed the manifests. The relay remembers
when it committed those that are not sealed yet; once the oldest has waited longer than the budget, it stops. Nothing
is lost, for what is not read is not committed, and it goes on by itself when the sequencer has caught up.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

from confluent_kafka import TopicPartition

from services.core.avro import Codec, Registry
from services.core.kafka import StateView, read_to_end, state_consumer
from services.core.settings import Settings
from services.sync.topics import DELIVERIES

_PROGRESS = "audit.progress"
_MANIFESTS = f"{DELIVERIES.name}/0"
# the last manifest lies within so many offsets of the end, markers of transactions included; else it is long sealed
_TAIL = 200


class Unsealed:
    """Manifests that wait to be sealed, oldest first. Any thread may ask and tell; times are in seconds."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, float]] = deque()
        self._sealed_up_to = 0
        self._lock = threading.Lock()

    def delivered(self, offset: int, at: float) -> None:
        """The manifest at `offset` was committed at `at`; offsets only grow."""
        with self._lock:
            if offset >= self._sealed_up_to:
                self._waiting.append((offset, at))

    def sealed(self, up_to: int) -> None:
        """Everything before the offset `up_to` is sealed."""
        with self._lock:
            self._sealed_up_to = max(self._sealed_up_to, up_to)
            while self._waiting and self._waiting[0][0] < self._sealed_up_to:
                self._waiting.popleft()

    def behind(self, now: float) -> float:
        """How long the oldest has waited; 0 when nothing waits."""
        with self._lock:
            return max(0.0, now - self._waiting[0][1]) if self._waiting else 0.0


class SealingBudget:
    """Whether a relay may deliver, as far as sealing goes."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._settings, self._budget = settings, settings.audit_budget_seconds
        self._unsealed = Unsealed()
        self._view = StateView(
            lambda wait: state_consumer(settings, "sync", "sync.audit.progress", wait),
            _PROGRESS,
            Codec(registry, _PROGRESS).decode,
            self._on_progress,
        )

    def start(self) -> None:
        """Learn what waits from before, and follow the sequencer; raises KafkaException."""
        self._take_up()
        self._view.start()

    def stop(self) -> None:
        self._view.stop()

    def require(self) -> None:
        """Raises why the sequencer can no longer be followed."""
        if self._view.failure:
            raise self._view.failure

    def committed(self, last: int) -> None:
        """A transaction has committed whose last manifest is the one at that offset."""
        self._unsealed.delivered(last, time.monotonic())

    def behind(self) -> float:
        """How long the oldest manifest waits to be sealed, in seconds."""
        return self._unsealed.behind(time.monotonic())

    def exceeded(self) -> str | None:
        """Why nothing may be delivered just now; None when it may."""
        behind = self.behind()
        if behind <= self._budget:
            return None
        return (
            f"sealing is {behind:.0f} s behind, more than its {self._budget:.0f} s: deliveries wait for the audit log"
        )

    def _on_progress(self, key: str, state: dict[str, Any] | None) -> None:
        if key == _MANIFESTS and state is not None:
            self._unsealed.sealed(state["next"])

    def _take_up(self) -> None:
        """A relay that is started again has not forgotten what it delivered."""
        reader = state_consumer(self._settings, "sync", "sync.deliveries.reader")
        try:
            _, high = reader.get_watermark_offsets(TopicPartition(DELIVERIES.name, 0), 30)
            reader.assign([TopicPartition(DELIVERIES.name, 0, max(0, high - _TAIL))])
            for message in read_to_end(reader, 1):
                age = time.time() - message.timestamp()[1] / 1_000
                self._unsealed.delivered(int(message.offset() or 0), time.monotonic() - age)
        finally:
            reader.close()
