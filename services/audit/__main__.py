"""The audit's process: the sequencer, and the API of its proofs. Further ones of it stand by."""

from __future__ import annotations

import threading

from services.audit import api, native, store
from services.audit.domain.note import log_key
from services.audit.events import Publisher
from services.audit.index import EntryIndex
from services.audit.keys import DELIVERIES, KeyIndex
from services.audit.references import References
from services.audit.room import Room
from services.audit.sequencer import Sequencer, origin_of, signing_key
from services.audit.tiles import TileStore
from services.audit.topics import LOG
from services.audit.watch import Watch
from services.audit.witness import Witnesses, parse_witnesses
from services.core import db, identity, telemetry
from services.core.avro import Codec, Registry
from services.core.calendar import PLACE
from services.core.http import application, serve
from services.core.idempotency import Keys
from services.core.identity import Viewer
from services.core.settings import settings


def main() -> None:
    here = settings()
    telemetry.start("audit", here)
    engine, registry = db.engine(here, "audit"), Registry(here.registry_url)
    sessions = db.sessions(engine)
    hashing = native.hashing_of(origin_of(here))
    sequencer = Sequencer(here, registry, TileStore(here.audit_folder, hashing), References(sessions).of)
    identities = identity.view(here, registry, "audit")
    identities.start()
    stop = threading.Event()
    tiles, publisher = TileStore(here.audit_folder, hashing), Publisher(registry)
    key = log_key(origin_of(here), signing_key(here))
    threads = [
        threading.Thread(target=sequencer.run, args=(stop,), name="sequencer"),
        EntryIndex(sessions, tiles, Codec(registry, LOG.name), lambda: sequencer.busy, stop),
        KeyIndex(here, sessions, Codec(registry, DELIVERIES), lambda: sequencer.sealing and not sequencer.busy, stop),
        Witnesses(
            parse_witnesses(here.audit_witnesses),
            tiles,
            key,
            sessions,
            publisher,
            is_mine=lambda: sequencer.sealing,
            every_seconds=here.audit_witness_seconds,
            stop=stop,
        ),
        Watch(sessions, publisher, PLACE, stop),
    ]
    for one in threads:
        one.start()
    checks = {
        "sequencer": lambda: sequencer.why_not_ready() if threads[0].is_alive() else "the sequencer has ended",
        "database": lambda: db.is_ready(engine),
        "identities": lambda: str(identities.failure) if identities.failure else None,
    }
    app = application("audit", checks)
    app.state.keys = Keys(sessions, store.idempotency)

    def denied(viewer: Viewer, what: str) -> None:
        # in a transaction of its own: the one in which it was attempted is rolled back
        with sessions() as session, session.begin():
            department = viewer.department or ""
            publisher.happened(session, "access_denied", what, actor=viewer.name, department=department)

    identity.install(app, identity.known(identities.get), denied)
    api.install(app, Room(here, sessions, publisher, tiles, key, lambda: sequencer.sealing))
    serve(app, here)
    stop.set()
    for one in threads:
        one.join(20)


if __name__ == "__main__":
    main()
