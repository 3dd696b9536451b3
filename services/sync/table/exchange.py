"""Which departments' databases are served: one thread a database, from the grants in force with the channel `table`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog

from services.core.avro import Codec, Registry
from services.core.kafka import StateView, state_consumer
from services.core.settings import SecretMissing, Settings
from services.sync.sink import Sink, Standing, Store, grants_by_store
from services.sync.table.database import GROUP
from services.sync.table.mysql import MySql
from services.sync.table.postgres import Postgres
from services.sync.table.receipts import Receipts

log = structlog.get_logger()

_LOOK_SECONDS = 0.5


class UnknownTarget(Exception):
    """A grant's database cannot be found; the message says what is missing."""


class TableExchange:
    """All departments' databases. `run` works until `stop` is set; the rest may be called from any thread."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._settings, self._registry = settings, registry
        self._changed = threading.Event()
        self._sinks: dict[str, Sink] = {}
        self._without: dict[str, str] = {}
        self.grants: StateView[dict[str, Any]] = StateView(
            lambda wait: state_consumer(settings, "sync", "sync.table.grants", wait),
            "demand.grants",
            Codec(registry, "demand.grants").decode,
            lambda key, value: self._changed.set(),
        )
        self._not_ready: str | None = "starting"

    def why_not_ready(self) -> str | None:
        """Why nothing can be delivered at all; a database that does not answer is its department's affair."""
        return self._not_ready

    def standing(self, grant: str) -> Standing | None:
        """How a grant stands; None when it is not served."""
        if grant in self._without:
            return Standing(grant, self._without[grant])
        return next(
            (one for sink in self._sinks.copy().values() for one in sink.standings() if one.grant == grant), None
        )

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set. Raises what ended a thread that must not end."""
        self.grants.start()
        self._not_ready = None
        try:
            while not stop.is_set():
                if self.grants.failure:
                    raise self.grants.failure
                self._look()
                self._changed.wait(_LOOK_SECONDS)
                self._changed.clear()
        finally:
            for sink in self._sinks.values():
                sink.stop()
            for sink in self._sinks.values():
                sink.join(20)
            self.grants.stop()

    def _look(self) -> None:
        wanted = grants_by_store(self.grants.values(), "table", lambda grant: str(grant["table_target"]["dsn_secret"]))
        without: dict[str, str] = {}
        for name, grants in wanted.items():
            if name not in self._sinks:
                try:
                    store = self._store(name)
                except UnknownTarget as missing:
                    without.update(dict.fromkeys(grants, str(missing)))
                    continue
                self._sinks[name] = Sink(self._settings, store, GROUP)
                self._sinks[name].start()
            self._sinks[name].serve(grants)
        for name, sink in list(self._sinks.items()):
            if sink.failure:
                raise sink.failure
            if name not in wanted:
                sink.serve({})
        for grant, reason in without.items():
            if self._without.get(grant) != reason:
                log.warning("grant waits", grant=grant, reason=reason)
        self._without = without

    def _store(self, name: str) -> Store:
        try:
            dsn = self._settings.connection_string(name)
        except SecretMissing as error:
            raise UnknownTarget(str(error)) from error
        for scheme, make in STORES.items():
            if dsn.startswith(scheme):
                receipts = Receipts(self._settings, self._registry)
                return make(name, dsn, self._registry, receipts, timedelta(hours=self._settings.delete_retention_hours))
        raise UnknownTarget(f"the connection string {name!r} begins with none of {', '.join(STORES)}")


Make = Callable[[str, str, Registry, Receipts, timedelta], Store]

STORES: dict[str, Make] = {"postgresql://": Postgres, "postgres://": Postgres, "mysql://": MySql}
