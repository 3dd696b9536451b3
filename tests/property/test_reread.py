"""Reading again: whatever a connector tells of this and of other readings, progress only grows and ends once."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.catalog.domain.reread import Reread, State, progress, record_of, reread_of

SINCE = datetime(2026, 11, 25, tzinfo=UTC)
ASKED = Reread(id="mine", since=SINCE, estimate=9_000, missed=True)
CHUNK = 2_048


def told(kind: str, asked: str = "mine", **data: str) -> dict[str, object]:
    return {"id": asked, "aggregate_type": "Incremental Snapshot", "type": kind, "additional_data": data}


@given(st.integers(0, 6), st.integers(0, 20_000), st.booleans(), st.data())
def test_progress_grows_chunk_by_chunk_to_the_exact_count(
    chunks: int, rows: int, ends: bool, data: st.DataObject
) -> None:
    mine = [told("STARTED"), *[told("IN_PROGRESS", last_processed_key="[x]")] * chunks]
    if ends:
        mine += [told("TABLE_SCAN_COMPLETED", total_rows_scanned=str(rows)), told("COMPLETED")]
    others = data.draw(st.lists(st.sampled_from(["STARTED", "IN_PROGRESS", "COMPLETED", "ABORTED"]), max_size=5))
    mixed = data.draw(st.permutations([told(kind, "another") for kind in others]))
    found = [progress(ASKED, [*mixed, *mine[:count]], CHUNK) for count in range(len(mine) + 1)]
    assert found[0] == ASKED
    assert [one.state for one in found[1:]] == [State.READING] * (len(mine) - ends) + [State.DONE] * ends
    assert [one.rows for one in found[1 : chunks + 2]] == [CHUNK * count for count in range(chunks + 1)]
    assert found[-1].rows == (rows if ends else CHUNK * chunks)
    assert reread_of(record_of(found[-1])) == found[-1] and found[-1].missed


def test_one_that_is_given_up_says_so() -> None:
    found = progress(ASKED, [told("STARTED"), told("ABORTED")], CHUNK)
    assert found.state is State.FAILED and not found.state.is_open
