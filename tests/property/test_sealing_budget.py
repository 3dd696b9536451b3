"""What waits to be sealed is remembered exactly: the oldest that is not sealed says how far sealing is behind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.sync.relay.budget import Unsealed

steps = st.lists(
    st.one_of(
        st.tuples(st.just("delivered"), st.integers(1, 5), st.floats(0.1, 10)),
        st.tuples(st.just("sealed"), st.integers(0, 60), st.just(0.1)),
    ),
    max_size=40,
)


@given(steps)
def test_the_oldest_unsealed_manifest_tells_how_far_sealing_is_behind(taken: list[tuple[str, int, float]]) -> None:
    unsealed, now, offset, up_to = Unsealed(), 0.0, 0, 0
    waiting: dict[int, float] = {}
    for what, number, seconds in taken:
        now += seconds
        if what == "delivered":
            offset += number
            unsealed.delivered(offset, now)
            waiting[offset] = now
        else:
            unsealed.sealed(number)
            up_to = max(up_to, number)
        left = [at for place, at in waiting.items() if place >= up_to]
        assert unsealed.behind(now + 1) == (now + 1 - min(left) if left else 0.0)
