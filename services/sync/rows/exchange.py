"""What the row API serves: its grants, its cache filled from their share topics, and whether that is fresh.

What an answer shows is at most as old as `_MOST_BEHIND_SECONDS` and one look allow: a grant whose cache has been
behind its topic for longer, or of whose topic nothing can be known, is not answered for at all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from services.core.avro import Codec, Registry
from services.core.kafka import StateView, admin_client, state_consumer
from services.core.settings import Settings
from services.sync.rows.cache import GROUP, RowCache
from services.sync.rows.serving import Index, Served, served
from services.sync.sink import Sink, grants_by_store

log = structlog.get_logger()

_LOOK_SECONDS = 0.5
_MOST_BEHIND_SECONDS = 2.0
_MOST_UNKNOWN_SECONDS = 5.0


class RowExchange:
    """Keeps the cache; `on_change` is told of every new index. `run` works until `stop` is set."""

    def __init__(self, settings: Settings, registry: Registry, on_change: Callable[[Index], None]) -> None:
        self._master = bytes.fromhex(settings.secret("pseudonym_key"))
        self._on_change, self._changed = on_change, threading.Event()
        self._served: dict[str, Served] = {}
        self._sink = Sink(settings, RowCache(settings, registry, self._served), GROUP)
        self._fresh = Freshness(admin_client(settings, "sync"), self._sink)

        def view(topic: str) -> StateView[dict[str, Any]]:
            return StateView(
                lambda wait: state_consumer(settings, "sync", f"sync.rows.{topic}", wait),
                topic,
                Codec(registry, topic).decode,
                lambda key, value: self._changed.set(),
            )

        self._grants, self._resources = view("demand.grants"), view("catalog.resources")
        self._not_ready: str | None = "starting"

    def why_not_ready(self) -> str | None:
        """Why nobody can be answered at all."""
        return self._not_ready

    def stale(self, grant: str) -> str | None:
        """Why rows of a grant may be older than they may be; None when they are not. Asked on every call."""
        return self._not_ready or self._fresh.why_not(grant)

    def run(self, stop: threading.Event) -> None:
        """Keep the cache until `stop` is set. Raises what ended a thread that must not end."""
        self._resources.start()
        self._grants.start()
        self._look()
        self._sink.start()
        self._not_ready = None
        try:
            while not stop.is_set():
                for failure in (self._grants.failure, self._resources.failure, self._sink.failure):
                    if failure:
                        raise failure
                self._look()
                self._fresh.look()
                self._changed.wait(_LOOK_SECONDS)
        finally:
            self._sink.stop()
            self._sink.join(15)
            self._grants.stop()
            self._resources.stop()

    def _look(self) -> None:
        """Take up what the catalogue and the demand side have changed."""
        grants = self._grants.values()
        if self._changed.is_set():
            self._changed.clear()
            resources = {one["code"]: one for one in self._resources.values()}
            self._served.update(
                {grant["id"]: served(grant, resources.get(grant["resource"]), self._master) for grant in grants}
            )
            self._on_change(Index.of(grants, resources, self._master))
        self._sink.serve(grants_by_store(grants, "api", lambda _: "rows").get("rows", {}))


class Freshness:
    """Whether the cache is behind the share topics; `look` asks the broker, `why_not` says what was found last."""

    def __init__(self, admin: AdminClient, sink: Sink) -> None:
        self._admin, self._sink = admin, sink
        self._behind_since: dict[str, float] = {}
        self._known: dict[str, float] = {}

    def why_not(self, grant: str) -> str | None:
        now = time.monotonic()
        known = self._known.get(grant)
        if known is None or now - known > _MOST_UNKNOWN_SECONDS:
            return "how far the rows have come is not known"
        since = self._behind_since.get(grant)
        return None if since is None or now - since <= _MOST_BEHIND_SECONDS else "the rows are behind their deliveries"

    def look(self) -> None:
        """Compare what is written with what is delivered: the end of what is committed."""
        now = time.monotonic()
        placed = self._sink.places()
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        wanted = {TopicPartition(one.grant["topic"], partition): latest for one in placed for partition in one.next}
        if not wanted:
            return
        written = {
            (one.grant["topic"], partition): one.written.get(partition, 0) for one in placed for partition in one.next
        }
        behind, unknown = set(), set()
        for where, future in self._admin.list_offsets(
            wanted, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=2
        ).items():
            try:
                if future.result().offset > written[where.topic, where.partition]:
                    behind.add(where.topic)
            except KafkaException as error:
                log.warning("the end of a share topic is not known", topic=where.topic, reason=str(error))
                unknown.add(where.topic)
        for one in placed:
            grant, topic = str(one.grant["id"]), one.grant["topic"]
            if topic in unknown:
                continue
            if topic in behind:
                self._behind_since.setdefault(grant, now)
            else:
                self._behind_since.pop(grant, None)
            self._known[grant] = now
