"""Mounts (挂接): tying a resource to where its data really is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field
from sqlalchemy.orm import Session

from services.catalog import store
from services.catalog.api.forms import Name, ResourceOut, Slug, Strict
from services.catalog.api.resources import shown
from services.catalog.catalogue import Catalogue, missing, need, now, readable, refuse, unreachable
from services.catalog.connector import change_topic, connector_config, connector_name
from services.catalog.domain.mapping import Confidence, Reason
from services.catalog.domain.mount import (
    Table,
    TableKind,
    content_defects,
    may_be_mounted,
    mount_defects,
    nullable_required,
)
from services.catalog.domain.resource import Defect, Terms, terms_of
from services.catalog.publication import code_lists, draft_of, state_of
from services.catalog.source import Reading, SourceUnreachable, TableMissing, source_of
from services.catalog.wizard import SAMPLE_ROWS, content_of, look, server_defects
from services.core import identity
from services.core.conditional import IfMatch, etag, require_match
from services.core.connect import ConnectRefused
from services.core.idempotency import IdempotentRoute
from services.core.identity import Provider, Viewer
from services.core.problems import Problem, language_of
from services.core.words import Words, in_language

_CANNOT = Words("The resource cannot be mounted there", "资源不能挂接到此处")


class MountForm(Strict):
    """Which table of which system is to fill the resource."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"system": "public_security", "schema": "population", "table": "person"}]}
    )

    system: Slug
    schema_name: Annotated[Name, Field(alias="schema")]
    table: Name


class PreviewForm(MountForm):
    """A table to try; `columns` tries another column for some items than the draft names."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"system": "public_security", "schema": "population", "table": "person", "columns": {"name": "xm"}}
            ]
        }
    )

    columns: Annotated[dict[Slug, Name], Field(default_factory=dict, max_length=2_000)]


class ColumnOut(Strict):
    name: str
    type: str
    nullable: bool
    key: bool
    comment: str | None


class ProposalOut(Strict):
    """The column proposed for an item, why, and how sure that is; null where there is none to propose."""

    item: str
    column: str | None
    reason: Reason | None
    confidence: Confidence | None


class DefectOut(Strict):
    pointer: str
    detail: str


class RuleTriedOut(Strict):
    rule: str
    severity: str
    items: list[str]
    broken: Annotated[int, Field(description="Rows of the sample that break it.")]
    detail: str


class PreviewOut(Strict):
    """What mounting would meet. `rows` are masked by the items' sensitivity; nothing else of the table is shown."""

    kind: TableKind
    comment: str | None
    columns: list[ColumnOut]
    proposals: list[ProposalOut]
    defects: Annotated[list[DefectOut], Field(description="What keeps the resource from being mounted.")]
    warnings: list[DefectOut]
    rows: list[dict[str, Any]]
    sampled: int
    rules: list[RuleTriedOut]


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(prefix="/resources", tags=["mounts"], route_class=IdempotentRoute)

    def own(session: Session, viewer: Viewer, request: Request, code: str, *, lock: bool = False) -> store.Resource:
        """The resource, if the viewer mounts for its department."""
        query = readable(viewer).where(store.Resource.code == code)
        resource = session.scalars(query.with_for_update() if lock else query).one_or_none()
        if resource is None:
            raise missing("resource", code)
        if not viewer.provides_for(resource.department):
            why = Words("You mount resources of your own department only.", "只能挂接本部门的资源。")
            raise identity.refuse(request, viewer, why)
        return resource

    @routes.post("/{code}/mount/preview")
    def preview_mount(code: str, form: PreviewForm, viewer: Provider, request: Request) -> PreviewOut:
        """Try a table for a resource: its columns, a proposed mapping, all defects, ten masked rows, the rules' result.

        The draft is tried, or what is in force where there is none. Nothing is changed, here or there.
        """
        language = language_of(request)
        with catalogue.session() as session:
            resource = own(session, viewer, request, code)
            system = need(session, store.InformationSystem, form.system, "system")
            _same_department(resource, system)
            terms = draft_of(resource) if resource.draft or not resource.published else terms_of(resource.published)
            lists = code_lists(session)
        terms = _with_columns(terms, form.columns)
        try:
            with source_of(system, catalogue.vault).reading() as reading:
                found = look(reading, terms, form.schema_name, form.table, lists, now())
        except TableMissing as error:
            raise _no_table(error) from error
        except SourceUnreachable as error:
            raise unreachable(error) from error

        def told(defects: Sequence[Defect]) -> list[DefectOut]:
            return [DefectOut(pointer=one.pointer, detail=in_language(one.detail, language)) for one in defects]

        return PreviewOut(
            kind=found.table.kind,
            comment=found.table.comment,
            columns=[
                ColumnOut(
                    name=one.name, type=one.type, nullable=one.nullable, key=one.name in found.table.key,
                    comment=one.comment,
                )
                for one in found.table.columns.values()
            ],
            proposals=[ProposalOut.model_validate(one) for one in found.proposals],
            defects=told(found.defects),
            warnings=told(found.warnings),
            rows=[dict(row) for row in found.rows],
            sampled=found.sampled,
            rules=[
                RuleTriedOut(
                    rule=one.rule, severity=one.severity, items=list(one.items), broken=one.broken,
                    detail=in_language(one.words, language),
                )
                for one in found.rules
            ],
        )  # fmt: skip

    @routes.put("/{code}/mount")
    def mount_resource(
        code: str, form: MountForm, viewer: Provider, request: Request, response: Response, if_match: IfMatch = None
    ) -> ResourceOut:
        """Tie a resource to a table: check it, make its change topic and its connector, and wait until it runs.

        The resource is marked as mounted only then; a connector that will not run is removed again.
        """
        with catalogue.session() as session:
            resource = own(session, viewer, request, code)
            system = need(session, store.InformationSystem, form.system, "system")
        require_match(if_match, resource.revision)
        terms = _mountable(resource, system)
        source = source_of(system, catalogue.vault)
        try:
            with source.reading() as reading:
                table = reading.describe(form.schema_name, form.table)
                refuse("mount-invalid", _CANNOT, _defects(reading, terms, table))
        except TableMissing as error:
            raise _no_table(error) from error
        except SourceUnreachable as error:
            raise unreachable(error) from error
        topic = change_topic(catalogue.settings, system.code, form.schema_name, form.table)
        catalogue.make_topic(topic)
        connector = connector_name(code)
        try:
            catalogue.connect.put(
                connector,
                connector_config(
                    catalogue.settings, source,
                    resource=code, system=system.code, schema=form.schema_name, table=form.table,
                ),
            )  # fmt: skip
            catalogue.connect.wait_until_running(connector, 60)
        except ConnectRefused as error:
            catalogue.connect.delete(connector)
            title = Words("The connector does not run", "连接器无法运行")
            detail = Words(f"{connector}: {error}", f"{connector}：{error}")
            raise Problem(502, "connector-failed", title, detail) from error
        where = {"kind": "table", **form.model_dump(by_alias=True), "topic": topic.name, "connector": connector}
        with catalogue.session() as session, session.begin():
            kept = session.get_one(store.Resource, code, with_for_update=True)
            if kept.published is None:
                catalogue.connect.delete(connector)
            _mountable(kept, system)  # it may have been withdrawn or mounted while the connector came up
            kept.mount = where
            kept.revision += 1
            session.flush()
            catalogue.publisher.resource(session, state_of(session, kept), "resource_mounted")
            facts = {name: str(value) for name, value in where.items()}
            catalogue.publisher.happened(session, "resource_mounted", code, kept.department, viewer.name, facts)
            response.headers["ETag"] = etag(kept.revision)
            return shown(session, viewer, kept)

    return routes


def _no_table(error: TableMissing) -> Problem:
    return Problem(422, "mount-invalid", _CANNOT, Words(str(error), f"没有该表：{error}"))


def _with_columns(terms: Terms, columns: dict[str, str]) -> Terms:
    """The terms with other columns under these items; raises a 422 problem for an item that is not there."""
    unknown = sorted(set(columns) - {item.name for item in terms.items})
    detail = Words("the resource has no such item", "该资源没有此信息项")
    refuse("mount-invalid", _CANNOT, [Defect(f"/columns/{name}", detail) for name in unknown])
    return replace(terms, items=[replace(item, column=columns.get(item.name, item.column)) for item in terms.items])


def _defects(reading: Reading, terms: Terms, table: Table) -> list[Defect]:
    """All that keeps the resource from being mounted, as the wizard would tell it."""
    defects = mount_defects(terms, table) + server_defects(reading.readiness())[0]
    if not may_be_mounted(terms):
        return defects
    sample = reading.sample(table, nullable_required(terms, table), SAMPLE_ROWS)
    return defects + content_defects(terms, table, content_of(reading, terms, table, {}, sample))[0]


def _same_department(resource: store.Resource, system: store.InformationSystem) -> None:
    if system.department != resource.department:
        detail = Words(
            f"System {system.code} belongs to {system.department}, resource {resource.code} to {resource.department}.",
            f"信息系统 {system.code} 属于 {system.department}，资源 {resource.code} 属于 {resource.department}。",
        )
        raise Problem(422, "mount-invalid", _CANNOT, detail)


def _mountable(resource: store.Resource, system: store.InformationSystem) -> Terms:
    if resource.published is None:
        detail = Words("Only what is published is mounted.", "资源发布后才能挂接。")
        raise Problem(409, "not-published", _CANNOT, detail)
    _same_department(resource, system)
    if resource.mount is not None:
        topic = resource.mount["topic"]
        detail = Words(f"Resource {resource.code} is mounted on {topic} already.", f"资源已挂接到 {topic}。")
        raise Problem(409, "mount-exists", Words("The resource is mounted", "资源已挂接"), detail)
    return terms_of(resource.published)
