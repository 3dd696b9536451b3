"""Demands as they are kept, day by day: warnings, breaches, urging, ends by the clock; old news and double news."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session, sessionmaker

from infra.embedded.scratch import scratch_database
from services.core.db import sessions
from services.core.following import keep_position, position
from services.core.identity import Role, Viewer
from services.core.problems import Problem
from services.demand import cases, registers, timekeeping
from services.demand import demand_store as store
from services.demand import store as grant_store
from services.demand.cases import Desk, Given
from services.demand.demands import Demands
from services.demand.domain.demand import ENDED, GRANTED, Action, State
from services.demand.events import Publisher
from services.demand.fulfilment import Fulfilment

# a Monday; no holiday for weeks after it
MONDAY = datetime(2026, 3, 2, 2, tzinfo=UTC)
APPLICANT = Viewer("申请人", frozenset({Role.CONSUMER}), "civil_affairs")
SUPPLIER = Viewer("审核人", frozenset({Role.PROVIDER}), "public_security")
AUTHORITY = Viewer("数据局", frozenset({Role.ADMINISTRATOR}))
RESOURCE: dict[str, Any] = {
    "code": "population", "department": "public_security", "grade": "general", "sharing_type": "conditional",
    "contract_version": "1.0.0", "regraded_at": None, "mount": None,
    "items": [{"name": "id", "type": "string", "sensitivity": "internal"}],
}  # fmt: skip


class Told(Publisher):
    """Keeps what was to be told, instead of a registry's schemas and an outbox."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def happened(self, session: Session, event: str, subject: str, *more: Any) -> None:
        self.events.append((event, subject))

    def matching(self, session: Session, demand: store.Demand, event: str) -> None:
        pass

    def grant(self, session: Session, grant: grant_store.Grant, event: str, *more: Any, provider: str = "") -> None:
        self.events.append((event, grant.id))


@dataclass(slots=True)
class Office:
    """The demand side without a broker: a database, resources that can be changed, and what was told."""

    session: sessionmaker[Session]
    resources: dict[str, Mapping[str, Any]] = field(default_factory=lambda: {"population": RESOURCE})
    told: Told = field(default_factory=Told)
    closed: list[str] = field(default_factory=list)

    @property
    def desk(self) -> Desk:
        return Desk(self.told, self.resources.get, lambda topic, department: self.closed.append(topic))

    @property
    def fulfilment(self) -> Fulfilment:
        class Side:
            session, publisher = self.session, self.told
            resources = self.resources
            broker = self

        return Fulfilment(cast(Demands, Side()), self.desk)

    def look(self, now: datetime, fulfilment: Fulfilment | None = None) -> None:
        """What the exchange does by itself at `now`; nothing of it may fail."""
        watching = fulfilment or self.fulfilment
        watching.look(now)
        watching.look_at_clocks(now)
        assert watching.failing is None

    def make_share_topic(self, topic: str) -> None:
        pass

    def open(self, topic: str, department: str) -> None:
        pass

    def drafts(self, now: datetime, **form: Any) -> str:
        values: dict[str, Any] = {
            "kind": "catalogued", "title": "核验", "resource": "population", "wanted": None, "items": ["id"],
            "masks": {}, "row_filter": None, "channels": ["topic"], "purpose": "核验", "scenario": None,
            "legal_basis": "某法", "frequency": "real_time", "until": None, "emergency": None, **form,
        }  # fmt: skip
        with self.session() as session, session.begin():
            made = cases.draft("civil_affairs", APPLICANT.name, now, values)
            session.add(made)
            return made.id

    def step(self, demand_id: str, viewer: Viewer, action: Action, now: datetime, **given: Any) -> None:
        with self.session() as session, session.begin():
            demand = session.get_one(store.Demand, demand_id, with_for_update=True)
            cases.take(self.desk, session, viewer, demand, action, Given(**given), now)

    def in_review(self, now: datetime, **form: Any) -> str:
        demand_id = self.drafts(now, **form)
        self.step(demand_id, APPLICANT, Action.SUBMIT, now)
        self.step(demand_id, AUTHORITY, Action.ACCEPT, now)
        return demand_id

    def read(self, demand_id: str) -> store.Demand:
        with self.session() as session:
            return session.get_one(store.Demand, demand_id)

    def clock(self, demand_id: str, name: str) -> store.DemandClock:
        query = select(store.DemandClock).where(store.DemandClock.demand == demand_id, store.DemandClock.clock == name)
        with self.session() as session:
            return session.scalars(query.order_by(store.DemandClock.opened_at.desc())).first() or pytest.fail(name)

    def marks(self, demand_id: str, clock: str) -> list[str]:
        query = select(store.ClockMark).where(store.ClockMark.clock == self.clock(demand_id, clock).id)
        with self.session() as session:
            return [
                one.what + (f" {one.detail}" if one.what == "urged" else "")
                for one in session.scalars(query.order_by(store.ClockMark.id))
            ]

    def notices(self, demand_id: str, kind: str) -> list[tuple[str, str]]:
        query = select(store.Notice).where(store.Notice.demand == demand_id, store.Notice.kind == kind)
        with self.session() as session:
            return [(one.department, one.role) for one in session.scalars(query.order_by(store.Notice.id))]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with scratch_database("demand") as engine:
        yield engine


@pytest.fixture
def office(engine: Engine) -> Office:
    made = Office(sessions(engine))
    with made.session() as session, session.begin():
        timekeeping.plant(session)
        session.query(store.CalendarDay).delete()
    return made


def day(offset: int) -> datetime:
    return MONDAY + timedelta(days=offset)


def test_a_late_supplier_is_warned_then_urged_higher_and_higher(office: Office) -> None:
    demand = office.in_review(MONDAY)
    assert office.clock(demand, "reply").due_on == date(2026, 3, 16)
    for offset in range(30):
        office.fulfilment.look_at_clocks(day(offset))
        office.fulfilment.look_at_clocks(day(offset))
    assert office.marks(demand, "reply") == [
        "started", "warned", "breached", "urged handler", "urged responsible", "urged superior",
    ]  # fmt: skip
    assert office.notices(demand, "clock_urged") == [
        ("public_security", "handler"), ("public_security", "responsible"), ("", "superior"),
    ]  # fmt: skip
    assert office.read(demand).overdue
    assert [event for event, subject in office.told.events if subject == demand and event.startswith("clock_")] == [
        "clock_warned", "clock_breached", "clock_urged", "clock_urged", "clock_urged",
    ]  # fmt: skip


def test_a_returned_demand_stops_its_clock_and_is_over_when_nobody_mends_it(office: Office) -> None:
    demand = office.in_review(MONDAY)
    defects = [{"pointer": "/purpose", "detail": "不明"}]
    office.step(demand, SUPPLIER, Action.RETURN, day(2), defects=defects)
    assert office.clock(demand, "reply").due_on is None
    mended = office.in_review(MONDAY)
    office.step(mended, SUPPLIER, Action.RETURN, day(2), defects=defects)
    office.step(mended, APPLICANT, Action.SUPPLEMENT, day(8))
    # two of ten days were used before the pause; eight more after Tuesday the 10th
    assert office.clock(mended, "reply").due_on == date(2026, 3, 20)
    for offset in range(2, 30):
        office.fulfilment.look_at_clocks(day(offset))
    assert office.read(demand).state == State.EXPIRED
    assert office.read(mended).state == State.IN_REVIEW
    assert office.clock(demand, "supplement").closed_at is not None


def test_an_emergency_whose_papers_never_come_ends_by_itself(office: Office) -> None:
    need = {"responsible": "周", "reason": "台风"}
    demand = office.drafts(MONDAY, emergency=need, until=day(200), legal_basis=None)
    office.step(demand, APPLICANT, Action.SUBMIT, MONDAY)
    fulfilment = office.fulfilment
    office.look(MONDAY, fulfilment)
    granted = office.read(demand)
    assert (granted.state, granted.papers) == ("provisioning", "due") and granted.grant is not None
    for offset in range(8):
        fulfilment.look_at_clocks(day(offset))
        assert office.read(demand).state == State.PROVISIONING
    fulfilment.look_at_clocks(day(8))
    assert office.read(demand).state == State.EXPIRED
    with office.session() as session:
        grant = session.get_one(grant_store.Grant, granted.grant)
    assert grant.state == "expired" and office.closed == [grant.topic]


def test_a_holiday_entered_later_moves_a_clock_and_takes_its_breach_back(office: Office) -> None:
    demand = office.in_review(MONDAY)
    for offset in (10, 14, 15):
        office.fulfilment.look_at_clocks(day(offset))
    assert office.read(demand).overdue and office.clock(demand, "reply").breached_on == date(2026, 3, 17)
    event = {"type": "cn.tongshu.catalog.calendar_day_entered.v1", "data": {"working": "false"}}
    with office.session() as session, session.begin():
        for entered in ("2026-03-12", "2026-03-13"):
            assert registers.keep(session, {**event, "subject": entered})
        session.flush()
        assert registers.move_clocks(session, office.told, day(15)) >= 1
    moved = office.clock(demand, "reply")
    assert (moved.due_on, moved.breached_on, moved.urged) == (date(2026, 3, 18), None, "nobody")
    assert not office.read(demand).overdue
    with office.session() as session, session.begin():
        assert registers.keep(session, {**event, "subject": "2026-03-12"}), "said again"
        session.flush()
        assert registers.move_clocks(session, office.told, day(15)) == 0, "what is said again changes nothing"
    office.fulfilment.look_at_clocks(day(17))
    assert office.clock(demand, "reply").breached_on == date(2026, 3, 19)


class Manifest:
    """A record of `sync.deliveries`, as far as its key goes."""

    def __init__(self, grant: str) -> None:
        self._key = grant.encode()

    def key(self) -> bytes:
        return self._key


def test_manifests_that_come_again_late_or_of_nobody_change_nothing(office: Office) -> None:
    demand = office.in_review(MONDAY)
    office.step(demand, SUPPLIER, Action.APPROVE, MONDAY)
    fulfilment = office.fulfilment
    office.look(MONDAY, fulfilment)
    grant = office.read(demand).grant or ""

    def delivered(*grants: str, by: Fulfilment = fulfilment) -> None:
        with office.session() as session, session.begin():
            by.delivered(session, cast(Any, [Manifest(one) for one in grants]))()

    delivered("nobody", grant, grant)
    assert office.read(demand).state == State.DELIVERING
    revision = office.read(demand).revision
    delivered(grant)
    delivered(grant, by=office.fulfilment)
    assert office.read(demand).revision == revision
    office.step(demand, APPLICANT, Action.CLOSE, MONDAY)
    delivered(grant, by=office.fulfilment)
    assert office.read(demand).state == State.CLOSED


def test_a_batch_that_failed_is_taken_again(office: Office) -> None:
    demand = office.in_review(MONDAY)
    office.step(demand, SUPPLIER, Action.APPROVE, MONDAY)
    fulfilment = office.fulfilment
    office.look(MONDAY, fulfilment)
    grant = office.read(demand).grant or ""
    with office.session() as session:
        fulfilment.delivered(session, cast(Any, [Manifest(grant)]))
        session.rollback()
    assert office.read(demand).state == State.PROVISIONING
    with office.session() as session, session.begin():
        fulfilment.delivered(session, cast(Any, [Manifest(grant)]))()
    assert office.read(demand).state == State.DELIVERING


def test_a_position_is_kept_with_what_was_read(office: Office) -> None:
    with office.session() as session:
        keep_position(session, store.positions, "some.topic", 0, 7)
        session.rollback()
        assert position(session, store.positions, "some.topic", 0) == 0
        keep_position(session, store.positions, "some.topic", 0, 7)
        keep_position(session, store.positions, "some.topic", 0, 9)
        session.commit()
        assert position(session, store.positions, "some.topic", 0) == 9


def test_a_contract_that_shrank_is_not_exceeded(office: Office) -> None:
    demand, approved = office.in_review(MONDAY), office.in_review(MONDAY)
    office.step(approved, SUPPLIER, Action.APPROVE, MONDAY)
    office.resources["population"] = {**RESOURCE, "items": [{**RESOURCE["items"][0], "name": "other"}]}
    with pytest.raises(Problem) as refused:
        office.step(demand, SUPPLIER, Action.APPROVE, MONDAY)
    assert (refused.value.status, refused.value.slug) == (409, "contract-exceeded")
    office.look(MONDAY)
    again = office.read(approved)
    assert (again.state, again.grant, again.approvals) == ("in_review", None, [])
    del office.resources["population"]
    with pytest.raises(Problem) as refused:
        office.step(demand, SUPPLIER, Action.APPROVE, MONDAY)
    assert (refused.value.status, refused.value.slug) == (409, "resource-withdrawn")
    office.look(MONDAY)
    assert {office.read(one).state for one in (demand, approved)} == {"accepted"}


def test_a_grade_that_rose_asks_for_a_second_person(office: Office) -> None:
    demand = office.in_review(MONDAY)
    office.resources["population"] = {**RESOURCE, "grade": "important"}
    with pytest.raises(Problem) as refused:
        office.step(demand, SUPPLIER, Action.APPROVE, MONDAY)
    assert (refused.value.status, refused.value.slug) == (409, "resource-regraded")
    office.look(MONDAY)
    office.step(demand, SUPPLIER, Action.APPROVE, MONDAY)
    with pytest.raises(Problem) as refused:
        office.step(demand, SUPPLIER, Action.APPROVE, MONDAY)
    assert refused.value.slug == "same-person"
    office.step(demand, AUTHORITY, Action.APPROVE, MONDAY)
    assert office.read(demand).state == State.APPROVED


STEPS = st.lists(st.tuples(st.integers(0, 200), st.sampled_from([0, 0, 0, 1, 2, 5, 12])), min_size=3, max_size=12)
GIVEN = {
    "reason": "理由", "legal_basis": "某法", "defects": [{"pointer": "/purpose", "detail": "不明"}], "rating": 4,
    "supplier": "public_security", "resource": "population", "items": ["id"],
}  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(grade=st.sampled_from(["general", "important"]), emergency=st.booleans(), steps=STEPS)
def test_whatever_is_done_what_is_kept_agrees(
    office: Office, grade: str, emergency: bool, steps: list[tuple[int, int]]
) -> None:
    """Any of the steps that one of the parties is offered, with days in between: the books agree after each."""
    office.resources["population"] = {**RESOURCE, "grade": grade}
    with office.session() as session, session.begin():
        # what other examples left would be looked after, too
        session.execute(text("truncate demand.demands, demand.grants cascade"))
        session.merge(store.DepartmentName(slug="public_security", name="公安局", name_en="Police"))
    more: dict[str, Any] = (
        {"emergency": {"responsible": "周", "reason": "台风"}, "until": day(400)} if emergency else {}
    )
    demand_id, now, fulfilment = office.drafts(MONDAY, **more), MONDAY, office.fulfilment
    for choice, days in steps:
        now += timedelta(days=days)
        kept = office.read(demand_id)
        offered = [(who, one) for who in (APPLICANT, SUPPLIER, AUTHORITY) for one in cases.open_to(who, kept)]
        if offered:
            try:
                office.step(demand_id, *offered[choice % len(offered)], now, **GIVEN)
            except Problem as refused:
                assert (refused.status in (403, 409, 422) and emergency) or grade == "important", refused
        office.look(now, fulfilment)
        require_agreement(office, demand_id)


def require_agreement(office: Office, demand_id: str) -> None:
    demand = office.read(demand_id)
    with office.session() as session:
        steps = session.scalars(select(store.Step).where(store.Step.demand == demand_id).order_by(store.Step.id)).all()
        clocks = session.scalars(select(store.DemandClock).where(store.DemandClock.demand == demand_id)).all()
        grants = session.scalars(select(grant_store.Grant).where(grant_store.Grant.thread == demand.thread)).all()
    at = State.DRAFT.value
    for one in steps:
        assert one.source == at
        at = one.target
    assert demand.state == at, "the steps lead to where the demand is"
    running = [one for one in clocks if one.closed_at is None]
    assert not (demand.state in ENDED and running), "nobody waits for what has ended"
    assert len({one.clock for one in running}) == len(running)
    assert demand.clock in {one.clock for one in running} | {None}
    active = [one.id for one in grants if one.state == "active"]
    assert active == ([demand.grant] if demand.state in GRANTED else []), "data flows exactly where it may"
    assert sum(one.action == "return" for one in steps) <= 1
