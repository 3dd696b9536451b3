"""The relay's process: its workers, and an HTTP door that says whether data flows.

Further processes may be started beside it: their workers share the partitions, and any of them answers for all.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait

import structlog

from services.core import db, identity, telemetry
from services.core.avro import Registry
from services.core.following import Follower
from services.core.http import application, serve_beside, stop_at_signals
from services.core.idempotency import Keys
from services.core.identity import Viewer
from services.core.kafka import admin_client, consumer
from services.core.settings import settings
from services.sync import api, store
from services.sync.bookkeeping import TOPICS, Books
from services.sync.events import Publisher
from services.sync.projection import native
from services.sync.relay.followed import Followed
from services.sync.relay.number import Number
from services.sync.relay.worker import Relay
from services.sync.room import Room
from services.sync.ways import Ways

log = structlog.get_logger()


def main() -> None:
    here = settings()
    telemetry.start("sync", here.log_level)
    stop = stop_at_signals()
    registry = Registry(here.registry_url)
    admin = admin_client(here, "sync")
    log.info("starting", engine="native" if native.is_here() else "reference", workers=here.sync_workers)
    engine = db.engine(here, "sync")
    followed = Followed(here, registry)
    relays = {
        f"relay{' of topics filled from outside' if filled else ''} {place}": Relay(
            here, registry, admin, followed, Number(engine), filled=filled
        )
        for filled in (False, True)
        for place in range(1, here.sync_workers + 1)
    }
    identities = identity.view(here, registry, "sync")
    ways = Ways(here, registry, followed.resources, followed.grants)
    for view in (identities, followed, ways):
        view.start()
    sessions = db.sessions(engine)
    publisher = Publisher(registry)
    room = Room(here, registry, sessions, publisher, followed.resources, followed.grants)
    books = Follower(
        lambda: consumer(here, "sync", "sync.books", session_timeout_ms=6_000),
        TOPICS, store.positions, room.session, Books(registry, publisher).take,
    )  # fmt: skip
    checks = {
        **{name: relay.why_not_ready for name, relay in relays.items()},
        "identities": lambda: str(identities.failure) if identities.failure else None,
        "ways": ways.why_not_ready,
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
    api.install(app, ways, room)
    books.start()
    serve_beside(app, here)
    with ThreadPoolExecutor(len(relays), "relay") as pool:
        working = [pool.submit(_run, relay, stop) for relay in relays.values()]
        wait(working)
    followed.stop()
    for one in working:
        one.result()


def _run(relay: Relay, stop: threading.Event) -> None:
    """None of the workers goes on without the others, so that whoever watches the process starts all anew."""
    try:
        relay.run(stop)
    finally:
        stop.set()


if __name__ == "__main__":
    main()
