"""Information systems (信息系统): where data comes from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from services.catalog import store
from services.catalog.catalogue import Catalogue, database_of, need, taken, unreachable
from services.catalog.domain.mount import TableKind
from services.catalog.source import MAX_TABLES, SourceDatabase, SourceUnreachable
from services.core import identity
from services.core.conditional import IfMatch, etag, require_match
from services.core.defects import Defect
from services.core.forms import Name, Note, Slug, Strict
from services.core.idempotency import IdempotentRoute
from services.core.identity import Anyone, Provider
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem, refuse
from services.core.words import Words

# one machine, by name or address: no list of them, and no socket of our own machine
Host = Annotated[
    str, Field(max_length=200, pattern=r"^[A-Za-z0-9_:]([A-Za-z0-9._:-]*[A-Za-z0-9])?$", examples=["10.1.2.3"])
]
Level = Annotated[int, Field(ge=1, le=5, description="Protection level (等保), GB/T 22239.")]


class SystemForm(Strict):
    """A system, with the database that its tables are mounted from, or with nothing of a database at all."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"code": "population", "department": "public_security", "name": "人口信息管理系统", "host": "10.1.2.3",
                 "port": 5432, "database": "population", "username": "tongshu", "password": "…"},
                {"code": "archives", "department": "public_security", "name": "档案系统"},
            ]
        }
    )  # fmt: skip

    code: Slug
    department: Slug
    name: Name
    host: Host | None = None
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    database: Name | None = None
    username: Name | None = None
    password: Name | None = None
    description: Note | None = None
    protection_level: Level | None = None

    def source(self) -> SourceDatabase | None:
        """The database; None where nothing is said of one. Raises a 422 problem where only some of it is."""
        given = {"host": self.host, "port": self.port, "database": self.database, "username": self.username,
                 "password": self.password}  # fmt: skip
        missing = [name for name, value in given.items() if value is None]
        if len(missing) == len(given):
            return None
        detail = Words("Field required", "缺少必填项")
        title = Words("The request is not valid", "请求无效")
        refuse("invalid-request", title, [Defect(f"/{name}", detail) for name in missing])
        return SourceDatabase(**given)  # type: ignore[arg-type]


class SystemOut(Strict):
    code: str
    department: str
    name: str
    host: str | None
    port: int | None
    database: str | None
    description: str | None
    protection_level: int | None


class SystemChange(Strict):
    name: Name
    description: Note | None = None
    protection_level: Level | None = None


class TableOut(Strict):
    """A table or view of a system, as its database describes it; `rows` is the database's own estimate."""

    schema_name: Annotated[str, Field(alias="schema", examples=["population"])]
    table: Annotated[str, Field(examples=["person"])]
    kind: TableKind
    rows: int | None
    key: Annotated[list[str], Field(description="Columns of the primary key.", examples=[["id_number"]])]
    replica_identity: Annotated[str, Field(description="A mount needs `full`.", examples=["full"])]
    readable: Annotated[bool, Field(description="Whether the system's user may read all of it.")]
    comment: str | None


class TablesOut(Strict):
    """Tables by schema and name; `truncated` says that there are more: ask for a schema, or a part of the name."""

    tables: list[TableOut]
    truncated: bool


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(prefix="/systems", tags=["systems"], route_class=IdempotentRoute)

    @routes.post("", status_code=201)
    def register_system(form: SystemForm, viewer: Provider, request: Request, response: Response) -> SystemOut:
        """Register an information system; its database, if it has one, is logged in to before anything is kept.

        One that fills topics, sends files or answers over HTTP needs none.
        """
        if not viewer.provides_for(form.department):
            why = Words("You register systems of your own department only.", "只能登记本部门的信息系统。")
            raise identity.refuse(request, viewer, why)
        with catalogue.session() as session:
            need(session, store.Department, form.department, "department")
        source = form.source()
        try:
            if source is not None:
                source.check()
        except SourceUnreachable as error:
            detail = Words(str(error), f"无法连接：{error}")
            title = Words("The database cannot be reached", "数据库无法连接")
            raise Problem(422, "source-unreachable", title, detail) from error
        sealed = catalogue.vault.encrypt(form.password.encode()) if form.password is not None else None
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

    @routes.get("/{code}/tables")
    def list_tables(
        code: str,
        viewer: Provider,
        request: Request,
        schema: Annotated[str | None, Query(max_length=200, description="Only this schema.")] = None,
        name: Annotated[str | None, Query(max_length=200, description="A part of the table's name.")] = None,
    ) -> TablesOut:
        """The tables and views of a system that its user may see, to choose from when mounting; no row is read."""
        with catalogue.session() as session:
            system = need(session, store.InformationSystem, code, "system")
        if not viewer.provides_for(system.department):
            why = Words("You look into systems of your own department only.", "只能查看本部门的信息系统。")
            raise identity.refuse(request, viewer, why)
        if "\0" in f"{schema}{name}":
            return TablesOut(tables=[], truncated=False)
        try:
            with database_of(catalogue, system).reading() as reading:
                found = reading.tables(schema, name)
        except SourceUnreachable as error:
            raise unreachable(error) from error
        return TablesOut(
            tables=[TableOut(**{**asdict(one), "key": list(one.key)}) for one in found[:MAX_TABLES]],
            truncated=len(found) > MAX_TABLES,
        )

    return routes
