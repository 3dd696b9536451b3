"""Signing in and out, and what people change of their own."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from services.console.accounts import LOGIN
from services.console.admission import EVERYBODY, Admission, JustSignedIn, SignedIn
from services.console.entrance import Entrance
from services.console.sessions import Session
from services.core.forms import Strict
from services.core.identity import Role

Login = Annotated[str, Field(pattern=f"^{LOGIN.pattern}$", examples=["zhang.wei"])]
Password = Annotated[str, Field(min_length=1, max_length=1_000)]
Language = Literal["zh-CN", "en"]
Here = Annotated[Session, Depends(SignedIn(EVERYBODY))]
JustHere = Annotated[Session, Depends(JustSignedIn(EVERYBODY))]


class SignInForm(Strict):
    login: Annotated[str, Field(min_length=1, max_length=200)]
    password: Password


class PasswordForm(Strict):
    current: Password
    new: Password


class MeForm(Strict):
    language: Language


class Me(Strict):
    """Who is signed in; `local` says whether the password is kept here."""

    login: str
    name: str
    department: str | None
    roles: list[Role]
    language: Language
    local: bool = True


class SignedOutOut(Strict):
    signed_in: Literal[False] = False
    oidc: None = None


class SignedInOut(Strict):
    """`csrf` goes with whatever changes something, as `X-CSRF-Token`."""

    signed_in: Literal[True] = True
    csrf: str
    must_change_password: bool
    idle_ends_at: datetime
    ends_at: datetime
    me: Me
    oidc: None = None


SessionOut = SignedInOut | SignedOutOut


def open_routes(entrance: Entrance, admission: Admission) -> APIRouter:
    """What somebody who is not signed in yet may ask: for everybody."""
    routes = APIRouter(tags=["session"])

    @routes.get("/session")
    async def read_session(request: Request) -> SessionOut:
        """Who is signed in."""
        session = await admission.find(request)
        return shown(session) if session else SignedOutOut()

    @routes.post("/session")
    async def sign_in(form: SignInForm, request: Request, response: Response) -> SessionOut:
        """Sign in with a password; the session is in the cookie."""
        admission.require_same_origin(request)
        before = await admission.find(request)
        session = await entrance.sign_in(form.login.strip().lower(), form.password)
        if before is not None:
            await entrance.sign_out(before)
        admission.hand_over(response, session)
        return shown(session)

    return routes


def own_routes(entrance: Entrance, admission: Admission) -> APIRouter:
    """What is anybody's own."""
    routes = APIRouter(tags=["session"])

    @routes.delete("/session", status_code=204)
    async def sign_out(session: JustHere, response: Response) -> None:
        """Sign out; the token of the session is good for nothing any more."""
        await entrance.sign_out(session)
        admission.take_back(response)

    @routes.put("/password")
    async def change_password(form: PasswordForm, session: JustHere, response: Response) -> SignedInOut:
        """Choose another password. All sessions end; this one goes on as a new one."""
        fresh = await entrance.change_password(session, form.current, form.new)
        admission.hand_over(response, fresh)
        return shown(fresh)

    @routes.get("/me")
    async def read_me(session: Here) -> Me:
        """Who is signed in."""
        return me(session)

    @routes.patch("/me")
    async def change_me(form: MeForm, session: Here) -> Me:
        """Choose the language."""
        person = await run_in_threadpool(entrance.accounts.choose_language, session.person.login, form.language)
        return me(await entrance.sessions.update(session, person))

    return routes


def me(session: Session) -> Me:
    told: dict[str, Any] = {name: getattr(session.person, name) for name in ("login", "name", "department", "language")}
    return Me(**told, roles=sorted(session.person.roles))


def shown(session: Session) -> SignedInOut:
    return SignedInOut(
        csrf=session.csrf, must_change_password=session.person.must_change, idle_ends_at=session.idle_ends_at,
        ends_at=session.ends_at, me=me(session),
    )  # fmt: skip
