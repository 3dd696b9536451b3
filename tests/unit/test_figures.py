"""Figures, objections, feedback and the bulletin: what they say of cases that can be reckoned by hand."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.core.calendar import PLACE
from services.demand.bulletin import bulletin
from services.demand.domain import feedback, objection
from services.demand.domain.assessment import DayUse, PeriodUnknown, assess, period_of, total
from services.demand.domain.norms import NORMS, Feedback, MinuteLevel, Silence, Weights, value_of
from services.demand.domain.objection import Claim, Outcome

DAY = datetime(2026, 11, 3, 9, tzinfo=PLACE)
NOVEMBER = period_of("2026-11")


def event(kind: str, thread: str, at: datetime, subject: str = "", department: str = "taker", **data: str) -> Any:
    return {
        "type": f"cn.tongshu.demand.{kind}.v1", "subject": subject or thread, "thread": thread,
        "department": department, "occurred_at": at, "data": data,
    }  # fmt: skip


def opened(grant: str, thread: str, at: datetime) -> Any:
    return event("grant_opened", thread, at, grant, resource="r", provider="giver", valid_from=at.isoformat())


STORY = [
    # satisfied at once, and good
    event("demand_submitted", "t1", DAY, supplier="giver"),
    event("demand_approved", "t1", DAY, supplier="giver"),
    opened("g1", "t1", DAY),
    # answered late, and its first record came late
    event("demand_submitted", "t2", DAY, supplier="giver"),
    event("clock_breached", "t2", DAY + timedelta(days=14), clock="reply"),
    event("demand_approved", "t2", DAY + timedelta(days=15), supplier="giver"),
    opened("g2", "t2", DAY + timedelta(days=15)),
    # looked at again, and decided again in time
    event("demand_reopened", "t2", DAY + timedelta(days=16), supplier="giver"),
    event("demand_approved", "t2", DAY + timedelta(days=17), supplier="giver"),
    # refused in time
    event("demand_submitted", "t3", DAY, supplier="giver"),
    event("demand_refused", "t3", DAY, supplier="giver"),
    # withdrawn: counts nowhere
    event("demand_submitted", "t4", DAY, supplier="giver"),
    event("demand_withdrawn", "t4", DAY, supplier="giver"),
    event("objection_raised", "t1", DAY, "o1", resource="r", provider="giver"),
    event("objection_refused", "t1", DAY, "o1", resource="r", provider="giver", in_time="false"),
    event("objection_overdue", "t1", DAY, "o3", resource="r", provider="giver"),
    event("objection_accepted", "t1", DAY, "o3", resource="r", provider="giver", in_time="false"),
    event("objection_closed", "t1", DAY, "o2", resource="r", provider="giver", in_time="true"),
    event("feedback_given", "t1", DAY, "g1", resource="r", score="4"),
    event("feedback_given", "t1", datetime(2026, 12, 1, tzinfo=PLACE), "g1", resource="r", score="1"),
]
USES = [
    DayUse("g1", "taker", DAY.replace(hour=0), 99, 1, 10, 10),
    DayUse("g2", "taker", DAY.replace(day=20, hour=0), 1, 0, 1, 0),
    DayUse("g1", "taker", datetime(2026, 12, 1, tzinfo=PLACE), 1_000, 0, 0, 0),
]
FIRSTS = {"g1": DAY + timedelta(seconds=2), "g2": DAY + timedelta(days=16)}


def test_a_month_is_reckoned_as_by_hand() -> None:
    found = assess(STORY, USES, FIRSTS, NOVEMBER, MinuteLevel())
    giver, taker = found["giver"], found["taker"]
    rates = {name: (rate.part, rate.whole) for name, rate in giver.rates.items()}
    assert rates == {
        "on_demand": (2, 3),  # t1 and t2 of t1, t2, t3
        "minute_level": (1, 2),
        "timeliness": (10, 11),
        "answers": (3, 6),  # t1, t3 and t2 the second time in time; t2 the first time and two objections late
        "quality": (99, 101),  # 100 records, one of them wrong; one in quarantine
        "use": (2, 2),
        "satisfaction": (3, 4),
    }
    assert (giver.provided, taker.received, taker.feedback, giver.objections) == (100, 100, 1, 1)
    expected = 25 * 2 / 3 + 15 / 2 + 20 * 3 / 6 + 20 * 99 / 101 + 10 + 10 * 3 / 4
    assert giver.score(Weights()) == round(expected, 1)
    assert taker.score(Weights()) is None
    assert total(found).provided == 100


def test_periods_are_the_place_s_own() -> None:
    assert period_of("2026-Q4").begin == datetime(2026, 10, 1, tzinfo=PLACE)
    assert period_of("2026-Q4").end == period_of("2026").end == period_of("2026-12").end
    assert not NOVEMBER.holds(datetime(2026, 10, 31, 15, 59, tzinfo=UTC))
    assert NOVEMBER.holds(datetime(2026, 10, 31, 16, 0, tzinfo=UTC))
    for wrong in ("2026-13", "2026-Q5", "26", "2026-1"):
        with pytest.raises(PeriodUnknown):
            period_of(wrong)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_bulletin_is_one_page_of_well_formed_plots(language: str) -> None:
    found = assess(STORY, USES, FIRSTS, NOVEMBER, MinuteLevel())
    daily = [(date(2026, 11, 1) + timedelta(days=n), n * 10) for n in range(30)]
    page = bulletin(NOVEMBER, found, daily, {"giver": "<b>公安局</b>"}, Weights(), language, DAY)
    assert "&lt;b&gt;公安局" in page and "<b>" not in page
    assert ("按需共享率" in page) == (language == "zh")
    plots = page.split("<svg")[1:]
    assert len(plots) == 2
    for plot in plots:
        ET.fromstring("<svg" + plot.split("</svg>")[0] + "</svg>")
    assert "src=" not in page and "@import" not in page and "url(" not in page
    assert bulletin(NOVEMBER, {}, [], {}, Weights(), language, DAY).count("<svg") == 0


CLAIMS = [Claim("name", "甲", "乙"), Claim("age", "3", None)]


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        (None, Outcome.REMOVED),
        ({"name": "甲", "age": 3}, None),
        ({"name": "乙", "age": 3}, None),
        ({"name": "乙", "age": None}, Outcome.AS_ASKED),
        ({"name": "丙", "age": 4}, Outcome.OTHERWISE),
    ],
)
def test_a_correction_changes_all_that_is_in_question(row: dict[str, Any] | None, outcome: Outcome | None) -> None:
    assert objection.judge(CLAIMS, row) is outcome


def test_values_are_compared_as_they_are_written() -> None:
    moment = datetime(2026, 1, 1, 8, tzinfo=PLACE)
    row = {"d": date(2026, 1, 1), "t": moment, "n": Decimal("10.50"), "b": True, "i": 7, "x": None, "s": "字"}
    assert objection.texts_of(row) == {
        "d": "2026-01-01", "t": "2026-01-01T00:00:00+00:00", "n": "10.50", "b": "true", "i": "7", "x": None, "s": "字",
    }  # fmt: skip


def test_a_reference_stands_for_a_record_and_tells_nothing_of_it() -> None:
    one = objection.reference(b"k", "r", {"a": "1", "b": "2"})
    assert one == objection.reference(b"k", "r", {"b": "2", "a": "1"})
    assert one not in (objection.reference(b"q", "r", {"a": "1", "b": "2"}), objection.reference(b"k", "r", {"a": "1"}))


def test_feedback_is_due_by_records_or_by_days() -> None:
    norm = Feedback(records=100, days=30)
    assert not feedback.is_due(99, DAY, DAY + timedelta(days=29), norm)
    assert feedback.is_due(100, DAY, DAY, norm)
    assert feedback.is_due(1, DAY, DAY + timedelta(days=30), norm)
    assert not feedback.is_due(0, DAY, DAY + timedelta(days=300), norm)


def test_norms_have_defaults_and_refuse_nonsense() -> None:
    assert all(value_of(name, None) == kind() for name, kind in NORMS.items())
    assert Silence().hours("once") == Silence().yearly
    for name, wrong in (("feedback", {"records": 0}), ("weights", {"use": -1}), ("silence", {"fortnightly": 3})):
        with pytest.raises(ValueError):
            value_of(name, wrong)
