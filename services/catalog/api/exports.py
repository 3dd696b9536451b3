"""The catalogue as other tools want it: DCAT-AP, ODCS, AsyncAPI, OpenLineage, Excel. Only what is in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import select

from services.catalog import store
from services.catalog.catalogue import Catalogue, missing
from services.catalog.domain.resource import PublishedResource
from services.catalog.exports import asyncapi, dcat, excel, lineage, odcs
from services.catalog.exports.place import Place, SourceAddress
from services.catalog.publication import state_of
from services.core.avro import load
from services.core.identity import Anyone, Role, Viewer, may
from services.core.problems import Problem
from services.core.settings import Settings
from services.core.sheets import MEDIA_TYPE
from services.core.words import Words

_OWN_TOPICS = ("catalog.resources", "catalog.events")


class JsonLd(Response):
    media_type = "application/ld+json"


class Turtle(Response):
    media_type = "text/turtle"


class Workbook(Response):
    media_type = MEDIA_TYPE


class AsyncApi(Response):
    media_type = "application/vnd.aai.asyncapi+json"


class JsonLines(Response):
    media_type = "application/x-ndjson"


class Yaml(Response):
    media_type = "application/yaml"


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(prefix="/exports", tags=["exports"])
    place = place_of(catalogue.settings)

    @routes.get("/dcat.jsonld", response_class=JsonLd, responses=_object(JsonLd))
    def export_dcat_as_json(viewer: Anyone) -> Response:
        """The catalogue as DCAT-AP 3, in JSON-LD."""
        return _answer(JsonLd, dcat.json_ld(place, in_force(catalogue)))

    @routes.get("/dcat.ttl", response_class=Turtle)
    def export_dcat_as_turtle(viewer: Anyone) -> Response:
        """The catalogue as DCAT-AP 3, in Turtle."""
        return _answer(Turtle, dcat.turtle(place, in_force(catalogue)))

    @routes.get("/catalogue.xlsx", response_class=Workbook)
    def export_workbook(viewer: Anyone) -> Response:
        """The catalogue in the form of the 13 core elements (编制指南 2017)."""
        try:
            return _answer(Workbook, excel.workbook(place, in_force(catalogue)))
        except excel.SheetFull as full:
            raise Problem(422, "sheet-full", Words("It does not fit a sheet", "超出表格容量"), full.words) from full

    @routes.get("/asyncapi", response_class=AsyncApi, responses=_object(AsyncApi))
    def export_asyncapi(viewer: Anyone) -> Response:
        """The topics as AsyncAPI 3: the catalogue's own, the change topics, and the share topics the caller may see."""
        schemas = {f"{topic}-value": load(topic) for topic in _OWN_TOPICS}
        grants = [grant for grant in catalogue.grants.values() if _may_see(viewer, grant)]
        return _answer(AsyncApi, asyncapi.document(place, in_force(catalogue), grants, schemas))

    @routes.get("/openlineage", response_class=JsonLines)
    def export_openlineage(viewer: Viewer = may(Role.ADMINISTRATOR, Role.OPS, Role.AUDITOR)) -> Response:
        """From source tables to consumers, as OpenLineage events, one a line; it names the hosts of databases."""
        with catalogue.session() as session:
            sources = {
                system.code: SourceAddress(host=system.host, port=system.port, database=system.database)
                for system in session.scalars(select(store.InformationSystem))
                if system.host is not None and system.port is not None and system.database is not None
            }
        return _answer(JsonLines, lineage.lines(place, in_force(catalogue), catalogue.grants.values(), sources))

    @routes.get("/odcs/{code}", response_class=Yaml)
    def export_odcs(code: str, viewer: Anyone) -> Response:
        """The contract in force of a resource, as an ODCS 3.1 document."""
        with catalogue.session() as session:
            resource = session.get(store.Resource, code)
            if resource is None or resource.published is None:
                raise missing("resource", code)
            return _answer(Yaml, odcs.export(state_of(session, resource)))

    return routes


def _object(kind: type[Response]) -> dict[int | str, dict[str, Any]]:
    """How OpenAPI describes an answer of `kind`, which is a JSON object."""
    return {200: {"content": {str(kind.media_type): {"schema": {"type": "object"}}}}}


def place_of(settings: Settings) -> Place:
    """The place as the installation's settings name it."""
    return Place(
        title=settings.place_title,
        title_en=settings.place_title_en,
        abstract=settings.place_title,
        publisher=settings.place_publisher,
        publisher_en=settings.place_publisher_en,
        publisher_uscc=settings.place_publisher_uscc,
        address=settings.place_address.rstrip("/"),
        kafka=settings.kafka_bootstrap,
        registry=settings.registry_url,
    )


def in_force(catalogue: Catalogue) -> Sequence[PublishedResource]:
    """All resources in force."""
    with catalogue.session() as session:
        found = session.scalars(select(store.Resource).where(store.Resource.published.is_not(None)))
        return [state_of(session, resource) for resource in found]


def _may_see(viewer: Viewer, grant: Mapping[str, Any]) -> bool:
    return viewer.sees_all() or grant["department"] == viewer.department


def _answer(kind: type[Response], content: bytes) -> Response:
    return kind(content, headers={"ETag": f'"{sha256(content).hexdigest()}"'})
