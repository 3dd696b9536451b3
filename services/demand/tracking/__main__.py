"""The tracking process: counts; beside it an HTTP door that says whether it does."""

from __future__ import annotations

from services.core import db, telemetry
from services.core.avro import Codec, Registry
from services.core.http import application, serve_beside, stop_at_signals
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
    telemetry.start("tracking", here)
    stop = stop_at_signals()
    engine = db.engine(here, "demand")
    registry = Registry(here.registry_url)
    sessions = db.sessions(engine)
    resources = StateView(
        lambda wait: state_consumer(here, "demand", "demand.tracking.resources", wait),
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
    serve_beside(application("tracking", checks), here)
    counter.run(stop)


if __name__ == "__main__":
    main()
