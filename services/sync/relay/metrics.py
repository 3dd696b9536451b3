"""What the relay counts: once a transaction, so that a record costs nothing."""

from __future__ import annotations

from collections.abc import Callable

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


def follow(
    group: str, *, ready: Callable[[], bool], waiting: Callable[[], int], behind: Callable[[], float], budget: float
) -> None:
    """Ask the relay that reads in `group`, at every scrape, whether data flows, how many rows wait, and how far sealing
    is behind."""
    READY.labels(group).set_function(ready)
    WAITING.labels(group).set_function(waiting)
    SEALING_BEHIND.labels(group).set_function(behind)
    SEALING_BUDGET.set(budget)


def committed(
    group: str, *, changes: int, records: int, projecting: float, seconds: float, trace: str | None = None
) -> None:
    """A transaction is over: `changes` were read in `group`, `records` delivered; times in seconds.

    `trace` is the id of one that shows where they went.
    """
    exemplar = {"trace_id": trace} if trace else None
    CONSUMED.labels("kafka", "cdc", group).inc(changes)
    SENT.labels("kafka", "share").inc(records)
    PROCESSED.labels("kafka", "cdc", group).observe(seconds, exemplar)
    DELIVERED.inc(records)
    TRANSACTIONS.labels("committed").inc()
    PROJECTING.observe(projecting, exemplar)
    COMMITTING.observe(seconds, exemplar)
