"""Scores: how good the changes of a resource were, hour by hour."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute

from services.core.forms import Slug, Strict
from services.core.identity import Anyone
from services.core.pages import Cursor, Limit, Page, page
from services.sync import store
from services.sync.room import Room

Share = Annotated[float | None, Field(description="From 0 to 1; null where no row was judged.", examples=[0.998])]


class HourOut(Strict):
    """Scores are shares of the rows that were judged; deletes are not."""

    resource: str
    department: Annotated[str, Field(description="Who answers for the resource.")]
    start: datetime
    judged: int
    completeness: Share
    accuracy: Share
    timeliness: Share
    set_aside: Annotated[int, Field(description="Rows that were not delivered.")]
    corrected: Annotated[int, Field(description="Waits that a correction has ended.")]
    broken: Annotated[dict[str, int], Field(description="Rows by the rule that they broke.")]


def router(room: Room) -> APIRouter:
    routes = APIRouter(prefix="/quality", tags=["quality"])

    @routes.get("")
    def list_hours(
        viewer: Anyone,
        resource: Annotated[Slug | None, Query(description="Only of this resource.")] = None,
        since: Annotated[AwareDatetime | None, Query(description="Hours that began here or later.")] = None,
        until: Annotated[AwareDatetime | None, Query(description="Hours that began before.")] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[HourOut]:
        """Scores of resources whose contracts have rules, in the order of time. They hold no data: all may see them."""
        query = select(store.QualityHour)
        if resource is not None:
            query = query.where(store.QualityHour.resource == resource)
        if since is not None:
            query = query.where(store.QualityHour.start >= int(since.timestamp()))
        if until is not None:
            query = query.where(store.QualityHour.start < int(until.timestamp()))
        key: list[InstrumentedAttribute[Any]] = [store.QualityHour.start, store.QualityHour.resource]
        with room.session() as session:
            hours, following = page(session, query, key, limit, cursor)
            named = [one.resource for one in hours]
            rules: dict[tuple[str, int], dict[str, int]] = {}
            for rule in session.scalars(select(store.BrokenRule).where(store.BrokenRule.resource.in_(named))):
                rules.setdefault((rule.resource, rule.start), {})[rule.rule] = rule.rows
        return Page(items=[_shown(one, rules.get((one.resource, one.start), {})) for one in hours], next=following)

    return routes


def _shown(one: store.QualityHour, broken: dict[str, int]) -> HourOut:
    def share(short: int) -> float | None:
        return round(1 - short / one.judged, 6) if one.judged else None

    return HourOut(
        resource=one.resource,
        department=one.department,
        start=datetime.fromtimestamp(one.start, UTC),
        judged=one.judged,
        completeness=share(one.incomplete),
        accuracy=share(one.inaccurate),
        timeliness=share(one.late),
        set_aside=one.set_aside,
        corrected=one.corrected,
        broken=broken,
    )
