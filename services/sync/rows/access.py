"""Account of every call (`sync.access`): who asked under which grant, by which keyed digests, and what came of it.

Calls are noted in memory and told in batches. What cannot be told for some seconds stops the route: nothing is answered
that nobody will know of. A process that is killed takes at most the calls of the last moment with it; what they counted
against quotas stands in Redis.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter as Counted
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import structlog
from confluent_kafka import KafkaError, Message
from prometheus_client import Counter

from services.core.avro import Codec, Registry, RegistryUnavailable
from services.core.kafka import producer
from services.core.settings import Settings
from services.sync.topics import ACCESS

log = structlog.get_logger()

LOOKUPS = Counter("tongshu_rows_lookups", "Calls of the row API by their outcome.", ("outcome",))

_TELL_SECONDS = 0.1
_LONGEST_UNTOLD_SECONDS = 5.0
_MOST_UNTOLD = 50_000
_MOST_CALLS_A_RECORD = 1_000


class Outcome(StrEnum):
    """What came of a call."""

    ANSWERED = "answered"
    INVALID = "invalid"
    DENIED = "denied"
    LIMITED = "limited"
    UNAVAILABLE = "unavailable"


# who was asked for and under what: (grant, thread, resource, department); None where it is not known
Under = tuple[str | None, str | None, str | None, str | None]
# as the account has it
Call = dict[str, Any]


@dataclass(slots=True)
class _Untold:
    calls: dict[Under, list[Call]] = field(default_factory=dict)
    count: int = 0
    since: float = 0.0


class Access:
    """Notes calls from the loop of the route, tells them from a thread of its own."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._codec = Codec(registry, ACCESS.name)
        self._producer = producer(
            settings, "sync", linger_ms=20, message_timeout_ms=30_000, client_id="tongshu-sync-access"
        )
        self._worker, self._sequence = f"sync-rows/{uuid.uuid4().hex[:12]}", 0
        self._untold = _Untold()
        self._told_at = time.monotonic()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="access", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Tell what is left."""
        self._stopping.set()
        self._thread.join(15)

    def why_not(self) -> str | None:
        """Why no call may be answered just now; None when they may."""
        late = time.monotonic() - self._told_at
        if late > _LONGEST_UNTOLD_SECONDS:
            return f"calls could not be accounted for since {late:.0f} s"
        return "more calls are waiting to be accounted for than may" if self._untold.count > _MOST_UNTOLD else None

    def note(
        self,
        under: Under,
        caller: str,
        outcome: Outcome,
        reason: str = "",
        *,
        item: str | None = None,
        digests: Sequence[bytes] = (),
        rows: int = 0,
        size: int = 0,
        took_us: int = 0,
    ) -> None:
        """A call that was answered so; `caller` is the beginning of a key's digest, or a token's name.

        `size` is the bytes of the rows' body, `took_us` the microseconds from the call to its answer.
        """
        with self._lock:
            untold = self._untold
            calls = untold.calls.get(under)
            if calls is None:
                calls = untold.calls[under] = []
            calls.append(
                {
                    "at": time.time_ns() // 1_000, "caller": caller, "outcome": outcome, "reason": reason, "item": item,
                    "digests": digests, "rows": rows, "bytes": size, "took_us": took_us,
                }
            )  # fmt: skip
            untold.count += 1

    def _run(self) -> None:
        while not self._stopping.wait(_TELL_SECONDS):
            self._tell()
        self._tell()
        self._producer.flush(10)

    def _tell(self) -> None:
        with self._lock:
            untold, self._untold = self._untold, _Untold()
        try:
            for under, calls in untold.calls.items():
                for first in range(0, len(calls), _MOST_CALLS_A_RECORD):
                    self._produce(under, calls[first : first + _MOST_CALLS_A_RECORD])
            self._producer.poll(0)
            if not len(self._producer):
                self._told_at = time.monotonic()
        except (RegistryUnavailable, BufferError) as error:
            log.warning("calls cannot be accounted for just now", reason=type(error).__name__)
            with self._lock:
                for under, calls in untold.calls.items():
                    self._untold.calls[under] = calls + self._untold.calls.get(under, [])
                self._untold.count += untold.count

    def _produce(self, under: Under, calls: Sequence[Call]) -> None:
        grant, thread, resource, department = under
        value = {
            "worker": self._worker,
            "sequence": self._sequence,
            "grant": grant,
            "thread": thread,
            "resource": resource,
            "department": department,
            "calls": calls,
            "told_at": datetime.now(UTC),
        }
        self._producer.produce(ACCESS.name, key=grant or "", value=self._codec.encode(value), on_delivery=self._told)
        self._sequence += 1
        for outcome, count in Counted(call["outcome"] for call in calls).items():
            LOOKUPS.labels(outcome).inc(count)

    def _told(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self._told_at = time.monotonic()
        else:
            log.error("calls are lost to the account", reason=error.str())
