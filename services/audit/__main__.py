"""The audit's process: the sequencer, and the API of its proofs. Further ones of it stand by."""

from __future__ import annotations

import threading

from services.audit import api, store
from services.audit.domain.note import log_key
from services.audit.references import References
from services.audit.room import Room
from services.audit.sequencer import Sequencer, origin_of, signing_key
from services.audit.tiles import TileStore
from services.audit.verifier import digest_of
from services.core import db, identity, telemetry
from services.core.avro import Registry
from services.core.http import application, serve
from services.core.idempotency import Keys
from services.core.settings import settings


def main() -> None:
    here = settings()
    telemetry.start("audit", here.log_level)
    engine, registry = db.engine(here, "audit"), Registry(here.registry_url)
    sessions = db.sessions(engine)
    tiles = TileStore(here.audit_folder, digest_of(origin_of(here)))
    sequencer = Sequencer(here, registry, tiles, References(sessions).of)
    identities = identity.view(here, registry, "audit")
    identities.start()
    stop = threading.Event()
    sealing = threading.Thread(target=sequencer.run, args=(stop,), name="sequencer")
    sealing.start()
    checks = {
        "sequencer": lambda: sequencer.why_not_ready() if sealing.is_alive() else "the sequencer has ended",
        "database": lambda: db.is_ready(engine),
        "identities": lambda: str(identities.failure) if identities.failure else None,
    }
    app = application("audit", checks)
    app.state.keys = Keys(sessions, store.idempotency)
    identity.install(app, identity.known(identities.get))
    room = Room(here, sessions, TileStore(here.audit_folder), log_key(origin_of(here), signing_key(here)))
    api.install(app, room)
    serve(app, here)
    stop.set()
    sealing.join(20)


if __name__ == "__main__":
    main()
