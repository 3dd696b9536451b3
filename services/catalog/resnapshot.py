"""Partial re-snapshots: reading rows of a mounted table again, while changes go on flowing.

It is Debezium's incremental snapshot, of the read-only kind (watermarks are the source's transaction numbers,
PostgreSQL 13 or later): nothing is written to the source. The connector is told by its position, as if it had been
stopped in the midst of one, and takes that up as it starts, before it reads the log
(docs/decisions/0014-reading-again.md). A mount tells how far it is only from its first re-snapshot on; until then that
costs nothing.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, TopicPartition
from sqlalchemy.orm import Session

from services.catalog import store
from services.catalog.catalogue import Catalogue, now
from services.catalog.connector import (
    CHUNK_ROWS,
    connector_config,
    connector_name,
    notification_topic,
)
from services.catalog.domain.reread import Reread, progress, record_of, reread_of
from services.catalog.source import SourceUnreachable, source_of
from services.core.connect import ConnectRefused
from services.core.kafka import read_to_end, state_consumer


def config_of(catalogue: Catalogue, session: Session, resource: store.Resource, *, tells: bool) -> dict[str, str]:
    """The configuration of a mounted resource's connector."""
    mount = resource.mount or {}
    system = session.get_one(store.InformationSystem, mount["system"])
    return connector_config(
        catalogue.settings,
        source_of(system, catalogue.vault),
        resource=resource.code,
        system=system.code,
        schema=mount["schema"],
        table=mount["table"],
        tells=tells,
    )


def ask(
    catalogue: Catalogue,
    session: Session,
    resource: store.Resource,
    state: store.MountState,
    where: str | None,
    *,
    patience_seconds: float,
    missed: bool = False,
) -> str:
    """Have the rows that satisfy the condition `where` (all, without) read again; the id under which that is told of.

    `missed` says that changes were in no stream, so that afterwards rows which are gone are looked for. The rows come
    as reads (`op` r), each once, none older than what was delivered before; the changes wait while the connector starts
    again. Raises ConnectRefused when the connector is not ready for it after `patience_seconds`, and KafkaException.
    """
    mount, name, connect = resource.mount or {}, connector_name(resource.code), catalogue.connect
    _await_transaction(catalogue, name, patience_seconds)
    asked, table = str(uuid.uuid4()), f"{mount['schema']}.{mount['table']}"
    estimate = _estimate(catalogue, session, mount)
    try:
        connect.stop(name)
        connect.wait_until_stopped(name, patience_seconds)
        if state.reading is None:
            catalogue.make_topic(notification_topic(resource.code))
            connect.put(name, config_of(catalogue, session, resource, tells=True))
        connect.move(name, lambda position: _reading(position, asked, table, where))
    finally:
        connect.resume(name)
    # what was asked for before and is not over is over when this is
    before = reread_of(state.reading) if state.reading is not None else None
    missed = missed or (before is not None and before.state.is_open and before.missed)
    reread = Reread(id=asked, since=now(), estimate=estimate, some=where is not None, missed=missed)
    state.reading = record_of(reread)
    return asked


_TABLES = "incremental_snapshot_collections"


def _reading(position: Mapping[str, Any], asked: str, table: str, where: str | None) -> dict[str, Any]:
    """The position of a connector that has a table still to read, after what else it has to read
    (Debezium's AbstractIncrementalSnapshotContext)."""
    tables = json.loads(position.get(_TABLES) or "[]")
    tables.append({f"{_TABLES}_id": table, f"{_TABLES}_additional_condition": where, f"{_TABLES}_surrogate_key": None})
    return {**position, _TABLES: json.dumps(tables), "incremental_snapshot_correlation_id": asked}


def _estimate(catalogue: Catalogue, session: Session, mount: Mapping[str, Any]) -> int | None:
    system = session.get_one(store.InformationSystem, mount["system"])
    try:
        with source_of(system, catalogue.vault).reading() as reading:
            return reading.estimate(mount["schema"], mount["table"])
    except SourceUnreachable:
        return None


def follow(catalogue: Catalogue, reread: Reread, resource: str) -> Reread:
    """How far the connector of `resource` is by now; raises KafkaException and RegistryUnavailable."""
    return progress(reread, _notifications(catalogue, resource), CHUNK_ROWS)


def _notifications(catalogue: Catalogue, resource: str) -> list[Mapping[str, Any]]:
    source = state_consumer(catalogue.settings, "catalog", "catalog.notifications")
    try:
        source.assign([TopicPartition(notification_topic(resource).name, 0, OFFSET_BEGINNING)])
        values = [message.value() for message in read_to_end(source, 1, 10)]
    finally:
        source.close()
    return [catalogue.registry.decode(value)[1] for value in values if value is not None]


def _await_transaction(catalogue: Catalogue, connector: str, patience_seconds: float) -> None:
    """Wait until the connector has seen a transaction, if only that of its own heartbeat; raises ConnectRefused.

    Debezium 3.5 fails on a read-only snapshot before that: it compares the transaction it saw last with its watermarks.
    """
    deadline = time.monotonic() + patience_seconds
    while catalogue.connect.position(connector).get("txId") is None:
        if time.monotonic() > deadline:
            raise ConnectRefused(f"connector {connector} has not seen its source's log move yet; try again in a while")
        time.sleep(0.25)
