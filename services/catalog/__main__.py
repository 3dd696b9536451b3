"""The catalogue's process: its API."""

from __future__ import annotations

from cryptography.fernet import Fernet

from services.catalog.api import Catalogue, router
from services.catalog.events import Publisher
from services.catalog.watch import Watch
from services.core import db, telemetry
from services.core.avro import Registry
from services.core.connect import Connect
from services.core.http import application, serve
from services.core.kafka import admin_client, ensure_topics
from services.core.settings import settings


def main() -> None:
    here = settings()
    telemetry.start("catalog", here.log_level)
    engine = db.engine(here, "catalog")
    admin = admin_client(here, "catalog")
    catalogue = Catalogue(
        settings=here,
        session=db.sessions(engine),
        publisher=Publisher(Registry(here.registry_url)),
        connect=Connect(here),
        make_topic=lambda topic: ensure_topics(admin, [topic], here.replication_factor),
        vault=Fernet(here.secret("catalog_vault_key")),
    )
    app = application("catalog", {"database": lambda: db.is_ready(engine)})
    Watch(catalogue.connect).start()
    app.include_router(router(catalogue))
    serve(app, here)


if __name__ == "__main__":
    main()
