"""Mounts (挂接): tying a resource to where its data really is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from services.catalog import store
from services.catalog.api.forms import Name, ResourceOut, Slug, Strict
from services.catalog.api.resources import shown
from services.catalog.catalogue import Catalogue, missing, need, readable, refuse
from services.catalog.connector import change_topic, connector_config, connector_name
from services.catalog.domain.mount import mount_defects
from services.catalog.domain.resource import Terms, terms_of
from services.catalog.publication import tell
from services.catalog.source import SourceDatabase, SourceUnreachable, TableMissing
from services.core import identity
from services.core.conditional import IfMatch, etag, require_match
from services.core.connect import ConnectRefused
from services.core.idempotency import IdempotentRoute
from services.core.identity import Provider
from services.core.problems import Problem
from services.core.words import Words

_CANNOT = Words("The resource cannot be mounted there", "资源不能挂接到此处")


class MountForm(Strict):
    system: Slug
    schema_name: Annotated[Name, Field(alias="schema")]
    table: Name


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(prefix="/resources", tags=["mounts"], route_class=IdempotentRoute)

    @routes.put("/{code}/mount")
    def mount_resource(
        code: str, form: MountForm, viewer: Provider, request: Request, response: Response, if_match: IfMatch = None
    ) -> ResourceOut:
        """Tie a resource to a table: check it, make its change topic and its connector, and wait until it runs.

        The resource is marked as mounted only then; a connector that will not run is removed again.
        """
        with catalogue.session() as session:
            resource = session.scalars(readable(viewer).where(store.Resource.code == code)).one_or_none()
            if resource is None:
                raise missing("resource", code)
            if not viewer.provides_for(resource.department):
                why = Words("You mount resources of your own department only.", "只能挂接本部门的资源。")
                raise identity.refuse(request, viewer, why)
            system = need(session, store.InformationSystem, form.system, "system")
        require_match(if_match, resource.revision)
        terms = _mountable(resource, system)
        source = SourceDatabase(
            host=system.host,
            port=system.port,
            database=system.database,
            username=system.username,
            password=catalogue.vault.decrypt(system.password).decode(),
        )
        try:
            table = source.describe(form.schema_name, form.table)
        except (SourceUnreachable, TableMissing) as error:
            raise Problem(422, "mount-invalid", _CANNOT, str(error)) from error
        refuse("mount-invalid", _CANNOT, mount_defects(terms, table))
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
            raise Problem(502, "connector-failed", title, str(error)) from error
        where = {"kind": "table", **form.model_dump(by_alias=True), "topic": topic.name, "connector": connector}
        with catalogue.session() as session, session.begin():
            kept = session.get_one(store.Resource, code, with_for_update=True)
            if kept.published is None:
                catalogue.connect.delete(connector)
            _mountable(kept, system)  # it may have been withdrawn or mounted while the connector came up
            kept.mount = where
            kept.revision += 1
            session.flush()
            tell(catalogue, session, kept, "resource_mounted")
            facts = {name: str(value) for name, value in where.items()}
            catalogue.publisher.happened(session, "resource_mounted", code, kept.department, viewer.name, facts)
            response.headers["ETag"] = etag(kept.revision)
            return shown(session, viewer, kept)

    return routes


def _mountable(resource: store.Resource, system: store.InformationSystem) -> Terms:
    if resource.published is None:
        detail = Words("Only what is published is mounted.", "资源发布后才能挂接。")
        raise Problem(409, "not-published", _CANNOT, detail)
    if system.department != resource.department:
        detail = Words(
            f"System {system.code} belongs to {system.department}, resource {resource.code} to {resource.department}.",
            f"信息系统 {system.code} 属于 {system.department}，资源 {resource.code} 属于 {resource.department}。",
        )
        raise Problem(422, "mount-invalid", _CANNOT, detail)
    if resource.mount is not None:
        topic = resource.mount["topic"]
        detail = Words(f"Resource {resource.code} is mounted on {topic} already.", f"资源已挂接到 {topic}。")
        raise Problem(409, "mount-exists", Words("The resource is mounted", "资源已挂接"), detail)
    return terms_of(resource.published)
