"""How often somebody may be wrong: an account is locked for a while, and longer with each failure that follows.

What is counted is a login name, whether there is such an account or not: the answers tell nobody which names exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_FIRST_LOCK = timedelta(seconds=30)
_LONGEST_LOCK = timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures in a row, the time of the last, and until when nobody may try."""

    count: int
    last_at: datetime
    locked_until: datetime | None


def after_failure(before: Failures | None, at: datetime, allowed: int) -> Failures:
    """What another failure at `at` leads to, when `allowed` in a row lock the account."""
    forgotten = before is None or at - before.last_at >= FORGOTTEN_AFTER
    count = 1 if before is None or forgotten else before.count + 1
    if count < allowed:
        return Failures(count, at, None)
    # beyond the longest lock a power has no meaning, and would grow without end
    doublings = min(count - allowed, 10)
    return Failures(count, at, at + min(_FIRST_LOCK * 2**doublings, _LONGEST_LOCK))


def locked_for(failures: Failures | None, now: datetime) -> timedelta:
    """How long nobody may try yet; zero when anybody may."""
    if failures is None or failures.locked_until is None:
        return timedelta()
    return max(failures.locked_until - now, timedelta())
