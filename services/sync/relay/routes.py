"""Who gets what: the live grants of each mounted resource, by change topic.

Built from the state topics of the catalogue and the demand side. This is the last of three locks: core and not-shared
resources, revoked, expired and not yet begun grants have no route, whatever the others let pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Route:
    """A change topic, the resource mounted on it and the grants that are served from it."""

    resource: State
    grants: tuple[State, ...]

    @property
    def has_rules(self) -> bool:
        """Whether the contract says what rows must be like."""
        return bool(self.resource["rules"])

    @property
    def is_filled(self) -> bool:
        """Whether the topic is filled from outside, and not by a connector."""
        return str(self.resource["mount"].get("kind", "table")) != "table"

    def live(self, now: datetime) -> list[State]:
        """The grants under which data may flow at `now`."""
        return [
            grant
            for grant in self.grants
            if grant["valid_from"] <= now and (grant["valid_to"] is None or now < grant["valid_to"])
        ]


def build(resources: Iterable[State], grants: Iterable[State]) -> dict[str, Route]:
    """Routes by change topic. A resource without grants has a route too: its changes are read past."""
    by_resource: dict[str, list[State]] = {}
    for grant in grants:
        # tables and row look-ups are served from the share topic, too
        if grant["state"] == "active":
            by_resource.setdefault(grant["resource"], []).append(grant)
    routes = {}
    for resource in resources:
        if resource["mount"] is None:
            continue
        shareable = resource["grade"] != "core" and resource["sharing_type"] != "not_shared"
        served = by_resource.get(resource["code"], []) if shareable else []
        routes[resource["mount"]["topic"]] = Route(resource, tuple(sorted(served, key=lambda grant: str(grant["id"]))))
    return routes
