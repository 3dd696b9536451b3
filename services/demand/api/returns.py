"""Return orders (属地回流): rows of a resource go back to the lower levels they concern, each department its own."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from services.core.forms import Json, Note, Plain, Slug, Strict
from services.core.identity import Anyone, Provider, Role, Viewer
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import refuse
from services.core.words import Words
from services.demand import returning, store
from services.demand.demands import Demands, missing, now
from services.demand.domain import grant as grants
from services.demand.domain import local_return as domain

OrderId = Annotated[str, Field(max_length=40, pattern=r"^[0-9a-z-]+$")]


class Level(StrEnum):
    """Of which departments: 地市 or 区县."""

    PREFECTURE = "prefecture"
    COUNTY = "county"


_LEVELS = {Level.PREFECTURE: 2, Level.COUNTY: 3}
_NAMES = {number: one for one, number in _LEVELS.items()}


class ReturnIn(Strict):
    """What is returned, and to whom; `division_item` says by its code where a row belongs (GB/T 2260)."""

    resource: Slug
    division_item: Annotated[str, Field(max_length=100, examples=["region"]), Plain]
    level: Level
    departments: Annotated[list[Slug] | None, Field(max_length=5_000, description="All of the level without it.")] = (
        None
    )
    items: Annotated[list[Annotated[str, Plain]], Field(min_length=1, max_length=500)]
    masks: Annotated[dict[str, dict[str, Any]], Json] = {}
    channels: list[Literal["topic", "api"]] = ["topic"]
    purpose: Note


class ServedOut(Strict):
    """A department that is served, by which grant, and in what state that is."""

    department: str
    division: str
    grant: str
    state: grants.State


class ReturnOut(Strict):
    id: str
    resource: str
    provider: str
    division_item: str
    level: Level
    departments: list[str] | None
    items: list[str]
    masks: dict[str, Any]
    channels: list[str]
    purpose: str
    ordered_by: str
    ordered_at: datetime
    ended_at: datetime | None
    served: list[ServedOut]


class Ending(Strict):
    reason: Note


def router(demands: Demands) -> APIRouter:
    """The routes over `demands`."""
    routes = APIRouter(prefix="/returns", tags=["local return"])

    @routes.post("", status_code=201)
    def order_return(form: ReturnIn, viewer: Provider) -> ReturnOut:
        """Return rows to lower levels: each department is granted those of its division within the next seconds.

        Departments that come later are served, too; when divisions change, rows move with them.
        """
        resource = demands.resources.get(form.resource)
        if resource is None or not viewer.provides_for(resource["department"]):
            raise missing("resource", form.resource)
        row = store.ReturnOrder(
            id=str(uuid.uuid4()), provider=resource["department"], item=form.division_item, level=_LEVELS[form.level],
            ordered_by=viewer.name, ordered_at=now(), ended_at=None,
            **form.model_dump(include={"resource", "departments", "items", "masks", "channels", "purpose"}),
        )  # fmt: skip
        with demands.session() as session, session.begin():
            _check(session, row, resource)
            session.add(row)
            facts = {"resource": row.resource, "item": row.item, "level": form.level.value}
            demands.publisher.happened(session, "return_ordered", row.id, row.provider, row.id, viewer.name, facts)
            session.flush()
            return _shown(session, [row])[0]

    @routes.get("")
    def list_returns(
        viewer: Anyone,
        resource: Annotated[Slug | None, Query(description="Only of this resource.")] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[ReturnOut]:
        """Own orders, and those by which the own department is served; all for who oversees."""
        query = _visible(viewer)
        if resource is not None:
            query = query.where(store.ReturnOrder.resource == resource)
        with demands.session() as session:
            rows, following = page(session, query, [store.ReturnOrder.id], limit, cursor)
            return Page(items=_shown(session, rows), next=following)

    @routes.get("/{order}")
    def read_return(order: OrderId, viewer: Anyone) -> ReturnOut:
        with demands.session() as session:
            row = session.scalar(_visible(viewer).where(store.ReturnOrder.id == order))
            if row is None:
                raise missing("return", order)
            return _shown(session, [row])[0]

    @routes.post("/{order}/end")
    def end_return(order: OrderId, form: Ending, viewer: Provider) -> ReturnOut:
        """End an order: the grants that it has opened are revoked within the next seconds."""
        with demands.session() as session, session.begin():
            row = session.get(store.ReturnOrder, order, with_for_update=True)
            if row is None or not viewer.provides_for(row.provider):
                raise missing("return", order)
            if row.ended_at is None:
                returning.end(session, demands, row, viewer.name, form.reason, now())
            return _shown(session, [row])[0]

    return routes


def _visible(viewer: Viewer) -> Select[store.ReturnOrder]:
    query = select(store.ReturnOrder)
    if viewer.sees_all() or Role.OPS in viewer.roles:
        return query
    served = select(store.Returned.order).where(store.Returned.department == viewer.department)
    return query.where((store.ReturnOrder.provider == viewer.department) | store.ReturnOrder.id.in_(served))


def _check(session: Session, row: store.ReturnOrder, resource: dict[str, Any]) -> None:
    order, seats = returning.order_of(row), returning.seats(session)
    kinds = {item["name"]: str(item["type"]) for item in resource["items"]}
    found = domain.defects(order, resource, kinds, seats)
    if not found:
        # what is wrong with the terms is wrong for every department alike
        terms = returning.asked(row, "a department that is served", "000000")
        found = [one for one in grants.defects(terms, resource) if one.pointer != "/row_filter"]
    refuse("return-invalid", Words("This cannot be returned so", "不能这样回流"), found)


def _shown(session: Session, rows: Sequence[store.ReturnOrder]) -> list[ReturnOut]:
    query = select(store.Returned, store.Grant.state).join(store.Grant, store.Grant.id == store.Returned.grant)
    query = query.where(store.Returned.order.in_([row.id for row in rows]))
    served: dict[str, list[ServedOut]] = {}
    for one, state in session.execute(query.order_by(store.Returned.department, store.Returned.division)):
        place = {name: getattr(one, name) for name in ("department", "division", "grant")}
        served.setdefault(one.order, []).append(ServedOut(state=state, **place))
    return [
        ReturnOut(
            division_item=row.item,
            level=_NAMES[row.level],
            served=served.get(row.id, []),
            **{
                name: getattr(row, name)
                for name in ReturnOut.model_fields.keys() - {"division_item", "level", "served"}
            },
        )
        for row in rows
    ]
