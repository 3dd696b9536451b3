"""The catalogue's API, `/api/catalog/v1`. All of it is the operator's, for now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Annotated

import structlog
from cryptography.fernet import Fernet
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.catalog import store
from services.catalog.connector import change_topic, connector_config, connector_name
from services.catalog.domain import resource as domain
from services.catalog.domain.mount import mount_defects
from services.catalog.events import Publisher
from services.catalog.source import SourceDatabase, SourceUnreachable, TableMissing
from services.core.connect import Connect, ConnectRefused
from services.core.identifiers import IdentifierError, check_uscc
from services.core.identity import Operator
from services.core.kafka import Topic
from services.core.problems import Problem
from services.core.settings import Settings

log = structlog.get_logger()

Text = Annotated[str, Field(min_length=1, max_length=2_000)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", from_attributes=True)


class DepartmentIn(Strict):
    slug: str
    uscc: str
    name: Text
    name_en: Text


class SystemIn(Strict):
    code: str
    department: str
    name: Text
    host: Text
    port: Annotated[int, Field(ge=1, le=65_535)]
    database: Text
    username: Text
    password: Text


class SystemOut(Strict):
    code: str
    department: str
    name: str
    host: str
    port: int
    database: str


class ItemIn(Strict):
    name: str
    title: Text
    type: domain.ItemType
    column: Text
    key: bool = False
    nullable: bool = True
    sensitivity: domain.Sensitivity = domain.Sensitivity.INTERNAL


class ResourceIn(Strict):
    code: str
    title: str
    abstract: str
    department: str
    sharing_type: domain.SharingType
    sharing_conditions: str | None = None
    legal_basis: str | None = None
    grade: domain.Grade
    classified: bool = False
    update_cycle: domain.UpdateCycle
    items: list[ItemIn]


class MountIn(Strict):
    system: str
    schema_name: Annotated[str, Field(alias="schema")]
    table: str


class MountOut(Strict):
    system: str
    schema_name: Annotated[str, Field(alias="schema")]
    table: str
    topic: str
    connector: str


class ResourceOut(Strict):
    code: str
    title: str
    department: str
    version: int
    contract_version: str
    sharing_type: str
    grade: str
    items: list[ItemIn]
    mount: MountOut | None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the routes need to do their work."""

    settings: Settings
    session: Callable[[], Session]
    publisher: Publisher
    connect: Connect
    make_topic: Callable[[Topic], None]
    vault: Fernet


def _refuse(slug: str, title: str, defects: Iterable[domain.Defect]) -> None:
    errors = [asdict(defect) for defect in defects]
    if errors:
        detail = "; ".join(f"{error['pointer']}: {error['detail']}" for error in errors)
        raise Problem(422, slug, title, detail, errors=errors)


def _missing(what: str, name: str) -> Problem:
    return Problem(404, f"{what}-unknown", f"No such {what}", f"There is no {what} {name!r}.")


def _taken(what: str, name: str) -> Problem:
    return Problem(
        409, f"{what}-exists", f"The {what} exists", f"There is a {what} {name!r}, or one with its code, already."
    )


def router(catalogue: Catalogue) -> APIRouter:
    """The routes over `catalogue`."""
    routes = APIRouter(prefix="/api/catalog/v1")

    @routes.post("/departments", status_code=201)
    def register_department(department: DepartmentIn, viewer: Operator) -> DepartmentIn:
        """Register a department; its unified social credit code is checked (GB 32100-2015)."""
        _refuse("department-invalid", "The department is not valid", domain.slug_defect("/slug", department.slug))
        try:
            check_uscc(department.uscc)
        except IdentifierError as error:
            raise Problem(
                422, "uscc-invalid", "The code is not valid", str(error),
                errors=[{"pointer": "/uscc", "detail": str(error)}],
            ) from error  # fmt: skip
        try:
            with catalogue.session() as session, session.begin():
                session.add(store.Department(**department.model_dump()))
                session.flush()
                facts = {"uscc": department.uscc, "name": department.name}
                catalogue.publisher.happened(
                    session, "department_registered", department.slug, department.slug, viewer.name, facts
                )
        except IntegrityError as error:
            raise _taken("department", department.slug) from error
        return department

    @routes.get("/departments")
    def list_departments(viewer: Operator) -> list[DepartmentIn]:
        with catalogue.session() as session:
            found = session.scalars(select(store.Department).order_by(store.Department.slug))
            return [DepartmentIn.model_validate(one) for one in found]

    @routes.get("/departments/{slug}")
    def read_department(slug: str, viewer: Operator) -> DepartmentIn:
        with catalogue.session() as session:
            found = session.get(store.Department, slug)
            if found is None:
                raise _missing("department", slug)
            return DepartmentIn.model_validate(found)

    @routes.post("/systems", status_code=201)
    def register_system(system: SystemIn, viewer: Operator) -> SystemOut:
        """Register an information system; its database is logged in to before anything is kept."""
        _refuse("system-invalid", "The system is not valid", domain.slug_defect("/code", system.code))
        source = SourceDatabase(**system.model_dump(include={"host", "port", "database", "username", "password"}))
        try:
            source.check()
        except SourceUnreachable as error:
            raise Problem(422, "source-unreachable", "The database cannot be reached", str(error)) from error
        sealed = catalogue.vault.encrypt(system.password.encode())
        try:
            with catalogue.session() as session, session.begin():
                if session.get(store.Department, system.department) is None:
                    raise _missing("department", system.department)
                session.add(store.InformationSystem(**system.model_dump(exclude={"password"}), password=sealed))
                session.flush()
                catalogue.publisher.happened(
                    session, "system_registered", system.code, system.department, viewer.name,
                    {"database": f"{system.host}:{system.port}/{system.database}"},
                )  # fmt: skip
        except IntegrityError as error:
            raise _taken("system", system.code) from error
        return SystemOut(**system.model_dump(exclude={"username", "password"}))

    @routes.post("/resources", status_code=201)
    def publish_resource(resource: ResourceIn, viewer: Operator) -> ResourceOut:
        """Catalogue and publish a resource; all defects are told at once."""
        items = [domain.Item(**item.model_dump()) for item in resource.items]
        terms = domain.Terms(**resource.model_dump(exclude={"items"}), items=items)
        _refuse("resource-invalid", "The resource cannot be published", domain.publication_defects(terms))
        try:
            with catalogue.session() as session, session.begin():
                department = session.get(store.Department, resource.department)
                if department is None:
                    raise _missing("department", resource.department)
                kept = store.Resource(**resource.model_dump(mode="json"), mount=None)
                session.add(kept)
                session.flush()
                catalogue.publisher.resource(session, kept, department.uscc, "resource_published", viewer.name)
                return ResourceOut.model_validate(kept)
        except IntegrityError as error:
            raise _taken("resource", resource.code) from error

    @routes.get("/resources")
    def list_resources(viewer: Operator) -> list[ResourceOut]:
        with catalogue.session() as session:
            found = session.scalars(select(store.Resource).order_by(store.Resource.code))
            return [ResourceOut.model_validate(one) for one in found]

    @routes.get("/resources/{code}")
    def read_resource(code: str, viewer: Operator) -> ResourceOut:
        with catalogue.session() as session:
            found = session.get(store.Resource, code)
            if found is None:
                raise _missing("resource", code)
            return ResourceOut.model_validate(found)

    @routes.put("/resources/{code}/mount")
    def mount_resource(code: str, mount: MountIn, viewer: Operator) -> ResourceOut:
        """Tie a resource to a table: check it, make its change topic and its connector, and wait until it runs.

        The resource is marked as mounted only then; a connector that will not run is removed again.
        """
        with catalogue.session() as session:
            resource = session.get(store.Resource, code)
            if resource is None:
                raise _missing("resource", code)
            system = session.get(store.InformationSystem, mount.system)
            if system is None:
                raise _missing("system", mount.system)
            department = session.get_one(store.Department, resource.department)
        if system.department != resource.department:
            detail = f"System {system.code} belongs to {system.department}, resource {code} to {resource.department}."
            raise Problem(422, "mount-invalid", "The resource cannot be mounted there", detail)
        if resource.mount is not None:
            detail = f"Resource {code} is mounted on {resource.mount['topic']} already."
            raise Problem(409, "mount-exists", "The resource is mounted", detail)
        source = SourceDatabase(
            host=system.host,
            port=system.port,
            database=system.database,
            username=system.username,
            password=catalogue.vault.decrypt(system.password).decode(),
        )
        try:
            table = source.describe(mount.schema_name, mount.table)
        except (SourceUnreachable, TableMissing) as error:
            raise Problem(422, "mount-invalid", "The resource cannot be mounted there", str(error)) from error
        _refuse("mount-invalid", "The resource cannot be mounted there", mount_defects(_terms(resource), table))
        topic = change_topic(catalogue.settings, system.code, mount.schema_name, mount.table)
        catalogue.make_topic(topic)
        connector = connector_name(code)
        try:
            catalogue.connect.put(
                connector,
                connector_config(
                    catalogue.settings, source,
                    resource=code, system=system.code, schema=mount.schema_name, table=mount.table,
                ),
            )  # fmt: skip
            catalogue.connect.wait_until_running(connector, 60)
        except ConnectRefused as error:
            catalogue.connect.delete(connector)
            raise Problem(502, "connector-failed", "The connector does not run", str(error)) from error
        where = {**mount.model_dump(by_alias=True), "topic": topic.name, "connector": connector}
        with catalogue.session() as session, session.begin():
            kept = session.get_one(store.Resource, code, with_for_update=True)
            kept.mount = where
            catalogue.publisher.resource(session, kept, department.uscc, "resource_mounted", viewer.name)
            return ResourceOut.model_validate(kept)

    return routes


def _terms(resource: store.Resource) -> domain.Terms:
    return domain.Terms(
        code=resource.code,
        title=resource.title,
        abstract=resource.abstract,
        department=resource.department,
        sharing_type=domain.SharingType(resource.sharing_type),
        sharing_conditions=resource.sharing_conditions,
        legal_basis=resource.legal_basis,
        grade=domain.Grade(resource.grade),
        classified=resource.classified,
        update_cycle=domain.UpdateCycle(resource.update_cycle),
        items=[domain.Item(**ItemIn.model_validate(item).model_dump()) for item in resource.items],
    )
