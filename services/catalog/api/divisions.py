"""Administrative divisions (行政区划, GB/T 2260) with their history: what a code meant on a day, and what it is now."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.dialects.postgresql import insert

from services.catalog import store
from services.catalog.api.forms import DivisionCode
from services.catalog.catalogue import Catalogue, missing
from services.catalog.domain.division import defects
from services.catalog.publication import DIVISIONS, code_lists
from services.core.calendar import today
from services.core.divisions import Divisions as History
from services.core.divisions import Span
from services.core.forms import Name, Strict
from services.core.idempotency import IdempotentRoute
from services.core.identity import Administrator, Anyone
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import refuse
from services.core.words import Words


class DivisionForm(Strict):
    """A division in a span of time: `valid_to` is the first day on which it is no more, `successor` what it became."""

    code: DivisionCode
    name: Name
    parent: DivisionCode | None = None
    valid_from: date
    valid_to: date | None = None
    successor: DivisionCode | None = None


class Divisions(Strict):
    divisions: Annotated[list[DivisionForm], Field(min_length=1, max_length=5_000)]


At = Annotated[date | None, Query(description="As it was on this day; today without it.")]


def _valid(day: date) -> ColumnElement[bool]:
    return and_(store.Division.valid_from <= day, or_(store.Division.valid_to.is_(None), store.Division.valid_to > day))


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(prefix="/divisions", tags=["divisions"], route_class=IdempotentRoute)

    @routes.get("")
    def list_divisions(
        viewer: Anyone,
        at: At = None,
        parent: Annotated[DivisionCode | None, Query(description="Only those right below it.")] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[DivisionForm]:
        """The divisions there are on a day."""
        query = select(store.Division).where(_valid(at or today()))
        if parent is not None:
            query = query.where(store.Division.parent == parent)
        with catalogue.session() as session:
            rows, following = page(session, query, [store.Division.code], limit, cursor)
            return Page(items=[DivisionForm.model_validate(row) for row in rows], next=following)

    @routes.get("/{code}")
    def read_division(code: str, viewer: Anyone) -> list[DivisionForm]:
        """All that a code has stood for, the oldest first."""
        with catalogue.session() as session:
            query = select(store.Division).where(store.Division.code == code).order_by(store.Division.valid_from)
            found = [DivisionForm.model_validate(row) for row in session.scalars(query)]
        if not found:
            raise missing("division", code)
        return found

    @routes.get("/{code}/current")
    def current_division(code: str, viewer: Anyone, at: At = None) -> DivisionForm:
        """The division that now is where `code` once was: the code at issue is followed to its last successor."""
        with catalogue.session() as session:
            spans = [_span(row) for row in session.scalars(select(store.Division))]
        found = History(spans).now(code, at or today())
        if found is None:
            raise missing("division", code)
        return DivisionForm.model_validate(found)

    @routes.post("", status_code=201)
    def enter_divisions(form: Divisions, viewer: Administrator) -> Divisions:
        """Enter divisions, or put right what is there under the same code and first day; all of them or none."""
        with catalogue.session() as session, session.begin():
            kept = {
                (row.code, row.valid_from): _span(row)
                for row in session.scalars(select(store.Division).with_for_update())
            }
            entered = [Span(**one.model_dump()) for one in form.divisions]
            kept |= {(span.code, span.valid_from): span for span in entered}
            title = Words("The divisions are not valid", "行政区划无效")
            refuse("divisions-invalid", title, defects(entered, list(kept.values())))
            for one in form.divisions:
                row = insert(store.Division).values(one.model_dump())
                changed = {name: row.excluded[name] for name in ("name", "parent", "valid_to", "successor")}
                session.execute(row.on_conflict_do_update(index_elements=["code", "valid_from"], set_=changed))
                facts = {name: str(value or "") for name, value in one.model_dump(exclude={"code"}).items()}
                catalogue.publisher.happened(session, "division_entered", one.code, "", viewer.name, facts)
            catalogue.publisher.code_list(session, DIVISIONS, code_lists(session)[DIVISIONS])
        return form

    return routes


def _span(row: store.Division) -> Span:
    return Span(**DivisionForm.model_validate(row).model_dump())
