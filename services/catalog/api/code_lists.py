"""Code lists (代码集): what values an item may have, and what each stands for."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field
from sqlalchemy import select

from services.catalog import store
from services.catalog.catalogue import Catalogue, need
from services.core.conditional import IfMatch, etag, require_match
from services.core.forms import Name, Plain, Strict
from services.core.idempotency import IdempotentRoute
from services.core.identity import Administrator, Anyone
from services.core.pages import Cursor, Limit, Page, page

ListName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]*$")]
ListCode = Annotated[str, Field(min_length=1, max_length=60), Plain]


class Entries(Strict):
    entries: Annotated[
        dict[ListCode, Name], Field(min_length=1, max_length=20_000, examples=[{"1": "男性", "2": "女性"}])
    ]


class CodeListOut(Entries):
    name: str


class CodeListName(Strict):
    name: str


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(prefix="/code-lists", tags=["code lists"], route_class=IdempotentRoute)

    @routes.get("")
    def list_code_lists(viewer: Anyone, limit: Limit = 100, cursor: Cursor = None) -> Page[CodeListName]:
        """The names of all code lists. The divisions of today (GB/T 2260) are a list too, kept under /divisions."""
        with catalogue.session() as session:
            rows, following = page(session, select(store.CodeList), [store.CodeList.name], limit, cursor)
            return Page(items=[CodeListName(name=row.name) for row in rows], next=following)

    @routes.get("/{name}")
    def read_code_list(name: str, viewer: Anyone, response: Response) -> CodeListOut:
        """One code list with all its entries."""
        with catalogue.session() as session:
            found = need(session, store.CodeList, name, "code-list")
            response.headers["ETag"] = etag(found.revision)
            return CodeListOut.model_validate(found)

    @routes.put("/{name}")
    def write_code_list(
        name: ListName, form: Entries, viewer: Administrator, response: Response, if_match: IfMatch = None
    ) -> CodeListOut:
        """Make a code list, or put another in its place (then with `If-Match`)."""
        with catalogue.session() as session, session.begin():
            found = session.get(store.CodeList, name, with_for_update=True)
            if found is None:
                found = store.CodeList(name=name, entries=form.entries, revision=1)
                session.add(found)
            else:
                require_match(if_match, found.revision)
                found.entries, found.revision = dict(form.entries), found.revision + 1
            session.flush()
            facts = {"entries": str(len(form.entries))}
            catalogue.publisher.code_list(session, name, form.entries)
            catalogue.publisher.happened(session, "code_list_written", name, "", viewer.name, facts)
            response.headers["ETag"] = etag(found.revision)
            return CodeListOut.model_validate(found)

    return routes
