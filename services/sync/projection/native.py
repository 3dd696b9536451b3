"""The native engine: runs of changes projected in Rust (`native/`), equal to the reference byte for byte.

It does the plain and frequent work. A plan that it does not know how to run is `Unsupported`, and a change in which
anything is amiss stops the run before it: both are the reference's to do, which also says what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from services.core import merkle, rowfilter
from services.sync.projection.plan import Plan, Shown

try:
    import tongshu_projection as engine
except ImportError:  # no Rust toolchain has built it: the reference does all the work
    engine = None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Unsupported(Exception):
    """A plan that the native engine does not know how to run; says why."""


@dataclass(frozen=True, slots=True)
class Served:
    """A grant's plan, the registry's ids of its schemas, and how many partitions its share topic has."""

    plan: Plan
    key_id: int
    value_id: int
    partitions: int


def is_here() -> bool:
    """Whether the engine has been built for this machine."""
    return engine is not None


def compiled(writer: Mapping[str, Any], schema_id: int, served: Sequence[Served], most_bytes: int) -> Any:
    """A `Projection` of changes written with the Avro schema `writer` to grants of one resource, in their order.

    It stops before changes of another `schema_id` and before those that are longer than `most_bytes`.
    Raises Unsupported.
    """
    if engine is None:
        raise Unsupported("the native engine is not built")
    plan = {
        "writer": writer,
        "schema_id": schema_id,
        "most_bytes": most_bytes,
        "system": served[0].plan.system,
        "grants": [_grant(one) for one in served],
    }
    try:
        return engine.Projection(json.dumps(plan))
    except engine.Unsupported as error:
        raise Unsupported(str(error)) from error


def root(leaves: bytes) -> bytes:
    """The root of the RFC 6962 tree over leaf hashes that lie one after another, 32 bytes each."""
    if engine is not None:
        found: bytes = engine.root(leaves)
        return found
    return merkle.root(leaves[at : at + 32] for at in range(0, len(leaves), 32))


def _grant(served: Served) -> dict[str, Any]:
    plan = served.plan
    places = {column.item: place for place, column in enumerate(plan.filtered)}
    return {
        "grant": plan.grant,
        "contract_version": plan.contract_version,
        "secret": plan.secret.hex(),
        "key_id": served.key_id,
        "value_id": served.value_id,
        "partitions": served.partitions,
        "key": [_shown(one) for one in plan.key],
        "shown": [_shown(one) for one in plan.shown],
        "filtered": [{"column": column.column, "type": column.type} for column in plan.filtered],
        "filter": _filter(plan.row_filter.root, places) if plan.row_filter else None,
    }


def _shown(one: Shown) -> dict[str, Any]:
    return {"column": one.source.column, "type": one.source.type, "mask": one.said}


def _filter(node: rowfilter.Node, places: Mapping[str, int]) -> dict[str, Any]:
    match node:
        case rowfilter.Compare(item, operator, value):
            return {"compare": [places[item], operator, _constant(value)]}
        case rowfilter.In(item, values):
            return {"in": [places[item], [_constant(value) for value in values]]}
        case rowfilter.IsNull(item):
            return {"null": [places[item]]}
        case rowfilter.Not(inner):
            return {"not": _filter(inner, places)}
        case rowfilter.Join(word, left, right):
            return {word: [_filter(left, places), _filter(right, places)]}


def _constant(value: rowfilter.Value) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolean": value}
        case str():
            return {"text": value}
        case int():
            return {"integer": str(value)}
        case Decimal():
            exponent = int(value.as_tuple().exponent)
            return {"decimal": [str(int(value.scaleb(-exponent))), -exponent]}
        case datetime():
            return {"time": (value - _EPOCH) // timedelta(microseconds=1)}
        case date():
            return {"date": (value - _EPOCH.date()).days}
