"""How tables are filled, `/api/sync/v1/tables`: for whoever runs the exchange, and for the department that owns one."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.core.identity import Role, Viewer, may
from services.core.problems import Problem
from services.core.words import Words
from services.sync.table.exchange import TableExchange


class TableOut(BaseModel):
    """A grant's table."""

    grant: str
    state: str = Field(description="`running`, or `waiting` for what `reason` says.")
    reason: str | None = Field(description="Why it waits; no data of rows.")
    written: dict[int, int] = Field(description="By partition of the share topic: all before this offset is in it.")

    model_config = {
        "json_schema_extra": {
            "examples": [{"grant": "0a1b2c3d4e5f", "state": "running", "reason": None, "written": {"0": 12_345}}]
        }
    }


def router(exchange: TableExchange) -> APIRouter:
    """The routes over `exchange`."""
    routes = APIRouter()

    @routes.get("/tables/{grant_id}")
    def read_table(
        grant_id: str, viewer: Viewer = may(Role.ADMINISTRATOR, Role.OPS, Role.AUDITOR, Role.CONSUMER)
    ) -> TableOut:
        """How a grant's table is filled; 404 for one that is not."""
        grant, found = exchange.grants.get(grant_id), exchange.standing(grant_id)
        others = grant is not None and Role.CONSUMER in viewer.roles and viewer.department != grant["department"]
        if grant is None or found is None or (others and len(viewer.roles) == 1):
            raise Problem(
                404, "table-not-filled", Words("No table is filled", "没有正在交换的库表"),
                Words(f"No table is filled under grant {grant_id!r}.", f"授权“{grant_id}”目前没有库表交换。"),
            )  # fmt: skip
        state = "running" if found.reason is None else "waiting"
        return TableOut(grant=grant_id, state=state, reason=found.reason, written=found.written)

    return routes
