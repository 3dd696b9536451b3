"""Whose a topic, a group or a connector is, as far as names, grants and mounts tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_OWN = frozenset({"catalog", "demand", "sync", "audit", "connect", "watch", "operator"})
_KINDS = (
    "cdc",
    "share",
    "quarantine",
    "sync",
    "audit",
    "catalog",
    "demand",
    "connect",
    "notification",
    "watch",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in the exchange; None is what it has none of, or what nobody knows."""

    kind: str = "other"
    department: str | None = None
    resource: str | None = None
    grant: str | None = None


@dataclass(frozen=True, slots=True)
class Places:
    """The exchange as grants and mounts describe it."""

    topics: Mapping[str, Place] = field(default_factory=dict)
    connectors: Mapping[str, Place] = field(default_factory=dict)
    grants: Mapping[str, Place] = field(default_factory=dict)
    departments: frozenset[str] = frozenset()
    tables: frozenset[str] = frozenset()
    """Grants in force that fill a table."""

    def topic(self, name: str) -> Place:
        return self.topics.get(name) or Place(kind_of(name))

    def connector(self, name: str) -> Place:
        return self.connectors.get(name) or Place("connector")

    def grant(self, grant: str) -> Place:
        return self.grants.get(grant) or Place("share", grant=grant)

    def department_of_group(self, group: str) -> str | None:
        """The department whose client reads in `group`: groups begin with its name."""
        prefix = group.partition(".")[0]
        return prefix if prefix in self.departments and prefix not in _OWN else None


def kind_of(topic: str) -> str:
    prefix = topic.partition(".")[0]
    return prefix if prefix in _KINDS else "other"


def places(resources: Iterable[Mapping[str, Any]], grants: Iterable[Mapping[str, Any]]) -> Places:
    """The places that follow from the states of `catalog.resources` and `demand.grants`."""
    topics: dict[str, Place] = {}
    connectors: dict[str, Place] = {}
    by_grant: dict[str, Place] = {}
    departments: set[str] = set()
    tables: set[str] = set()
    for one in resources:
        departments.add(one["department"])
        topics[f"quarantine.{one['code']}"] = Place("quarantine", one["department"], one["code"])
        if (mount := one["mount"]) is not None:
            if mount["topic"]:
                topics[mount["topic"]] = Place("cdc", one["department"], one["code"])
            if mount["connector"]:
                connectors[mount["connector"]] = Place("connector", one["department"], one["code"])
    for one in grants:
        departments.add(one["department"])
        place = Place("share", one["department"], one["resource"], one["id"])
        topics[one["topic"]] = by_grant[one["id"]] = place
        if one["state"] == "active" and "table" in one["channels"]:
            tables.add(one["id"])
    return Places(topics, connectors, by_grant, frozenset(departments), frozenset(tables))
