"""The process of the table exchange; beside it an HTTP door that says how each table is filled."""

from __future__ import annotations

from services.core import identity, telemetry
from services.core.avro import Registry
from services.core.http import application, include, serve_beside, stop_at_signals
from services.core.settings import settings
from services.sync.table.api import router
from services.sync.table.exchange import TableExchange


def main() -> None:
    here = settings()
    telemetry.start("sync-table", here.log_level)
    stop = stop_at_signals()
    registry = Registry(here.registry_url)
    exchange = TableExchange(here, registry)
    identities = identity.view(here, registry, "sync")
    identities.start()
    checks = {
        "table exchange": exchange.why_not_ready,
        "identities": lambda: str(identities.failure) if identities.failure else None,
    }
    app = application("sync", checks)
    identity.install(app, identity.known(identities.get))
    include(app, router(exchange), "/api/sync/v1")
    serve_beside(app, here)
    exchange.run(stop)


if __name__ == "__main__":
    main()
