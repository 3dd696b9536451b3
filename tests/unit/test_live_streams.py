"""Streams of what happens: a browser that does not read is dropped, and keeps nobody waiting."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.console.domain.live import Happening
from services.console.live import Hub
from services.core.identity import Role, Viewer

DEPARTMENTS = ["civil_affairs", "housing", "tax"]
viewers = st.builds(
    Viewer, st.just("somebody"), st.frozensets(st.sampled_from(list(Role)), min_size=1), st.sampled_from(DEPARTMENTS)
)
happenings = st.builds(
    Happening,
    name=st.sampled_from(["catalog", "demand", "audit"]),
    data=st.just({"subject": "s"}),
    concerns=st.frozensets(st.sampled_from(DEPARTMENTS)),
    for_everybody=st.booleans(),
    overseers_only=st.booleans(),
)


def heard(texts: list[str]) -> list[str]:
    """The ids of events, in their order."""
    return [line.removeprefix("id: ") for text in texts for line in text.splitlines() if line.startswith("id: ")]


def drain(stream: object) -> list[str]:
    waiting = stream.waiting  # type: ignore[attr-defined]
    return [waiting.get_nowait() for _ in range(waiting.qsize())]


@given(viewers, happenings)
def test_a_department_is_told_its_own_things_and_what_is_everybodys(viewer: Viewer, one: Happening) -> None:
    sees = one.is_shown_to(viewer)
    if one.overseers_only:
        assert sees == bool(viewer.roles & {Role.ADMINISTRATOR, Role.AUDITOR})
    elif viewer.roles <= {Role.PROVIDER, Role.CONSUMER}:
        assert sees == (one.for_everybody or viewer.department in one.concerns)
    else:
        assert sees


@given(st.lists(happenings, max_size=40), st.integers(0, 40), viewers)
def test_coming_back_gives_each_event_once_wherever_it_was_lost(
    said: list[Happening], lost_at: int, viewer: Viewer
) -> None:
    hub = Hub()
    whole, broken = hub.open(viewer, "a", None), hub.open(viewer, "b", None)
    for one in said[:lost_at]:
        hub.say(one)
    first = heard(drain(broken))
    hub.close(broken)
    for one in said[lost_at:]:
        hub.say(one)
    if first:
        again = hub.open(viewer, "b", first[-1])
        assert first + heard(drain(again)) == heard(drain(whole))


def test_a_browser_that_does_not_read_is_dropped_and_the_others_miss_nothing() -> None:
    hub, overseer = Hub(), Viewer("overseer")
    slow, quick = hub.open(overseer, "a", None), hub.open(overseer, "b", None)
    told: list[str] = []
    for _ in range(1_000):
        hub.say(Happening(name="demand", data={}, concerns=frozenset()))
        told += heard(drain(quick))
    assert slow.is_dropped and not quick.is_dropped
    assert len(told) == 1_000 and len(set(told)) == 1_000


def test_what_is_too_long_ago_is_to_be_looked_at_again() -> None:
    hub, overseer = Hub(), Viewer("overseer")
    for last in ("", "another-1", "x-y", "1"):
        assert any("event: reset" in text for text in drain(hub.open(overseer, last, last)))
