"""The clocks of demands: how long each runs here, which run, and urging (督办) before anybody is late."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from sqlalchemy import select

from services.core import identity
from services.core.conditional import IfMatch, etag, require_match
from services.core.forms import Note, Strict, Text
from services.core.idempotency import IdempotentRoute
from services.core.identity import Administrator, Anyone
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem
from services.core.words import Words
from services.demand import cases, timekeeping
from services.demand import demand_store as store
from services.demand.api.demands import ClockOut, Onlooker, Participant, clock_out
from services.demand.demands import Demands, missing, now
from services.demand.domain.clock import RUNGS, Clock, Urged
from services.demand.domain.demand import By
from services.demand.noticing import tell


class LengthForm(Strict):
    """How many working days a clock runs, how long before its end one is warned, how often urging climbs after it."""

    working_days: Annotated[int, Field(ge=0, le=250)]
    warned_before: Annotated[int, Field(ge=0, le=250)] = 1
    urged_every: Annotated[int, Field(ge=1, le=250)] = 2
    source: Text


class LengthOut(LengthForm):
    clock: Clock


class OpenClock(ClockOut):
    demand: str


class UrgingForm(Strict):
    message: Note | None = None


def router(demands: Demands) -> APIRouter:
    routes = APIRouter(tags=["clocks"], route_class=IdempotentRoute)

    @routes.get("/place/clocks")
    def list_lengths(viewer: Anyone) -> list[LengthOut]:
        """How many working days each clock of a demand runs here."""
        with demands.session() as session:
            query = select(store.ClockLength).order_by(store.ClockLength.clock)
            return [LengthOut.model_validate(row) for row in session.scalars(query)]

    @routes.get("/place/clocks/{clock}")
    def read_length(clock: str, viewer: Anyone, response: Response) -> LengthOut:
        """One clock's length."""
        with demands.session() as session:
            found = session.get(store.ClockLength, clock)
            if found is None:
                raise missing("clock", clock)
            response.headers["ETag"] = etag(found.revision)
            return LengthOut.model_validate(found)

    @routes.put("/place/clocks/{clock}")
    def set_length(
        clock: str, form: LengthForm, viewer: Administrator, response: Response, if_match: IfMatch = None
    ) -> LengthOut:
        """Give a clock another length, for what begins from now on."""
        with demands.session() as session, session.begin():
            found = session.get(store.ClockLength, clock, with_for_update=True)
            if found is None:
                raise missing("clock", clock)
            require_match(if_match, found.revision)
            for name, value in form.model_dump().items():
                setattr(found, name, value)
            found.revision += 1
            facts = {"working_days": str(form.working_days), "source": form.source}
            demands.publisher.happened(session, "clock_set", clock, "", clock, viewer.name, facts)
            response.headers["ETag"] = etag(found.revision)
            return LengthOut.model_validate(found)

    @routes.get("/clocks")
    def list_clocks(
        viewer: Onlooker,
        clock: Annotated[Clock | None, Query()] = None,
        overdue: Annotated[bool | None, Query()] = None,
        due_until: Annotated[date | None, Query(description="Due on this day or before.")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[OpenClock]:
        """Clocks that run or are paused: the department's own, or all for the data authority and auditors."""
        query = select(store.DemandClock).where(store.DemandClock.closed_at.is_(None))
        if not viewer.sees_all():
            query = query.where(store.DemandClock.department == viewer.department)
        if clock is not None:
            query = query.where(store.DemandClock.clock == clock.value)
        if overdue is not None:
            late = store.DemandClock.breached_on.is_not(None)
            query = query.where(late if overdue else ~late)
        if due_until is not None:
            query = query.where(store.DemandClock.due_on <= due_until)
        with demands.session() as session:
            key = [store.DemandClock.demand, store.DemandClock.clock]
            rows, following = page(session, query, key, limit, cursor)
            items = [OpenClock(**clock_out(row).model_dump(), demand=row.demand) for row in rows]
            return Page(items=items, next=following)

    @routes.post("/demands/{demand_id}/urging", status_code=201)
    def urge(demand_id: str, form: UrgingForm, viewer: Participant, request: Request) -> OpenClock:
        """Urge whoever the demand waits for, one rung higher each time: handler, responsible person, their superior.

        The data authority may, and the applicant about what others have to do.
        """
        moment = now()
        with demands.session() as session, session.begin():
            query = cases.readable(viewer).where(store.Demand.id == demand_id).with_for_update()
            demand = session.scalars(query).one_or_none()
            if demand is None:
                raise missing("demand", demand_id)
            row = next((one for one in timekeeping.running(session, demand) if one.due_on is not None), None)
            mine = cases.parties(viewer, demand)
            if By.AUTHORITY not in mine and (By.APPLICANT not in mine or (row and row.department == demand.department)):
                why = Words("Urging is for the data authority and whoever waits.", "只有数据主管部门或等待方可以督办。")
                raise identity.refuse(request, viewer, why)
            if row is None:
                detail = Words("No clock of this demand runs: it waits for nobody.", "该申请没有正在计时的办理环节。")
                raise Problem(409, "nothing-runs", Words("Nobody to urge", "无可督办事项"), detail)
            reached = RUNGS[min(len(RUNGS) - 1, RUNGS.index(Urged(row.urged)) + 1)]
            row.urged = reached
            timekeeping.mark(session, row, "urged", moment, form.message or "")
            facts = {"clock": row.clock, "due_on": row.due_on.isoformat() if row.due_on else ""}
            tell(session, demand, row.department, "clock_urged", moment, role=reached, facts=facts)
            demands.publisher.happened(
                session, "clock_urged", demand.id, row.department, demand.thread, viewer.name,
                {**facts, "role": reached},
            )  # fmt: skip
            return OpenClock(**clock_out(row).model_dump(), demand=demand.id)

    return routes
