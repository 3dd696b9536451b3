"""File drops: whatever two states are, the changes between them turn one into the other; a file is read or told of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from services.catalog.domain.drop import Key, Row, changes, key_of, read
from services.catalog.domain.resource import Grade, Item, ItemType, SharingType, Terms, UpdateCycle

ZONE = ZoneInfo("Asia/Shanghai")
ITEMS = [
    Item(name="id", title="编号", type=ItemType.STRING, column="id", key=True, nullable=False),
    Item(name="part", title="分部", type=ItemType.INTEGER, column="part", key=True, nullable=False),
    Item(name="name", title="姓名", type=ItemType.STRING, column="name"),
    Item(name="paid", title="缴费", type=ItemType.DECIMAL, column="paid", length=8, scale=2),
    Item(name="share", title="占比", type=ItemType.DOUBLE, column="share"),
    Item(name="live", title="有效", type=ItemType.BOOLEAN, column="live", nullable=False),
    Item(name="born", title="出生日期", type=ItemType.DATE, column="born"),
    Item(name="seen", title="时间", type=ItemType.TIMESTAMP, column="seen"),
]
TERMS = Terms(
    code="people", title="人口", abstract="人口基本信息", department="d", items=ITEMS,
    sharing_type=SharingType.UNCONDITIONAL, grade=Grade.GENERAL, update_cycle=UpdateCycle.REAL_TIME,
)  # fmt: skip
text = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=8).filter(str.strip)
rows = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b", "c"]),
        "part": st.sampled_from([1, 2]),
        "name": st.none() | text,
        "paid": st.none() | st.decimals(-999_999, 999_999, places=2),
        "share": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "live": st.booleans(),
        "born": st.none() | st.dates(),
        "seen": st.none() | st.datetimes(timezones=st.just(UTC)),
    }
)
states = st.lists(rows, max_size=6).map(lambda found: {key_of(TERMS, row): row for row in found})


def applied(held: Mapping[Key, Row], found: list[Any]) -> dict[Key, Row]:
    """What somebody holds who held `held` and is told the changes; they must say the truth about what was before."""
    rows = dict(held)
    for change in found:
        key = key_of(TERMS, change.after or change.before)
        assert rows.get(key) == change.before and change.before != change.after
        assert (
            change.op
            == {(False, True): "c", (True, True): "u", (True, False): "d"}[
                change.before is not None, change.after is not None
            ]
        )
        if change.after is None:
            del rows[key]
        else:
            rows[key] = change.after
    return rows


@given(states, states)
def test_changes_turn_one_state_into_the_other(held: dict[Key, Row], wanted: dict[Key, Row]) -> None:
    assert applied(held, changes(held, wanted, full=True)) == wanted
    assert applied(held, changes(held, wanted, full=False)) == {**held, **wanted}
    assert changes(wanted, wanted, full=True) == []


def cell(value: Any) -> str:
    if isinstance(value, bool):
        return "是" if value else "否"
    return "" if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)


@given(states, st.permutations(ITEMS), st.booleans())
def test_a_file_is_read_as_it_was_written(state: dict[Key, Row], order: list[Item], by_title: bool) -> None:
    table = [[item.title if by_title else item.name for item in order], [" "] * 3]
    table += [[cell(row[item.name]) for item in order] for row in state.values()]
    found, faults = read(TERMS, table, ZONE)
    assert list(found.values()) == list(state.values())
    assert [fault.pointer for fault in faults] == ([] if state else ["/1"])


WRONG = {
    "part": ["", "1.5", "x", str(2**63), "1_0", "٣"],
    "paid": ["1e9", "0.001", "1234567", "x", "NaN", "1_0.0"],
    "share": ["x", "1e999", "nan", "inf"],
    "live": ["", "maybe"],
    "born": ["2026-02-30", "x", "2026"],
    "seen": ["yesterday", "2026-01-01T25:00"],
    "id": ["", "   "],
}


@given(st.dictionaries(st.sampled_from(sorted(WRONG)), st.integers(0, 9), min_size=1))
def test_everything_wrong_with_a_row_is_told_at_once(spoiled: dict[str, int]) -> None:
    good = {"id": "a", "part": "1", "name": "", "paid": "1.1000", "share": "2e3", "live": "true", "born": "2026/01/31",
            "seen": "2026-01-01 08:00:00"}  # fmt: skip
    bad = good | {name: WRONG[name][which % len(WRONG[name])] for name, which in spoiled.items()}
    header = list(good)
    found, faults = read(TERMS, [header, list(good.values()), list(bad.values())], ZONE)
    same_key = [] if {"id", "part"} & spoiled.keys() else ["/3"]
    assert sorted(fault.pointer for fault in faults) == sorted([f"/3/{name}" for name in spoiled] + same_key)
    assert found[2]["seen"].isoformat() == "2026-01-01T00:00:00+00:00"
    assert (str(found[2]["paid"]), found[2]["born"]) == ("1.10", date(2026, 1, 31))
    assert not any(bad[name] and bad[name] in str(fault.words) for fault in faults for name in ("born", "seen"))


def test_a_header_that_is_not_the_resources_is_told_whole() -> None:
    header = ["编号", "part", "姓名", "name", "别的", "缴费", "占比", "有效", "出生日期"]
    _, faults = read(TERMS, [header, ["a", "1", "", "", "", "", "", "是", "", "more"]], ZONE)
    assert [fault.pointer for fault in faults] == ["/1/name", "/1/别的", "/1/seen", "/2"]
    assert [fault.pointer for fault in read(TERMS, [], ZONE)[1]] == ["/1"]


def test_decimals_of_every_length_are_exact() -> None:
    long = replace(ITEMS[3], length=38, scale=10)
    told = {"1" * 28 + "." + "1" * 10: True, "0.00000000001": False, "1" * 29: False, "0e5": True, "1e27": True}
    told |= {"1" * 27 + ".12345678901": False, "0.0": True, "-0.10000000000": True}
    for text_, fits in told.items():
        terms = replace(TERMS, items=[ITEMS[0], long])
        found, faults = read(terms, [["id", "paid"], ["a", text_]], ZONE)
        assert ([fault.pointer for fault in faults] == []) == fits, text_
        assert not fits or (found[2]["paid"] == Decimal(text_) and found[2]["paid"].as_tuple().exponent == -10), text_
