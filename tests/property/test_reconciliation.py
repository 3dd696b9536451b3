"""Two sides of a reconciliation: what differs is found, whatever the rows are, and nothing else."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from services.sync.reconcile.states import Row, compare, ranges

keys = st.integers(0, 40).map(lambda number: sha256(b"%d" % number).digest()[:16])
rows = st.dictionaries(keys, st.none() | st.sampled_from([b"a", b"b", b"c"]).map(lambda text: Row(text, b"k" + text)))


@given(rows, rows)
def test_exactly_what_differs_is_named(source: dict[bytes, Row | None], target: dict[bytes, Row | None]) -> None:
    target = {key: row for key, row in target.items() if row is not None}
    found, unlike = compare(source, target)
    waiting = {key for key, row in source.items() if row is None}
    assert found.missing == set(source) - set(target) - waiting
    assert found.surplus == set(target) - set(source)
    assert found.differing == {
        key for key, row in source.items()
        if row is not None and (other := target.get(key)) is not None and other.digest != row.digest
    }  # fmt: skip
    assert {key[0] for key in (*found.missing, *found.surplus, *found.differing)} == set(unlike)
    assert bool(found) == bool(unlike)


@given(rows, st.randoms())
def test_the_order_of_rows_is_no_matter(source: dict[bytes, Row | None], random: object) -> None:
    shuffled = list(source.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert ranges(source, {}) == ranges(dict(shuffled), {})
