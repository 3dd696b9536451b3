"""Tokens of those who signed in at the console: made and ended by the console alone, by a secret of the installation.

The console knows who somebody is, the catalogue says what a token may do: so that every service recognises a person as
it recognises a program, and the audit log tells who it was. Such a token lives no longer than a day and is forgotten
when it has ended: `catalog.identities` would grow with every sign-in else.
"""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import AwareDatetime
from sqlalchemy import delete
from sqlalchemy.orm import Session

from services.catalog import store
from services.catalog.api.tokens import TokenForm, defects_of, keep
from services.catalog.catalogue import Catalogue, missing, now
from services.core import identity
from services.core.defects import Defect
from services.core.forms import Strict
from services.core.identity import CONSOLE, Gate
from services.core.problems import refuse
from services.core.settings import settings
from services.core.words import Words

_LONGEST = timedelta(days=1)


class ForTheConsole(Gate):
    """Lets the console pass, which has no role of the exchange, and nobody who has one."""

    def __call__(self, request: Request) -> None:
        known = f"Bearer {settings().secret('console_token')}"
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), known.encode()):
            viewer = identity.require_signed_in(request)
            raise identity.refuse(request, viewer, Words("This is for the console alone.", "此操作仅限控制台。"))


TheConsole = Annotated[None, Depends(ForTheConsole(frozenset()))]


class SessionForm(TokenForm):
    """Who signed in, and until when that holds."""

    expires_at: AwareDatetime


class SessionMade(Strict):
    id: str
    token: str


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(tags=["sessions"])

    @routes.post("/sessions", status_code=201)
    def make_session(form: SessionForm, console: TheConsole) -> SessionMade:
        """Make the token of somebody who signed in at the console. For the console alone."""
        defects = defects_of(form)
        if form.expires_at > now() + _LONGEST:
            defects.append(Defect("/expires_at", Words("is more than a day away", "不得超过一天")))
        refuse("session-invalid", Words("The session is not valid", "会话信息无效"), defects)
        with catalogue.session() as session, session.begin():
            _forget_expired(catalogue, session)
            kept, token = keep(catalogue, session, form, CONSOLE)
            return SessionMade(id=kept.id, token=token)

    @routes.delete("/sessions/{token_id}", status_code=204)
    def end_session(token_id: str, console: TheConsole) -> None:
        """End the token of somebody who signed out. For the console alone, and for its own tokens only."""
        with catalogue.session() as session, session.begin():
            kept = session.get(store.Token, token_id, with_for_update=True)
            if kept is None or kept.created_by != CONSOLE:
                raise missing("token", token_id)
            session.delete(kept)
            session.flush()
            catalogue.publisher.identity_gone(session, token_id, "token_revoked")
            catalogue.publisher.happened(session, "token_revoked", token_id, kept.department or "", CONSOLE, {})

    return routes


def _forget_expired(catalogue: Catalogue, session: Session) -> None:
    expired = store.Token.created_by == CONSOLE, store.Token.expires_at < now()
    for token_id in session.scalars(delete(store.Token).where(*expired).returning(store.Token.id)).all():
        catalogue.publisher.identity_gone(session, token_id, "token_expired")
