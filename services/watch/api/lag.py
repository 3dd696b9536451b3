"""Lag of the groups, one by one and with their curves."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from services.core import problems
from services.core.identity import Anyone
from services.watch.api.shapes import (
    GroupDetailOut,
    GroupsOut,
    PointOut,
    group_out,
    part_out,
    time_of,
)
from services.watch.domain.lag import Status
from services.watch.room import Room, Sight

Name = Annotated[str | None, Query(max_length=255)]


def router(room: Room) -> APIRouter:
    routes = APIRouter(tags=["lag"])

    @routes.get("/lag")
    def list_groups(
        viewer: Anyone, department: Name = None, topic: Name = None, status: Status | None = None
    ) -> GroupsOut:
        """How far every group is behind, worst first; a department sees its own. One answer holds all."""
        sight = Sight(room.picture(), viewer)
        groups = [group_out(sight, one) for one in sight.standings()]
        return GroupsOut(
            measured_at=time_of(sight.picture.at),
            sample_seconds=room.sample_seconds,
            window_seconds=room.rules.window_seconds,
            complete=sight.picture.complete,
            items=[
                one for one in groups
                if department in (None, one.department)
                and (topic is None or topic in one.topics)
                and status in (None, one.status)
            ],
        )  # fmt: skip

    @routes.get("/lag/{group:path}")
    def read_group(
        group: str,
        viewer: Anyone,
        since: Annotated[AwareDatetime | None, Query(description="Only the curve from then on.")] = None,
    ) -> GroupDetailOut:
        """One group: its partitions, and its curve over the last two hours."""
        sight = Sight(room.picture(), viewer)
        found = next((one for one in sight.standings() if one.group.name == group), None)
        if found is None:
            raise problems.unknown("group", "消费组", group)
        return GroupDetailOut(
            **group_out(sight, found).model_dump(),
            parts=[part_out(part) for part in found.partitions],
            curve=[
                PointOut(
                    at=time_of(point.at), records=point.records, seconds=round(point.seconds, 3),
                    committed=point.committed, produced=point.produced,
                )
                for point in room.curve(group, since.timestamp() if since else 0.0)
            ],
        )  # fmt: skip

    return routes
