"""The process of the watch: the sampler, the alerts that come of it and are sent, and the API over all."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

from services.core import db, identity, telemetry
from services.core.avro import Codec, Registry
from services.core.connect import Connect
from services.core.http import application, serve
from services.core.idempotency import Keys
from services.core.kafka import StateView, admin_client, consumer, gathered, state_consumer
from services.core.metrics import collect
from services.core.settings import Settings, settings
from services.watch import api, store, summary, telling
from services.watch.alerts import Alerting, causes
from services.watch.broker import Broker
from services.watch.connectors import Connectors
from services.watch.domain.alert import Cause
from services.watch.domain.lag import Rules
from services.watch.domain.places import places
from services.watch.domain.states import of_mounts, of_waiting
from services.watch.envelope import CommitTimes
from services.watch.events import Publisher
from services.watch.metrics import Seen
from services.watch.picture import Board, Picture
from services.watch.road import Road
from services.watch.room import Room
from services.watch.sampler import Sampler
from services.watch.summary import Daily
from services.watch.unread import FirstRecords, reader

USER = "watch"
_STATES = ("catalog.resources", "demand.grants", "sync.waiting")


def main() -> None:
    here = settings()
    telemetry.start(USER, here)
    registry = Registry(here.registry_url)
    identities = identity.view(here, registry, USER)
    resources, grants, waiting = (_state(here, registry, topic) for topic in _STATES)
    views = (identities, resources, grants, waiting)
    for view in views:
        view.start()
    engine, publisher = db.engine(here, USER), Publisher(registry)
    sessions = db.sessions(engine)
    with sessions() as session:
        counted = summary.counted_to(session)
    stop, board = threading.Event(), Board()
    rules = Rules(window_seconds=here.watch_window_seconds, fresh_seconds=here.watch_fresh_seconds)
    connectors = Connectors(Connect(here), here.watch_sample_seconds, stop)
    sampler = Sampler(
        Broker(admin_client(here, USER)),
        FirstRecords(reader(here, USER), CommitTimes(registry)),
        Road(lambda: consumer(here, USER, f"{USER}.road", **gathered(250)), registry, counted),
        connectors,
        lambda: places(resources.values(), grants.values()),
        rules,
        board,
        here.watch_sample_seconds,
        stop,
    )

    def wrong(picture: Picture) -> list[Cause]:
        mounted = resources.values()
        found = causes(picture, here.audit_budget_seconds)
        return [*found, *of_mounts(mounted), *of_waiting(waiting.values(), mounted)]

    silence = timedelta(hours=here.watch_remind_hours)
    alerting = Alerting(sessions, publisher, board, wrong, here.watch_alert_seconds, silence, stop)
    daily = Daily(sessions, board, wrong, telling.tell_summary, here.watch_summary_hour, stop)
    sending = telling.sender(sessions, here)
    checks = {
        "sampler": sampler.why_not_ready,
        "database": lambda: db.is_ready(engine),
        "sender": lambda: None if sending.is_alive() else "messages are not sent",
        "states": lambda: next((str(view.failure) for view in views if view.failure), None),
    }
    app = application(USER, checks)
    app.state.keys = Keys(sessions, store.idempotency)
    identity.install(app, identity.known(identities.get))
    collect(Seen(board))
    api.install(app, Room(board, sampler.curve, rules, here.watch_sample_seconds, sessions, publisher, here, wrong))
    threads = (connectors, sampler, alerting, daily)
    for thread in threads:
        thread.start()
    sending.start()
    serve(app, here)
    stop.set()
    for thread in threads:
        thread.join(20)


def _state(here: Settings, registry: Registry, topic: str) -> StateView[dict[str, Any]]:
    return StateView(
        lambda wait: state_consumer(here, USER, f"{USER}.{topic}", wait), topic, Codec(registry, topic).decode
    )


if __name__ == "__main__":
    main()
