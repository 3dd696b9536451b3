"""Signing in and out, and what people change of their own."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import structlog
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from services.console.accounts import LOGIN, SignInFailed
from services.console.admission import EVERYBODY, Admission, JustSignedIn, SignedIn
from services.console.entrance import Entrance
from services.console.openid import NotVouched, OpenId
from services.console.sessions import Session
from services.console.tokens import CatalogueAway
from services.core.forms import Strict
from services.core.identity import Role

log = structlog.get_logger()

PREFIX = "/api/console/v1"
_BEGUN = "tongshu-openid"
Returned = Annotated[str, Query(max_length=4_000)]
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
    local: bool


class AnotherWay(Strict):
    """The place's own identity provider: what it is called, and where one goes to sign in there."""

    title: str
    begin: str


class SignedOutOut(Strict):
    signed_in: Literal[False] = False
    oidc: AnotherWay | None = None


class SignedInOut(Strict):
    """`csrf` goes with whatever changes something, as `X-CSRF-Token`."""

    signed_in: Literal[True] = True
    csrf: str
    must_change_password: bool
    idle_ends_at: datetime
    ends_at: datetime
    me: Me
    oidc: AnotherWay | None = None


SessionOut = SignedInOut | SignedOutOut


def open_routes(entrance: Entrance, admission: Admission, title: str) -> APIRouter:
    """What somebody who is not signed in yet may ask: for everybody. `title` is the identity provider's, if any."""
    routes = APIRouter(tags=["session"])
    another_way = AnotherWay(title=title, begin=f"{PREFIX}/oidc/begin") if entrance.openid else None

    @routes.get("/session")
    async def read_session(request: Request) -> SessionOut:
        """Who is signed in."""
        session = await admission.find(request)
        return shown(session) if session else SignedOutOut(oidc=another_way)

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


def openid_routes(openid: OpenId, entrance: Entrance, admission: Admission) -> APIRouter:
    """The way to the identity provider and back: pages that a browser goes through, so they answer by leading on."""
    routes = APIRouter(tags=["session"], default_response_class=RedirectResponse)
    # the way back begins at another site, so this cookie alone is let through from there
    cookie: dict[str, Any] = {
        "path": f"{PREFIX}/oidc", "secure": admission.secure, "httponly": True, "samesite": "lax"
    }  # fmt: skip

    @routes.get("/oidc/begin", status_code=303)
    async def begin(request: Request) -> RedirectResponse:
        """Go to the identity provider."""
        try:
            begun = await openid.begin(f"{admission.address_of(request)}{PREFIX}/oidc/callback")
        except NotVouched as why:
            log.warning("the identity provider cannot be asked", reason=str(why))
            return RedirectResponse("/?sign-in=away", 303)
        leading = RedirectResponse(begun.url, 303)
        leading.set_cookie(_BEGUN, begun.secret, max_age=600, **cookie)
        return leading

    @routes.get("/oidc/callback", status_code=303)
    async def come_back(
        request: Request, state: Returned = "", code: Returned = "", iss: Returned | None = None
    ) -> RedirectResponse:
        """Come back from it."""
        try:
            session = await entrance.come_back(state, code, iss, request.cookies.get(_BEGUN, ""))
        except (NotVouched, SignInFailed) as why:
            log.warning("somebody who came from the identity provider is not let in", reason=str(why))
            leading = RedirectResponse("/?sign-in=refused", 303)
        except CatalogueAway:
            leading = RedirectResponse("/?sign-in=away", 303)
        else:
            leading = RedirectResponse("/", 303)
            admission.hand_over(leading, session)
        leading.delete_cookie(_BEGUN, **cookie)
        return leading

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
    return Me(**told, roles=sorted(session.person.roles), local=session.person.is_local)


def shown(session: Session) -> SignedInOut:
    return SignedInOut(
        csrf=session.csrf, must_change_password=session.person.must_change, idle_ends_at=session.idle_ends_at,
        ends_at=session.ends_at, me=me(session),
    )  # fmt: skip
