"""What is out of the ordinary becomes an alert, once, with its evidence; what is ordinary does not."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from services.audit.domain.warning import Thresholds
from services.audit.events import Publisher
from services.audit.index import advance, locked
from services.audit.store import Cursor, Entry, Matter
from services.audit.watch import Watch
from services.core.db import sessions

PLACE = ZoneInfo("Asia/Shanghai")
# a Tuesday, at ten in the morning of the place
NOON = datetime(2026, 6, 30, 2, tzinfo=UTC)


@dataclass(slots=True)
class Desk:
    engine: Engine
    watch: Watch
    written: list[dict[str, Any]] = field(default_factory=list)

    def write(self, kind: str, subject: str, at: datetime = NOON, **more: Any) -> int:
        number = len(self.written)
        row = {
            "sequence": number, "type": f"cn.tongshu.{kind}.v1", "topic": "catalog.events", "partition": 0,
            "offset": number, "subject": subject, "thread": subject, "occurred_at": at, "recorded_at": at,
            "digest": b"", "actor": "", "department": "d", "trace": "", "outcome": "done", "records": 0, **more,
        }  # fmt: skip
        self.written.append(row)
        return number

    def alerts(self) -> list[tuple[str, list[int]]]:
        with Session(self.engine) as session, session.begin():
            locked(session, "entries")
            there = session.scalar(select(Cursor.next).where(Cursor.name == "entries")) or 0
            if fresh := self.written[there:]:
                session.execute(insert(Entry), fresh)
            advance(session, "entries", len(self.written))
        while self.watch.step():
            pass
        with Session(self.engine) as session:
            rows = session.scalars(select(Matter).order_by(Matter.id))
            return [(str(one.rule), one.evidence) for one in rows]


@pytest.fixture
def desk(engine: Engine, publisher: Publisher) -> Desk:
    with Session(engine) as session, session.begin():
        for table in (Matter, Entry, Cursor):
            session.execute(delete(table))
    rules = Thresholds(volume_least=1_000, silent_least=100, denials=3)
    return Desk(engine, Watch(sessions(engine), publisher, PLACE, threading.Event(), rules))


def test_a_quiet_day_gives_no_alert(desk: Desk) -> None:
    for hour in range(8):
        desk.write("sync.delivered", "g", NOON + timedelta(hours=hour - 24), records=900)
    desk.write("catalog.resource_submitted", "r", actor="a1")
    desk.write("catalog.resource_published", "r", actor="a2")
    desk.write("catalog.access_denied", "x", actor="a1", outcome="denied")
    assert desk.alerts() == []


def test_far_more_than_usual_is_told_once_an_hour(desk: Desk) -> None:
    for day in range(1, 8):
        desk.write("sync.delivered", "g", NOON - timedelta(days=day), records=500)
    assert desk.alerts() == []
    first = desk.write("sync.delivered", "g", records=60_000)
    assert desk.alerts() == [("volume", [first])]
    desk.write("sync.delivered", "g", NOON + timedelta(minutes=5), records=60_000)
    assert desk.alerts() == [("volume", [first])]


def test_a_silent_grant_that_is_suddenly_large(desk: Desk) -> None:
    desk.write("sync.delivered", "g", NOON - timedelta(days=20), records=5)
    sudden = desk.write("sync.delivered", "g", records=100)
    desk.write("sync.delivered", "new", records=5_000)
    assert desk.alerts() == [("silent-grant", [sudden])]


def test_a_spike_of_denials(desk: Desk) -> None:
    numbers = [desk.write("catalog.access_denied", "x", actor="a1", outcome="denied") for _ in range(3)]
    desk.write("catalog.access_denied", "x", actor="a2", outcome="denied")
    assert desk.alerts() == [("denials", numbers)]


def test_work_at_night_or_on_a_weekend(desk: Desk) -> None:
    night = desk.write("catalog.department_changed", "d", NOON + timedelta(hours=13), actor="a1")
    sunday = desk.write("catalog.department_changed", "d", NOON - timedelta(days=2), actor="a1")
    desk.write("sync.delivered", "g", NOON + timedelta(hours=13), records=5)
    assert desk.alerts() == [("hours", [night]), ("hours", [sunday])]


def test_one_person_on_both_sides(desk: Desk) -> None:
    desk.write("catalog.resource_submitted", "other", actor="a2")
    desk.write("catalog.resource_submitted", "other", actor="a1")
    desk.write("catalog.resource_published", "other", actor="a2")
    asked = desk.write("catalog.resource_submitted", "r", actor="a1")
    decided = desk.write("catalog.resource_published", "r", actor="a1")
    assert desk.alerts() == [("both-sides", [asked, decided])]
