"""The topics of the data road that sync owns, beside `cdc.*` (the mounts') and `share.*` (the grants')."""

from __future__ import annotations

from services.core.kafka import Topic

DELIVERIES = Topic("sync.deliveries")
PROGRESS = Topic("sync.progress", compacted=True)
RECEIPTS = Topic("sync.receipts")
ACCESS = Topic("sync.access")
WAITING = Topic("sync.waiting", compacted=True)
QUALITY = Topic("sync.quality")
ORDERS = Topic("sync.orders", compacted=True)
EVENTS = Topic("sync.events")
REPLAYS = Topic("sync.replays", compacted=True)


def quarantine(resource: str) -> Topic:
    """Where changes of a resource wait that could not be relayed."""
    return Topic(f"quarantine.{resource}")
