"""The relay's process; beside it an HTTP door that says whether data flows."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import structlog

from services.core import identity, telemetry
from services.core.avro import Registry
from services.core.http import application, serve_beside, stop_at_signals
from services.core.kafka import admin_client
from services.core.settings import settings
from services.sync.api import router
from services.sync.live import Live
from services.sync.projection import native
from services.sync.relay.worker import Relay

log = structlog.get_logger()


def main() -> None:
    here = settings()
    telemetry.start("sync", here.log_level)
    stop = stop_at_signals()
    registry = Registry(here.registry_url)
    admin = admin_client(here, "sync")
    log.info("starting", engine="native" if native.is_here() else "reference")
    relay = Relay(here, registry, admin)
    beside = Relay(here, registry, admin, worker=1, filled=True)
    identities = identity.view(here, registry, "sync")
    identities.start()
    live = Live(here)
    checks = {
        "relay": relay.why_not_ready,
        "relay of topics filled from outside": beside.why_not_ready,
        "identities": lambda: str(identities.failure) if identities.failure else None,
    }
    app = application("sync", checks)
    identity.install(app, identity.known(identities.get))
    app.include_router(router([relay, beside]))
    serve_beside(app, here)
    with ThreadPoolExecutor(1, "relay beside") as pool:
        try:
            work = pool.submit(_run, beside, stop)
            relay.run(stop, on_idle=lambda: live.show({**beside.figures.copy(), **relay.figures}))
        finally:
            stop.set()
        work.result()


def _run(relay: Relay, stop: threading.Event) -> None:
    """One of two relays: neither goes on without the other, so that whoever watches the process starts both anew."""
    try:
        relay.run(stop)
    finally:
        stop.set()


if __name__ == "__main__":
    main()
