"""The catalogue's process: its API."""

from __future__ import annotations

from cryptography.fernet import Fernet
from fastapi import FastAPI

from services.catalog import api, search, store
from services.catalog.catalogue import Catalogue
from services.catalog.drift import DriftWatch
from services.catalog.events import Publisher
from services.catalog.polling import Poller
from services.catalog.products import Products
from services.catalog.publication import adopt, adopt_lists, code_lists, make_findable
from services.catalog.seed import plant
from services.catalog.use import UseCount
from services.catalog.watch import Watch
from services.catalog.writers import Writers
from services.core import db, identity, telemetry
from services.core.avro import Codec, Registry
from services.core.connect import Connect
from services.core.http import application, serve
from services.core.idempotency import Keys
from services.core.identity import Viewer
from services.core.kafka import StateView, admin_client, ensure_topics, state_consumer
from services.core.settings import Settings, settings


def make_app(here: Settings) -> tuple[FastAPI, Catalogue]:
    """The app over a running exchange; whoever serves it starts `grants` first."""
    engine = db.engine(here, "catalog")
    admin = admin_client(here, "catalog")
    registry = Registry(here.registry_url)
    sessions = db.sessions(engine)
    catalogue = Catalogue(
        settings=here,
        session=sessions,
        publisher=Publisher(registry),
        registry=registry,
        connect=Connect(here),
        make_topic=lambda topic: ensure_topics(admin, [topic], here.replication_factor),
        has_topic=lambda name: name in admin.list_topics(timeout=30).topics,
        writers=Writers(admin),
        vault=Fernet(here.secret("catalog_vault_key")),
        grants=StateView(
            lambda wait: state_consumer(here, "catalog", "catalog.grants", wait),
            "demand.grants",
            Codec(registry, "demand.grants").decode,
        ),
    )
    checks = {
        "database": lambda: db.is_ready(engine),
        "grants": lambda: str(catalogue.grants.failure) if catalogue.grants.failure else None,
    }
    app = application("catalog", checks)
    app.state.keys = Keys(sessions, store.idempotency)

    def denied(viewer: Viewer, what: str) -> None:
        # in a transaction of its own: the one in which it was attempted is rolled back
        with sessions() as session, session.begin():
            department = viewer.department or ""
            catalogue.publisher.happened(session, "access_denied", what, department, viewer.name, {"what": what})

    identity.install(app, catalogue.find_token, denied)
    api.install(app, catalogue)
    return app, catalogue


def main() -> None:
    here = settings()
    telemetry.start("catalog", here)
    app, catalogue = make_app(here)
    with catalogue.session() as session, session.begin():
        plant(session)
        # told anew at every start: another day has other divisions
        for name, codes in code_lists(session).items():
            catalogue.publisher.code_list(session, name, codes)
    adopt(catalogue)
    adopt_lists(catalogue)
    make_findable(catalogue.session)
    with catalogue.session() as session:
        search.warm(session)
    catalogue.grants.start()
    UseCount(catalogue).start()
    connectors = Watch(catalogue.connect)
    connectors.start()
    Poller(catalogue).start()
    Products(catalogue).start()
    DriftWatch(catalogue, connectors.failures).start()
    serve(app, here)


if __name__ == "__main__":
    main()
