"""Data products (数据产品): resources that a view over granted resources fills."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.catalog import store
from services.catalog.api.filling import own
from services.catalog.api.previews import DefectOut, RuleTriedOut, defects_out, rules_out
from services.catalog.catalogue import Catalogue, now
from services.catalog.domain.mount import item_type_of
from services.catalog.domain.product import MAX_SQL
from services.catalog.domain.resource import ItemType, Terms, terms_of
from services.catalog.product_wizard import Grants, ProductPreview, look
from services.catalog.publication import code_lists, draft_of, inputs_in_force
from services.catalog.workroom import WorkroomUnreachable
from services.core.defects import Defect
from services.core.forms import Plain, Slug, Strict
from services.core.idempotency import IdempotentRoute
from services.core.identity import Provider
from services.core.problems import Problem, language_of
from services.core.words import Words

GrantId = Annotated[str, Field(max_length=40, pattern=r"^[0-9a-z]+$", examples=["0a1b2c3d4e5f"])]


class ProductForm(Strict):
    """A view in SQL, and the grants that it reads, by the names that it calls them.

    The view is one SELECT over these names (and over SELECTs in FROM and WITH), joined by equal columns; what it calls
    its columns are the columns of the items. Conditions, arithmetic, CASE, CAST, aggregates and functions of a list may
    stand in it; what would tell another thing of the same rows (the clock, chance, an order) may not.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "sql": "SELECT h.region, count(*) AS people FROM person p JOIN household h"
                    " ON h.id = p.household GROUP BY h.region",
                    "inputs": {"person": "0a1b2c3d4e5f", "household": "5f4e3d2c1b0a"},
                }
            ]
        }
    )

    sql: Annotated[str, Field(min_length=1, max_length=MAX_SQL), Plain]
    inputs: Annotated[dict[Slug, GrantId], Field(min_length=1, max_length=20)]

    def grants(self, catalogue: Catalogue) -> Grants:
        return {name: catalogue.grants.get(grant) for name, grant in self.inputs.items()}

    def kept(self, code: str, grants: Grants, found: ProductPreview) -> store.Product:
        """The row that has the view evaluated, from now on."""
        columns = found.view.columns if found.view else {}
        return store.Product(
            resource=code,
            sql=self.sql,
            inputs={
                name: {"grant": grant["id"], "resource": grant["resource"]} for name, grant in grants.items() if grant
            },
            columns={name: sorted([*origin] for origin in origins) for name, origins in columns.items()},
        )


class ProductOut(Strict):
    """The view of a data product, and how evaluating it has gone last."""

    sql: str
    inputs: Annotated[dict[str, str], Field(description="Grants by the names that the view calls them.")]
    rows: int | None
    evaluated_at: Annotated[datetime | None, Field(description="When something of an input had changed last.")]
    milliseconds: Annotated[int | None, Field(description="How long the view took.")]


class OriginOut(Strict):
    """An item of an input that a column is computed from."""

    input: str
    item: str


class ViewColumnOut(Strict):
    name: str
    type: str
    item_type: Annotated[ItemType | None, Field(description="Of an item that it fills; null where no item can.")]
    origins: list[OriginOut]


class ProductPreviewForm(Strict):
    product: ProductForm


class ProductPreviewOut(Strict):
    """What mounting a view would meet. `rows` are masked, by the gravest sensitivity of what they come from."""

    columns: list[ViewColumnOut]
    defects: Annotated[list[DefectOut], Field(description="What keeps the resource from being mounted.")]
    rows: list[dict[str, Any]]
    sampled: int
    seconds: Annotated[float, Field(description="How long the view took.")]
    rules: list[RuleTriedOut]


def tried(catalogue: Catalogue, terms: Terms, form: ProductForm) -> ProductPreview:
    """What the wizard finds; raises a 503 problem where the workroom does not answer."""
    grants = form.grants(catalogue)
    with catalogue.session() as session:
        lists = code_lists(session)
        inputs = inputs_in_force(session, {name: grant["resource"] for name, grant in grants.items() if grant})
        circle = _circle(session, terms.code, {one.code for one in inputs.values()})
    try:
        found = look(catalogue.settings, terms, form.sql, grants, inputs, lists, now())
    except WorkroomUnreachable as error:
        title = Words("The database of data products does not answer", "数据产品库无应答")
        detail = Words(f"{error}; try again.", "数据产品库暂无应答，请稍后重试。")
        raise Problem(503, "workroom-unreachable", title, detail, headers={"Retry-After": "5"}) from error
    return found if circle is None else found.also(circle)


def _circle(session: Session, code: str, inputs: set[str]) -> Defect | None:
    """A product that would be computed from itself, over others' products."""
    seen: set[str] = set()
    left = set(inputs)
    while left:
        seen |= left
        query = select(store.Product.inputs).where(store.Product.resource.in_(left))
        left = {one["resource"] for kept in session.scalars(query) for one in kept.values()} - seen
    if code not in seen:
        return None
    return Defect(
        "/product/inputs", Words("an input is computed from this very resource", "输入数据由本资源计算而来，形成循环")
    )


def out_of(kept: store.Product | None) -> ProductOut | None:
    if kept is None:
        return None
    return ProductOut(
        sql=kept.sql,
        inputs={name: one["grant"] for name, one in kept.inputs.items()},
        rows=kept.rows,
        evaluated_at=kept.evaluated_at,
        milliseconds=kept.milliseconds,
    )


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(tags=["mounts"], route_class=IdempotentRoute)

    @routes.post("/resources/{code}/mount/product/preview")
    def preview_product(code: str, form: ProductPreviewForm, viewer: Provider, request: Request) -> ProductPreviewOut:
        """Try a view for a resource: what its columns come from, all defects, ten masked rows, the rules' result.

        The draft is tried, or what is in force where there is none. Nothing is changed.
        """
        language = language_of(request)
        with catalogue.session() as session:
            resource = own(session, viewer, request, code)
            terms = draft_of(resource) if resource.draft or not resource.published else terms_of(resource.published)
        found = tried(catalogue, terms, form.product)
        origins = found.view.columns if found.view else {}
        return ProductPreviewOut(
            columns=[
                ViewColumnOut(
                    name=one.name,
                    type=one.type,
                    item_type=item_type_of(one.type),
                    origins=[OriginOut(input=name, item=item) for name, item in sorted(origins.get(one.name, ()))],
                )
                for one in found.columns.values()
            ],
            defects=defects_out(found.defects, language),
            rows=[dict(row) for row in found.rows],
            sampled=found.sampled,
            seconds=found.seconds,
            rules=rules_out(found.rules, language),
        )

    return routes
