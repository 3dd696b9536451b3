"""The category tree (信息资源分类): base, thematic and departmental at its top, four levels deep."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.catalog import store
from services.catalog.api.forms import CategoryCode
from services.catalog.catalogue import Catalogue, need, taken
from services.catalog.domain.category import LEVELS, code_defects
from services.catalog.publication import category_path, restate
from services.core.conditional import IfMatch, etag, require_match
from services.core.defects import Defect
from services.core.forms import Name, Strict
from services.core.idempotency import IdempotentRoute
from services.core.identity import Administrator, Anyone
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem, refuse
from services.core.words import Words

_INVALID = Words("The category is not valid", "分类无效")


class CategoryForm(Strict):
    code: CategoryCode
    parent: CategoryCode | None = None
    name: Name


class CategoryChange(Strict):
    parent: CategoryCode | None = None
    name: Name


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(prefix="/categories", tags=["categories"], route_class=IdempotentRoute)

    @routes.get("")
    def list_categories(viewer: Anyone, limit: Limit = 500, cursor: Cursor = None) -> Page[CategoryForm]:
        """All categories, each naming its parent."""
        with catalogue.session() as session:
            rows, following = page(session, select(store.Category), [store.Category.code], limit, cursor)
            return Page(items=[CategoryForm.model_validate(row) for row in rows], next=following)

    @routes.get("/{code}")
    def read_category(code: str, viewer: Anyone, response: Response) -> CategoryForm:
        """One category."""
        with catalogue.session() as session:
            found = need(session, store.Category, code, "category")
            response.headers["ETag"] = etag(found.revision)
            return CategoryForm.model_validate(found)

    @routes.post("", status_code=201)
    def add_category(form: CategoryForm, viewer: Administrator, response: Response) -> CategoryForm:
        """Add a category under its parent, or a class at the top."""
        try:
            with catalogue.session() as session, session.begin():
                path = [step.code for step in category_path(session, form.parent)]
                refuse("category-invalid", _INVALID, _parent_defects(session, form.parent))
                refuse("category-invalid", _INVALID, code_defects(form.code, path))
                session.add(store.Category(**form.model_dump()))
                session.flush()
                facts = {"name": form.name, "parent": form.parent or ""}
                catalogue.publisher.happened(session, "category_added", form.code, "", viewer.name, facts)
        except IntegrityError as error:
            raise taken("category", form.code) from error
        response.headers["ETag"] = etag(1)
        return form

    @routes.put("/{code}")
    def change_category(
        code: str, form: CategoryChange, viewer: Administrator, response: Response, if_match: IfMatch = None
    ) -> CategoryForm:
        """Rename or move a category; the resources under it are told to the others anew."""
        with catalogue.session() as session, session.begin():
            # one move at a time: two at once could close a circle that neither sees
            tree = {row.code: row for row in session.scalars(select(store.Category).with_for_update())}
            found = tree.get(code) or need(session, store.Category, code, "category")
            require_match(if_match, found.revision)
            refuse("category-invalid", _INVALID, _parent_defects(session, form.parent))
            below = _below(tree, code)
            if form.parent in below:
                detail = Words("lies below this category: the tree would be a circle", "位于本分类之下，会形成循环")
                refuse("category-cycle", _INVALID, [Defect("/parent", detail)])
            found.name, found.parent = form.name, form.parent
            found.revision += 1
            session.flush()
            for one in below:
                path = [step.code for step in category_path(session, one)]
                if len(path) > LEVELS:
                    detail = Words(f"{one} would lie deeper than {LEVELS} levels", f"“{one}”将超过 {LEVELS} 级")
                    refuse("category-invalid", _INVALID, [Defect("/parent", detail)])
            facts = {"name": form.name, "parent": form.parent or ""}
            catalogue.publisher.happened(session, "category_changed", code, "", viewer.name, facts)
            restate(catalogue, session, _under(session, below), "category_changed")
            response.headers["ETag"] = etag(found.revision)
            return CategoryForm.model_validate(found)

    @routes.delete("/{code}", status_code=204)
    def remove_category(code: str, viewer: Administrator, if_match: IfMatch = None) -> None:
        """Remove a category that nothing uses."""
        with catalogue.session() as session, session.begin():
            found = need(session, store.Category, code, "category", lock=True)
            require_match(if_match, found.revision)
            children = session.scalars(select(store.Category.code).where(store.Category.parent == code)).all()
            used = [*children, *_under(session, {code})]
            if used:
                named = ", ".join(used[:5])
                detail = Words(f"It is used by {named}.", f"仍被使用：{named}。")
                raise Problem(409, "category-in-use", Words("The category is in use", "分类正在使用"), detail)
            session.delete(found)
            catalogue.publisher.happened(session, "category_removed", code, "", viewer.name, {})

    return routes


def _parent_defects(session: Session, parent: str | None) -> list[Defect]:
    if parent is None or session.get(store.Category, parent) is not None:
        return []
    return [Defect("/parent", Words(f"there is no category {parent!r}", f"没有分类“{parent}”"))]


def _below(tree: dict[str, store.Category], code: str) -> set[str]:
    """`code` and all that lies below it."""
    found, waiting = {code}, [code]
    while waiting:
        one = waiting.pop()
        children = [row.code for row in tree.values() if row.parent == one and row.code not in found]
        found.update(children)
        waiting += children
    return found


def _under(session: Session, categories: set[str]) -> list[str]:
    """Codes of the resources, drafts too, that one of the categories holds."""
    held = [column["category"].astext.in_(categories) for column in (store.Resource.published, store.Resource.draft)]
    return list(session.scalars(select(store.Resource.code).where(or_(*held)).order_by(store.Resource.code)))
