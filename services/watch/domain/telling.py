"""When an alert is told of: as it opens, again after a time while nobody has taken it on, and once when it is over.

A cause that comes back within that time has been told of; its new alert is quiet until the time has passed. So whatever
comes and goes is heard once, and nobody is told that something is over of which he was not told.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from services.watch.domain.alert import State


class Kind(StrEnum):
    """What a message tells."""

    OPENED = "alerts_opened"
    STILL_OPEN = "alerts_still_open"
    OVER = "alerts_over"
    SUMMARY = "summary"
    TRIAL = "trial"


def due(state: State, told_at: datetime | None, now: datetime, silence: timedelta) -> Kind | None:
    """What is to be told now of an alert that is not over; `told_at` is when it or the one before it was told of."""
    if told_at is None:
        return Kind.OPENED
    return Kind.STILL_OPEN if state is State.OPEN and now - told_at >= silence else None


def carried_over(told_at: datetime | None, now: datetime, silence: timedelta) -> datetime | None:
    """When a cause that is back counts as told of, where its alert before was told of at `told_at`."""
    return told_at if told_at is not None and now - told_at < silence else None


def was_told(opened_at: datetime, told_at: datetime | None) -> bool:
    """Whether this very alert was told of, so that its end is told, too."""
    return told_at is not None and told_at >= opened_at
