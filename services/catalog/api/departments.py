"""Departments (部门), and who answers for each: responsible persons (责任人) and handlers (经办人) over time."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import Field
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.catalog import store
from services.catalog.api.forms import DivisionCode
from services.catalog.catalogue import Catalogue, missing, need, taken
from services.catalog.domain.resource import slug_defect
from services.catalog.publication import restate
from services.core.calendar import today
from services.core.conditional import IfMatch, etag, require_match
from services.core.defects import Defect
from services.core.forms import Name, Slug, Strict
from services.core.idempotency import IdempotentRoute
from services.core.identifiers import IdentifierError, check_uscc
from services.core.identity import Administrator, Anyone, Insider, Provider
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem, refuse
from services.core.words import Words

Uscc = Annotated[str, Field(max_length=40, examples=["11110000000000123P"])]


class DepartmentForm(Strict):
    slug: Slug
    uscc: Uscc
    name: Name
    name_en: Name
    division: DivisionCode | None = None


class DepartmentChange(Strict):
    name: Name
    name_en: Name
    division: DivisionCode | None = None


class AppointmentForm(Strict):
    """Somebody who takes over a role from a day on; whoever had it until then hands over all open work."""

    role: Literal["responsible", "handler"]
    name: Name
    post: Name | None = None
    phone: Annotated[str, Field(max_length=40, pattern=r"^[0-9+ -]+$", examples=["0513-12345678"])] | None = None
    since: date | None = None


class AppointmentOut(Strict):
    id: uuid.UUID
    role: str
    name: str
    post: str | None
    phone: str | None
    since: date
    until: date | None


def _uscc_defects(code: str) -> list[Defect]:
    try:
        check_uscc(code)
    except IdentifierError as error:
        return [Defect("/uscc", Words(str(error), f"统一社会信用代码无效：{error}"))]
    return []


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(prefix="/departments", tags=["departments"], route_class=IdempotentRoute)

    def division_defects(session: Session, code: str | None) -> list[Defect]:
        if code is None or session.scalars(select(store.Division.code).where(store.Division.code == code)).first():
            return []
        return [Defect("/division", Words(f"there is no division {code!r}", f"没有行政区划“{code}”"))]

    @routes.post("", status_code=201)
    def register_department(form: DepartmentForm, viewer: Administrator, response: Response) -> DepartmentForm:
        """Register a department; its unified social credit code is checked (GB 32100-2015)."""
        title = Words("The department is not valid", "部门信息无效")
        refuse("uscc-invalid", title, _uscc_defects(form.uscc))
        try:
            with catalogue.session() as session, session.begin():
                refuse("department-invalid", title, slug_defect("/slug", form.slug))
                refuse("department-invalid", title, division_defects(session, form.division))
                session.add(store.Department(**form.model_dump()))
                session.flush()
                facts = {name: value or "" for name, value in form.model_dump(exclude={"slug"}).items()}
                catalogue.publisher.happened(session, "department_registered", form.slug, form.slug, viewer.name, facts)
        except IntegrityError as error:
            raise taken("department", form.slug) from error
        response.headers["ETag"] = etag(1)
        return form

    @routes.get("")
    def list_departments(viewer: Anyone, limit: Limit = 100, cursor: Cursor = None) -> Page[DepartmentForm]:
        """All departments, by their short names."""
        with catalogue.session() as session:
            rows, following = page(session, select(store.Department), [store.Department.slug], limit, cursor)
            return Page(items=[DepartmentForm.model_validate(row) for row in rows], next=following)

    @routes.get("/{slug}")
    def read_department(slug: str, viewer: Anyone, response: Response) -> DepartmentForm:
        """One department."""
        with catalogue.session() as session:
            found = need(session, store.Department, slug, "department")
            response.headers["ETag"] = etag(found.revision)
            return DepartmentForm.model_validate(found)

    @routes.put("/{slug}")
    def change_department(
        slug: str, form: DepartmentChange, viewer: Administrator, response: Response, if_match: IfMatch = None
    ) -> DepartmentForm:
        """Rename or move a department; what it publishes is told to the others anew."""
        with catalogue.session() as session, session.begin():
            found = need(session, store.Department, slug, "department", lock=True)
            require_match(if_match, found.revision)
            title = Words("The department is not valid", "部门信息无效")
            refuse("department-invalid", title, division_defects(session, form.division))
            found.name, found.name_en, found.division = form.name, form.name_en, form.division
            found.revision += 1
            facts = {name: value or "" for name, value in form.model_dump().items()}
            catalogue.publisher.happened(session, "department_changed", slug, slug, viewer.name, facts)
            session.flush()
            codes = session.scalars(select(store.Resource.code).where(store.Resource.department == slug)).all()
            restate(catalogue, session, codes, "department_changed")
            response.headers["ETag"] = etag(found.revision)
            return DepartmentForm.model_validate(found)

    @routes.get("/{slug}/appointments")
    def list_appointments(slug: str, viewer: Insider) -> list[AppointmentOut]:
        """Who was and is the department's responsible person and handler; not for other departments."""
        if not (viewer.sees_all() or viewer.provides_for(slug)):
            raise missing("department", slug)
        with catalogue.session() as session:
            need(session, store.Department, slug, "department")
            query = select(store.Appointment).where(store.Appointment.department == slug)
            rows = session.scalars(query.order_by(store.Appointment.role, store.Appointment.since))
            return [AppointmentOut.model_validate(row) for row in rows]

    @routes.post("/{slug}/appointments", status_code=201)
    def appoint(slug: str, form: AppointmentForm, viewer: Provider) -> AppointmentOut:
        """Appoint a responsible person or handler; the one before goes out that day, and open work moves along."""
        if not viewer.provides_for(slug):
            raise missing("department", slug)
        since = form.since or today()
        with catalogue.session() as session, session.begin():
            # the lock on the department keeps two hand-overs from meeting
            need(session, store.Department, slug, "department", lock=True)
            current = session.scalars(
                select(store.Appointment).where(
                    store.Appointment.department == slug,
                    store.Appointment.role == form.role,
                    store.Appointment.until.is_(None),
                )
            ).one_or_none()
            _check_since(since, current)
            if current:
                current.until = since
                session.flush()
            made = store.Appointment(department=slug, **form.model_dump(exclude={"since"}), since=since)
            session.add(made)
            session.flush()
            moved = 0
            if current:
                work = update(store.Task).where(
                    store.Task.assignee == current.id, store.Task.closed_at.is_(None)
                ).values(assignee=made.id)  # fmt: skip
                moved = session.execute(work).rowcount  # type: ignore[attr-defined]
            facts = {
                "role": form.role,
                "appointment": str(made.id),
                "before": str(current.id) if current else "",
                "since": since.isoformat(),
                "tasks": str(moved),
            }
            catalogue.publisher.happened(session, "handed_over", slug, slug, viewer.name, facts)
            return AppointmentOut.model_validate(made)

    return routes


def _check_since(since: date, current: store.Appointment | None) -> None:
    detail = None
    if since > today():
        detail = Words("lies in the future: hand over on the day", "不能晚于今天，请在交接当日登记")
    elif current and since < current.since:
        detail = Words(
            f"lies before the present one's beginning, {current.since}", f"不能早于现任的起始日 {current.since}"
        )
    if detail:
        title = Words("The hand-over is not valid", "交接无效")
        raise Problem(422, "appointment-invalid", title, detail, errors=[{"pointer": "/since", "detail": detail}])
