"""The tracking process: counts; beside it an HTTP door that says whether it does."""

from __future__ import annotations

import signal
import threading

import uvicorn

from services.core import db, telemetry
from services.core.avro import Codec, Registry
from services.core.http import application
from services.core.kafka import StateView, state_consumer
from services.core.settings import settings
from services.demand.events import Publisher
from services.demand.objecting import registrar
from services.demand.tracking.corrections import Corrections
from services.demand.tracking.counter import Counter
from services.demand.tracking.overseer import Overseer
from services.demand.watch import ended


def main() -> None:
    here = settings()
    telemetry.start("tracking", here.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    engine = db.engine(here, "demand")
    registry = Registry(here.registry_url)
    sessions = db.sessions(engine)
    resources = StateView(
        lambda: state_consumer(here, "demand", "demand.tracking.resources"),
        "catalog.resources",
        Codec(registry, "catalog.resources").decode,
    )
    resources.start()
    counter = Counter(here, registry, sessions)
    publisher = Publisher(registry)
    watches = [
        Corrections(here, registry, sessions, registrar(here, publisher)),
        Overseer(sessions, publisher, resources.get, here.tracking_look_seconds),
    ]
    for watch in watches:
        watch.start()
    checks = {
        "database": lambda: db.is_ready(engine),
        "catalogue state": lambda: str(resources.failure) if resources.failure else None,
        "counter": counter.why_not_ready,
        "watches": lambda: ended(watches),
    }
    door = uvicorn.Server(
        uvicorn.Config(
            application("tracking", checks),
            host=here.http_host, port=here.http_port, log_config=None, access_log=False,
        )
    )  # fmt: skip
    threading.Thread(target=door.run, name="http", daemon=True).start()
    counter.run(stop)


if __name__ == "__main__":
    main()
