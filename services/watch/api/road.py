"""The topics with their readers, the hops of the road, and the connectors."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from services.core.identity import Anyone
from services.watch.api.shapes import (
    ConnectorsOut,
    HopsOut,
    ReaderOut,
    TopicOut,
    TopicsOut,
    connector_out,
    hop_out,
    hops,
    time_of,
)
from services.watch.room import Room, Sight

Name = Annotated[str | None, Query(max_length=255)]


def router(room: Room) -> APIRouter:
    routes = APIRouter(tags=["road"])

    @routes.get("/topics")
    def list_topics(viewer: Anyone, department: Name = None, group: Name = None) -> TopicsOut:
        """Every topic: whose it is, how much it holds and gets, and who reads it. A department sees its own."""
        sight = Sight(room.picture(), viewer)
        shown = [
            TopicOut(
                topic=one.name,
                kind=one.place.kind,
                department=one.place.department,
                resource=one.place.resource,
                grant=one.place.grant,
                partitions=one.partitions,
                records=one.records,
                produced_rate=round(one.produced_rate, 3),
                last_record_at=time_of(one.last_record_at) if one.last_record_at is not None else None,
                groups=[
                    ReaderOut(group=by.name, status=by.status, records=by.records, seconds=round(by.seconds, 3))
                    for by in sight.readers(one)
                ],
            )
            for one in sight.topics()
            if department in (None, one.place.department)
        ]
        return TopicsOut(
            measured_at=time_of(sight.picture.at),
            items=[one for one in shown if group is None or any(by.group == group for by in one.groups)],
        )

    @routes.get("/hops")
    def list_hops(viewer: Anyone) -> HopsOut:
        """The road from source to department, hop by hop; a department sees what concerns it."""
        sight = Sight(room.picture(), viewer)
        return HopsOut(measured_at=time_of(sight.picture.at), items=[hop_out(one) for one in hops(sight)])

    @routes.get("/connectors")
    def list_connectors(viewer: Anyone) -> ConnectorsOut:
        """The connectors and their tasks; a department sees those of its own resources."""
        sight = Sight(room.picture(), viewer)
        return ConnectorsOut(
            measured_at=time_of(sight.picture.at),
            reachable=sight.picture.connect_reachable,
            items=[connector_out(sight, name) for name in sight.connectors()],
        )

    return routes
