"""Inconsistencies: values that should be unique and are not, and resources that do not say the same of one entity."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field
from sqlalchemy import Select, or_, select

from services.core.forms import Slug, Strict
from services.core.identity import Anyone, Viewer
from services.core.pages import Cursor, Limit, Page, page
from services.sync import store
from services.sync.room import Room, missing, oversees

Number = Annotated[str, Path(pattern=r"^[0-9]{1,18}$")]


class PlaceOut(Strict):
    """The change that said last what a row says; its department can follow it by `audit trace`."""

    resource: str
    topic: str
    partition: int
    offset: int


class InconsistencyOut(Strict):
    """Rows that do not agree. Where they stand is told, none of what they say."""

    id: str
    kind: Literal["unique", "consistent"]
    rule: Annotated[str, Field(description="The rule of the resource's contract.")]
    resource: str
    owner: Annotated[str, Field(description="The department that answers for it.")]
    other: Annotated[str, Field(description="The other resource; empty where the rows are of one.")]
    other_owner: str
    since: Annotated[datetime, Field(description="When it was seen first.")]
    ended_at: Annotated[datetime | None, Field(description="When the rows agreed again, or the rule was no more.")]
    places: Annotated[list[PlaceOut], Field(description="The first of the rows, as they stood when it was told.")]


def router(room: Room) -> APIRouter:
    routes = APIRouter(prefix="/inconsistencies", tags=["quality"])

    @routes.get("")
    def list_inconsistencies(
        viewer: Anyone,
        resource: Annotated[Slug | None, Query(description="Only those of this resource, on either side.")] = None,
        open: Annotated[bool | None, Query(description="Only those that have, or have not, ended.")] = None,  # noqa: A002
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[InconsistencyOut]:
        """Those that the caller's department answers for on either side; all for who oversees."""
        query = _visible(viewer)
        if resource is not None:
            query = query.where(or_(store.Inconsistency.resource == resource, store.Inconsistency.other == resource))
        if open is not None:
            ended = store.Inconsistency.ended_at
            query = query.where(ended.is_(None) if open else ended.is_not(None))
        with room.session() as session:
            found, following = page(session, query, [store.Inconsistency.number], limit, cursor)
            return Page(items=[_shown(one) for one in found], next=following)

    @routes.get("/{number}")
    def read_inconsistency(number: Number, viewer: Anyone) -> InconsistencyOut:
        with room.session() as session:
            one = session.scalar(_visible(viewer).where(store.Inconsistency.number == int(number)))
            if one is None:
                raise missing("inconsistency", number)
            return _shown(one)

    return routes


def _visible(viewer: Viewer) -> Select[store.Inconsistency]:
    """What `viewer` may see. What has not lasted yet is not shown."""
    query = select(store.Inconsistency).where(store.Inconsistency.told_at.is_not(None))
    if oversees(viewer):
        return query
    owners = (store.Inconsistency.owner, store.Inconsistency.other_owner)
    return query.where(or_(*(owner == viewer.department for owner in owners)))


def _shown(one: store.Inconsistency) -> InconsistencyOut:
    return InconsistencyOut(
        id=str(one.number),
        kind="consistent" if one.other else "unique",
        rule=one.rule,
        resource=one.resource,
        owner=one.owner,
        other=one.other,
        other_owner=one.other_owner,
        since=one.since,
        ended_at=one.ended_at,
        places=[PlaceOut.model_validate(place) for place in one.places],
    )
