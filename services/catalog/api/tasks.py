"""The work that is open, and when its clocks run out."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy import select

from services.catalog import store
from services.catalog.api.forms import TaskOut
from services.catalog.api.resources import task_out
from services.catalog.catalogue import Catalogue
from services.core.idempotency import IdempotentRoute
from services.core.identity import Insider


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(prefix="/tasks", tags=["tasks"], route_class=IdempotentRoute)

    @routes.get("")
    def list_tasks(viewer: Insider) -> list[TaskOut]:
        """The 500 open tasks due first: the department's own, or everyone's for the data authority and auditors."""
        query = select(store.Task).where(store.Task.closed_at.is_(None)).order_by(store.Task.due_on).limit(500)
        if not viewer.sees_all():
            query = query.where(store.Task.department == viewer.department)
        with catalogue.session() as session:
            return [task_out(session, task) for task in session.scalars(query)]

    return routes
