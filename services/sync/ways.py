"""How grants are served just now, and how replays go: as the relay's workers, of whatever processes, tell in a topic.

A way is a grant's through one partition of its change topic. Offsets tell at most how many changes there are, for
compaction and transactions leave gaps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.core.avro import Codec, Registry
from services.core.kafka import StateView, state_consumer
from services.core.settings import Settings
from services.sync.relay.followed import View
from services.sync.relay.routes import build
from services.sync.topics import PROGRESS


@dataclass(frozen=True, slots=True)
class Serving:
    """How far a grant is served: partitions on the live stream, partitions that catch up, and what those have to go."""

    live: int
    catching_up: int
    behind: int


@dataclass(frozen=True, slots=True)
class Passed:
    """How far a replay has come in a partition: where it began, where it is, and where it ends."""

    begun_at: int
    at: int
    end: int


class Ways:
    """Follows `sync.progress`. Any thread may ask."""

    def __init__(self, settings: Settings, registry: Registry, resources: View, grants: View) -> None:
        self._resources, self._grants = resources, grants
        self._told: View = StateView(
            lambda wait: state_consumer(settings, "sync", "sync.ways", wait),
            PROGRESS.name,
            Codec(registry, PROGRESS.name).decode,
        )

    def start(self) -> None:
        """Raises KafkaException."""
        self._told.start()

    def why_not_ready(self) -> str | None:
        return str(self._told.failure) if self._told.failure else None

    def serving(self, grant_id: str) -> Serving | None:
        """How a grant is served; None when it is not: unknown, not begun, revoked or over."""
        grant = self._grants.get(grant_id)
        resource = self._resources.get(grant["resource"]) if grant is not None else None
        if grant is None or resource is None:
            return None
        routes = build([resource], [grant])
        found = [
            one
            for topic, route in routes.items()
            if route.live(datetime.now(UTC))
            for one in self._told.values()
            if (one["grant"], one["topic"], one["fill"]) == (grant_id, topic, grant["fill"])
        ]
        if not found:
            return None
        lanes = [one for one in found if not one["merged"]]
        return Serving(len(found) - len(lanes), len(lanes), sum(_left(one) for one in lanes))

    def replaying(self, replay: str) -> list[Passed]:
        """By partition that a replay of more than single rows is served in just now."""
        return [
            Passed(one["begun_at"], one["cursor"], one["cursor"] + _left(one))
            for one in self._told.values()
            if one["replay"] == replay and not one["merged"]
        ]


def _left(one: Mapping[str, Any]) -> int:
    return max(0, int(one["live"]) - int(one["cursor"]))
