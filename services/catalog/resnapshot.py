"""Partial re-snapshots: reading rows of a mounted table again, through Debezium's signals, while changes go on flowing.

Signals travel over a topic of the mount's own, and the snapshot is the read-only kind (watermarks are the source's
transaction numbers, PostgreSQL 13 or later): nothing is written to the source. A mount listens for signals only from
its first re-snapshot on; until then it costs nothing.
"""

from __future__ import annotations

import json
import re
import time
import uuid

from sqlalchemy.orm import Session

from services.catalog import store
from services.catalog.catalogue import Catalogue
from services.catalog.connector import connector_config, connector_name, signal_topic
from services.catalog.source import source_of
from services.core.connect import ConnectRefused


def config_of(catalogue: Catalogue, session: Session, resource: store.Resource, *, signals: bool) -> dict[str, str]:
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
        signals=signals,
    )


def ask(
    catalogue: Catalogue,
    session: Session,
    resource: store.Resource,
    state: store.MountState,
    where: str | None,
    *,
    patience_seconds: float,
) -> str:
    """Have the rows that satisfy the condition `where` (all, without) read again; the id of the signal.

    The rows come as reads (`op` r), each once, none older than what was delivered before. Raises ConnectRefused when
    the connector is not ready for it after `patience_seconds`, and KafkaException when the signal cannot be sent.
    """
    mount, name = resource.mount or {}, connector_name(resource.code)
    if not state.signals:
        catalogue.make_topic(signal_topic(resource.code))
        catalogue.connect.put(name, config_of(catalogue, session, resource, signals=True))
        catalogue.connect.wait_until_running(name, patience_seconds)
        state.signals = True
    _await_transaction(catalogue, name, patience_seconds)
    signal_id, table = str(uuid.uuid4()), f"{mount['schema']}.{mount['table']}"
    data: dict[str, object] = {"type": "incremental", "data-collections": [re.escape(table)]}
    if where is not None:
        data["additional-conditions"] = [{"data-collection": re.escape(table), "filter": where}]
    signal = {"id": signal_id, "type": "execute-snapshot", "data": data}
    catalogue.signal(signal_topic(resource.code).name, f"cdc.{mount['system']}", json.dumps(signal))
    return signal_id


def _await_transaction(catalogue: Catalogue, connector: str, patience_seconds: float) -> None:
    """Wait until the connector has seen a transaction, if only that of its own heartbeat; raises ConnectRefused.

    Debezium 3.5 fails on a read-only snapshot before that: it compares the transaction it saw last with its watermarks.
    """
    deadline = time.monotonic() + patience_seconds
    while catalogue.connect.position(connector).get("txId") is None:
        if time.monotonic() > deadline:
            raise ConnectRefused(f"connector {connector} has not seen its source's log move yet; try again in a while")
        time.sleep(0.25)
