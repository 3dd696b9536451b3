"""The audit's process: the sequencer, and the API of its proofs."""

from __future__ import annotations

import threading

from services.audit.api import router
from services.audit.sequencer import Sequencer
from services.core import telemetry
from services.core.avro import Registry
from services.core.http import application, serve
from services.core.settings import settings


def main() -> None:
    here = settings()
    telemetry.start("audit", here.log_level)
    sequencer = Sequencer(here, Registry(here.registry_url))
    stop = threading.Event()
    sealing = threading.Thread(target=sequencer.run, args=(stop,), name="sequencer")
    sealing.start()
    app = application(
        "audit", {"sequencer": lambda: sequencer.why_not_ready() if sealing.is_alive() else "the sequencer has ended"}
    )
    app.include_router(router(sequencer))
    serve(app, here)
    stop.set()
    sealing.join(20)


if __name__ == "__main__":
    main()
