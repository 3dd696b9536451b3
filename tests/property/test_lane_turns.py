"""When lanes have their turn beside the live stream (`services/sync/relay/lanes.py`)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.sync.relay.client import BUSY
from services.sync.relay.lanes import Turns

_SECONDS = st.floats(0.001, 2.0)


@given(st.lists(st.tuples(_SECONDS, _SECONDS), min_size=1, max_size=200))
def test_beside_a_busy_stream_lanes_take_a_tenth_of_the_time_and_always_some(
    steps: list[tuple[float, float]],
) -> None:
    turns, live, lanes, last, waited = Turns(), 0.0, 0.0, 0.0, 0.0
    for live_seconds, lane_seconds in steps:
        live += live_seconds
        waited += live_seconds
        if turns.is_lanes(BUSY, live_seconds):
            turns.was_lanes(lane_seconds)
            lanes, last, waited = lanes + lane_seconds, lane_seconds, 0.0
        # a slice that was begun is finished; the stream has its time for it afterwards
        assert (lanes - last) * 9 <= live + 1e-6
        assert waited <= last * 9 + live_seconds


@given(st.lists(st.tuples(st.integers(0, BUSY - 1), _SECONDS)))
def test_lanes_have_every_other_turn_where_the_stream_is_not(steps: list[tuple[int, float]]) -> None:
    turns = Turns()
    for changes, seconds in steps:
        assert turns.is_lanes(changes, seconds)
        turns.was_lanes(seconds)
