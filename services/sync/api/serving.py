"""How a grant is served just now."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.core.identity import Role, Viewer, may
from services.core.problems import Problem
from services.core.words import Words
from services.sync.ways import Ways


class ServingOut(BaseModel):
    """Partitions of the change topic by how the grant is served from them."""

    live: int = Field(description="Partitions whose changes are delivered as they come.")
    catching_up: int = Field(description="Partitions of which the grant still gets what existed before.")
    behind: int = Field(description="Offsets that those have to go; at most as many changes.")


def router(ways: Ways) -> APIRouter:
    routes = APIRouter(tags=["grants"])

    @routes.get("/grants/{grant_id}")
    def read_serving(grant_id: str, viewer: Viewer = may(Role.ADMINISTRATOR, Role.OPS, Role.AUDITOR)) -> ServingOut:
        """How a grant is served; 404 for one that is not (unknown, not begun, revoked or over)."""
        found = ways.serving(grant_id)
        if found is None:
            raise Problem(
                404, "grant-not-served", Words("The grant is not served", "该授权未在交付"),
                Words(f"Nothing is delivered under grant {grant_id!r}.", f"授权“{grant_id}”目前没有交付。"),
            )  # fmt: skip
        return ServingOut(live=found.live, catching_up=found.catching_up, behind=found.behind)

    return routes
