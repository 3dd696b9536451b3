"""What relays decide by: the state topics, followed once for all workers of a process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import IsolationLevel
from confluent_kafka.admin import AdminClient

from services.core.avro import Codec, Registry
from services.core.kafka import StateView, state_consumer
from services.core.settings import Settings
from services.sync.relay.reading import ends
from services.sync.topics import ORDERS, REPLAYS

View = StateView[dict[str, Any]]
_CATCH_UP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class News:
    """What has changed since a worker has looked: who gets what, orders, replays."""

    routes: threading.Event = field(default_factory=threading.Event)
    orders: threading.Event = field(default_factory=threading.Event)
    replays: threading.Event = field(default_factory=threading.Event)


class Followed:
    """The views; `start` before a worker is run by them."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._settings, self._registry = settings, registry
        self._listeners: list[News] = []
        self.resources = self._view("catalog.resources", lambda news: news.routes)
        self.grants = self._view("demand.grants", lambda news: news.routes)
        self.code_lists = self._view("catalog.code_lists", lambda news: news.routes)
        self.orders = self._view(ORDERS.name, lambda news: news.orders)
        self.replays = self._view(REPLAYS.name, lambda news: news.replays)
        self._views = (self.resources, self.grants, self.code_lists, self.orders, self.replays)

    def start(self) -> None:
        """Read all of them to their ends, then follow them. Raises KafkaException."""
        for view in self._views:
            view.start()

    def stop(self) -> None:
        for view in self._views:
            view.stop()

    def require(self) -> None:
        """Raises why one can no longer be followed: nobody must go on blind."""
        for view in self._views:
            if view.failure:
                raise view.failure

    def catch_up(self, admin: AdminClient) -> None:
        """Wait until we know who gets what as well as any worker did until now. Raises KafkaException.

        Whoever takes over a partition from one that has heard of a grant already would else leave it out.
        """
        views = (self.resources, self.grants)
        found = ends(admin, [view.topic for view in views], IsolationLevel.READ_COMMITTED)
        for view in views:
            view.wait_past({0: found[view.topic]}, _CATCH_UP_SECONDS)

    def listen(self) -> News:
        """Tells a worker what changes from now on."""
        news = News()
        self._listeners.append(news)
        return news

    def _view(self, topic: str, which: Callable[[News], threading.Event]) -> View:
        def told(key: str, value: dict[str, Any] | None) -> None:
            for news in self._listeners:
                which(news).set()

        return StateView(
            lambda wait: state_consumer(self._settings, "sync", f"sync.{topic}", wait),
            topic,
            Codec(self._registry, topic).decode,
            told,
        )
