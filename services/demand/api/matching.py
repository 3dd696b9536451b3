"""The supply-demand matching list (供需对接清单): who needs what of whom, how far that is, and when it is due.

It is published: everybody who is signed in sees it. What somebody wants the data for is not in it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from openpyxl import Workbook
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, load_only

from services.core.forms import Slug, Strict
from services.core.identity import Anyone
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem
from services.core.sheets import EPOCH, MAX_ROWS, MEDIA_TYPE, Row, add_sheet, timeless
from services.core.words import Words
from services.demand import cases
from services.demand import demand_store as store
from services.demand.demands import Demands
from services.demand.domain.clock import Clock
from services.demand.domain.demand import Level, Path, State
from services.demand.domain.demand_terms import Kind

_CLOCKS = {
    Clock.ACCEPT: "受理", Clock.MATCH: "匹配", Clock.REPLY: "审核答复", Clock.PROVIDE: "提供数据",
    Clock.SUPPLEMENT: "补正", Clock.PAPERS: "补办手续", Clock.DISPUTE: "争议协调",
}  # fmt: skip
_KINDS = {Kind.CATALOGUED: "已编目", Kind.UNCATALOGUED: "未编目", Kind.SOCIAL: "社会数据"}
_PATHS = {Path.RULE: "无条件共享", Path.DECISION: "审批", Path.EMERGENCY: "应急共享"}
_COLUMNS = (
    "申请编号", "申请名称", "数据来源类型", "申请部门", "供给部门", "资源标识", "办理方式", "状态", "当前时限",
    "到期日", "是否超期", "授权编号", "提交时间", "更新时间",
)  # fmt: skip


class Xlsx(Response):
    media_type = MEDIA_TYPE


class LineOut(Strict):
    """A line of the list; `due_on` is the day on which the clock that runs out first does so."""

    id: str
    thread: str
    kind: Kind
    title: str
    department: str
    supplier: str | None
    resource: str | None
    state: State
    path: Path
    level: Level
    grant: str | None
    clock: str | None
    due_on: date | None
    overdue: bool
    submitted_at: datetime
    updated_at: datetime


def _chosen(
    department: Annotated[Slug | None, Query(description="Who applies or supplies.")] = None,
    supplier: Annotated[Slug | None, Query()] = None,
    state: Annotated[State | None, Query()] = None,
    clock: Annotated[Clock | None, Query(description="The clock that runs out first.")] = None,
    overdue: Annotated[bool | None, Query()] = None,
    due_until: Annotated[date | None, Query(description="Due on this day or before.")] = None,
) -> Select[store.Demand]:
    line = [getattr(store.Demand, name) for name in LineOut.model_fields]
    query = select(store.Demand).options(load_only(*line)).where(store.Demand.submitted_at.is_not(None))
    if department is not None:
        query = query.where(or_(store.Demand.department == department, store.Demand.supplier == department))
    if supplier is not None:
        query = query.where(store.Demand.supplier == supplier)
    if state is not None:
        query = query.where(store.Demand.state == state.value)
    if clock is not None:
        query = query.where(store.Demand.clock == clock.value)
    if overdue is not None:
        query = query.where(store.Demand.overdue == overdue)
    if due_until is not None:
        query = query.where(store.Demand.due_on <= due_until)
    return query


Chosen = Annotated[Any, Depends(_chosen)]


def router(demands: Demands) -> APIRouter:
    routes = APIRouter(prefix="/matching", tags=["matching"])

    @routes.get("")
    def list_matching(viewer: Anyone, chosen: Chosen, limit: Limit = 50, cursor: Cursor = None) -> Page[LineOut]:
        """The list as it is now, oldest demand first."""
        with demands.session() as session:
            rows, following = page(session, chosen, [store.Demand.id], limit, cursor)
            return Page(items=[LineOut.model_validate(row) for row in rows], next=following)

    @routes.get("/workbook", response_class=Xlsx)
    def export_matching(viewer: Anyone, chosen: Chosen) -> Response:
        """The list as a workbook for Excel, in Chinese."""
        with demands.session() as session:
            return Xlsx(_workbook(session, chosen))

    return routes


def _workbook(session: Session, chosen: Select[store.Demand]) -> bytes:
    rows = list(session.scalars(chosen.order_by(store.Demand.id).limit(MAX_ROWS)))
    if len(rows) >= MAX_ROWS:
        detail = Words(
            "More lines than a sheet holds: choose a department or state.", "超出表格容量，请按部门或状态导出。"
        )
        raise Problem(422, "sheet-full", Words("It does not fit a sheet", "超出表格容量"), detail)
    names = {one.slug: one.name for one in session.scalars(select(store.DepartmentName))}
    book = Workbook(write_only=True)
    book.properties.created = EPOCH
    add_sheet(book, "供需对接清单", _COLUMNS, _lines(rows, names))
    out = io.BytesIO()
    book.save(out)
    return timeless(out.getvalue())


def _lines(rows: list[store.Demand], names: dict[str, str]) -> Iterator[Row]:
    for one in rows:
        yield (
            one.id,
            one.title,
            _KINDS[Kind(one.kind)],
            names.get(one.department, one.department),
            names.get(one.supplier, one.supplier) if one.supplier else None,
            one.resource,
            _PATHS[Path(one.path)],
            cases.state_name(State(one.state)),
            _CLOCKS[Clock(one.clock)] if one.clock else None,
            one.due_on.isoformat() if one.due_on else None,
            "是" if one.overdue else "否",
            one.grant,
            one.submitted_at.isoformat(timespec="seconds") if one.submitted_at else None,
            one.updated_at.isoformat(timespec="seconds"),
        )
