"""The console's own API, `/api/console/v1`; what it passes on to the services; and its pages."""

from __future__ import annotations

from fastapi import FastAPI, Request
from redis.exceptions import RedisError
from starlette.responses import Response

from services.console.admission import Admission
from services.console.api import accounts, endpoints, live, session
from services.console.api.session import PREFIX
from services.console.entrance import Entrance
from services.console.forwarding import METHODS, Forwarding, nothing_there
from services.console.live import Hub
from services.console.pages import Pages
from services.core.http import include
from services.core.problems import Problem
from services.core.problems import answer as answer_problem
from services.core.settings import Settings
from services.core.words import Words


def install(
    app: FastAPI,
    entrance: Entrance,
    admission: Admission,
    forwarding: Forwarding,
    pages: Pages,
    hub: Hub,
    here: Settings,
) -> None:
    """Put all routes into `app`."""
    app.state.admission = admission
    include(app, session.own_routes(entrance, admission), PREFIX)
    include(app, accounts.router(entrance, forwarding), PREFIX)
    include(app, endpoints.router(here), PREFIX)
    include(app, live.router(hub, entrance.sessions), PREFIX)
    # whoever is not signed in yet has to be able to do that
    app.include_router(session.open_routes(entrance, admission, here.oidc_title), prefix=PREFIX)
    if entrance.openid is not None:
        app.include_router(session.openid_routes(entrance.openid, entrance, admission), prefix=PREFIX)

    @app.exception_handler(RedisError)
    def on_redis_away(request: Request, error: RedisError) -> Response:
        detail = Words("Sessions cannot be looked up just now; try again.", "暂时无法核对登录状态，请稍后再试。")
        title = Words("Sessions cannot be looked up", "登录状态暂不可用")
        return answer_problem(request, Problem(503, "sessions-away", title, detail, headers={"Retry-After": "2"}))

    async def forward(request: Request) -> Response:
        if not forwarding.takes(request.url.path):
            raise nothing_there()
        return await forwarding(request, await admission.admit(request))

    app.add_route("/api/{path:path}", forward, methods=list(METHODS), include_in_schema=False)

    async def page(request: Request) -> Response:
        return pages.answer(request)

    app.add_route("/{path:path}", page, methods=["GET"], include_in_schema=False)
