"""The console's process: its pages and API, and the way to the services."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import redis
import redis.asyncio
from fastapi import FastAPI

from services.console import api
from services.console.accounts import Accounts
from services.console.admission import Admission
from services.console.entrance import Entrance
from services.console.events import Publisher
from services.console.forwarding import Forwarding, client
from services.console.front import Front
from services.console.live import Feed, Hub
from services.console.openid import OpenId
from services.console.pages import Pages
from services.console.sessions import Sessions
from services.console.tokens import Tokens
from services.core import db, telemetry
from services.core.avro import Registry
from services.core.http import application, serve
from services.core.settings import Settings, settings

_REDIS_SECONDS = 3.0
# streams have no end: whoever looks on comes back by himself
_GRACE_SECONDS = 3


def make_app(here: Settings) -> tuple[FastAPI, Accounts, Feed]:
    """The app over a running exchange; whoever serves it starts the feed with it."""
    engine, registry = db.engine(here, "console"), Registry(here.registry_url)
    accounts = Accounts(db.sessions(engine), Publisher(registry), here.console_sign_in_failures)
    login: dict[str, Any] = {
        "host": here.redis_host,
        "port": here.redis_port,
        "password": here.secret("redis_password"),
    }
    kept = redis.asyncio.Redis(**login, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS)
    looked_at = redis.Redis(**login, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS)
    sessions = Sessions(kept, idle=timedelta(minutes=here.console_idle_minutes))
    services = client(here)
    entrance = Entrance(
        accounts,
        sessions,
        Tokens(services, here.catalog_url, here.secret("console_token")),
        timedelta(hours=here.console_session_hours),
        OpenId(here, services, kept) if here.oidc_issuer else None,
    )

    def sessions_away() -> str | None:
        try:
            looked_at.ping()
        except redis.RedisError as error:
            return f"sessions: {type(error).__name__}"
        return None

    hub = Hub()
    feed = Feed(here, registry, hub)
    checks = {"database": lambda: db.is_ready(engine), "sessions": sessions_away, "live": feed.why_not_ready}
    app = application("console", checks, docs=False)
    admission = Admission(sessions, accounts, here.console_url)
    forwarding = Forwarding(services, sessions, here)
    api.install(app, entrance, admission, forwarding, Pages(here.console_pages), hub, here)
    return app, accounts, feed


def main() -> None:
    here = settings()
    telemetry.start("console", here)
    app, accounts, feed = make_app(here)
    accounts.plant(here.secret("console_admin_password"))
    serve(Front(app, feed.following), here, grace_seconds=_GRACE_SECONDS)


if __name__ == "__main__":
    main()
