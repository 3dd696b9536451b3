"""The demand side's process: its API, over a view of what the catalogue has published."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from confluent_kafka import Message
from cryptography.fernet import Fernet
from sqlalchemy.orm import Session

from services.core import db, identity, telemetry
from services.core.avro import Codec, Registry
from services.core.following import Apply, Follower
from services.core.http import application, serve
from services.core.idempotency import Keys
from services.core.identity import Viewer
from services.core.kafka import StateView, admin_client, consumer, gathered, state_consumer
from services.core.metrics import collect
from services.core.settings import Settings, settings
from services.demand import api, demand_store, registers, timekeeping
from services.demand.broker import Broker
from services.demand.demands import Demands
from services.demand.events import Publisher
from services.demand.fulfilment import Fulfilment
from services.demand.metrics import OpenClocks
from services.demand.objecting import registrar
from services.demand.reconcile import BrokerWatch
from services.demand.returning import DivisionWatch
from services.demand.sending import sender
from services.demand.watch import GrantWatch, ended


def main() -> None:
    here = settings()
    telemetry.start("demand", here)
    engine = db.engine(here, "demand")
    registry = Registry(here.registry_url)
    sessions = db.sessions(engine)
    told, waking = threading.Event(), list[Fulfilment]()

    def resource_changed(code: str, _: object) -> None:
        told.set()
        for one in waking:
            one.look_at_resource(code)

    def decided(resource: str | None) -> None:
        # what it is about may have been withdrawn or graded higher while that mattered to nobody
        for one in waking:
            one.look_at_resource(resource or "")

    resources = StateView(
        lambda wait: state_consumer(here, "demand", "demand.resources", wait),
        "catalog.resources",
        Codec(registry, "catalog.resources").decode,
        resource_changed,
    )
    identities = identity.view(here, registry, "demand")
    resources.start()
    identities.start()
    publisher = Publisher(registry)
    demands = Demands(
        settings=here,
        session=sessions,
        publisher=publisher,
        broker=Broker(admin_client(here, "demand"), here),
        vault=Fernet(here.secret("demand_vault_key")),
        registrar=registrar(here, publisher),
        resources=resources,
        decided=decided,
    )
    with sessions() as session, session.begin():
        timekeeping.plant(session)
    fulfilment = Fulfilment(demands, demands.desk)
    waking.append(fulfilment)
    followers = [
        _follower(here, sessions, "catalog.events", _registers(registry, publisher)),
        _follower(here, sessions, "sync.deliveries", fulfilment.delivered),
    ]
    watches = [
        GrantWatch(demands.session, publisher, demands.broker, resources.get, told),
        BrokerWatch(demands),
        DivisionWatch(demands),
        fulfilment,
        sender(sessions, here),
        *followers,
    ]
    checks = {
        "database": lambda: db.is_ready(engine),
        "catalogue state": lambda: str(resources.failure) if resources.failure else None,
        "identities": lambda: str(identities.failure) if identities.failure else None,
        "registers": lambda: followers[0].not_ready,
        "deliveries": lambda: followers[1].not_ready,
        "demands": lambda: fulfilment.failure,
        "watches": lambda: ended(watches),
    }
    collect(OpenClocks(sessions))
    app = application("demand", checks)
    app.state.keys = Keys(sessions, demand_store.idempotency)

    def denied(viewer: Viewer, what: str) -> None:
        # in a transaction of its own: the one in which it was attempted is rolled back
        with sessions() as session, session.begin():
            department = viewer.department or ""
            publisher.happened(session, "access_denied", what, department, what, viewer.name, {"what": what})

    identity.install(app, identity.known(identities.get), denied)
    api.install(app, demands)
    for watch in watches:
        watch.start()
    serve(app, here)


def _follower(here: Settings, sessions: Callable[[], Session], topic: str, apply: Apply) -> Follower:
    return Follower(
        lambda: consumer(here, "demand", f"demand.{topic}", **gathered(250)),
        [topic], demand_store.positions, sessions, apply,
    )  # fmt: skip


def _registers(registry: Registry, publisher: Publisher) -> Apply:
    codec = Codec(registry, "catalog.events")

    def apply(session: Session, batch: Sequence[Message]) -> None:
        edited = [registers.keep(session, codec.decode(message.value() or b"")) for message in batch]
        if any(edited):
            session.flush()
            registers.move_clocks(session, publisher)

    return apply


if __name__ == "__main__":
    main()
