"""What operators do with commands, told by the commands themselves; and how the log is."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from services.audit.api.watched import WatchedRoute
from services.audit.room import Room
from services.audit.store import Cursor
from services.core.identity import Administrator, Role, Viewer, may


class Command(StrEnum):
    UP = "up"
    DOWN = "down"
    VERIFY = "verify"
    EXPORT = "export"
    REPLAY = "replay"
    TRACE = "trace"


class OperationForm(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"command": "verify", "outcome": "holds"}})

    command: Command
    outcome: Annotated[str, Field(max_length=200, description="How it ended, in a word or two.")]


class LogStatus(BaseModel):
    size: Annotated[int, Field(description="Entries under the newest checkpoint.")]
    indexed: Annotated[int, Field(description="Entries that can be searched.")]
    sealing: Annotated[bool, Field(description="Whether this process seals; else it stands by.")]


def router(room: Room) -> APIRouter:
    routes = APIRouter(tags=["operations"], route_class=WatchedRoute)

    @routes.post("/operations", status_code=202)
    def tell_operation(form: OperationForm, viewer: Administrator) -> OperationForm:
        """Note what an operator's command did."""
        with room.session() as session, session.begin():
            facts = {"outcome": form.outcome}
            room.publisher.happened(session, f"operator_{form.command}", form.command, actor=viewer.name, facts=facts)
        return form

    @routes.get("/status")
    def read_status(viewer: Viewer = may(Role.ADMINISTRATOR, Role.OPS, Role.AUDITOR)) -> LogStatus:
        """How far the log has come."""
        with room.session() as session:
            indexed = session.scalar(select(Cursor.next).where(Cursor.name == "entries")) or 0
        return LogStatus(size=room.tiles.signed_size(), indexed=indexed, sealing=room.is_sealing())

    return routes
