"""The native engine: runs of changes projected in Rust (`native/`), equal to the reference byte for byte.

It does the plain and frequent work. A plan that it does not know how to run is `Unsupported`, and a change in which
anything is amiss stops the run before it: both are the reference's to do, which also says what is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from services.core import merkle, quality, rowfilter
from services.sync.projection.plan import Columns, Plan, Shown

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


def judging(
    writer: Mapping[str, Any],
    schema_id: int,
    rules: Sequence[Mapping[str, Any]],
    columns: Columns,
    code_lists: Mapping[str, Collection[str]],
    most_bytes: int,
) -> Any:
    """A `Judge` of changes written with the Avro schema `writer` by a contract's `rules`, as `quality.py` has them.

    It stops before a change that breaks one, or that it cannot judge. Raises Unsupported, and RuleError and
    NotAnEnvelope for rules that cannot be.
    """
    if engine is None:
        raise Unsupported("the native engine is not built")
    try:
        return engine.Judge(json.dumps(_judgement(writer, schema_id, rules, columns, code_lists, most_bytes)))
    except (engine.Unsupported, rowfilter.FilterError) as error:
        raise Unsupported(str(error)) from error


def _judgement(
    writer: Mapping[str, Any],
    schema_id: int,
    rules: Sequence[Mapping[str, Any]],
    columns: Columns,
    code_lists: Mapping[str, Collection[str]],
    most_bytes: int,
) -> dict[str, Any]:
    parsed = [(rule, json.loads(rule["parameters"] or "{}", parse_float=Decimal)) for rule in rules]
    whens = [rowfilter.parse(said["when"]) if "when" in said else None for _, said in parsed]
    items = {item for rule in rules for item in rule["items"]}
    names = sorted(items.union(*(when.items() for when in whens if when)))
    places = {name: place for place, name in enumerate(names)}
    return {
        "writer": writer,
        "schema_id": schema_id,
        "most_bytes": most_bytes,
        "system": "",
        "grants": [],
        "columns": [
            {"column": column.column, "type": column.type} for column in (columns.column(name) for name in names)
        ],
        "rules": [
            {
                **_check(rule, said, columns.types, code_lists, places),
                "stops": rule["severity"] == "error",
                "when": _judged(when.root, columns.types, places) if when else None,
            }
            for (rule, said), when in zip(parsed, whens, strict=True)
        ],
    }


def _check(
    rule: Mapping[str, Any],
    said: Mapping[str, Any],
    types: Mapping[str, str],
    code_lists: Mapping[str, Collection[str]],
    places: Mapping[str, int],
) -> dict[str, Any]:
    """What breaks a rule. A value that is missing breaks none but `required`: a filter says nothing of it."""
    item, kind = rule["items"][0], rule["kind"]
    match kind:
        case "required":
            empty = [rowfilter.IsNull(name) for name in rule["items"]]
            blank = [rowfilter.Compare(name, "=", "") for name in rule["items"] if types[name] == "string"]
            return {"breaks": _judged(_any([*empty, *blank]), types, places)}
        case "range" if types[item] != "double":
            bounds = {name: quality.bound(said[name], types[item]) for name in ("min", "max") if name in said}
            signs = {"min": "<", "max": ">"}
            beyond = [rowfilter.Compare(item, signs[name], _exact(value)) for name, value in bounds.items()]
            return {"breaks": _judged(_any(beyond), types, places)}
        case "enumeration":
            return {"breaks": _judged(rowfilter.Not(rowfilter.In(item, tuple(said["values"]))), types, places)}
        case "code_list":
            codes = tuple(sorted(code_lists[said["list"]]))
            return {"breaks": _judged(rowfilter.Not(rowfilter.In(item, codes)), types, places)}
        case "pattern":
            return {"place": places[item], "pattern": _common(said["pattern"])}
        case "check_digit":
            return {said["scheme"]: places[item]}
    raise Unsupported(f"a rule of kind {kind}")


def _judged(node: rowfilter.Node, types: Mapping[str, str], places: Mapping[str, int]) -> dict[str, Any]:
    """A filter whose constants are of its items' types. Raises FilterError."""
    rowfilter.Filter(node).check(types)
    return _filter(node, places)


def _exact(value: Any) -> Any:
    """A bound as whole number where it is one: nothing else is compared with whole numbers."""
    return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else value


def _any(nodes: Sequence[rowfilter.Node]) -> rowfilter.Node:
    first, *others = nodes
    for one in others:
        first = rowfilter.Join("or", first, one)
    return first


# what RE2 and Rust's regex read alike; where a class is spelt shorter, RE2 means ASCII
_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\f\r "}
_PLAIN = re.compile(r"[^\\\[\](){}|*+?.^$]|[().|*+?]|\(\?:|\{[0-9]+(?:,[0-9]*)?\}")
_IN_CLASS = re.compile(r"[^\\\[\]&~^-]|-(?!-)")


def _common(pattern: str) -> str:
    """The same pattern for Rust's regex. Raises Unsupported for what the two may read differently."""
    out, at, inside = [], 0, False
    while at < len(pattern):
        character = pattern[at]
        if character == "\\":
            escaped = pattern[at + 1 : at + 2]
            if escaped in _CLASSES:
                out.append(_CLASSES[escaped] if inside else f"[{_CLASSES[escaped]}]")
            elif escaped and not escaped.isalnum() and escaped.isascii():
                out.append("\\" + escaped)
            else:
                raise Unsupported(f"a pattern with \\{escaped}")
            at += 2
            continue
        if inside:
            found = _IN_CLASS.match(pattern, at)
            if character == "]":
                inside = False
                out.append("]")
                at += 1
                continue
        elif character == "[" and pattern[at + 1 : at + 2] not in ("]", ""):
            inside = True
            negated = pattern[at + 1] == "^"
            if negated and pattern[at + 2 : at + 3] in ("]", ""):
                raise Unsupported("a pattern with an odd class")
            out.append("[^" if negated else "[")
            at += 2 if negated else 1
            continue
        else:
            found = (
                None
                if character == "(" and pattern.startswith("(?", at) and not pattern.startswith("(?:", at)
                else _PLAIN.match(pattern, at)
            )
        if found is None:
            raise Unsupported(f"a pattern with {character!r} at {at + 1}")
        out.append(found[0])
        at = found.end()
    return "".join(out)


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
        case rowfilter.Within(_, division):
            raise Unsupported(f"which codes lie in {division} is not known")
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
