"""The relay's process; beside it an HTTP door that says whether data flows."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from services.core import db, identity, telemetry
from services.core.avro import Codec, Registry
from services.core.following import Follower
from services.core.http import application, serve_beside, stop_at_signals
from services.core.idempotency import Keys
from services.core.identity import Viewer
from services.core.kafka import StateView, admin_client, consumer, state_consumer
from services.core.settings import Settings, settings
from services.sync import api, store
from services.sync.bookkeeping import TOPICS, Books
from services.sync.events import Publisher
from services.sync.live import Live
from services.sync.projection import native
from services.sync.relay.worker import Relay
from services.sync.room import Room

log = structlog.get_logger()


def main() -> None:
    here = settings()
    telemetry.start("sync", here)
    stop = stop_at_signals()
    registry = Registry(here.registry_url)
    admin = admin_client(here, "sync")
    log.info("starting", engine="native" if native.is_here() else "reference")
    relay = Relay(here, registry, admin)
    beside = Relay(here, registry, admin, worker=1, filled=True)
    identities = identity.view(here, registry, "sync")
    identities.start()
    engine = db.engine(here, "sync")
    sessions = db.sessions(engine)
    publisher = Publisher(registry)
    room = Room(
        here,
        registry,
        sessions,
        publisher,
        _state(here, registry, "catalog.resources"),
        _state(here, registry, "demand.grants"),
    )
    books = Follower(
        lambda: consumer(here, "sync", "sync.books", session_timeout_ms=6_000),
        TOPICS, store.positions, room.session, Books(registry, publisher).take,
    )  # fmt: skip
    live = Live(here)
    checks = {
        "relay": relay.why_not_ready,
        "relay of topics filled from outside": beside.why_not_ready,
        "identities": lambda: str(identities.failure) if identities.failure else None,
        "database": lambda: db.is_ready(engine),
        "books": lambda: books.not_ready,
    }
    app = application("sync", checks)
    app.state.keys = Keys(sessions, store.idempotency)

    def denied(viewer: Viewer, what: str) -> None:
        # in a transaction of its own: the one in which it was attempted is rolled back
        with sessions() as session, session.begin():
            department = viewer.department or ""
            room.publisher.happened(session, "access_denied", what, department, what, viewer.name, {"what": what})

    identity.install(app, identity.known(identities.get), denied)
    api.install(app, [relay, beside], room)
    books.start()
    serve_beside(app, here)
    with ThreadPoolExecutor(1, "relay beside") as pool:
        try:
            work = pool.submit(_run, beside, stop)
            relay.run(stop, on_idle=lambda: live.show({**beside.figures.copy(), **relay.figures}))
        finally:
            stop.set()
        work.result()


def _state(here: Settings, registry: Registry, topic: str) -> StateView[dict[str, Any]]:
    """What is known of a state topic beside the relays, which decide by views of their own."""
    found: StateView[dict[str, Any]] = StateView(
        lambda wait: state_consumer(here, "sync", f"sync.room.{topic}", wait), topic, Codec(registry, topic).decode
    )
    found.start()
    return found


def _run(relay: Relay, stop: threading.Event) -> None:
    """One of two relays: neither goes on without the other, so that whoever watches the process starts both anew."""
    try:
        relay.run(stop)
    finally:
        stop.set()


if __name__ == "__main__":
    main()
