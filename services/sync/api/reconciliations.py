"""Reconciliations: whether a consumer has what it should have, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, Field
from sqlalchemy import func, or_, select

from services.core.forms import Strict
from services.core.idempotency import IdempotentRoute
from services.core.identity import Anyone, Role, Viewer, may
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem
from services.core.words import Words
from services.sync import reconcile, store
from services.sync.room import Room, missing, oversees

Party = Annotated[Viewer, may(Role.ADMINISTRATOR, Role.CONSUMER, Role.PROVIDER, Role.OPS)]
Id = Annotated[str, Path(pattern=r"^[0-9a-f]{1,40}$")]


class State(StrEnum):
    """How a reconciliation stands."""

    REQUESTED = "requested"
    RUNNING = "running"
    EQUAL = "equal"
    DIFFERENT = "different"  # while it has not ended, it is being healed
    HEALED = "healed"
    FAILED = "failed"  # it could not be done; `reason` says why


class ReconciliationForm(Strict):
    heal: Annotated[
        bool, Field(description="Whether rows that differ are delivered once more, and what nobody delivered goes.")
    ] = False


class RowsOut(Strict):
    rows: int
    keys: Annotated[list[str], Field(description="Keyed digests of the first of them.")]


class DifferenceOut(Strict):
    missing: RowsOut
    surplus: Annotated[RowsOut, Field(description="Rows that the side before does not have.")]
    differing: RowsOut


class RangeOut(Strict):
    """A range of keys, by their digests, in which two sides differ."""

    range: str
    of: Annotated[str, Field(description="`topic`: held against the source; `table`: against the topic.")]
    should_have: int
    has: int
    should_sum: str
    sum: str


class ReportOut(Strict):
    source: Annotated[int, Field(description="Rows that the change topic, as the grant sees it, has.")]
    topic: int
    table: Annotated[int | None, Field(description="Null where the grant fills no table.")]
    set_aside: Annotated[int, Field(description="Rows in quarantine, of which nothing is said.")]
    in_topic: DifferenceOut
    in_table: DifferenceOut | None
    ranges: list[RangeOut]


class ReconciliationOut(Strict):
    id: str
    grant: str
    resource: str
    department: Annotated[str, Field(description="The consumer.")]
    provider: str
    heal: bool
    state: State
    asked_by: str
    asked_at: datetime
    ended_at: datetime | None
    reason: str
    replay: Annotated[str | None, Field(description="The replay that heals.")]
    report: Annotated[ReportOut | None, Field(description="What was found, before anything was healed.")]


def router(room: Room) -> APIRouter:
    routes = APIRouter(tags=["reconciliations"], route_class=IdempotentRoute)
    of_a_grant = "/grants/{grant_id}/reconciliations"

    def party(grant_id: str, viewer: Viewer) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """A grant that the viewer receives under or provides for, and its resource; any for who oversees."""
        grant = room.grants.get(grant_id)
        resource = room.resources.get(grant["resource"]) if grant else None
        if grant is None or resource is None:
            raise missing("grant", grant_id)
        if not (oversees(viewer) or viewer.department in (grant["department"], resource["department"])):
            raise missing("grant", grant_id)
        return grant, resource

    @routes.post(of_a_grant, status_code=202)
    def ask(grant_id: Id, form: ReconciliationForm, viewer: Party) -> ReconciliationOut:
        """Have what the consumer has compared with what it should have; one comparison of a grant at a time."""
        grant, resource = party(grant_id, viewer)
        now = datetime.now(UTC)
        with room.session() as session, session.begin():
            session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"reconciliation {grant_id}"))))
            going_on = select(store.Reconciliation.id).where(
                store.Reconciliation.grant == grant_id, store.Reconciliation.ended_at.is_(None)
            )
            if (running := session.scalars(going_on.limit(1)).first()) is not None:
                detail = Words(f"Reconciliation {running} has not ended yet.", f"对账 {running} 尚未结束。")
                raise Problem(409, "reconciliation-running", Words("It is being reconciled", "对账正在进行"), detail)
            one = reconcile.ask(
                session, room.publisher, grant, resource["department"], viewer.name, now, heal=form.heal
            )
            session.flush()
            return ReconciliationOut.model_validate(one)

    @routes.get("/reconciliations")
    def list_all(
        viewer: Anyone,
        state: Annotated[State | None, Query()] = None,
        since: Annotated[AwareDatetime | None, Query(description="Only those asked for from this time on.")] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[ReconciliationOut]:
        """Reconciliations of every grant that the caller receives under or provides for; all for who oversees."""
        query = select(store.Reconciliation)
        if not oversees(viewer):
            own = (store.Reconciliation.department, store.Reconciliation.provider)
            query = query.where(or_(*(one == viewer.department for one in own)))
        if state is not None:
            query = query.where(store.Reconciliation.state == state)
        if since is not None:
            query = query.where(store.Reconciliation.asked_at >= since)
        with room.session() as session:
            found, following = page(session, query, [store.Reconciliation.id], limit, cursor)
            return Page(items=[ReconciliationOut.model_validate(one) for one in found], next=following)

    @routes.get(of_a_grant)
    def list_reconciliations(
        grant_id: Id, viewer: Anyone, limit: Limit = 100, cursor: Cursor = None
    ) -> Page[ReconciliationOut]:
        party(grant_id, viewer)
        query = select(store.Reconciliation).where(store.Reconciliation.grant == grant_id)
        with room.session() as session:
            found, following = page(session, query, [store.Reconciliation.id], limit, cursor)
            return Page(items=[ReconciliationOut.model_validate(one) for one in found], next=following)

    @routes.get(of_a_grant + "/{reconciliation_id}")
    def read_reconciliation(grant_id: Id, reconciliation_id: Id, viewer: Anyone) -> ReconciliationOut:
        party(grant_id, viewer)
        with room.session() as session:
            one = session.get(store.Reconciliation, reconciliation_id)
            if one is None or one.grant != grant_id:
                raise missing("reconciliation", reconciliation_id)
            return ReconciliationOut.model_validate(one)

    return routes
