"""The process of the table exchange; beside it an HTTP door that says how each table is filled.

Reconciliation works here, too: it reads the departments' databases, and what it takes of the processor is not the
relay's.
"""

from __future__ import annotations

from services.core import db, identity, telemetry
from services.core.avro import Registry
from services.core.http import application, include, serve_beside, stop_at_signals
from services.core.settings import settings
from services.sync.reconcile.runner import Reconciler
from services.sync.table.api import router
from services.sync.table.exchange import TableExchange


def main() -> None:
    here = settings()
    telemetry.start("sync-table", here)
    stop = stop_at_signals()
    registry = Registry(here.registry_url)
    exchange = TableExchange(here, registry)
    identities = identity.view(here, registry, "sync")
    identities.start()
    engine = db.engine(here, "sync")
    reconciler = Reconciler(here, registry, db.sessions(engine), stop)
    checks = {
        "table exchange": exchange.why_not_ready,
        "identities": lambda: str(identities.failure) if identities.failure else None,
        "reconciler": lambda: reconciler.not_ready if reconciler.is_alive() else "it has ended",
    }
    app = application("sync", checks)
    identity.install(app, identity.known(identities.get))
    include(app, router(exchange), "/api/sync/v1")
    serve_beside(app, here)
    reconciler.start()
    exchange.run(stop)


if __name__ == "__main__":
    main()
