"""The mount wizard's mapping: whatever the names, it proposes no column twice and never chooses by chance."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.domain.mapping import Confidence, Proposal, Reason, propose
from services.catalog.domain.mount import Column, item_type_of
from services.catalog.domain.resource import Item, ItemType

TITLES = ("姓名", "性别", "出生日期", "公民身份号码", "户籍地址", "信息名称", "婚姻状况", "name")
NAMES = ("name", "xm", "xingming", "sex", "xb", "xing_bie", "XingMing", "CSRQ", "birth_date", "a", "b", "_")
TYPES = ("text", "character varying", "bigint", "numeric", "date", "jsonb")


def columns() -> st.SearchStrategy[list[Column]]:
    one = st.builds(
        Column,
        name=st.sampled_from(NAMES),
        type=st.sampled_from(TYPES),
        nullable=st.booleans(),
        comment=st.none() | st.sampled_from([*TITLES, "姓名：登记时的", "姓名拼音", ""]),
    )
    return st.lists(one, max_size=8, unique_by=lambda column: column.name)


def items() -> st.SearchStrategy[list[Item]]:
    one = st.builds(
        Item,
        name=st.sampled_from(NAMES),
        title=st.sampled_from(TITLES),
        type=st.sampled_from(ItemType),
        column=st.sampled_from(NAMES),
        key=st.booleans(),
    )
    return st.lists(one, max_size=8, unique_by=lambda item: item.name)


@given(items(), columns(), st.sets(st.sampled_from(NAMES), max_size=2), st.randoms(use_true_random=False))
def test_a_proposal_is_one_column_for_one_item_in_whatever_order_they_come(
    wanted: list[Item], there: list[Column], key: set[str], random: object
) -> None:
    found = propose(wanted, there, key)
    assert [one.item for one in found] == [item.name for item in wanted]
    given_away = [one.column for one in found if one.column is not None]
    assert len(set(given_away)) == len(given_away)
    assert set(given_away) <= {column.name for column in there}
    by_name = {column.name: column for column in there}
    for item, one in zip(wanted, found, strict=True):
        assert (one.column is None) == (one.reason is None) == (one.confidence is None)
        if one.column and one.confidence is not Confidence.CERTAIN:
            assert item_type_of(by_name[one.column].type) is item.type
    random.shuffle(wanted), random.shuffle(there)  # type: ignore[attr-defined]
    assert {one.item: one for one in propose(wanted, there, key)} == {one.item: one for one in found}


@given(items(), columns())
def test_an_item_that_is_the_only_one_to_name_a_column_gets_it(wanted: list[Item], there: list[Column]) -> None:
    named = [item.column for item in wanted]
    for item, one in zip(wanted, propose(wanted, there, ()), strict=True):
        if item.column in {column.name for column in there} and named.count(item.column) == 1:
            assert one == Proposal(item.name, item.column, Reason.DECLARED)


ITEM = Item(name="full_name", title="姓名", type=ItemType.STRING, column="full_name")


@pytest.mark.parametrize(
    ("column", "comment", "reason"),
    [
        ("full_name", None, Reason.DECLARED),
        ("c1", "姓名", Reason.COMMENT),
        ("c1", "姓名：登记时的姓名", Reason.COMMENT),
        ("FullName", None, Reason.SPELLING),
        ("xing_ming", None, Reason.PINYIN),
        ("XM", None, Reason.INITIALS),
        ("c1", "姓名拼音", Reason.TYPE),
        ("c1", None, Reason.TYPE),
    ],
)
def test_why_a_column_is_proposed(column: str, comment: str | None, reason: Reason) -> None:
    number = Column(name="n", type="bigint", nullable=True, comment="姓名")
    there = [number, Column(name=column, type="text", nullable=True, comment=comment)]
    assert propose([ITEM], there, ()) == [Proposal("full_name", column, reason)]


def test_of_two_that_are_as_good_neither_is_proposed() -> None:
    there = [Column(name=name, type="text", nullable=True, comment="姓名") for name in ("a", "b")]
    assert propose([ITEM], there, ()) == [Proposal("full_name", None, None)]
    two = [ITEM, replace(ITEM, name="other", column="other")]
    assert [one.column for one in propose(two, there[:1], ())] == [None, None]
