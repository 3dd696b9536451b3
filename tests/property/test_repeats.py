"""What a connector says twice is known again, and nothing that is new is ever taken for a repetition."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.sync.relay.repeats import Mark, later, parse

Change = dict[str, Any]


@st.composite
def logs(draw: st.DrawFn) -> list[Change]:
    """The changes of a partition as the source's log has them: transactions in commit order, key changes within."""
    changes: list[Change] = []
    before, lsn, at_us = 0, 1, 1_700_000_000_000_000
    for _ in range(draw(st.integers(1, 6))):
        # a transaction that began before the commit of the one before it holds lower positions than that commit
        lsn = max(1, lsn - draw(st.integers(0, 30)))
        at_us += draw(st.integers(0, 3))
        for _ in range(draw(st.integers(1, 5))):
            lsn += draw(st.integers(1, 9))
            for op in draw(st.sampled_from([("c",), ("u",), ("d",), ("d", "c")])):
                sequence = json.dumps([str(before) if before else None, str(lsn)])
                changes.append({"op": op, "source": {"sequence": sequence, "ts_us": at_us}})
        before = max(before, lsn) + 1
        lsn = before
    return changes


@st.composite
def sayings(draw: st.DrawFn) -> tuple[list[Change], list[Change]]:
    """A log, and what a connector makes of it that is restarted now and then and begins again at an earlier place."""
    log = draw(logs())
    said: list[Change] = []
    done = 0
    while done < len(log):
        begin = draw(st.integers(max(0, done - 7), done))
        done = draw(st.integers(done + 1, len(log)))
        said += log[begin:done]
    return log, said


@given(sayings(), st.data())
def test_each_change_counts_once_and_in_order(case: tuple[list[Change], list[Change]], data: st.DataObject) -> None:
    log, said = case
    mark, taken = Mark(), []
    for change in said:
        if data.draw(st.booleans()):  # the relay is restarted, and knows what was committed with its offsets
            mark = parse(mark.text())
        after = later(mark, change)
        if after is not None:
            mark = after
            taken.append(id(change))
    assert taken == [id(change) for change in log]


@given(logs(), logs())
def test_a_restored_source_loses_nothing(before: list[Change], after: list[Change]) -> None:
    """Its log may count from anywhere, but its clock goes on."""
    mark = Mark()
    for change in before:
        mark = later(mark, change) or mark
    for change in after:
        change["source"]["ts_us"] += 3_600_000_000
        renewed = later(mark, change)
        assert renewed is not None
        mark = renewed


@given(logs())
def test_rows_of_a_snapshot_are_never_repetitions(log: list[Change]) -> None:
    mark = Mark()
    for change in log:
        mark = later(mark, change) or mark
    for change in log:
        assert later(mark, {**change, "op": "r"}) == mark
        assert later(mark, {"op": change["op"], "source": {}}) == mark


def test_metadata_of_somebody_else_is_no_mark() -> None:
    assert parse(None) == parse("") == parse("moved by hand") == Mark()
