"""Information systems (信息系统): where data comes from."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from services.catalog import store
from services.catalog.api.forms import Name, Note, Slug, Strict
from services.catalog.catalogue import Catalogue, need, taken
from services.catalog.source import SourceDatabase, SourceUnreachable
from services.core import identity
from services.core.conditional import IfMatch, etag, require_match
from services.core.idempotency import IdempotentRoute
from services.core.identity import Anyone, Provider
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem
from services.core.words import Words

Level = Annotated[int, Field(ge=1, le=5, description="Protection level (等保), GB/T 22239.")]


class SystemForm(Strict):
    code: Slug
    department: Slug
    name: Name
    host: Name
    port: Annotated[int, Field(ge=1, le=65_535)]
    database: Name
    username: Name
    password: Name
    description: Note | None = None
    protection_level: Level | None = None


class SystemOut(Strict):
    code: str
    department: str
    name: str
    host: str
    port: int
    database: str
    description: str | None
    protection_level: int | None


class SystemChange(Strict):
    name: Name
    description: Note | None = None
    protection_level: Level | None = None


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(prefix="/systems", tags=["systems"], route_class=IdempotentRoute)

    @routes.post("", status_code=201)
    def register_system(form: SystemForm, viewer: Provider, request: Request, response: Response) -> SystemOut:
        """Register an information system; its database is logged in to before anything is kept."""
        if not viewer.provides_for(form.department):
            why = Words("You register systems of your own department only.", "只能登记本部门的信息系统。")
            raise identity.refuse(request, viewer, why)
        with catalogue.session() as session:
            need(session, store.Department, form.department, "department")
        source = SourceDatabase(**form.model_dump(include={"host", "port", "database", "username", "password"}))
        try:
            source.check()
        except SourceUnreachable as error:
            detail = Words(str(error), f"无法连接：{error}")
            title = Words("The database cannot be reached", "数据库无法连接")
            raise Problem(422, "source-unreachable", title, detail) from error
        sealed = catalogue.vault.encrypt(form.password.encode())
        try:
            with catalogue.session() as session, session.begin():
                kept = store.InformationSystem(**form.model_dump(exclude={"password"}), password=sealed)
                session.add(kept)
                session.flush()
                shown = SystemOut.model_validate(kept)
                facts = {name: str(value or "") for name, value in shown.model_dump(exclude={"code"}).items()}
                catalogue.publisher.happened(
                    session, "system_registered", form.code, form.department, viewer.name, facts
                )
        except IntegrityError as error:
            raise taken("system", form.code) from error
        response.headers["ETag"] = etag(1)
        return shown

    @routes.get("")
    def list_systems(viewer: Anyone, limit: Limit = 100, cursor: Cursor = None) -> Page[SystemOut]:
        """All information systems; no login is shown to anybody."""
        with catalogue.session() as session:
            query = select(store.InformationSystem)
            rows, following = page(session, query, [store.InformationSystem.code], limit, cursor)
            return Page(items=[SystemOut.model_validate(row) for row in rows], next=following)

    @routes.get("/{code}")
    def read_system(code: str, viewer: Anyone, response: Response) -> SystemOut:
        """One information system."""
        with catalogue.session() as session:
            found = need(session, store.InformationSystem, code, "system")
            response.headers["ETag"] = etag(found.revision)
            return SystemOut.model_validate(found)

    @routes.put("/{code}")
    def change_system(
        code: str, form: SystemChange, viewer: Provider, request: Request, response: Response, if_match: IfMatch = None
    ) -> SystemOut:
        """Describe a system otherwise. Where its database is stays: another database is another system."""
        with catalogue.session() as session, session.begin():
            found = need(session, store.InformationSystem, code, "system", lock=True)
            if not viewer.provides_for(found.department):
                why = Words("You change systems of your own department only.", "只能修改本部门的信息系统。")
                raise identity.refuse(request, viewer, why)
            require_match(if_match, found.revision)
            for name, value in form.model_dump().items():
                setattr(found, name, value)
            found.revision += 1
            facts = {name: str(value or "") for name, value in form.model_dump().items()}
            catalogue.publisher.happened(session, "system_changed", code, found.department, viewer.name, facts)
            response.headers["ETag"] = etag(found.revision)
            return SystemOut.model_validate(found)

    return routes
