"""API keys: what a department's programs look rows up with, where a grant has the channel `api`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field
from sqlalchemy.orm import Session

from services.core.forms import Strict
from services.core.identity import Consumer, Viewer
from services.core.problems import Problem
from services.core.words import Words
from services.demand import credentials, store
from services.demand.demands import Demands, missing
from services.demand.domain.grant import State

_MOST_KEYS = 5


class ApiKeyForm(Strict):
    ends_others: Annotated[
        bool, Field(description="Whether the keys made before end; false: both work for a while.")
    ] = True


class ApiKeyOut(Strict):
    """Told once: only its digest is kept."""

    grant: str
    api_key: Annotated[str, Field(examples=["tk_4f0c9a1be2d3_5kq…"])]
    keys: Annotated[int, Field(description="How many keys of the grant work now.")]


def router(demands: Demands) -> APIRouter:
    # not idempotent routes: those keep their answers, and a key is kept nowhere
    routes = APIRouter(tags=["grants"])

    @routes.post("/grants/{grant_id}/api-keys", status_code=201)
    def make_key(grant_id: str, form: ApiKeyForm, viewer: Consumer) -> ApiKeyOut:
        """A new API key of the grant; those before end, unless they are to go on for a while."""
        with demands.session() as session, session.begin():
            grant = _own(session, viewer, grant_id)
            if grant.state != State.ACTIVE or "api" not in grant.channels:
                detail = Words(
                    "Keys are for active grants with the channel `api`.",
                    "仅生效中且含接口（api）方式的授权可申请密钥。",
                )
                raise Problem(409, "grant-without-api", Words("The grant has no row API", "该授权不含接口方式"), detail)
            key, digest = credentials.new_api_key(grant_id)
            kept = [] if form.ends_others else grant.api_key_digests
            if len(kept) >= _MOST_KEYS:
                detail = Words(
                    f"A grant has at most {_MOST_KEYS} keys at a time.", f"每项授权至多同时有 {_MOST_KEYS} 个密钥。"
                )
                raise Problem(409, "too-many-keys", Words("Too many keys", "密钥过多"), detail)
            grant.api_key_digests = [*kept, digest]
            demands.publisher.grant(session, grant, "api_key_issued", viewer.name)
            return ApiKeyOut(grant=grant_id, api_key=key, keys=len(grant.api_key_digests))

    @routes.delete("/grants/{grant_id}/api-keys", status_code=204, response_class=Response)
    def end_keys(grant_id: str, viewer: Consumer) -> None:
        """End all API keys of the grant."""
        with demands.session() as session, session.begin():
            grant = _own(session, viewer, grant_id)
            if grant.api_key_digests:
                grant.api_key_digests = []
                demands.publisher.grant(session, grant, "api_keys_ended", viewer.name)

    return routes


def _own(session: Session, viewer: Viewer, grant_id: str) -> store.Grant:
    """The grant, locked; a 404 problem where there is none or it is another department's."""
    grant = session.get(store.Grant, grant_id, with_for_update=True) if grant_id.isprintable() else None
    if grant is None or not viewer.consumes_for(grant.department):
        raise missing("grant", grant_id)
    return grant
