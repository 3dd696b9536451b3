"""When an alert is opened and when it closes by itself, however causes come and go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.core.words import Words
from services.watch.domain.alert import STEPS, Action, Cause, Lasting, Severity, State, actions

PATIENCE = 10.0


def cause(subject: str) -> Cause:
    return Cause(rule="r", subject=subject, department=None, severity=Severity.CRITICAL, text=Words("x", "x"))


@given(st.lists(st.tuples(st.floats(0.5, 6), st.sets(st.sampled_from("abc"))), max_size=60))
def test_what_lasts_is_told_once_and_what_is_over_is_closed(looks: list[tuple[float, set[str]]]) -> None:
    lasting, now, open_ = Lasting(PATIENCE), 0.0, set[str]()
    since: dict[str, float] = {}
    gone: dict[str, float] = {}
    for pause, there in looks:
        now += pause
        since = {one: since.get(one, now) for one in there}
        gone = {one: gone.get(one, now) for one in open_ - there}
        due, over = lasting.look([cause(one) for one in there], [("r", one) for one in open_], now)
        lasted = {one for one in there - open_ if now - since[one] >= PATIENCE}
        assert {one.subject for one in due} == lasted
        assert {subject for _, subject in over} == {one for one, at in gone.items() if now - at >= PATIENCE}
        open_ = (open_ | lasted) - {subject for _, subject in over}


@given(st.lists(st.sampled_from(Action), max_size=10))
def test_a_closed_alert_stays_closed_and_what_is_offered_can_be_done(taken: list[Action]) -> None:
    state = State.OPEN
    for action in taken:
        assert (action in actions(state)) == ((state, action) in STEPS)
        state = STEPS.get((state, action), state)
    assert actions(State.CLOSED) == []
    assert Action.CLOSE in actions(state) or state is State.CLOSED
