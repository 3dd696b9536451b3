"""Where data comes from and goes to: from a source's table to every department that receives it.

Reckoned from states alone, that of the published resource (`catalog.resources`) and those of the grants
(`demand.grants`), so that anybody who reads the topics comes to the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any

from services.catalog.domain.resource import PublishedResource


class NodeKind(StrEnum):
    SYSTEM = "system"
    SOURCE = "source"  # a table, an API or a file drop
    MOUNT = "mount"  # the connector, where there is one
    CHANGES = "changes"  # the change topic
    RESOURCE = "resource"
    CONTRACT = "contract"
    GRANT = "grant"
    DELIVERY = "delivery"  # a channel of a grant
    DEPARTMENT = "department"


@dataclass(frozen=True, slots=True)
class Node:
    """A place that data passes; `id` is unique within a lineage, `name` is the place's own name."""

    id: str
    kind: NodeKind
    name: str


@dataclass(frozen=True, slots=True)
class Lineage:
    """Places in the order in which data passes them, and `(from, to)` by their ids."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Use:
    """A grant in force: who uses which items of a resource, for what, until when."""

    grant: str
    department: str
    purpose: str
    items: tuple[str, ...]
    channels: tuple[str, ...]
    valid_to: datetime | None


def in_force(grant: Mapping[str, Any], at: datetime) -> bool:
    """Whether data flows by a grant (a value of `demand.grants`) at a moment."""
    begun = grant["valid_from"] <= at
    return grant["state"] == "active" and begun and (grant["valid_to"] is None or at < grant["valid_to"])


def where_used(code: str, grants: Iterable[Mapping[str, Any]], at: datetime) -> list[Use]:
    """Who uses a resource at a moment, by department and grant."""
    found = [
        Use(
            grant=grant["id"],
            department=grant["department"],
            purpose=grant["purpose"],
            items=tuple(item["name"] for item in grant["items"]),
            channels=tuple(grant["channels"]),
            valid_to=grant["valid_to"],
        )
        for grant in grants
        if grant["resource"] == code and in_force(grant, at)
    ]
    return sorted(found, key=lambda use: (use.department, use.grant))


def lineage(resource: PublishedResource, grants: Iterable[Mapping[str, Any]], at: datetime) -> Lineage:
    """From what a resource is mounted on (table, API, file drop, topic, other resources) to every consumer."""
    nodes: dict[str, Node] = {}
    edges: dict[tuple[str, str], None] = {}

    def lead(*path: tuple[NodeKind, str, str]) -> None:
        ids = [f"{kind.value}:{key}" for kind, key, _ in path]
        for node_id, (kind, _, name) in zip(ids, path, strict=True):
            nodes.setdefault(node_id, Node(node_id, kind, name))
        edges.update(dict.fromkeys(pairwise(ids)))

    contract = resource.contract.subject if resource.contract else resource.contract_version
    terms = (NodeKind.CONTRACT, f"{resource.code}/{resource.contract_version}", contract)
    source = list(_source(resource))
    lead(*source, (NodeKind.RESOURCE, resource.code, resource.title), terms)
    for code in resource.mount.inputs if resource.mount is not None else ():
        lead((NodeKind.RESOURCE, code, code), *source[:1])
    for grant in sorted(grants, key=lambda grant: (grant["department"], grant["id"])):
        if grant["resource"] != resource.code or not in_force(grant, at):
            continue
        for channel in grant["channels"]:
            name = grant["topic"] if channel == "topic" else channel
            lead(
                terms,
                (NodeKind.GRANT, grant["id"], grant["purpose"]),
                (NodeKind.DELIVERY, f"{grant['id']}/{channel}", name),
                (NodeKind.DEPARTMENT, grant["department"], grant["department"]),
            )
    return Lineage(tuple(nodes.values()), tuple(edges))


def _source(resource: PublishedResource) -> Iterable[tuple[NodeKind, str, str]]:
    """What lies before a resource, as far as its mount has it."""
    mount = resource.mount
    if mount is None:
        return
    yield NodeKind.SYSTEM, mount.system, mount.system
    source = f"{mount.schema}.{mount.table}" if mount.table else mount.endpoint
    if source:
        yield NodeKind.SOURCE, f"{mount.system}/{source}", source
    if mount.connector:
        yield NodeKind.MOUNT, mount.connector, mount.connector
    if mount.topic:
        yield NodeKind.CHANGES, mount.topic, mount.topic
