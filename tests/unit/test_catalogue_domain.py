"""The catalogue's rules as such: clocks, divisions, codes, versions, differences, quality rules, encodings."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta

import chinese_calendar
import fastavro
import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog import tabular
from services.catalog.domain import coding
from services.catalog.domain.contract import Bump, change, next_version, schema_of
from services.catalog.domain.difference import Kind, differences
from services.catalog.domain.lifecycle import TRANSITIONS, Action, State, actions
from services.catalog.domain.lists import compared
from services.catalog.domain.resource import (
    Grade,
    Item,
    ItemType,
    Rule,
    RuleKind,
    Sensitivity,
    SharingType,
    Terms,
    UpdateCycle,
    publication_defects,
    terms_of,
)
from services.core import quality
from services.core.avro import incompatibilities
from services.core.calendar import Calendar, CalendarUnknown, due, working_days_after
from services.core.divisions import Divisions, Span

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)


# -- clocks ----------------------------------------------------------------------------------------------------------


def test_make_up_days_count_and_holidays_do_not() -> None:
    # National Day 2025: 1 to 8 October off, Sunday 28 September and Saturday 11 October worked
    assert working_days_after(date(2025, 9, 26), 1, Calendar()) == date(2025, 9, 28)
    assert working_days_after(date(2025, 9, 30), 1, Calendar()) == date(2025, 10, 9)
    assert working_days_after(date(2025, 10, 10), 1, Calendar()) == date(2025, 10, 11)
    assert working_days_after(date(2025, 10, 10), 0, Calendar()) == date(2025, 10, 10)


@given(
    start=st.dates(date(2020, 1, 1), date(2024, 12, 31)),
    days=st.integers(0, 60),
    entered=st.dictionaries(st.dates(date(2020, 1, 1), date(2025, 12, 31)), st.booleans(), max_size=30),
)
def test_a_clock_ends_on_a_working_day_with_as_many_behind_it_as_it_runs(
    start: date, days: int, entered: dict[date, bool]
) -> None:
    calendar = Calendar(entered)
    end = working_days_after(start, days, calendar)
    between = [start + timedelta(days=one) for one in range(1, (end - start).days + 1)]
    worked = [day for day in between if entered.get(day, chinese_calendar.is_workday(day))]
    assert len(worked) == days and (days == 0 or worked[-1] == end)


def test_a_year_that_is_not_announced_is_said_to_be_unknown_and_the_date_provisional() -> None:
    start = date(2098, 12, 31)
    with pytest.raises(CalendarUnknown, match="2099"):
        working_days_after(start, 1, Calendar())
    assert due(start, 3, Calendar()) == (date(2099, 1, 5), True)
    assert due(start, 1, Calendar({date(2099, 1, 1): True})) == (date(2099, 1, 1), False)


# -- divisions -------------------------------------------------------------------------------------------------------


def span(code: str, begun: int, ended: int | None = None, successor: str | None = None) -> Span:
    end = date(ended, 1, 1) if ended else None
    return Span(code=code, name=code, parent=None, valid_from=date(begun, 1, 1), valid_to=end, successor=successor)


def test_successors_are_followed_and_circles_end() -> None:
    spans = [span("A", 1990, 2000, "B"), span("B", 2000, 2010, "C"), span("C", 2010), span("D", 1990, 2000)]
    there = Divisions(spans)
    assert [found.code if (found := there.now(code, date(2020, 1, 1))) else None for code in "ABCDE"] == [
        "C", "C", "C", None, None,
    ]  # fmt: skip
    assert (there.now("A", date(2005, 1, 1)) or spans[0]).code == "B"
    circle = [span("A", 1990, 2000, "B"), span("B", 1995, 2001, "A")]
    assert Divisions(circle).now("A", date(2020, 1, 1)) is None
    back = [span("A", 1990, 2000, "B"), span("B", 2000, 2010, "A"), span("A", 2010)]
    assert Divisions(back).now("A", date(2020, 1, 1)) == back[2]


# -- the life cycle --------------------------------------------------------------------------------------------------


def test_the_table_leaves_no_state_without_a_way_on_and_reaches_all() -> None:
    seen, waiting = {(State.DRAFT, False)}, [(State.DRAFT, False)]
    while waiting:
        state, live = waiting.pop()
        assert actions(state, live)
        for step in TRANSITIONS.values():
            after = (step.target, step.live_after)
            if (step.source, step.live) == (state, live) and after not in seen:
                seen.add(after)
                waiting.append(after)
    assert {state for state, _ in seen} == set(State)
    assert {step.action for step in TRANSITIONS.values()} == set(Action)
    assert all((step.source, step.live) in seen for step in TRANSITIONS.values())
    assert all(step.live == step.live_after for step in TRANSITIONS.values()
               if step.action not in (Action.APPROVE, Action.WITHDRAW))  # fmt: skip


# -- contracts and differences ---------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
ITEMS = st.builds(
    Item,
    name=NAMES,
    title=st.sampled_from(["甲", "乙"]),
    type=st.sampled_from(ItemType),
    column=NAMES,
    nullable=st.booleans(),
    length=st.sampled_from([None, 10]),
    sensitivity=st.sampled_from(Sensitivity),
)
TERMS = st.builds(
    Terms,
    code=st.just("thing"),
    title=st.sampled_from(["名", "名称"]),
    abstract=st.just("摘要"),
    department=st.just("d"),
    sharing_type=st.just(SharingType.UNCONDITIONAL),
    grade=st.sampled_from(Grade),
    update_cycle=st.sampled_from(UpdateCycle),
    items=st.lists(ITEMS, max_size=4, unique_by=lambda item: item.name).map(tuple),
    category=st.sampled_from([None, "101"]),
    related=st.lists(NAMES, max_size=2).map(tuple),
    rules=st.lists(
        st.builds(Rule, id=NAMES, kind=st.just(RuleKind.REQUIRED), items=st.just(("a",))),
        max_size=2,
        unique_by=lambda rule: rule.id,
    ).map(tuple),
)


@given(TERMS, TERMS)
def test_what_is_not_called_breaking_can_be_read_by_the_old_and_the_new_readers(before: Terms, after: Terms) -> None:
    found = change(before, after)
    old, new = schema_of(before), schema_of(after)
    if found.bump is not Bump.MAJOR:
        assert incompatibilities(reader=old, writer=new) == []
        assert incompatibilities(reader=new, writer=old) == []
        assert {item.name for item in before.items} <= {item.name for item in after.items}
    assert bool(found.reasons) == (found.bump is not Bump.PATCH)
    fastavro.parse_schema(new)


def test_what_would_break_a_reader_is_called_breaking() -> None:
    key = Item(name="id", title="号", type=ItemType.STRING, column="id", key=True, nullable=False)
    other = Item(name="x", title="项", type=ItemType.STRING, column="x")
    base = Terms(
        code="thing", title="名", abstract="摘要", department="d", sharing_type=SharingType.UNCONDITIONAL,
        grade=Grade.GENERAL, update_cycle=UpdateCycle.DAILY, items=(key, other),
    )  # fmt: skip
    for items in (
        (key,),
        (key, replace(other, type=ItemType.INTEGER)),
        (key, replace(other, nullable=False)),
        (replace(key, nullable=True), other),
        (key, replace(other, key=True)),
        (key, other, replace(other, name="y", nullable=False)),
    ):
        assert change(base, replace(base, items=items)).bump is Bump.MAJOR
    assert next_version("1.2.3", Bump.MAJOR) == "2.0.0"
    assert next_version("1.2.3", Bump.MINOR) == "1.3.0"
    assert next_version("1.2.3", Bump.PATCH) == "1.2.4"
    assert next_version(None, Bump.PATCH) == "1.0.0"


@given(TERMS, TERMS)
def test_differences_are_empty_for_equal_terms_only_and_go_both_ways(before: Terms, after: Terms) -> None:
    found = differences(before, after)
    assert (found == []) == (before == after)
    pointers = {one.pointer for one in found}
    assert pointers == {one.pointer for one in differences(after, before)}
    opposite = {Kind.ADDED: Kind.REMOVED, Kind.REMOVED: Kind.ADDED, Kind.CHANGED: Kind.CHANGED}
    assert {(one.pointer, one.kind) for one in found} == {
        (one.pointer, opposite[one.kind]) for one in differences(after, before)
    }
    assert all(one.words and one.words.zh != str(one.words) for one in found)


@pytest.mark.parametrize(
    ("terms", "pointer"),
    [
        ({"grade": Grade.CORE}, "/grade"),
        ({"classified": True}, "/classified"),
        ({"sharing_type": SharingType.CONDITIONAL}, "/sharing_conditions"),
        ({"sharing_type": SharingType.NOT_SHARED}, "/legal_basis"),
        ({"sharing_conditions": "须审批"}, "/sharing_conditions"),
        ({"grade": Grade.IMPORTANT}, "/sharing_type"),
        ({"sharing_channels": ()}, "/sharing_channels"),
        ({"items": ()}, "/items"),
        ({"title": " "}, "/title"),
    ],
    ids=str,
)
def test_what_may_not_be_published_says_where(terms: dict[str, object], pointer: str) -> None:
    key = Item(name="id", title="号", type=ItemType.STRING, column="id", key=True, nullable=False)
    base = Terms(
        code="thing", title="名", abstract="摘要", department="d", sharing_type=SharingType.UNCONDITIONAL,
        grade=Grade.GENERAL, update_cycle=UpdateCycle.DAILY, items=(key,),
    )  # fmt: skip
    assert publication_defects(base) == []
    assert pointer in {defect.pointer for defect in publication_defects(replace(base, **terms))}  # type: ignore[arg-type]


def test_schemes_give_codes_and_number_apart_what_has_no_place_in_them() -> None:
    subject = coding.Subject(("1", "101"), "11110000000000123P", "320600")
    codes = {name: one.code(coding.prefix_of(one, subject), 7) for name, one in coding.SCHEMES.items()}
    assert codes == {
        "national": "101/000007", "divisional": "320600-101-00007", "departmental": "11110000000000123P/000007",
    }  # fmt: skip
    nowhere = coding.Subject((), "11110000000000123P", None)
    assert coding.prefix_of(coding.SCHEMES["national"], nowhere) == "000"


# -- quality rules ---------------------------------------------------------------------------------------------------

TYPES = {"text": "string", "number": "integer", "money": "decimal", "day": "date", "at": "timestamp", "yes": "boolean"}


def broken(kind: str, items: list[str], parameters: dict[str, object], *rows: dict[str, object]) -> list[int]:
    """The places of the rows that one rule finds fault with."""
    rule = {"id": "r", "kind": kind, "items": items, "parameters": json.dumps(parameters), "severity": "error"}
    checker = quality.compile_rules([rule], TYPES, {"sexes": {"1", "2"}})
    full = [{name: quality.value_of(TYPES[name], row.get(name)) for name in TYPES} for row in rows]
    return [place for place, row in enumerate(full) if checker.check(row, NOW)]


def test_each_kind_of_rule_finds_what_it_is_for_and_lets_missing_values_be() -> None:
    assert broken("required", ["text"], {}, {"text": "a"}, {"text": ""}, {}) == [1, 2]
    assert broken("pattern", ["text"], {"pattern": "[0-9]{3}"}, {"text": "123"}, {"text": "1234"}, {}) == [1]
    assert broken("range", ["money"], {"min": "0.10"}, {"money": "0.1"}, {"money": "0.09"}, {}) == [1]
    assert broken("range", ["day"], {"max": "2026-01-01"}, {"day": "2026-01-01"}, {"day": "2026-01-02"}) == [1]
    assert broken("enumeration", ["number"], {"values": [1, 2]}, {"number": 1}, {"number": 3}, {}) == [1]
    assert broken("code_list", ["text"], {"list": "sexes"}, {"text": "1"}, {"text": "3"}) == [1]
    valid, wrong = "11110000000000123P", "11110000000000123X"
    assert broken("check_digit", ["text"], {"scheme": "uscc"}, {"text": valid}, {"text": wrong}) == [1]
    assert broken(
        "unique", ["text", "number"], {}, *({"text": "a", "number": n} for n in (1, 2, 1)), {"text": "a"}
    ) == [2]
    assert broken(
        "compare", ["number", "money"], {"operator": "<"}, {"number": 1, "money": 2}, {"number": 2, "money": 2}
    ) == [1]
    fresh, stale = "2026-06-30T11:59:00Z", "2026-06-30T10:00:00Z"
    assert broken("freshness", ["at"], {"max_age_seconds": 3600}, {"at": fresh}, {"at": stale}, {}) == [1]
    # only who knows both resources can tell
    agreeing = {"resource": "other", "items": ["id", "born"]}
    assert broken("consistent", ["text", "day"], agreeing, {"text": "a", "day": "2026-01-01"}, {}) == []
    assert broken("required", ["text"], {"when": "number > 5"}, {"number": 6}, {"number": 5}, {}) == [0]


@pytest.mark.parametrize(
    ("kind", "items", "parameters"),
    [
        ("pattern", ["text"], {"pattern": "(a"}),
        ("pattern", ["text"], {"pattern": "(?=a)"}),
        ("pattern", ["text"], {"pattern": "a" * 501}),
        ("pattern", ["number"], {"pattern": "a"}),
        ("pattern", ["text"], {}),
        ("pattern", ["text", "number"], {"pattern": "a"}),
        ("range", ["money"], {}),
        ("range", ["money"], {"min": 2, "max": 1}),
        ("range", ["money"], {"min": "NaN"}),
        ("range", ["text"], {"min": 1}),
        ("range", ["at"], {"min": "2026-01-01T00:00:00"}),
        ("enumeration", ["number"], {"values": [True]}),
        ("enumeration", ["text"], {"values": []}),
        ("code_list", ["text"], {"list": "none"}),
        ("check_digit", ["text"], {"scheme": "isbn"}),
        ("compare", ["text", "number"], {"operator": "="}),
        ("compare", ["yes", "yes"], {"operator": "<"}),
        ("freshness", ["at"], {"max_age_seconds": 0}),
        ("consistent", ["text"], {"resource": "other", "items": ["text"]}),
        ("consistent", ["text", "day"], {"resource": "other", "items": ["text"]}),
        ("consistent", ["text", "day"], {"resource": "other", "items": ["text", 1]}),
        ("consistent", ["text", "day"], {"items": ["text", "day"]}),
        ("required", ["nothing"], {}),
        ("required", [], {}),
        ("required", ["text"], {"more": 1}),
        ("required", ["text"], {"when": "nothing = 1"}),
        ("magic", ["text"], {}),
    ],
)
def test_a_rule_that_cannot_be_says_why(kind: str, items: list[str], parameters: dict[str, object]) -> None:
    with pytest.raises(quality.RuleError) as told:
        broken(kind, items, parameters)
    assert told.value.words and told.value.words.zh != str(told.value.words)


def test_no_pattern_takes_long() -> None:
    begun = datetime.now(UTC)
    assert broken("pattern", ["text"], {"pattern": "(a+)+b"}, {"text": "a" * 50_000}) == [0]
    assert datetime.now(UTC) - begun < timedelta(seconds=2)


# -- files -----------------------------------------------------------------------------------------------------------

CHINESE = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=1, max_size=20)
LINES = st.lists(CHINESE | st.text("abc,1", max_size=10), min_size=1, max_size=8)


@given(LINES, st.sampled_from(["utf-8", "utf-8-sig", "gbk"]))
def test_files_in_utf8_and_in_gbk_say_the_same(lines: list[str], encoding: str) -> None:
    text = "\n".join(lines)
    assert tabular.decode(text.encode(encoding)) == text


@given(CHINESE, CHINESE, st.booleans(), st.lists(st.just("ascii"), max_size=5))
def test_a_file_that_is_both_is_refused_where_it_changes(
    first: str, second: str, gbk_first: bool, between: list[str]
) -> None:
    one, other = ("gbk", "utf-8") if gbk_first else ("utf-8", "gbk")
    data = b"\n".join([first.encode(one), *(line.encode() for line in between), second.encode(other)])
    if any(may_be_both(text, encoding) for text, encoding in ((first, one), (second, other))):
        return
    with pytest.raises(tabular.Unreadable) as told:
        tabular.decode(data)
    assert told.value.line == len(between) + 2


def may_be_both(text: str, encoding: str) -> bool:
    """Whether the bytes of a GBK text happen to be UTF-8 as well."""
    try:
        text.encode(encoding).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return encoding == "gbk"


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20).map(str.strip)
FORMULAS = st.sampled_from(["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "'=x", "'"])


@given(st.lists(st.lists(CELLS | FORMULAS, min_size=3, max_size=3), min_size=1, max_size=5))
def test_nothing_that_is_written_is_a_formula_and_all_of_it_is_read_again(rows: list[list[str]]) -> None:
    rows = [["x", *row] for row in rows]
    as_csv = tabular.write_csv(rows)
    assert tabular.read(as_csv) == ("csv", rows)
    for line in csv.reader(io.StringIO(as_csv.decode("utf-8-sig"), newline="")):
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in line)
    as_excel = tabular.write_excel("x", [(row, set()) for row in rows])
    assert tabular.read(as_excel) == ("xlsx", rows)
    sheet = openpyxl.load_workbook(io.BytesIO(as_excel)).worksheets[0]
    assert all(cell.data_type in ("s", "n", "inlineStr") for row in sheet.iter_rows() for cell in row)


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda data: b"PK\x03\x04" + data))
def test_any_bytes_are_a_table_or_are_refused_in_words(data: bytes) -> None:
    try:
        _, table = tabular.read(data)
    except tabular.Unreadable as error:
        assert error.words and error.words.zh
    else:
        assert all(isinstance(cell, str) for row in table for cell in row)


def test_names_are_compared_without_width_case_space_and_punctuation() -> None:
    assert compared("户籍 地址（ＡＢ）") == compared("户籍地址(ab)") == "户籍地址ab"


def test_terms_are_kept_as_they_are() -> None:
    key = Item(name="id", title="号", type=ItemType.STRING, column="id", key=True, nullable=False)
    base = Terms(
        code="thing", title="名", abstract="摘要", department="d", sharing_type=SharingType.UNCONDITIONAL,
        grade=Grade.GENERAL, update_cycle=UpdateCycle.DAILY, items=(key,),
    )  # fmt: skip
    assert terms_of(json.loads(json.dumps(asdict(base)))) == base
