"""Grants and the departments' own users of the broker. All of it is the operator's, for now."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import httpx
from fastapi import APIRouter
from pydantic import AwareDatetime, Field
from sqlalchemy import select

from services.core import rowfilter
from services.core.forms import Strict
from services.core.identity import Administrator
from services.core.problems import Problem
from services.demand import credentials, granting, store
from services.demand.demands import Demands
from services.demand.domain import grant as domain
from services.demand.domain.provisioning import user_of

# How long a request waits for a resource that the catalogue has just mounted to arrive here.
_STATE_LAG_SECONDS = 20.0


class TableTarget(Strict):
    """The table that the table channel fills; `dsn_secret` names the secret that holds the connection string."""

    dsn_secret: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    schema_: Annotated[str, Field(alias="schema", min_length=1, max_length=63)]
    table: Annotated[str, Field(min_length=1, max_length=63)]


class GrantIn(Strict):
    resource: str
    department: str
    items: list[str]
    masks: dict[str, dict[str, Any]] = {}
    row_filter: Annotated[str, Field(max_length=4_000)] | None = None
    channels: list[Literal["topic", "table", "api"]] = ["topic"]
    table_target: TableTarget | None = None
    purpose: str
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
    topic: str


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
            detail = f"The catalogue cannot be asked whether the {what} exists; try again."
            raise Problem(503, "catalogue-unavailable", "The catalogue does not answer", detail) from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise Problem(404, f"{what}-unknown", f"No such {what}", f"There is no {what} {name!r}.")
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
    def issue_credentials(slug: str, viewer: Administrator) -> Credentials:
        """A broker user for the department's own Kafka clients, or a new password for the one it has."""
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
            raise Problem(404, "resource-unknown", "No such resource", f"No resource {asked.resource!r} is in force.")
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
        errors = [asdict(defect) for defect in domain.defects(terms, resource)]
        if errors:
            detail = "; ".join(f"{error['pointer']}: {error['detail']}" for error in errors)
            raise Problem(422, "grant-invalid", "This cannot be granted", detail, errors=errors)
        granted = granting.prepare(terms, resource, thread=str(uuid.uuid4()), by=viewer.name, now=now)
        granting.provision(demands, granted)
        with demands.session() as session, session.begin():
            granting.keep(demands, session, granted)
            return shown(granted)

    @routes.get("/grants")
    def list_grants(viewer: Administrator) -> list[GrantOut]:
        with demands.session() as session:
            return [shown(one) for one in session.scalars(select(store.Grant).order_by(store.Grant.id))]

    @routes.get("/grants/{grant_id}")
    def read_grant(grant_id: str, viewer: Administrator) -> GrantOut:
        with demands.session() as session:
            found = session.get(store.Grant, grant_id)
            if found is None:
                raise _no_grant(grant_id)
            return shown(found)

    @routes.delete("/grants/{grant_id}")
    def revoke(grant_id: str, viewer: Administrator) -> GrantOut:
        """Revoke a grant: delivery stops, and the broker refuses the department's reads."""
        with demands.session() as session, session.begin():
            found = session.get(store.Grant, grant_id, with_for_update=True)
            if found is None:
                raise _no_grant(grant_id)
            if found.state == domain.State.ACTIVE:
                found.state, found.updated_at = domain.State.REVOKED, datetime.now(UTC)
                demands.publisher.grant(session, found, "grant_revoked", viewer.name)
            answer = shown(found)
        demands.broker.close(answer.topic, answer.department)
        return answer

    return routes


def _no_grant(grant_id: str) -> Problem:
    return Problem(404, "grant-unknown", "No such grant", f"There is no grant {grant_id!r}.")
