"""Findings, alerts and incidents: what is remarked on entries, and how it is brought to an end.

A finding is an auditor's: it goes to a department, which says how it mends it before a deadline, and the auditor closes
it or sends it back. An alert comes from a rule over the log and stays until somebody has handled it; what is more than
an alert becomes an incident, which ends with a report.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    FINDING = "finding"
    ALERT = "alert"
    INCIDENT = "incident"


class State(StrEnum):
    OPEN = "open"
    ANSWERED = "answered"
    ESCALATED = "escalated"
    CLOSED = "closed"


class Action(StrEnum):
    ANSWER = "answer"  # the department says how it is mended, or whoever handles it what was done
    RETURN = "return"  # that is not enough
    ESCALATE = "escalate"  # it is an incident
    CLOSE = "close"


class By(StrEnum):
    DEPARTMENT = "department"
    OVERSEER = "overseer"


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a matter; `by` says whose it is."""

    kind: Kind
    source: State
    action: Action
    target: State
    by: By


STEPS = (
    Step(Kind.FINDING, State.OPEN, Action.ANSWER, State.ANSWERED, By.DEPARTMENT),
    Step(Kind.FINDING, State.ANSWERED, Action.RETURN, State.OPEN, By.OVERSEER),
    Step(Kind.FINDING, State.ANSWERED, Action.CLOSE, State.CLOSED, By.OVERSEER),
    Step(Kind.ALERT, State.OPEN, Action.CLOSE, State.CLOSED, By.OVERSEER),
    Step(Kind.ALERT, State.OPEN, Action.ESCALATE, State.ESCALATED, By.OVERSEER),
    Step(Kind.INCIDENT, State.OPEN, Action.ANSWER, State.ANSWERED, By.OVERSEER),
    Step(Kind.INCIDENT, State.ANSWERED, Action.RETURN, State.OPEN, By.OVERSEER),
    Step(Kind.INCIDENT, State.ANSWERED, Action.CLOSE, State.CLOSED, By.OVERSEER),
)


def step_of(kind: Kind, state: State, action: Action) -> Step | None:
    """The step that `action` is for a matter of this kind in this state; None when it is none."""
    return next((one for one in STEPS if (one.kind, one.source, one.action) == (kind, state, action)), None)


def actions(kind: Kind, state: State, by: frozenset[By]) -> list[Action]:
    """What can be done next by somebody who is `by`."""
    return [one.action for one in STEPS if (one.kind, one.source) == (kind, state) and one.by in by]
