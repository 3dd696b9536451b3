"""The demand side's process: its API, over a view of what the catalogue has published."""

from __future__ import annotations

import threading

from cryptography.fernet import Fernet

from services.core import db, identity, telemetry
from services.core.avro import Codec, Registry
from services.core.http import application, serve
from services.core.kafka import StateView, admin_client, state_consumer
from services.core.settings import settings
from services.demand import api
from services.demand.broker import Broker
from services.demand.demands import Demands
from services.demand.events import Publisher
from services.demand.objecting import registrar
from services.demand.reconcile import BrokerWatch
from services.demand.watch import GrantWatch


def main() -> None:
    here = settings()
    telemetry.start("demand", here.log_level)
    engine = db.engine(here, "demand")
    registry = Registry(here.registry_url)
    told = threading.Event()
    resources = StateView(
        lambda: state_consumer(here, "demand", "demand.resources"),
        "catalog.resources",
        Codec(registry, "catalog.resources").decode,
        lambda code, state: told.set(),
    )
    identities = identity.view(here, registry, "demand")
    resources.start()
    identities.start()
    publisher = Publisher(registry)
    demands = Demands(
        settings=here,
        session=db.sessions(engine),
        publisher=publisher,
        broker=Broker(admin_client(here, "demand"), here),
        vault=Fernet(here.secret("demand_vault_key")),
        registrar=registrar(here, publisher),
        resources=resources,
    )
    checks = {
        "database": lambda: db.is_ready(engine),
        "catalogue state": lambda: str(resources.failure) if resources.failure else None,
        "identities": lambda: str(identities.failure) if identities.failure else None,
    }
    app = application("demand", checks)
    identity.install(app, identity.known(identities.get))
    api.install(app, demands)
    GrantWatch(demands.session, demands.publisher, demands.broker, resources.get, told).start()
    BrokerWatch(demands).start()
    serve(app, here)


if __name__ == "__main__":
    main()
