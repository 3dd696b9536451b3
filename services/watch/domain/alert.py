"""Alerts: what is told of when it has lasted, who takes it on, and how it ends.

A cause that lasts longer than patience becomes an alert; one that has been over for as long closes it by itself.
Whoever closes an alert by hand while its cause goes on gets another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from services.core.words import Words


class State(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    HANDED_OVER = "handed_over"
    CLOSED = "closed"


class Action(StrEnum):
    ACKNOWLEDGE = "acknowledge"  # somebody takes it on
    HAND_OVER = "hand_over"  # somebody else shall
    CLOSE = "close"


TITLES = {
    "group-stands": Words("Group stands", "消费停滞"),
    "sealing-behind": Words("Sealing is behind", "审计封存落后"),
    "connector-failed": Words("Connector has failed", "连接器失败"),
    "mount-halted": Words("Mount is stopped", "挂接停止"),
    "rows-wait": Words("Rows wait", "数据待更正"),
}
"""What each rule watches for."""

STEPS = {
    (State.OPEN, Action.ACKNOWLEDGE): State.ACKNOWLEDGED,
    (State.OPEN, Action.HAND_OVER): State.HANDED_OVER,
    (State.OPEN, Action.CLOSE): State.CLOSED,
    (State.ACKNOWLEDGED, Action.HAND_OVER): State.HANDED_OVER,
    (State.ACKNOWLEDGED, Action.CLOSE): State.CLOSED,
    (State.HANDED_OVER, Action.ACKNOWLEDGE): State.ACKNOWLEDGED,
    (State.HANDED_OVER, Action.HAND_OVER): State.HANDED_OVER,
    (State.HANDED_OVER, Action.CLOSE): State.CLOSED,
}


def actions(state: State) -> list[Action]:
    """What can be done next."""
    return [action for (source, action) in STEPS if source is state]


class Severity(StrEnum):
    WARNING = "warning"
    CRITICAL = "critical"


Fact = str | int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Something that is wrong just now; `rule` and `subject` make it this one and no other."""

    rule: str
    subject: str
    department: str | None
    severity: Severity
    text: Words
    evidence: Mapping[str, Fact] = field(default_factory=dict)
    """What was seen, by name; figures in seconds and records. No data of anybody."""

    @property
    def key(self) -> tuple[str, str]:
        return self.rule, self.subject


class Lasting:
    """Which causes have lasted, and which have been over for long enough."""

    def __init__(self, patience_seconds: float) -> None:
        self._patience = patience_seconds
        self._since: dict[tuple[str, str], float] = {}
        self._gone: dict[tuple[str, str], float] = {}

    def look(
        self, causes: Iterable[Cause], alerted: Iterable[tuple[str, str]], now: float
    ) -> tuple[list[Cause], list[tuple[str, str]]]:
        """Of the causes there are now, those to alert of; of what was `alerted` of, what is over. Times only grow."""
        there: Mapping[tuple[str, str], Cause] = {one.key: one for one in causes}
        open_ = set(alerted)
        self._since = {key: self._since.get(key, now) for key in there}
        self._gone = {key: self._gone.get(key, now) for key in open_ if key not in there}
        due = [one for key, one in there.items() if key not in open_ and now - self._since[key] >= self._patience]
        return due, [key for key, since in self._gone.items() if now - since >= self._patience]
