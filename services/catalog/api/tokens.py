"""API tokens: who may call the exchange's APIs, and as what.

A token is shown once, in the answer that makes it; so these posts are never answered from memory (no Idempotency-Key):
a token that was lost on the way is revoked, and another made.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import AwareDatetime, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.catalog import store
from services.catalog.catalogue import Catalogue, need, now
from services.core.defects import Defect
from services.core.forms import Name, Slug, Strict
from services.core.identity import (
    CONSOLE,
    INSTALLATIONS_OWN,
    OF_A_DEPARTMENT,
    Administrator,
    Anyone,
    Overseer,
    Role,
    new_token,
)
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import refuse
from services.core.words import Words


class TokenForm(Strict):
    """Who gets it (the name the audit log will say), for which department, and as what."""

    name: Name
    department: Slug | None = None
    roles: Annotated[list[Role], Field(min_length=1, max_length=5, examples=[["provider", "consumer"]])]
    expires_at: AwareDatetime | None = None


class TokenOut(Strict):
    id: str
    name: str
    department: str | None
    roles: list[Role]
    expires_at: datetime | None
    revoked_at: datetime | None
    created_by: str
    created_at: datetime


class TokenMade(TokenOut):
    """With the token itself, which is never shown again."""

    token: str


class Myself(Strict):
    name: str
    department: str | None
    roles: list[Role]


def defects_of(form: TokenForm) -> list[Defect]:
    """What is wrong with what a token is to be."""
    defects = []
    if form.department is None and OF_A_DEPARTMENT & set(form.roles):
        detail = Words("a provider or consumer acts for a department", "提供方、使用方须属于某个部门")
        defects.append(Defect("/department", detail))
    if form.name in INSTALLATIONS_OWN:
        defects.append(Defect("/name", Words("is the installation's own", "为系统保留名称")))
    if form.expires_at is not None and form.expires_at <= now():
        defects.append(Defect("/expires_at", Words("lies in the past", "已过期")))
    return defects


def keep(catalogue: Catalogue, session: Session, form: TokenForm, by: str) -> tuple[store.Token, str]:
    """A new token as it is kept, and the token itself. Raises a 404 problem for a department that is not there."""
    token, token_id, digest = new_token()
    if form.department is not None:
        need(session, store.Department, form.department, "department")
    kept = store.Token(
        id=token_id,
        digest=digest,
        name=form.name,
        department=form.department,
        roles=sorted(set(form.roles)),
        expires_at=form.expires_at,
        created_by=by,
        created_at=now(),
    )
    session.add(kept)
    session.flush()
    catalogue.publisher.identity(session, kept, "token_made")
    facts = {"roles": ",".join(kept.roles)}
    catalogue.publisher.happened(session, "token_made", token_id, form.department or "", by, facts)
    return kept, token


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(tags=["tokens"])

    @routes.get("/me")
    def read_myself(viewer: Anyone) -> Myself:
        """Whom the caller's token stands for."""
        return Myself(name=viewer.name, department=viewer.department, roles=sorted(viewer.roles))

    @routes.post("/tokens", status_code=201)
    def make_token(form: TokenForm, viewer: Administrator) -> TokenMade:
        """Make a token; it is in this answer and nowhere else."""
        refuse("token-invalid", Words("The token is not valid", "令牌信息无效"), defects_of(form))
        with catalogue.session() as session, session.begin():
            kept, token = keep(catalogue, session, form, viewer.name)
            return TokenMade(**TokenOut.model_validate(kept).model_dump(), token=token)

    @routes.get("/tokens")
    def list_tokens(viewer: Overseer, limit: Limit = 100, cursor: Cursor = None) -> Page[TokenOut]:
        """All tokens there ever were, without their secrets; those of who is signed in are the console's affair."""
        made = select(store.Token).where(store.Token.created_by != CONSOLE)
        with catalogue.session() as session:
            rows, following = page(session, made, [store.Token.id], limit, cursor)
            return Page(items=[TokenOut.model_validate(row) for row in rows], next=following)

    @routes.delete("/tokens/{token_id}")
    def revoke_token(token_id: str, viewer: Administrator) -> TokenOut:
        """Revoke a token: it opens nothing from now on. Revoking it again changes nothing."""
        with catalogue.session() as session, session.begin():
            kept = need(session, store.Token, token_id, "token", lock=True)
            if kept.revoked_at is None:
                kept.revoked_at = now()
                session.flush()
                catalogue.publisher.identity(session, kept, "token_revoked")
                catalogue.publisher.happened(session, "token_revoked", token_id, kept.department or "", viewer.name, {})
            return TokenOut.model_validate(kept)

    return routes
