"""Where a resource comes from and who uses it, as of now, by the grants that the demand side tells of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy.orm import Session

from services.catalog import store
from services.catalog.catalogue import Catalogue, missing, now
from services.catalog.domain.lineage import NodeKind, lineage, where_used
from services.catalog.publication import state_of
from services.core.forms import Strict
from services.core.identity import Anyone, Viewer


class UseOut(Strict):
    grant: str
    department: str
    purpose: str
    items: Annotated[list[str], Field(description="The information items that may be seen.")]
    channels: list[str]
    valid_to: Annotated[datetime | None, Field(description="Null: no end.")]


class UsesOut(Strict):
    items: list[UseOut]


class NodeOut(Strict):
    id: str
    kind: NodeKind
    name: str


class LineageOut(Strict):
    """Places in the order in which data passes them, and from which to which it goes, by their ids."""

    nodes: list[NodeOut]
    edges: list[tuple[str, str]]


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(prefix="/resources", tags=["lineage"])

    @routes.get("/{code}/uses")
    def read_uses(code: str, viewer: Anyone) -> UsesOut:
        """The grants of a resource in force now; a department sees its own, and all of what it provides."""
        with catalogue.session() as session:
            grants = _grants(catalogue, viewer, _in_force(session, code))
        return UsesOut(items=[UseOut.model_validate(use) for use in where_used(code, grants, now())])

    @routes.get("/{code}/lineage")
    def read_lineage(code: str, viewer: Anyone) -> LineageOut:
        """The way of the data from the source by mount, contract and grant to those consumers the caller may see."""
        with catalogue.session() as session:
            resource = _in_force(session, code)
            grants = _grants(catalogue, viewer, resource)
            return LineageOut.model_validate(lineage(state_of(session, resource), grants, now()))

    return routes


def _in_force(session: Session, code: str) -> store.Resource:
    resource = session.get(store.Resource, code)
    if resource is None or resource.published is None:
        raise missing("resource", code)
    return resource


def _grants(catalogue: Catalogue, viewer: Viewer, resource: store.Resource) -> list[Mapping[str, Any]]:
    """The grants of a resource that `viewer` may know of."""
    all_of_them = viewer.sees_all() or viewer.provides_for(resource.department)
    return [
        grant
        for grant in catalogue.grants.values()
        if grant["resource"] == resource.code and (all_of_them or grant["department"] == viewer.department)
    ]
