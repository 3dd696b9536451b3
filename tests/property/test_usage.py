"""Sums of deliveries: the same however the log is cut, repeated or read again, and each window the sum of its parts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.demand.domain.usage import Figures, Granularity, Sums, Window, starts, sums_of

BEGIN = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)  # an hour before midnight at the place


@st.composite
def logs(draw: Any) -> list[dict[str, Any]]:
    """A log of manifests: each relay run numbers those of a grant from 1; runs may alternate."""
    numbers: dict[tuple[str, str], int] = {}
    log = []
    for _ in range(draw(st.integers(1, 40))):
        run = (draw(st.sampled_from("ab")), draw(st.sampled_from("gh")))
        numbers[run] = numbers.get(run, 0) + 1
        longest = draw(st.integers(-1, 120_000_000))
        log.append(
            {
                "worker": run[0], "grant": run[1], "sequence": numbers[run], "resource": "r", "department": "d",
                "records": draw(st.integers(1, 500)), "bytes": draw(st.integers(1, 99_999)), "latency_max_us": longest,
                "latency_min_us": draw(st.integers(0, longest)) if longest >= 0 else -1,
                "delivered_at": BEGIN + timedelta(seconds=draw(st.integers(0, 7_200))),
            }
        )  # fmt: skip
    return log


@given(logs(), st.lists(st.tuples(st.integers(1, 20), st.integers(0, 20)), max_size=5))
def test_what_is_read_again_counts_once(log: list[dict[str, Any]], deaths: list[tuple[int, int]]) -> None:
    once, again = sums_of(log), Sums()
    place = 0
    for ahead, back in deaths:  # it reads ahead, dies, and begins anew where it last said that it was
        for manifest in log[place : place + ahead]:
            again.deliver(manifest)
        place = max(0, min(place + ahead, len(log)) - back)
    for manifest in log[place:]:
        again.deliver(manifest)
    assert (again.windows, again.spans, again.counted) == (once.windows, once.spans, once.counted)


@given(logs())
def test_a_day_is_the_sum_of_its_hours_and_minutes(log: list[dict[str, Any]]) -> None:
    sums = sums_of(log)
    for kind in (Granularity.HOUR, Granularity.MINUTE):
        added: dict[tuple[str, int], Figures] = {}
        for window, figures in sums.windows.items():
            if window.granularity is kind:
                day = starts(datetime.fromtimestamp(window.start, UTC))[Granularity.DAY]
                added.setdefault((window.grant, day), Figures()).add(figures)
        days = {(w.grant, w.start): one for w, one in sums.windows.items() if w.granularity is Granularity.DAY}
        assert added == days
    assert sum(span.records for span in sums.spans.values()) == sum(one["records"] for one in log)


@given(st.lists(st.lists(st.sampled_from(["answered", "denied", "limited", "unavailable"]), max_size=5), max_size=9))
def test_calls_count_once_too(told: list[list[str]]) -> None:
    accounts = [
        {
            "worker": "w", "grant": "g", "sequence": number, "resource": "r", "department": "d",
            "calls": [
                {"at": BEGIN, "outcome": one, "rows": one == "answered", "bytes": 7, "took_us": 11} for one in calls
            ],
        }
        for number, calls in enumerate(told)
    ]  # fmt: skip
    sums = Sums()
    assert [sums.call(one) for one in (*accounts, *accounts)] == [True] * len(told) + [False] * len(told)
    assert not sums.call({"worker": "w", "grant": None, "sequence": 99, "calls": []}), "a call without a grant"
    outcomes = [one for calls in told for one in calls]
    answered, days = outcomes.count("answered"), [w for w in sums.windows if w.granularity is Granularity.DAY]
    total = sums.windows[days[0]] if days else Figures()
    assert total == Figures(
        calls=len(outcomes), rows=answered, refused=len(outcomes) - answered, bytes=7 * len(outcomes),
        call_sum_us=11 * len(outcomes), call_max_us=11 if outcomes else 0,
    )  # fmt: skip


def test_a_day_begins_at_midnight_of_the_place() -> None:
    before, after = (starts(BEGIN + timedelta(minutes=minutes))[Granularity.DAY] for minutes in (59, 60))
    assert after - before == 86_400
    assert datetime.fromtimestamp(after, UTC) == BEGIN + timedelta(hours=1)
    assert Window("g", Granularity.DAY, before) < Window("g", Granularity.DAY, after)
