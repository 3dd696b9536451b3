"""The life of a demand: its table is sound wherever one gets to, and agrees with a simple model of the rules."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.demand.domain.clock import Clock
from services.demand.domain.demand import (
    ENDED,
    GRANTED,
    TRANSITIONS,
    Action,
    By,
    Level,
    Need,
    Papers,
    Path,
    Standing,
    State,
    after,
    by_itself,
    may_approve,
    possible,
    transition,
)
from services.demand.domain.drawing import document
from tests.conftest import ROOT

PEOPLE = ("甲", "乙", "丙", "申请人")
APPLICANT = "申请人"


class Life(RuleBasedStateMachine):
    """Takes any step that is there; the model beside it keeps what a clerk would write down."""

    @initialize(path=st.sampled_from(Path), supplied=st.booleans(), needed=st.sampled_from([1, 2]))
    def begin(self, path: Path, supplied: bool, needed: int) -> None:
        ordinary = path is Path.DECISION
        self.standing = Standing(
            path=path,
            supplied=supplied or not ordinary,
            named=supplied or not ordinary,
            needed=needed if ordinary else 1,
        )
        self.approvers: list[str] = []
        self.returns = 0
        self.refusals_after_ruling = 0
        self.running: dict[Clock, str] = {}
        self.history: list[Action] = []

    @precondition(lambda self: possible(self.standing))
    @rule(data=st.data())
    def step(self, data: Any) -> None:
        step = by_itself(self.standing) or data.draw(st.sampled_from(possible(self.standing)))
        person = data.draw(st.sampled_from(PEOPLE))
        if step.action is Action.APPROVE:
            if not may_approve(self.standing, person, [APPLICANT]):
                assert person == APPLICANT or person in self.approvers
                return
            self.approvers.append(person)
        assert transition(self.standing, step.action) is step
        before = self.standing
        self.standing = after(before, step, person)
        self.keep_account(before, step)

    @precondition(lambda self: not possible(self.standing))
    @rule()
    def rest(self) -> None:
        assert self.standing.state in ENDED, "a demand that nothing can become of"

    def keep_account(self, before: Standing, step: Any) -> None:
        self.history.append(step.action)
        if step.action is Action.RETURN:
            self.returns += 1
            assert step.needs == {Need.DEFECTS} and step.pauses
        if step.action is Action.REFUSE:
            assert step.needs >= {Need.REASON, Need.LEGAL_BASIS}
            if before.ruled:
                assert before.state is State.ACCEPTED, "a supplier refused what was ruled for the applicant"
        if step.action in (Action.REOPEN, Action.LOSE, Action.SUPPLEMENT, Action.REFUSE):
            self.approvers = []
        for clock in step.stops:
            self.running.pop(clock, None)
        if step.pauses:
            self.running = dict.fromkeys(self.running, "paused")
        if step.resumes:
            self.running = dict.fromkeys(self.running, "running")
        if step.starts:
            assert step.starts not in self.running, f"{step.starts} runs already at {step.action}"
            self.running[step.starts] = "running"

    @invariant()
    def nothing_flows_that_nobody_allowed(self) -> None:
        if not hasattr(self, "standing") or self.standing.state not in GRANTED:
            return
        if self.standing.path is Path.DECISION:
            assert len(set(self.approvers)) == self.standing.needed
            assert APPLICANT not in self.approvers

    @invariant()
    def the_model_agrees(self) -> None:
        if not hasattr(self, "standing"):
            return
        one = self.standing
        assert self.returns <= 1
        assert (one.state is State.RETURNED) == (one.interrupted is not None)
        assert list(one.approvals) == self.approvers or one.state is State.REFUSED
        assert not (one.state in ENDED and possible(one))
        assert (one.papers is Papers.NONE) or one.path is Path.EMERGENCY
        assert one.state is not State.DISPUTED or one.level is not Level.NONE

    @invariant()
    def somebody_is_always_on_the_clock(self) -> None:
        if not hasattr(self, "standing"):
            return
        waiting = {State.SUBMITTED, State.ACCEPTED, State.RETURNED, State.IN_REVIEW, State.APPROVED, State.DISPUTED}
        running = {clock for clock, how in self.running.items() if how == "running"}
        if self.standing.state in waiting:
            assert running, f"{self.standing.state} waits for nobody"
        if self.standing.state is State.RETURNED:
            assert running == {Clock.SUPPLEMENT}
        if self.standing.state in ENDED:
            assert not self.running


Life.TestCase.settings = settings(max_examples=400, stateful_step_count=30, deadline=None)
TestLife = Life.TestCase


def test_a_step_s_case_is_never_ambiguous() -> None:
    """Walked through all standings that can be reached at all."""
    waiting = [
        Standing(path=path, supplied=supplied, named=supplied, needed=needed)
        for path in Path
        for supplied in (True, False)
        for needed in (1, 2)
    ]
    seen: set[Standing] = set(waiting)
    taken: set[tuple[State, Action, str]] = set()
    while waiting:
        standing = waiting.pop()
        steps = possible(standing)
        actions = [step.action for step in steps]
        assert len(actions) == len(set(actions)), f"two steps of one name from {standing}"
        assert sum(step.at_once for step in steps) <= 1
        for step in steps:
            taken.add((step.source, step.action, step.case))
            person = next(one for one in PEOPLE if may_approve(standing, one, [APPLICANT]))
            following = after(standing, step, person)
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    assert taken == {(step.source, step.action, step.case) for step in TRANSITIONS}, "a step that nothing leads to"
    assert {one.state for one in seen} == set(State)


def test_only_the_exchange_itself_takes_steps_of_the_rule() -> None:
    for step in TRANSITIONS:
        assert (By.RULE in step.by) == (step.by == {By.RULE})
        assert not step.at_once or step.by == {By.RULE}


def test_the_drawing_is_the_table_s() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "services.demand.domain.drawing"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert made == document()
    assert (ROOT / "docs" / "demand-states.md").read_text() == made
