"""Which changes wait: a row that breaks a rule is not delivered, and of all keys only its own waits.

A key waits from the first change that breaks a rule until the next that does not, or a delete, or until a person lets
it go. Consumers keep what they had. So that what comes then is told them rightly, the wait remembers which grants had
the row in sight when it began: to those the correction is an update and the end a delete, to others a create and
nothing.

A catch-up lane treats a row that breaks a rule, or waits, as one that is out of sight; a grant that came by a lane is
not among those that had a waiting row, and does not have it.

Nothing here is kept elsewhere: waits are in `sync.waiting`, written in the transaction that they follow from.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from services.core.quality import Broken
from services.sync.quality.judge import SOUND, Judge, Score

Partition = tuple[str, int]
_WIRE_HEADER = 5
_ROW_OPS = frozenset("crud")
_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Waiting:
    """A key that waits since a change at offset `since`; the last one set aside is at `offset`.

    `holding` are the grants that had the row in sight before. One that a person `released` waits no more, but until
    its next change the row is known as one that breaks a rule and goes all the same.
    """

    resource: str
    since: int
    offset: int
    holding: frozenset[str]
    rules: tuple[str, ...]
    released: bool = False


class Fate(StrEnum):
    """What becomes of a change that does not simply go on."""

    ASIDE = "aside"  # it breaks a rule
    CORRECTED = "corrected"  # its key waited, and it breaks none
    DELETED = "deleted"  # its key waited, and is gone
    UNSURE = "unsure"  # its row before broke a rule: not every grant may have had it
    HIDDEN = "hidden"  # a lane passes it as if it were out of sight


@dataclass(frozen=True, slots=True)
class Decision:
    """A change that does not simply go on. `waited` is how its key waited before."""

    fate: Fate
    digest: bytes = b""
    waited: Waiting | None = None
    broken: tuple[Broken, ...] = ()


class Waits:
    """The keys that wait, by partition: what is committed, and what the open transaction changes."""

    def __init__(self) -> None:
        self._kept: dict[Partition, dict[bytes, Waiting]] = {}
        self._changed: dict[tuple[Partition, bytes], Waiting | None] = {}
        self._waiting = 0

    def count(self) -> int:
        """How many keys wait; those that were released do no more. May be asked from any thread."""
        return self._waiting

    def any_in(self, where: Partition) -> bool:
        """Whether a key of the partition may wait."""
        return bool(self._kept.get(where) or self._changed)

    def first(self, where: Partition, digests: Sequence[bytes], start: int) -> int:
        """The number of the first key from `start` on that waits or was released; how many there are where none is."""
        kept = self._kept.get(where, {})
        for number in range(start, len(digests)):
            if digests[number] in kept or (where, digests[number]) in self._changed:
                return number
        return len(digests)

    def get(self, where: Partition, digest: bytes) -> Waiting | None:
        if (where, digest) in self._changed:
            return self._changed[where, digest]
        return self._kept.get(where, {}).get(digest)

    def put(self, where: Partition, digest: bytes, waiting: Waiting | None) -> None:
        """From the open transaction on; None: the key waits no more."""
        self._changed[where, digest] = waiting

    def changed(self) -> Mapping[tuple[Partition, bytes], Waiting | None]:
        """What the open transaction has changed."""
        return self._changed

    def commit(self) -> None:
        for (where, digest), waiting in self._changed.items():
            self._keep(where, digest, waiting)
        self._changed.clear()

    def forget(self, partitions: Iterable[Partition]) -> None:
        """The partitions are another's now, or are read anew; nothing of the open transaction holds."""
        self._changed.clear()
        for where in partitions:
            self._waiting -= sum(not one.released for one in self._kept.pop(where, {}).values())

    def place(self, where: Partition, digest: bytes, waiting: Waiting) -> None:
        """As `sync.waiting` has it."""
        self._keep(where, digest, waiting)

    def _keep(self, where: Partition, digest: bytes, waiting: Waiting | None) -> None:
        kept = self._kept.setdefault(where, {})
        before = kept.pop(digest, None)
        if waiting is not None:
            kept[digest] = waiting
        self._waiting += _counts(waiting) - _counts(before)


def _counts(waiting: Waiting | None) -> bool:
    return waiting is not None and not waiting.released


class Gate:
    """Decides over the changes of resources that have rules."""

    def __init__(self, master: bytes) -> None:
        self.waits = Waits()
        self._secret = hmac.new(master, b"quarantine", sha256).digest()

    def key_digest(self, key: bytes | None) -> bytes:
        """Stands for a key: the bytes of its record without the schema's id, which changes without the key."""
        return hmac.new(self._secret, (key or b"")[_WIRE_HEADER:], sha256).digest()[:_DIGEST_BYTES]

    def value_digest(self, value: bytes) -> bytes:
        """Stands for a change; keyed, so that nobody finds out by trying what it said."""
        return hmac.new(self._secret, value, sha256).digest()

    def live(
        self, where: Partition, key: bytes | None, envelope: Mapping[str, Any], judge: Judge, now: datetime,
        score: Score,
    ) -> Decision | None:  # fmt: skip
        """What becomes of a change of the live stream that was not heard before; None: it goes on as any other."""
        op, before, after = envelope["op"], envelope["before"], envelope["after"]
        if op not in _ROW_OPS:
            return None
        verdict = judge.judge(after, before, now) if after is not None and op != "d" else SOUND
        if verdict is None:
            return None
        if op != "d":
            score.count(verdict)
        if not verdict.stopping and not self.waits.any_in(where):
            return self._unsure(judge, before, now, op)
        digest = self.key_digest(key)
        waited = self.waits.get(where, digest)
        if verdict.stopping:
            return Decision(Fate.ASIDE, digest, waited, verdict.stopping)
        if waited is None:
            return self._unsure(judge, before, now, op)
        if waited.released:
            self.waits.put(where, digest, None)
            return self._unsure(judge, before, now, op)
        return Decision(Fate.DELETED if op == "d" else Fate.CORRECTED, digest, waited)

    def lane(
        self, where: Partition, offset: int, key: bytes | None, envelope: Mapping[str, Any], judge: Judge,
        now: datetime,
    ) -> Decision | None:  # fmt: skip
        """What becomes of a change that a catch-up lane reads."""
        after = envelope["after"]
        if after is None:
            return None
        waited = self.waits.get(where, self.key_digest(key)) if self.waits.any_in(where) else None
        if waited is not None and waited.released and waited.offset == offset:
            return None
        if waited is not None and not waited.released and offset >= waited.since:
            return Decision(Fate.HIDDEN)
        verdict = judge.judge(after, envelope["before"], now)
        return Decision(Fate.HIDDEN) if verdict is not None and verdict.stopping else None

    def _unsure(self, judge: Judge, before: Mapping[str, Any] | None, now: datetime, op: str) -> Decision | None:
        """An update of a row that broke a rule and was delivered once, under other rules or by a person's word."""
        if op != "u" or before is None:
            return None
        earlier = judge.judge(before, None, now)
        return Decision(Fate.UNSURE) if earlier is not None and earlier.stopping else None

    def set_aside(
        self, where: Partition, offset: int, decision: Decision, resource: str, holding: Callable[[], frozenset[str]]
    ) -> None:
        """Let the key of a change wait; `holding` gives the grants that have its row."""
        waited = decision.waited
        waits = waited is not None and not waited.released
        self.waits.put(
            where,
            decision.digest,
            Waiting(
                resource,
                waited.since if waited is not None and waits else offset,
                offset,
                waited.holding if waited is not None and waits else holding(),
                tuple(one.rule for one in decision.broken),
            ),
        )
