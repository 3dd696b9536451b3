"""Use: what was delivered, by minute, hour and day; a department sees its own, and all use of what it provides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field
from sqlalchemy import Select, func, select
from sqlalchemy.orm import InstrumentedAttribute

from services.core.forms import Slug, Strict
from services.core.identity import Anyone, Role, Viewer
from services.core.pages import Cursor, Limit, Page, page
from services.demand import demand_store, store
from services.demand.demands import Demands
from services.demand.domain.usage import ADDED, Granularity

_BY = {
    "resource": store.Usage.resource,
    "department": store.Usage.department,
    "grant": store.Usage.grant,
    "scenario": demand_store.Demand.scenario,
}
Grant = Annotated[str | None, Query(pattern=r"^[0-9a-f]{1,40}$", description="Only of this grant.")]
Resource = Annotated[Slug | None, Query(description="Only of this resource.")]
Department = Annotated[Slug | None, Query(description="Only of this consuming department.")]
Since = Annotated[AwareDatetime | None, Query(description="Windows that began here or later.")]
Until = Annotated[AwareDatetime | None, Query(description="Windows that began before.")]


class FiguresOut(Strict):
    """Latencies in milliseconds, from the source's commit to the delivery; null where nothing was timed."""

    deliveries: Annotated[int, Field(description="Transactions of the relay that delivered something.")]
    records: int
    bytes: Annotated[int, Field(description="Of the delivered records and of the answers of the row API.")]
    errors: Annotated[int, Field(description="Changes that went to quarantine.")]
    calls: Annotated[int, Field(description="Calls of the row API.")]
    rows: Annotated[int, Field(description="Rows that these were answered with.")]
    refused: Annotated[
        int, Field(description="Calls that were not answered: not allowed, not valid, too many, not just then.")
    ]
    call_mean_ms: float | None
    call_max_ms: float | None
    timed: Annotated[int, Field(description="Deliveries of changes, not of rows that were there before.")]
    timely: Annotated[int, Field(description="Those within a minute of the source's commit.")]
    latency_mean_ms: float | None
    latency_min_ms: float | None
    latency_max_ms: float | None


class WindowOut(FiguresOut):
    grant: str
    resource: str
    department: str
    granularity: Granularity
    start: datetime


class TotalOut(FiguresOut):
    of: Annotated[
        str,
        Field(
            description="The grant, resource, department or scenario (empty: none was named).", examples=["population"]
        ),
    ]


class GrantUseOut(Strict):
    grant: str
    resource: str
    department: str
    records: int
    first_delivered_at: datetime
    last_delivered_at: datetime
    silent_since: Annotated[datetime | None, Field(description="Since when it has been silent; null: it is not.")]


def router(demands: Demands) -> APIRouter:
    routes = APIRouter(prefix="/usage", tags=["usage"])

    def visible(query: Select[Any], viewer: Viewer, table: type[store.Usage] | type[store.Delivered]) -> Select[Any]:
        """Only what `viewer` may see: own use, use of what the own department provides, all for who oversees."""
        if viewer.sees_all() or Role.OPS in viewer.roles:
            return query
        provided = [one["code"] for one in demands.resources.values() if one["department"] == viewer.department]
        return query.where((table.department == viewer.department) | table.resource.in_(provided))

    @routes.get("")
    def list_usage(
        viewer: Anyone,
        granularity: Granularity = Granularity.DAY,
        grant: Grant = None,
        resource: Resource = None,
        department: Department = None,
        since: Since = None,
        until: Until = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[WindowOut]:
        """Windows in which something was delivered or set aside, in the order of time."""
        query = _chosen(select(store.Usage), granularity, grant, resource, department, since, until)
        key: list[InstrumentedAttribute[Any]] = [store.Usage.start, store.Usage.grant]
        with demands.session() as session:
            found, following = page(session, visible(query, viewer, store.Usage), key, limit, cursor)
            return Page(items=[_window(one) for one in found], next=following)

    @routes.get("/totals")
    def list_totals(
        viewer: Anyone,
        by: Literal["grant", "resource", "department", "scenario"] = "resource",
        since: Since = None,
        until: Until = None,
        limit: Limit = 100,
    ) -> list[TotalOut]:
        """Sums of the last 30 days (unless told otherwise), most used first.

        They are by grant, resource, consuming department or the scenario that the demand named.
        """
        of, sums = _BY[by], _sums()
        most = func.sum(store.Usage.records + store.Usage.rows)
        query = select(of, *sums.values()).group_by(of).order_by(most.desc(), of).limit(limit)
        if by == "scenario":
            query = query.join(demand_store.Demand, demand_store.Demand.grant == store.Usage.grant)
        since = since or datetime.now(UTC) - timedelta(days=30)
        query = _chosen(query, Granularity.DAY, None, None, None, since, until)
        with demands.session() as session:
            rows = session.execute(visible(query, viewer, store.Usage)).all()
        return [TotalOut(of=row[0] or "", **_shown(dict(zip(sums, row[1:], strict=True)))) for row in rows]

    @routes.get("/grants")
    def list_grants(
        viewer: Anyone, resource: Resource = None, limit: Limit = 100, cursor: Cursor = None
    ) -> Page[GrantUseOut]:
        """Grants under which something was delivered: how much, when last, and whether they have fallen silent."""
        query = visible(select(store.Delivered), viewer, store.Delivered)
        if resource is not None:
            query = query.where(store.Delivered.resource == resource)
        with demands.session() as session:
            found, following = page(session, query, [store.Delivered.grant], limit, cursor)
            silences = select(store.Silence).where(store.Silence.grant.in_([one.grant for one in found]))
            silent = {one.grant: one.since for one in session.scalars(silences)}
        items = [
            GrantUseOut(
                grant=one.grant,
                resource=one.resource,
                department=one.department,
                records=one.records,
                first_delivered_at=one.first_at,
                last_delivered_at=one.last_at,
                silent_since=silent.get(one.grant),
            )
            for one in found
        ]
        return Page(items=items, next=following)

    return routes


def _chosen(
    query: Select[Any],
    granularity: Granularity,
    grant: str | None,
    resource: str | None,
    department: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Select[Any]:
    query = query.where(store.Usage.granularity == granularity)
    for column, wanted in (
        (store.Usage.grant, grant),
        (store.Usage.resource, resource),
        (store.Usage.department, department),
    ):
        if wanted is not None:
            query = query.where(column == wanted)
    if since is not None:
        query = query.where(store.Usage.start >= _seconds(since))
    if until is not None:
        query = query.where(store.Usage.start < _seconds(until))
    return query


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _sums() -> dict[str, Any]:
    sums: dict[str, Any] = {name: func.sum(getattr(store.Usage, name)) for name in ADDED}
    sums["call_max_us"] = func.max(store.Usage.call_max_us)
    sums["latency_min_us"] = func.min(store.Usage.latency_min_us)
    sums["latency_max_us"] = func.max(store.Usage.latency_max_us)
    return sums


def _shown(figures: dict[str, Any]) -> dict[str, Any]:
    """The figures as they are answered: latencies in milliseconds."""
    numbers = {name: None if value is None else int(value) for name, value in figures.items()}
    total, timed = numbers.pop("latency_sum_us") or 0, numbers["timed"]
    called, slowest = numbers.pop("call_sum_us") or 0, numbers.pop("call_max_us")
    calls = numbers["calls"]
    shortest, longest = numbers.pop("latency_min_us"), numbers.pop("latency_max_us")
    return {
        **numbers,
        "call_mean_ms": round(called / calls / 1_000, 3) if calls else None,
        "call_max_ms": (slowest or 0) / 1_000 if calls else None,
        "latency_mean_ms": round(total / timed / 1_000, 3) if timed else None,
        "latency_min_ms": None if shortest is None else shortest / 1_000,
        "latency_max_ms": None if longest is None else longest / 1_000,
    }


def _window(one: store.Usage) -> WindowOut:
    names = (*ADDED, "call_max_us", "latency_min_us", "latency_max_us")
    return WindowOut(
        grant=one.grant,
        resource=one.resource,
        department=one.department,
        granularity=Granularity(one.granularity),
        start=datetime.fromtimestamp(one.start, UTC),
        **_shown({name: getattr(one, name) for name in names}),
    )
