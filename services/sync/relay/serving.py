"""How a grant is served the changes of a schema: its plan, the ids of its topic's schemas, its records in bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from services.core.avro import Registry
from services.sync.projection.native import Served
from services.sync.projection.plan import compile_plan
from services.sync.projection.reference import NOTHING_MORE, Known, project
from services.sync.relay.routes import State


def serve(
    registry: Registry, schema_id: int, resource: State, grant: State, master: bytes, partitions: Callable[[str], int]
) -> Served:
    """How `grant` sees changes written with a schema; `partitions` says how many its topic has.

    Registers the schemas of that topic. Raises what `compile_plan`, the registry and `partitions` raise.
    """
    plan = compile_plan(registry.schema(schema_id), resource, grant, master)
    topic = grant["topic"]
    return Served(
        plan,
        registry.register(f"{topic}-key", plan.key_schema, "FULL"),
        registry.register(f"{topic}-value", plan.value_schema, "FULL"),
        partitions(topic),
    )


def records(
    registry: Registry, served: Served, envelope: Mapping[str, Any], *, catching_up: bool, known: Known = NOTHING_MORE
) -> list[tuple[str, bytes, bytes | None]]:
    """Operation, key and value of all that the reference engine makes of a change. Raises what `project` raises."""
    return [
        (
            one.op,
            registry.encode(served.key_id, one.key),
            None if one.value is None else registry.encode(served.value_id, one.value),
        )
        for one in project(served.plan, envelope, catching_up=catching_up, known=known)
    ]
