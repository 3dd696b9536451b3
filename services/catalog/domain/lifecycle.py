"""The life cycle of a resource, as one table: what may be done in which state, by whom, and what that starts and stops.

draft → in review → published → in revision → (in review → published …) → withdrawn. While a revision is written or
reviewed, the version before stays in force: `live` says whether one is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    DRAFT = "draft"
    IN_REVIEW = "in_review"
    PUBLISHED = "published"
    IN_REVISION = "in_revision"
    WITHDRAWN = "withdrawn"


class Action(StrEnum):
    SUBMIT = "submit"
    RECALL = "recall"
    RETURN = "return"
    APPROVE = "approve"
    REVISE = "revise"
    DISCARD = "discard"
    WITHDRAW = "withdraw"
    REOPEN = "reopen"


class Clock(StrEnum):
    """Clocks of the catalogue, in working days; their lengths are data of the place."""

    REVIEW = "review"  # review and publish a catalogue change
    UPDATE = "update"  # update the catalogue after a cause
    NOTICE = "notice"  # answer the notice of a breaking change


class By(StrEnum):
    """Whose step it is: the department's that provides the resource, or the data authority's."""

    PROVIDER = "provider"
    REVIEWER = "reviewer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A step. `live` says whether a version must be in force before; `live_after` whether one is then."""

    source: State
    live: bool
    action: Action
    target: State
    live_after: bool
    by: frozenset[By]
    needs_reason: bool = False
    starts: Clock | None = None
    stops: frozenset[Clock] = frozenset()


_PROVIDER, _REVIEWER = frozenset({By.PROVIDER}), frozenset({By.REVIEWER})
_EITHER = _PROVIDER | _REVIEWER
_REVIEW, _UPDATE = frozenset({Clock.REVIEW}), frozenset({Clock.UPDATE})


def _steps() -> Iterable[Transition]:
    def step(
        source: State, live: bool, action: Action, target: State, live_after: bool, by: frozenset[By], *,
        needs_reason: bool = False, starts: Clock | None = None, stops: frozenset[Clock] = frozenset(),
    ) -> Transition:  # fmt: skip
        return Transition(
            source=source, live=live, action=action, target=target, live_after=live_after, by=by,
            needs_reason=needs_reason, starts=starts, stops=stops,
        )  # fmt: skip

    # writing it for the first time
    yield step(State.DRAFT, False, Action.SUBMIT, State.IN_REVIEW, False, _PROVIDER, starts=Clock.REVIEW, stops=_UPDATE)
    yield step(State.DRAFT, False, Action.DISCARD, State.WITHDRAWN, False, _PROVIDER, stops=_UPDATE)
    yield step(State.IN_REVIEW, False, Action.RECALL, State.DRAFT, False, _PROVIDER, stops=_REVIEW)
    yield step(
        State.IN_REVIEW, False, Action.RETURN, State.DRAFT, False, _REVIEWER,
        needs_reason=True, starts=Clock.UPDATE, stops=_REVIEW,
    )  # fmt: skip
    yield step(State.IN_REVIEW, False, Action.APPROVE, State.PUBLISHED, True, _REVIEWER, stops=_REVIEW)
    # revising it
    yield step(State.PUBLISHED, True, Action.REVISE, State.IN_REVISION, True, _EITHER, starts=Clock.UPDATE)
    yield step(State.IN_REVISION, True, Action.DISCARD, State.PUBLISHED, True, _PROVIDER, stops=_UPDATE)
    yield step(
        State.IN_REVISION, True, Action.SUBMIT, State.IN_REVIEW, True, _PROVIDER, starts=Clock.REVIEW, stops=_UPDATE
    )
    yield step(State.IN_REVIEW, True, Action.RECALL, State.IN_REVISION, True, _PROVIDER, stops=_REVIEW)
    yield step(
        State.IN_REVIEW, True, Action.RETURN, State.IN_REVISION, True, _REVIEWER,
        needs_reason=True, starts=Clock.UPDATE, stops=_REVIEW,
    )  # fmt: skip
    yield step(State.IN_REVIEW, True, Action.APPROVE, State.PUBLISHED, True, _REVIEWER, stops=_REVIEW)
    # taking it out of force, whatever is being written
    for source in (State.PUBLISHED, State.IN_REVISION, State.IN_REVIEW):
        yield step(
            source, True, Action.WITHDRAW, State.WITHDRAWN, False, _EITHER,
            needs_reason=True, stops=_REVIEW | _UPDATE,
        )  # fmt: skip
    yield step(State.WITHDRAWN, False, Action.REOPEN, State.DRAFT, False, _EITHER, needs_reason=True)


TRANSITIONS: dict[tuple[State, bool, Action], Transition] = {
    (step.source, step.live, step.action): step for step in _steps()
}


def transition(state: State, live: bool, action: Action) -> Transition | None:
    """The step of `action` from here; None when there is none."""
    return TRANSITIONS.get((state, live, action))


def actions(state: State, live: bool) -> list[Action]:
    """What may be done from here, by whoever it is for."""
    return [action for source, alive, action in TRANSITIONS if source is state and alive is live]


EDITABLE = frozenset({State.DRAFT, State.IN_REVISION})
