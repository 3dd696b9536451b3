"""Contracts: the Avro schema that a version of a resource promises, and what a change of it means to those who use it.

Semantic versions: **major** when a reader of the version before may be broken (an item gone, another type, a key that
is another, an item that may now be missing, one that must now be there in rows from before), **minor** when there is
more to read or other rules hold, **patch** when only words changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.catalog.domain.resource import Item, ItemType, Terms
from services.core.words import Words

MAX_PRECISION = 38


class Bump(StrEnum):
    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


@dataclass(frozen=True, slots=True)
class Change:
    """What another contract means to a consumer: how far the version moves, and why."""

    bump: Bump
    reasons: Sequence[Words]


def subject(code: str, version: str) -> str:
    """The registry's subject of a contract; a new major version is a new line of compatible schemas."""
    return f"contract.{code}.v{version.split('.')[0]}-value"


def next_version(version: str | None, bump: Bump) -> str:
    """The version after `version`; the first is 1.0.0."""
    if version is None:
        return "1.0.0"
    major, minor, patch = (int(part) for part in version.split("."))
    return {
        Bump.MAJOR: f"{major + 1}.0.0",
        Bump.MINOR: f"{major}.{minor + 1}.0",
        Bump.PATCH: f"{major}.{minor}.{patch + 1}",
    }[bump]


def schema_of(terms: Terms) -> dict[str, Any]:
    """The Avro schema of a row of the resource; every field says what it means."""
    return {
        "type": "record",
        "namespace": "cn.tongshu.contract",
        "name": "".join(part.capitalize() for part in terms.code.split("_")),
        "doc": f"{terms.title}：{terms.abstract}",
        "fields": [_field(item) for item in terms.items],
    }


def _field(item: Item) -> dict[str, Any]:
    kind = avro_type(item)
    doc = f"{item.title}：{item.description}" if item.description else item.title
    more: dict[str, Any] = {"doc": doc, "sensitivity": item.sensitivity.value}
    if item.standard:
        more["standard"] = item.standard
    if item.nullable:
        return {"name": item.name, "type": ["null", kind], "default": None, **more}
    return {"name": item.name, "type": kind, **more}


def avro_type(item: Item) -> Any:
    """The Avro type of an item's values, leaving aside that one may be missing."""
    match item.type:
        case ItemType.STRING:
            return "string"
        case ItemType.INTEGER:
            return "long"
        case ItemType.DOUBLE:
            return "double"
        case ItemType.BOOLEAN:
            return "boolean"
        case ItemType.DATE:
            return {"type": "int", "logicalType": "date"}
        case ItemType.TIMESTAMP:
            return {"type": "long", "logicalType": "timestamp-micros"}
        case ItemType.DECIMAL:
            precision = item.length or MAX_PRECISION
            return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": item.scale or 0}


def change(before: Terms, after: Terms) -> Change:
    """What the step from one contract to the next means to those who use the first."""
    breaking = _breaking(before.items, after.items)
    if breaking:
        return Change(Bump.MAJOR, breaking)
    old, new = {item.name: item for item in before.items}, {item.name: item for item in after.items}
    more = [Words(f"item {name} is new", f"新增信息项“{new[name].title}”") for name in new if name not in old]
    if before.rules != after.rules:
        more.append(Words("the quality rules are others", "质量规则有变化"))
    if before.service_level != after.service_level:
        more.append(Words("the service level is another", "服务水平有变化"))
    if any(_constraints(old[name]) != _constraints(new[name]) for name in old):
        more.append(Words("items are described otherwise", "信息项的约束有变化"))
    return Change(Bump.MINOR, more) if more else Change(Bump.PATCH, ())


def _constraints(item: Item) -> tuple[Any, ...]:
    return item.nullable, item.length, item.scale, item.code_list, item.sensitivity, item.query_key


def _breaking(before: Sequence[Item], after: Sequence[Item]) -> list[Words]:
    old, new = {item.name: item for item in before}, {item.name: item for item in after}
    reasons = []
    for name, item in old.items():
        if name not in new:
            reasons.append(Words(f"item {name} is gone", f"信息项“{item.title}”被删除"))
        elif avro_type(item) != avro_type(new[name]):
            reasons.append(Words(f"item {name} has another type", f"信息项“{item.title}”的类型改变"))
        elif new[name].nullable != item.nullable:
            # a row from before may lack what must now be there, a row from now on may lack what always was
            reasons.append(
                Words(
                    f"item {name} {'may now be missing' if new[name].nullable else 'must now be there'}",
                    f"信息项“{item.title}”{'变为可空' if new[name].nullable else '变为必填'}",
                )
            )
    for name, item in new.items():
        if name not in old and not item.nullable:
            reasons.append(
                Words(f"new item {name} must be there in rows from before", f"新增的必填信息项“{item.title}”")
            )
    if [item.name for item in before if item.key] != [item.name for item in after if item.key]:
        reasons.append(Words("the key is another", "主键改变"))
    return reasons
