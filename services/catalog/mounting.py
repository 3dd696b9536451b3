"""The ends of a mount: what is written down before one is made, and what is taken away after one has ended.

A mount makes a connector, and that makes a slot and a publication in the source. A slot that nobody reads keeps the
source's log for ever, so each of these is on record (a clearance) before it is made: until the mount stands, and again
from the moment it ends. What cannot be removed now, because the source does not answer, is removed by the watch later.
"""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.catalog import store
from services.catalog.catalogue import Catalogue, now
from services.catalog.connector import connector_name, slot_name
from services.catalog.source import SlotBusy, SourceUnreachable, source_of
from services.core.connect import ConnectRefused
from services.core.identity import Viewer

log = structlog.get_logger()

# No mount takes longer to come up; what is older was left by a process that died.
MAKING = timedelta(minutes=5)
_AGAIN = timedelta(seconds=30)
_STOP_SECONDS = 15.0


def intend(session: Session, resource: str, system: str) -> None:
    """Put on record that a mount is being made, so that it is removed again should it never stand."""
    session.add(store.Clearance(resource=resource, system=system, not_before=now() + MAKING, connector_deleted=False))


def stands(session: Session, resource: str, system: str) -> None:
    """The mount has come up: nothing of it is to be removed."""
    clearance = session.get(store.Clearance, (resource, system))
    if clearance is not None:
        session.delete(clearance)


def end(catalogue: Catalogue, session: Session, viewer: Viewer, resource: store.Resource) -> str | None:
    """End the mount of a resource that the session has locked: the system whose remains are to be cleared, if any.

    The caller tells the others (`catalog.resources`), commits, and then calls `clear`.
    """
    if resource.mount is None:
        return None
    system = str(resource.mount.get("system", ""))
    has_connector = bool(resource.mount.get("connector"))
    facts = {name: str(value) for name, value in resource.mount.items() if value}
    resource.mount = None
    state = session.get(store.MountState, resource.code)
    if state is not None:
        session.delete(state)
    catalogue.publisher.happened(session, "resource_unmounted", resource.code, resource.department, viewer.name, facts)
    if not has_connector or session.get(store.InformationSystem, system) is None:
        return None
    session.merge(store.Clearance(resource=resource.code, system=system, not_before=now(), connector_deleted=False))
    return system


def clear(catalogue: Catalogue, resource: str, system: str) -> str | None:
    """Remove what a mount has left: its connector, then slot and publication; why not, where it cannot be done now.

    The resource is locked meanwhile, so that no new mount comes up under the same names.
    """
    with catalogue.session() as session, session.begin():
        session.get(store.Resource, resource, with_for_update=True)
        clearance = session.get(store.Clearance, (resource, system), with_for_update=True)
        source = session.get(store.InformationSystem, system)
        if clearance is None or source is None:
            return None
        name = slot_name(resource)
        try:
            if not clearance.connector_deleted:
                catalogue.connect.remove(connector_name(resource), _STOP_SECONDS)
                clearance.connector_deleted = True
            source_of(source, catalogue.vault).remove(name, name, patience_seconds=_STOP_SECONDS)
        except (ConnectRefused, SourceUnreachable, SlotBusy) as error:
            clearance.error, clearance.not_before = str(error), now() + _AGAIN
            log.warning("a mount's remains are not removed yet", resource=resource, system=system, reason=str(error))
            return str(error)
        session.delete(clearance)
    return None


def clear_due(catalogue: Catalogue) -> None:
    """Clear all that is due."""
    with catalogue.session() as session:
        query = select(store.Clearance).where(store.Clearance.not_before <= now())
        due = [(one.resource, one.system) for one in session.scalars(query)]
    for resource, system in due:
        clear(catalogue, resource, system)
