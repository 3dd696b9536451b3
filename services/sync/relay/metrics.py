"""What the relay counts: once a transaction, so that a record costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram

from services.core.metrics import CONSUMED, PROCESSED, SENT

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

DELIVERED = Counter("tongshu_relay_deliveries", "Records delivered, tombstones included.")
TRANSACTIONS = Counter("tongshu_relay_transactions", "Transactions by how they ended.", ("outcome",))
PROJECTING = Histogram("tongshu_relay_projection_seconds", "How long the projection of a batch took.", buckets=_SECONDS)
COMMITTING = Histogram("tongshu_relay_transaction_seconds", "How long a transaction was open.", buckets=_SECONDS)
QUARANTINED = Counter("tongshu_quarantine_records", "Changes that were set aside.", ("reason",))
WAITING = Gauge("tongshu_quarantine_waiting", "Rows that wait for their correction, or for a person.", ("group",))
SEALING_BEHIND = Gauge(
    "tongshu_relay_sealing_behind_seconds", "How long the oldest manifest waits to be sealed.", ("group",)
)
SEALING_BUDGET = Gauge("tongshu_relay_sealing_budget_seconds", "After so long, deliveries stop.")
READY = Gauge("tongshu_relay_ready", "Whether data flows.", ("group",))
WAYS = Gauge(
    "tongshu_relay_ways",
    "Grants by partition that the workers of this process serve: live or catching up.",
    ("group", "state"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What a worker is asked at every scrape: whether data flows, how many rows wait, for how many seconds sealing is
    behind, and how many ways of grants through partitions it serves."""

    ready: Callable[[], bool]
    waiting: Callable[[], int]
    behind: Callable[[], float]
    live: Callable[[], int]
    catching_up: Callable[[], int]


_WORKERS: dict[str, list[Worker]] = {}


def follow(group: str, worker: Worker, *, budget: float) -> None:
    """Tell of a worker that reads in `group`, together with the others of this process."""
    workers = _WORKERS.setdefault(group, [])
    workers.append(worker)
    READY.labels(group).set_function(lambda: all(one.ready() for one in workers))
    WAITING.labels(group).set_function(lambda: sum(one.waiting() for one in workers))
    SEALING_BEHIND.labels(group).set_function(lambda: max(one.behind() for one in workers))
    WAYS.labels(group, "live").set_function(lambda: sum(one.live() for one in workers))
    WAYS.labels(group, "catching_up").set_function(lambda: sum(one.catching_up() for one in workers))
    SEALING_BUDGET.set(budget)


def committed(group: str, *, changes: int, records: int, projecting: float, seconds: float) -> None:
    """A transaction is over: `changes` were read in `group`, `records` delivered; times in seconds."""
    CONSUMED.labels("kafka", "cdc", group).inc(changes)
    SENT.labels("kafka", "share").inc(records)
    PROCESSED.labels("kafka", "cdc", group).observe(seconds)
    DELIVERED.inc(records)
    TRANSACTIONS.labels("committed").inc()
    PROJECTING.observe(projecting)
    COMMITTING.observe(seconds)
