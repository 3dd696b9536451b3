"""Which requests are let in: from our own pages, by somebody who is signed in, and may do this.

The cookie alone proves nothing about who made a request: a browser sends it for whatever page asks (SameSite keeps most
of that away). So whatever changes something comes from this origin (`Sec-Fetch-Site`, `Origin`) and shows a value that
only a page of this origin could read (`X-CSRF-Token`, an HMAC under the session's secret).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from services.console.accounts import Accounts
from services.console.sessions import Session, Sessions
from services.core.identity import Gate, Role
from services.core.problems import Problem
from services.core.words import Words

BACKGROUND = "tongshu-background"
CSRF = "x-csrf-token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Admission:
    """Recognises sessions by their cookie. `public_url` is where browsers reach us, if not where we listen."""

    def __init__(self, sessions: Sessions, accounts: Accounts, public_url: str) -> None:
        self._sessions, self._accounts = sessions, accounts
        self._origin = public_url.rstrip("/") or None
        self.secure = urlsplit(public_url).scheme == "https"
        # the prefix has browsers see to it that no other host of the domain has set it
        self.cookie = "__Host-tongshu" if self.secure else "tongshu"

    async def find(self, request: Request, *, is_active: bool = True) -> Session | None:
        """The session of a request; None when there is none."""
        presented = request.cookies.get(self.cookie)
        is_active = is_active and BACKGROUND not in request.headers
        return await self._sessions.find(presented, is_active=is_active) if presented else None

    async def admit(self, request: Request, *, is_active: bool = True, with_first_password: bool = False) -> Session:
        """The session of a request that may do something. Raises 401 and 403 problems."""
        if request.method not in _SAFE:
            self.require_same_origin(request)
        session = await self.find(request, is_active=is_active)
        if session is None:
            raise _not_signed_in()
        if request.method not in _SAFE and not hmac.compare_digest(
            request.headers.get(CSRF, "").encode(), session.csrf.encode()
        ):
            raise _no_csrf_token()
        if session.person.must_change and not with_first_password:
            raise _first_password()
        return session

    def require_same_origin(self, request: Request) -> None:
        """Raises a 403 problem for what another site's page has a browser send. What is no browser passes."""
        told = request.headers.get("sec-fetch-site")
        origin = request.headers.get("origin")
        host = request.headers.get("host")
        ours = {self._origin} if self._origin else {f"http://{host}", f"https://{host}"}
        if (told is not None and told != "same-origin") or (origin is not None and origin not in ours):
            raise Problem(
                403,
                "cross-site",
                Words("This came from another site", "请求来自其他网站"),
                Words("Open the console by its own address and try again.", "请通过控制台自身的地址打开后重试。"),
            )

    def address_of(self, request: Request) -> str:
        """Where the browser reaches us: scheme, host and port."""
        return self._origin or f"{request.url.scheme}://{request.headers.get('host')}"

    async def refuse(self, request: Request, session: Session, why: Words) -> Problem:
        """The answer to somebody who may not do this; the attempt is told."""
        person, what = session.person, f"{request.method} {request.url.path}"
        await run_in_threadpool(self._accounts.denied, person.login, person.department, what)
        return Problem(403, "not-allowed", Words("Not allowed", "无权操作"), why)

    def hand_over(self, response: Response, session: Session) -> None:
        """Give the browser its secret."""
        response.set_cookie(
            self.cookie, session.id, path="/", secure=self.secure, httponly=True, samesite="strict",
        )  # fmt: skip

    def take_back(self, response: Response) -> None:
        response.delete_cookie(self.cookie, path="/", secure=self.secure, httponly=True, samesite="strict")


@dataclass(frozen=True)
class SignedIn(Gate):
    """The gate for those who are signed in (a FastAPI dependency); what is not `is_active` lets a session grow idle."""

    is_active: bool = True

    async def __call__(self, request: Request) -> Session:
        admission: Admission = request.app.state.admission
        session = await admission.admit(request, is_active=self.is_active)
        if not self.roles & frozenset(session.person.roles):
            names = ", ".join(sorted(self.roles))
            why = Words(f"This is for {names}, which you are not.", f"此操作仅限以下角色：{names}。")
            raise await admission.refuse(request, session, why)
        return session


class JustSignedIn(Gate):
    """The gate for those who may have to change their first password yet."""

    async def __call__(self, request: Request) -> Session:
        admission: Admission = request.app.state.admission
        return await admission.admit(request, with_first_password=True)


EVERYBODY = frozenset(Role)


def _not_signed_in() -> Problem:
    return Problem(
        401,
        "not-signed-in",
        Words("Not signed in", "未登录"),
        Words("Your session is over: sign in again.", "登录已失效，请重新登录。"),
    )


def _no_csrf_token() -> Problem:
    return Problem(
        403,
        "csrf-invalid",
        Words("The page is out of date", "页面已过期"),
        Words(
            "The request did not show the session's value (X-CSRF-Token): load the page again.",
            "请求缺少本次会话的校验值（X-CSRF-Token），请刷新页面后重试。",
        ),
    )


def _first_password() -> Problem:
    return Problem(
        403,
        "password-change-needed",
        Words("Change your password first", "请先修改密码"),
        Words(
            "This is a password that somebody else has seen: choose one of your own.",
            "当前为初始密码，请先设置您自己的密码。",
        ),
    )
