"""Grants and the departments' own users of the broker. All of it is the operator's, for now."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import httpx
from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field
from sqlalchemy import Select, select

from services.core import problems, rowfilter
from services.core.forms import Json, Note, Plain, Slug, Strict
from services.core.identity import Administrator, Anyone, Consumer, Role, Viewer
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem
from services.core.words import Words
from services.demand import credentials, divisions, granting, store
from services.demand.demands import Demands, missing
from services.demand.domain import grant as domain
from services.demand.domain.provisioning import user_of

# How long a request waits for a resource that the catalogue has just mounted to arrive here.
_STATE_LAG_SECONDS = 20.0


GrantId = Annotated[str, Field(max_length=40, pattern=r"^[0-9a-z]+$")]


class OwnTable(Strict):
    """The table of a department's own database that the channel `table` fills; it is made where there is none."""

    schema_: Annotated[str, Field(alias="schema", min_length=1, max_length=63, examples=["received"]), Plain]
    table: Annotated[str, Field(min_length=1, max_length=63, examples=["people"]), Plain]


class TableTarget(OwnTable):
    """Such a table, and the secret that holds the connection string of its database."""

    dsn_secret: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


class GrantIn(Strict):
    resource: Slug
    department: Slug
    items: Annotated[list[Annotated[str, Plain]], Field(max_length=500)]
    masks: Annotated[dict[str, dict[str, Any]], Json] = {}
    row_filter: Annotated[str, Field(max_length=4_000), Plain] | None = None
    channels: list[Literal["topic", "table", "api", "product"]] = ["topic"]
    table_target: TableTarget | None = None
    purpose: Note
    valid_from: AwareDatetime | None = None
    valid_to: AwareDatetime | None = None


class GrantedItem(Strict):
    name: str
    mask: str | None


class FilterInWords(Strict):
    """Which rows may be seen, for people."""

    zh: str
    en: str


class GrantOut(Strict):
    id: str
    thread: str
    state: str
    resource: str
    contract_version: str
    department: str
    items: list[GrantedItem]
    row_filter: str | None
    row_filter_in_words: FilterInWords | None = None
    channels: list[str]
    table_target: TableTarget | None
    purpose: str
    valid_from: datetime
    valid_to: datetime | None
    topic: Annotated[str, Field(description="Where the department's own Kafka client reads.")]


class Credentials(Strict):
    """Shown once; asking again makes a new password and ends the old one."""

    username: str
    password: str
    mechanism: Literal["SCRAM-SHA-512"] = "SCRAM-SHA-512"
    group_prefix: str


def router(demands: Demands) -> APIRouter:
    """The routes over `demands`."""
    routes = APIRouter(tags=["grants"])
    catalogue = httpx.Client(
        base_url=demands.settings.catalog_url,
        headers={"Authorization": f"Bearer {demands.settings.secret('operator_token')}"},
        timeout=10,
    )

    def ask_catalogue(what: str, name: str) -> dict[str, Any]:
        """A department or resource as the catalogue knows it now; raises a 404 problem where it knows none."""
        try:
            answer = catalogue.get(f"/api/catalog/v1/{what}s/{name}")
        except httpx.HTTPError as error:
            detail = Words(
                f"The catalogue cannot be asked whether the {what} exists; try again.", "目录服务暂无应答，请稍后重试。"
            )
            title = Words("The catalogue does not answer", "目录服务无应答")
            raise Problem(503, "catalogue-unavailable", title, detail) from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise missing(what, name)
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return told

    def mounted(code: str) -> dict[str, Any] | None:
        """The state of a resource in force; what the catalogue has only just published or mounted is waited for."""
        state = demands.resources.get(code)
        if state is not None and state["mount"] is not None:
            return state
        if ask_catalogue("resource", code)["mount"] is None:
            return state
        return demands.resources.wait_for(
            code, lambda state: state is not None and state["mount"] is not None, _STATE_LAG_SECONDS
        )

    def shown(grant: store.Grant) -> GrantOut:
        answer = GrantOut.model_validate(grant)
        if grant.row_filter is not None:
            resource = demands.resources.get(grant.resource)
            titles = {item["name"]: item["title"] for item in resource["items"]} if resource else {}
            said = rowfilter.parse(grant.row_filter)
            # items have a title in Chinese only; in English they go by their names
            answer.row_filter_in_words = FilterInWords(zh=said.explain("zh", titles), en=said.explain("en", {}))
        return answer

    @routes.post("/departments/{slug}/credentials", status_code=201)
    def issue_credentials(slug: Slug, viewer: Consumer) -> Credentials:
        """A broker user for the department's own Kafka clients, or a new password for the one it has."""
        if not viewer.consumes_for(slug):
            raise missing("department", slug)
        ask_catalogue("department", slug)
        with demands.session() as session, session.begin():
            password = credentials.issue(demands, session, slug, viewer.name)
        return Credentials(username=user_of(slug), password=password, group_prefix=f"{slug}.")

    @routes.post("/grants", status_code=201)
    def grant(asked: GrantIn, viewer: Administrator) -> GrantOut:
        """Grant data: the share topic and the right to read it are there when this returns, data follows by itself."""
        ask_catalogue("department", asked.department)
        resource = mounted(asked.resource)
        if resource is None:
            raise missing("resource", asked.resource)
        now = datetime.now(UTC)
        terms = domain.Asked(
            department=asked.department,
            items=asked.items,
            masks=asked.masks,
            row_filter=asked.row_filter,
            purpose=asked.purpose,
            valid_from=asked.valid_from or now,
            valid_to=asked.valid_to,
            channels=asked.channels,
            table_target=asked.table_target.model_dump(by_alias=True) if asked.table_target else None,
        )
        title = Words("This cannot be granted", "不能这样授权")
        with demands.session() as session, session.begin():
            found = [*domain.defects(terms, resource), *divisions.defects(session, asked.row_filter)]
            problems.refuse("grant-invalid", title, found)
            granted = granting.prepare(session, terms, resource, thread=str(uuid.uuid4()), by=viewer.name, now=now)
            granting.provision(demands, granted)
            granting.keep(demands, session, granted)
            return shown(granted)

    def visible(viewer: Viewer) -> Select[store.Grant]:
        """Own grants and those of what the own department provides; all for who oversees."""
        query = select(store.Grant)
        if viewer.sees_all() or Role.OPS in viewer.roles:
            return query
        provided = [one["code"] for one in demands.resources.values() if one["department"] == viewer.department]
        return query.where((store.Grant.department == viewer.department) | store.Grant.resource.in_(provided))

    @routes.get("/grants")
    def list_grants(
        viewer: Anyone,
        resource: Annotated[Slug | None, Query(description="Only of this resource.")] = None,
        state: Annotated[domain.State | None, Query(description="Only in this state.")] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[GrantOut]:
        """A department sees its own grants, and all of what it provides."""
        query = visible(viewer)
        if resource is not None:
            query = query.where(store.Grant.resource == resource)
        if state is not None:
            query = query.where(store.Grant.state == state)
        with demands.session() as session:
            found, following = page(session, query, [store.Grant.id], limit, cursor)
            return Page(items=[shown(one) for one in found], next=following)

    @routes.get("/grants/{grant_id}")
    def read_grant(grant_id: GrantId, viewer: Anyone) -> GrantOut:
        with demands.session() as session:
            found = session.scalar(visible(viewer).where(store.Grant.id == grant_id))
            if found is None:
                raise missing("grant", grant_id)
            return shown(found)

    @routes.delete("/grants/{grant_id}")
    def revoke(grant_id: GrantId, viewer: Administrator) -> GrantOut:
        """Revoke a grant: delivery stops, and the broker refuses the department's reads."""
        with demands.session() as session, session.begin():
            found = session.get(store.Grant, grant_id, with_for_update=True)
            if found is None:
                raise missing("grant", grant_id)
            if found.state == domain.State.ACTIVE:
                found.state, found.updated_at = domain.State.REVOKED, datetime.now(UTC)
                demands.publisher.grant(session, found, "grant_revoked", viewer.name)
            answer = shown(found)
        demands.broker.close(answer.topic, answer.department)
        return answer

    return routes
