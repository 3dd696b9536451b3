"""The schema registry, asked by several at once."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from cli.exchange import Exchange
from services.core.avro import Registry

_WORKERS = 3
_SCHEMA = {"type": "record", "name": "row", "fields": [{"name": "id", "type": "string"}]}


def test_workers_that_register_the_same_at_once_are_all_told_its_id(exchange: Exchange) -> None:
    run = uuid.uuid4().hex
    for turn in range(20):
        together = Barrier(_WORKERS)

        def register(subject: str, together: Barrier = together) -> int:
            registry = Registry(exchange.settings.registry_url)
            together.wait()
            return registry.register(subject, _SCHEMA, "FULL")

        with ThreadPoolExecutor(_WORKERS) as pool:
            assert len(set(pool.map(register, [f"{run}-{turn}"] * _WORKERS))) == 1
