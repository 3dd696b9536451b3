"""What may differ by place, as data: lengths of clocks, own working days, the code scheme, words of its own."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field
from sqlalchemy import select

from services.catalog import search, store
from services.catalog.catalogue import Catalogue, calendar, need
from services.catalog.domain import coding
from services.core.calendar import due, today
from services.core.conditional import IfMatch, etag, require_match
from services.core.defects import Defect
from services.core.forms import Name, Strict, Text
from services.core.idempotency import IdempotentRoute
from services.core.identity import Administrator, Anyone
from services.core.problems import refuse
from services.core.words import Words


class ClockForm(Strict):
    working_days: Annotated[int, Field(ge=0, le=250)]
    source: Text


class ClockOut(ClockForm):
    clock: str


class DayForm(Strict):
    working: bool
    name: Name | None = None


class DayOut(DayForm):
    day: date


class DueOut(Strict):
    """When a clock that begins on `start` runs out; provisional while it reaches a year not yet announced."""

    start: date
    working_days: int
    due_on: date
    provisional: bool


class SchemeForm(Strict):
    value: Annotated[Literal["national", "divisional", "departmental"], Field(examples=["national"])]


_NO_WORD = Words("a word is 2 to 24 Chinese signs, or letters and digits", "须为 2 至 24 个连续的汉字，或字母数字")


class WordsForm(Strict):
    words: Annotated[list[Name], Field(min_length=1, max_length=100, examples=[["苏服办"]])]


class WordsOut(Strict):
    items: list[str]


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(prefix="/place", tags=["place"], route_class=IdempotentRoute)

    @routes.get("/clocks")
    def list_clocks(viewer: Anyone) -> list[ClockOut]:
        """How many working days each clock of the catalogue runs here."""
        with catalogue.session() as session:
            query = select(store.ClockLength).order_by(store.ClockLength.clock)
            return [ClockOut.model_validate(row) for row in session.scalars(query)]

    @routes.get("/clocks/{clock}")
    def read_clock(clock: str, viewer: Anyone, response: Response) -> ClockOut:
        """One clock."""
        with catalogue.session() as session:
            found = need(session, store.ClockLength, clock, "clock")
            response.headers["ETag"] = etag(found.revision)
            return ClockOut.model_validate(found)

    @routes.put("/clocks/{clock}")
    def set_clock(
        clock: str, form: ClockForm, viewer: Administrator, response: Response, if_match: IfMatch = None
    ) -> ClockOut:
        """Give a clock another length, for what begins from now on."""
        with catalogue.session() as session, session.begin():
            found = need(session, store.ClockLength, clock, "clock", lock=True)
            require_match(if_match, found.revision)
            found.working_days, found.source, found.revision = form.working_days, form.source, found.revision + 1
            facts = {"working_days": str(form.working_days), "source": form.source}
            catalogue.publisher.happened(session, "clock_set", clock, "", viewer.name, facts)
            response.headers["ETag"] = etag(found.revision)
            return ClockOut.model_validate(found)

    @routes.get("/calendar")
    def list_days(
        viewer: Anyone, since: Annotated[date | None, Query()] = None, until: Annotated[date | None, Query()] = None
    ) -> list[DayOut]:
        """The first 1,000 days that the place has entered itself; all others are as the national calendar says."""
        query = select(store.CalendarDay).order_by(store.CalendarDay.day).limit(1_000)
        if since is not None:
            query = query.where(store.CalendarDay.day >= since)
        if until is not None:
            query = query.where(store.CalendarDay.day < until)
        with catalogue.session() as session:
            return [DayOut.model_validate(row) for row in session.scalars(query)]

    @routes.get("/calendar/{day}")
    def read_day(day: date, viewer: Anyone, response: Response) -> DayOut:
        """A day that the place has entered itself."""
        with catalogue.session() as session:
            found = need(session, store.CalendarDay, day, "calendar-day")
            response.headers["ETag"] = etag(found.revision)
            return DayOut.model_validate(found)

    @routes.put("/calendar/{day}")
    def enter_day(
        day: date, form: DayForm, viewer: Administrator, response: Response, if_match: IfMatch = None
    ) -> DayOut:
        """Say of a day whether it is a working day here; open clocks are reckoned anew."""
        with catalogue.session() as session, session.begin():
            found = session.get(store.CalendarDay, day, with_for_update=True)
            if found is None:
                found = store.CalendarDay(day=day, revision=1, **form.model_dump())
                session.add(found)
            else:
                require_match(if_match, found.revision)
                found.working, found.name, found.revision = form.working, form.name, found.revision + 1
            session.flush()
            own = calendar(session)
            lengths = {row.clock: row.working_days for row in session.scalars(select(store.ClockLength))}
            for task in session.scalars(select(store.Task).where(store.Task.closed_at.is_(None)).with_for_update()):
                task.due_on, task.provisional = due(task.started_on, lengths[task.clock], own)
            facts = {"working": str(form.working).lower()}
            catalogue.publisher.happened(session, "calendar_day_entered", day.isoformat(), "", viewer.name, facts)
            response.headers["ETag"] = etag(found.revision)
            return DayOut.model_validate(found)

    @routes.get("/due")
    def read_due(
        viewer: Anyone,
        working_days: Annotated[int, Query(ge=0, le=250)],
        start: Annotated[date | None, Query(ge=date(2004, 1, 1), le=date(2100, 1, 1))] = None,
    ) -> DueOut:
        """When a clock of so many working days runs out here."""
        begun = start or today()
        with catalogue.session() as session:
            due_on, provisional = due(begun, working_days, calendar(session))
        return DueOut(start=begun, working_days=working_days, due_on=due_on, provisional=provisional)

    @routes.get("/code-scheme")
    def read_scheme(viewer: Anyone, response: Response) -> SchemeForm:
        """The scheme that gives new resources their catalogue codes."""
        with catalogue.session() as session:
            found = session.get(store.Policy, "code_scheme")
        response.headers["ETag"] = etag(found.revision if found else 0)
        return SchemeForm.model_validate({"value": found.value if found else coding.DEFAULT_SCHEME})

    @routes.put("/code-scheme")
    def choose_scheme(
        form: SchemeForm, viewer: Administrator, response: Response, if_match: IfMatch = None
    ) -> SchemeForm:
        """Choose the scheme for resources from now on; codes that were given stay."""
        with catalogue.session() as session, session.begin():
            found = session.get(store.Policy, "code_scheme", with_for_update=True)
            require_match(if_match, found.revision if found else 0)
            if found is None:
                found = store.Policy(name="code_scheme", value=form.value, revision=1)
                session.add(found)
            else:
                found.value, found.revision = form.value, found.revision + 1
            session.flush()
            catalogue.publisher.happened(session, "code_scheme_chosen", form.value, "", viewer.name, {})
            response.headers["ETag"] = etag(found.revision)
            return form

    @routes.get("/words")
    def list_words(viewer: Anyone) -> WordsOut:
        """Words of the place that the search keeps whole though no general dictionary knows them."""
        with catalogue.session() as session:
            return WordsOut(items=search.own_words(session))

    @routes.post("/words")
    def add_words(form: WordsForm, viewer: Administrator) -> WordsOut:
        """Add words; what holds them is found by them at once."""
        wrong = [index for index, word in enumerate(form.words) if not search.is_word(word)]
        title = Words("These cannot all be words", "部分内容不能作为词语")
        refuse("words-invalid", title, [Defect(f"/words/{index}", _NO_WORD) for index in wrong])
        with catalogue.session() as session, session.begin():
            for word in form.words:
                catalogue.publisher.happened(session, "search_word_added", word, "", viewer.name, {})
            search.add_words(session, form.words)
            return WordsOut(items=search.own_words(session))

    return routes
