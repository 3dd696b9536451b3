"""Who is asking, and what they may do: roles, scoped to departments; closed unless a route says who may call it.

A token reads `ts_<id>_<secret>`. The catalogue makes tokens and keeps the SHA-256 of the secret (256 random bits need
no slow hash); the compacted topic `catalog.identities` carries that to the other services, so that each recognises
callers by itself and a revoked token ends everywhere within moments. The operator's token, a secret of the
installation, is the administrator who is there before anybody else.

Every route declares its roles with `may`; `services/core/http.py` takes in no route that does not.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from services.core.avro import Codec, Registry
from services.core.kafka import StateView, state_consumer
from services.core.problems import Problem
from services.core.settings import Settings, settings
from services.core.words import Words

_bearer = HTTPBearer(auto_error=False, description="An API token, or the operator's")
_TOKEN = re.compile(r"ts_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
OPERATOR = "operator"
# who makes the tokens of those who sign in at the console
CONSOLE = "console"
INSTALLATIONS_OWN = frozenset({OPERATOR, CONSOLE})
"""Names that no person has: the audit log would not tell them apart."""


class Role(StrEnum):
    """What somebody is in the exchange."""

    ADMINISTRATOR = "administrator"  # the data authority: keeps the registers, reviews, decides
    PROVIDER = "provider"  # writes and answers for its department's data
    CONSUMER = "consumer"  # finds, applies for and receives data for its department
    OPS = "ops"  # runs the exchange; sees how it is, not what is in it
    AUDITOR = "auditor"  # sees all, changes nothing


OF_A_DEPARTMENT = frozenset({Role.PROVIDER, Role.CONSUMER})


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who was recognised; `name` is what the audit log will say."""

    name: str
    roles: frozenset[Role] = frozenset({Role.ADMINISTRATOR})
    department: str | None = None

    def sees_all(self) -> bool:
        """Whether unpublished things of every department may be seen."""
        return bool(self.roles & {Role.ADMINISTRATOR, Role.AUDITOR})

    def provides_for(self, department: str) -> bool:
        """Whether this may change what belongs to `department`."""
        return Role.ADMINISTRATOR in self.roles or (Role.PROVIDER in self.roles and self.department == department)

    def consumes_for(self, department: str) -> bool:
        return Role.ADMINISTRATOR in self.roles or (Role.CONSUMER in self.roles and self.department == department)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as it is kept: never the secret itself. `digest` is the SHA-256 of the secret, in hex."""

    id: str
    digest: str
    name: str
    department: str | None
    roles: frozenset[Role]
    expires_at: datetime | None
    revoked: bool


def new_token() -> tuple[str, str, str]:
    """`(token, id, digest)`: the token is shown once, id and digest are kept."""
    token_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    return f"ts_{token_id}_{secret}", token_id, _digest(secret)


def token_of(record: Mapping[str, Any]) -> Token:
    """The token of a value of `catalog.identities`."""
    return Token(**{**record, "roles": frozenset(Role(role) for role in record["roles"])})


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


Find = Callable[[str], Token | None]


def recognise(presented: str, find: Find, now: datetime) -> Viewer | None:
    """Whom `presented` stands for; None for nobody (unknown, revoked or expired)."""
    if hmac.compare_digest(presented.encode(), settings().secret("operator_token").encode()):
        return Viewer(OPERATOR)
    parts = _TOKEN.fullmatch(presented)
    token = find(parts[1]) if parts else None
    if parts is None or token is None or not hmac.compare_digest(_digest(parts[2]), token.digest):
        return None
    if token.revoked or (token.expires_at is not None and token.expires_at <= now):
        return None
    return Viewer(token.name, token.roles, token.department)


def view(here: Settings, registry: Registry, user: str) -> StateView[dict[str, Any]]:
    """The tokens as the catalogue tells them in `catalog.identities`, read by the broker's `user`; not started yet."""
    topic = "catalog.identities"
    return StateView(
        lambda wait: state_consumer(here, user, f"{user}.identities", wait), topic, Codec(registry, topic).decode
    )


def known(state: Callable[[str], Mapping[str, Any] | None]) -> Find:
    """Finds tokens in a view of `catalog.identities`: how every service but the catalogue recognises callers."""

    def find(token_id: str) -> Token | None:
        record = state(token_id)
        return token_of(record) if record else None

    return find


def install(app: FastAPI, find: Find, denied: Callable[[Viewer, str], None] | None = None) -> None:
    """Make `app` recognise tokens by `find`; `denied` is told who was refused, and what (method and path)."""
    app.state.find_token, app.state.denied = find, denied
    app.state.admit_to_metrics = May(frozenset({Role.ADMINISTRATOR, Role.OPS, Role.AUDITOR}))


def _viewer(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Viewer:
    find: Find = getattr(request.app.state, "find_token", lambda _: None)
    viewer = recognise(credentials.credentials, find, datetime.now(UTC)) if credentials else None
    if viewer is None:
        raise Problem(
            401,
            "not-signed-in",
            Words("Not signed in", "未登录"),
            Words(
                "This needs a valid token: send it as `Authorization: Bearer …`.",
                "需要有效的访问令牌：请在请求头中以 `Authorization: Bearer …` 提供。",
            ),
            headers={"WWW-Authenticate": "Bearer"},
        )
    return viewer


def require_signed_in(request: Request) -> Viewer:
    """Who the caller is; raises a 401 problem unless it is somebody."""
    scheme, _, presented = request.headers.get("authorization", "").partition(" ")
    return _viewer(request, HTTPAuthorizationCredentials(scheme=scheme, credentials=presented.strip()))


def refuse(request: Request, viewer: Viewer, why: Words) -> Problem:
    """The answer to somebody who may not do this; the attempt is told to whoever keeps account of them."""
    denied: Callable[[Viewer, str], None] | None = getattr(request.app.state, "denied", None)
    if denied:
        denied(viewer, f"{request.method} {request.url.path}")
    return Problem(403, "not-allowed", Words("Not allowed", "无权操作"), why)


@dataclass(frozen=True)
class Gate:
    """Lets callers with one of `roles` pass and no others: what a route has among its dependencies."""

    roles: frozenset[Role]


@dataclass(frozen=True)
class May(Gate):
    """The gate for those who bring a token (a FastAPI dependency)."""

    def __call__(
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Viewer:
        viewer = _viewer(request, credentials)
        if not viewer.roles & self.roles:
            names = ", ".join(sorted(self.roles))
            why = Words(f"This is for {names}, which you are not.", f"此操作仅限以下角色：{names}。")
            raise refuse(request, viewer, why)
        request.state.viewer = viewer
        return viewer


def may(*roles: Role) -> Any:
    """The dependency of a route that `roles` may call."""
    return Depends(May(frozenset(roles)))


def roles_of(route: APIRoute) -> frozenset[Role] | None:
    """Who may call `route`; None when it does not say."""
    waiting: list[Dependant] = [route.dependant]
    while waiting:
        one = waiting.pop()
        if isinstance(one.call, Gate):
            return one.call.roles
        waiting += one.dependencies
    return None


Anyone = Annotated[Viewer, may(*Role)]
Administrator = Annotated[Viewer, may(Role.ADMINISTRATOR)]
Provider = Annotated[Viewer, may(Role.ADMINISTRATOR, Role.PROVIDER)]
Consumer = Annotated[Viewer, may(Role.ADMINISTRATOR, Role.CONSUMER)]
Insider = Annotated[Viewer, may(Role.ADMINISTRATOR, Role.PROVIDER, Role.AUDITOR)]
Overseer = Annotated[Viewer, may(Role.ADMINISTRATOR, Role.AUDITOR)]
