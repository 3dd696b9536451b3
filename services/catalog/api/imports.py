"""Importing the power list, the service item list and the data list of a department from Excel or CSV.

A file is taken in whole or not at all. One with faults is answered with all of them and with a copy in which each
stands beside its row.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from services.catalog import store, tabular
from services.catalog.api.files import body_up_to
from services.catalog.catalogue import Catalogue, missing, need, now
from services.catalog.domain.lists import (
    FORMS,
    Known,
    Line,
    ListKind,
    check,
    compared,
    defect,
    marked,
    read,
)
from services.core import identity, problems
from services.core.forms import Strict
from services.core.idempotency import IdempotentRoute
from services.core.identity import Anyone, Provider, Viewer
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem
from services.core.sheets import MEDIA_TYPE as EXCEL
from services.core.words import Words

_TYPES = {"xlsx": EXCEL, "csv": "text/csv; charset=utf-8"}
_FILE = {"content": {EXCEL: {}, "text/csv": {}}, "description": "The file"}
FILE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            EXCEL: {"schema": {"type": "string", "format": "binary"}},
            "text/csv": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_TITLE = Words("The file cannot be imported", "文件无法导入")
_NOT_YOURS = Words("You import lists of your own department only.", "只能导入本部门的清单。")

Department = Annotated[str | None, Query(max_length=40, description="Only this department's.")]
Format = Annotated[Literal["xlsx", "csv"], Query()]


class ImportOut(Strict):
    """What an import did. With faults it did nothing, and `/imports/{id}/marked` is the file with them."""

    id: uuid.UUID
    kind: ListKind
    department: str
    format: str
    rows: int
    added: int
    changed: int
    created_at: datetime


class PowerOut(Strict):
    code: str
    department: str
    name: str
    kind: str
    legal_basis: str


class ServiceItemOut(Strict):
    code: str
    department: str
    power: str
    name: str


class DataItemOut(Strict):
    """A line of the data list; `exception` says why it is made here though another department is its source."""

    code: str
    department: str
    service_item: str
    name: str
    use: str
    exception: str | None
    exception_by: str | None


Body = Annotated[bytes, Depends(body_up_to(tabular.MAX_BYTES, _TITLE))]


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(tags=["lists"], route_class=IdempotentRoute)

    @routes.get("/lists/{kind}/template", response_class=Response, responses={200: _FILE})
    def read_template(kind: ListKind, viewer: Anyone, format: Format = "xlsx") -> Response:  # noqa: A002
        """An empty file to fill in; the Excel one explains each column on a second sheet."""
        form = FORMS[kind]
        titles = [column.title + ("*" if column.required else "") for column in form.columns]
        if format == "csv":
            return _file(tabular.write_csv([titles]), "csv", f"{kind}-template")
        notes = [["列", "是否必填", "说明"]]
        notes += [[column.title, "是" if column.required else "否", column.explanation] for column in form.columns]
        return _file(tabular.write_excel(form.title, [(titles, set())], notes), "xlsx", f"{kind}-template")

    @routes.post("/departments/{slug}/lists/{kind}/imports", status_code=201, openapi_extra=FILE_BODY)
    def import_list(
        slug: str, kind: ListKind, viewer: Provider, request: Request, response: Response, data: Body
    ) -> ImportOut:
        """Import a list of a department: rows with new codes are added, those with known ones changed.

        A file with faults changes nothing: the answer (422) tells them all, pointers reading `/<row>/<column>`, and
        `marked_copy` says where the marked copy is.
        """
        if not viewer.provides_for(slug):
            raise identity.refuse(request, viewer, _NOT_YOURS)
        try:
            written, table = tabular.read(data)
        except tabular.Unreadable as error:
            raise unreadable_file(error, _TITLE) from error
        form, digest = FORMS[kind], hashlib.sha256(data).hexdigest()
        lines, faults = read(form, table)
        with catalogue.session() as session, session.begin():
            need(session, store.Department, slug, "department")
            # one import at a time, so that no two departments become the source of one item
            session.execute(select(func.pg_advisory_xact_lock(func.hashtext("catalog.lists"))))
            faults += check(form, slug, lines, _known(session, kind, slug))
            faults.sort(key=lambda fault: fault.row)
            record = store.Import(
                kind=kind.value, department=slug, format=written, digest=digest, rows=len(lines),
                errors=[], created_by=viewer.name, created_at=now(),
            )  # fmt: skip
            facts = {"list": kind.value, "rows": str(len(lines)), "file": digest, "faults": str(len(faults))}
            session.add(record)
            added = changed = 0
            if faults:
                defects = [defect(fault) for fault in faults]
                errors = [{"pointer": one.pointer, "detail": one.detail} for one in defects]
                record.errors = [{"pointer": one.pointer, "detail": str(one.detail)} for one in defects]
                rows = marked(form, table, faults)
                record.marked = (
                    tabular.write_excel(form.title, rows)
                    if written == "xlsx"
                    else tabular.write_csv([cells for cells, _ in rows])
                )
            else:
                added, changed = _take_in(catalogue, session, kind, slug, lines, viewer)
            session.flush()
            event = "list_refused" if faults else "list_imported"
            catalogue.publisher.happened(session, event, f"{slug}/{kind}", slug, viewer.name, facts)
            made = ImportOut(
                id=record.id, kind=kind, department=slug, format=written, rows=len(lines), added=added,
                changed=changed, created_at=record.created_at,
            )  # fmt: skip
        if faults:
            copy = f"{request.url.path.split('/departments/')[0]}/imports/{made.id}/marked"
            more = {"import": str(made.id), "marked_copy": copy}
            detail = Words(
                f"The file has {len(faults)} faults; nothing of it was taken in.",
                f"文件有 {len(faults)} 处错误，未导入任何内容。",
            )
            # an answer and not an exception: this is what came of the import, and is kept as such
            return problems.answer(request, Problem(422, "list-invalid", _TITLE, detail, errors=errors, more=more))  # type: ignore[return-value]
        return made

    @routes.get("/imports/{import_id}/marked", response_class=Response, responses={200: _FILE})
    def read_marked(import_id: uuid.UUID, viewer: Provider) -> Response:
        """The file of an import that was refused, with its faults: cells in red, and what is wrong in a last column."""
        with catalogue.session() as session:
            found = session.get(store.Import, import_id)
        if found is None or found.marked is None or not viewer.provides_for(found.department):
            raise missing("import", import_id)
        return _file(found.marked, found.format, f"{found.kind}-errors")

    @routes.get("/lists/powers")
    def list_powers(
        viewer: Anyone, department: Department = None, limit: Limit = 100, cursor: Cursor = None
    ) -> Page[PowerOut]:
        """Powers (权力), of one department or of all."""
        with catalogue.session() as session:
            query = _of(select(store.Power), store.Power.department, department)
            rows, following = page(session, query, [store.Power.code], limit, cursor)
            return Page(items=[PowerOut.model_validate(row) for row in rows], next=following)

    @routes.get("/lists/service-items")
    def list_service_items(
        viewer: Anyone, department: Department = None, limit: Limit = 100, cursor: Cursor = None
    ) -> Page[ServiceItemOut]:
        """Service items (事项), of one department or of all."""
        with catalogue.session() as session:
            query = _of(select(store.ServiceItem), store.ServiceItem.department, department)
            rows, following = page(session, query, [store.ServiceItem.code], limit, cursor)
            return Page(items=[ServiceItemOut.model_validate(row) for row in rows], next=following)

    @routes.get("/lists/data-items")
    def list_data_items(
        viewer: Anyone, department: Department = None, limit: Limit = 100, cursor: Cursor = None
    ) -> Page[DataItemOut]:
        """The data list (数据清单), of one department or of all."""
        with catalogue.session() as session:
            query = _of(select(store.DataItem), store.DataItem.department, department)
            rows, following = page(session, query, [store.DataItem.code], limit, cursor)
            return Page(items=[DataItemOut.model_validate(row) for row in rows], next=following)

    return routes


def _of(query: Select[Any], column: Any, department: str | None) -> Select[Any]:
    return query if department is None else query.where(column == department)


def unreadable_file(error: tabular.Unreadable, title: Words) -> Problem:
    """What a caller is told whose file cannot be read, and at which line."""
    if error.line is None:
        return Problem(422, "file-unreadable", title, error.words)
    detail = Words(f"Line {error.line}: {error.words}.", f"第 {error.line} 行：{error.words.zh}。")
    errors = [{"pointer": f"/{error.line}", "detail": error.words}]
    return Problem(422, "file-unreadable", title, detail, errors=errors)


def _file(data: bytes, kind: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.{kind}"'}
    return Response(data, media_type=_TYPES[kind], headers=headers)


_TABLES: dict[ListKind, Any] = {
    ListKind.POWERS: store.Power,
    ListKind.SERVICE_ITEMS: store.ServiceItem,
    ListKind.DATA_ITEMS: store.DataItem,
}


def _known(session: Session, kind: ListKind, department: str) -> Known:
    table = _TABLES[kind]
    above = {ListKind.SERVICE_ITEMS: store.Power, ListKind.DATA_ITEMS: store.ServiceItem}.get(kind)
    sources: dict[str, tuple[str, str]] = {}
    if kind is ListKind.DATA_ITEMS:
        made = (
            select(store.DataItem.compared_name, store.DataItem.department, store.Department.name)
            .join(store.Department, store.Department.slug == store.DataItem.department)
            .where(store.DataItem.use == "makes", store.DataItem.exception.is_(None))
        )
        sources = {name: (slug, title) for name, slug, title in session.execute(made)}
    return Known(
        codes={code: owner for code, owner in session.execute(select(table.code, table.department))},  # noqa: C416
        above=frozenset(session.scalars(select(above.code).where(above.department == department)))  # type: ignore[attr-defined]
        if above
        else frozenset(),
        sources=sources,
    )


def _take_in(
    catalogue: Catalogue, session: Session, kind: ListKind, department: str, lines: list[Line], viewer: Viewer
) -> tuple[int, int]:
    """Add and change rows, and tell the others of them; how many of each.

    Names are freed before they are taken, so that two rows may swap.
    """
    table = _TABLES[kind]
    codes = [line.cells["code"] for line in lines]
    kept = {row.code: row for row in session.scalars(select(table).where(table.code.in_(codes)))}
    added = changed = 0
    touched = []
    if kind is ListKind.DATA_ITEMS:
        for row in kept.values():
            row.compared_name = f"\N{REPLACEMENT CHARACTER}{row.code}"
        session.flush()
    for line in lines:
        values: dict[str, Any] = dict(line.cells)
        if kind is ListKind.DATA_ITEMS:
            values["compared_name"] = compared(str(values["name"]))
            values.setdefault("exception", None)
            values["exception_by"] = viewer.name if values["exception"] else None
        row = kept.get(str(values["code"]))
        if row is None:
            touched.append(table(department=department, told=True, **values))
            added += 1
        else:
            if any(getattr(row, name) != value for name, value in values.items() if name != "compared_name"):
                touched.append(row)
                changed += 1
            for name, value in {**values, "told": True}.items():
                setattr(row, name, value)
    session.add_all(touched)
    session.flush()
    catalogue.publisher.lines(session, touched, "list_imported")
    return added, changed
