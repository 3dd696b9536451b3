"""The ends of a mount: what is written down before one is made, and what is taken away after one has ended.

A mount of a table makes a connector, and that makes a slot and a publication in the source; one of a topic makes a
broker user. A user that nobody answers for could go on writing, and a slot that nobody reads keeps the source's log for
ever. So each of these is on record (a clearance) before it is made until the mount stands, and again once it ends.
What cannot be removed now, because source or broker does not answer, is removed by the watch later.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from confluent_kafka import KafkaException
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.catalog import store
from services.catalog.catalogue import Catalogue, now
from services.catalog.connector import connector_name, slot_name
from services.catalog.domain.resource import MountKind
from services.catalog.source import SlotBusy, SourceUnreachable, source_of
from services.catalog.writers import writer_name
from services.core.connect import ConnectRefused
from services.core.identity import Viewer

log = structlog.get_logger()

# No mount takes longer to come up; what is older was left by a process that died.
MAKING = timedelta(minutes=5)
_AGAIN = timedelta(seconds=30)
_STOP_SECONDS = 15.0


def intend(session: Session, resource: str, system: str, kind: MountKind) -> None:
    """Put on record that a mount is being made, so that it is removed again should it never stand."""
    session.add(_clearance(resource, system, kind, now() + MAKING))


def _clearance(resource: str, system: str, kind: MountKind, not_before: datetime) -> store.Clearance:
    return store.Clearance(
        resource=resource, system=system, kind=kind.value, not_before=not_before, connector_deleted=False
    )


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
    kind = MountKind(resource.mount.get("kind", "table"))
    leaves = bool(resource.mount.get("connector")) or kind is MountKind.TOPIC
    facts = {name: str(value) for name, value in resource.mount.items() if value}
    resource.mount = None
    state = session.get(store.MountState, resource.code)
    if state is not None:
        session.delete(state)
    for kind_of in (store.Upstream, store.Product):
        filler = session.get(kind_of, resource.code)
        if filler is not None:
            session.delete(filler)
    catalogue.publisher.happened(session, "resource_unmounted", resource.code, resource.department, viewer.name, facts)
    if not leaves or session.get(store.InformationSystem, system) is None:
        return None
    session.merge(_clearance(resource.code, system, kind, now()))
    return system


def clear(catalogue: Catalogue, resource: str, system: str) -> str | None:
    """Remove what a mount has left: connector, slot and publication, or user; why not, where it cannot be done now.

    The resource is locked meanwhile, so that no new mount comes up under the same names.
    """
    with catalogue.session() as session, session.begin():
        session.get(store.Resource, resource, with_for_update=True)
        clearance = session.get(store.Clearance, (resource, system), with_for_update=True)
        source = session.get(store.InformationSystem, system)
        if clearance is None or source is None:
            return None
        try:
            if clearance.kind == MountKind.TOPIC:
                catalogue.writers.dismiss(writer_name(system, resource))
            elif clearance.kind == MountKind.TABLE:
                _clear_table(catalogue, clearance, source)
        except (ConnectRefused, SourceUnreachable, SlotBusy, KafkaException) as error:
            clearance.error, clearance.not_before = str(error), now() + _AGAIN
            log.warning("a mount's remains are not removed yet", resource=resource, system=system, reason=str(error))
            return str(error)
        session.delete(clearance)
    return None


def _clear_table(catalogue: Catalogue, clearance: store.Clearance, source: store.InformationSystem) -> None:
    name = slot_name(clearance.resource)
    if not clearance.connector_deleted:
        catalogue.connect.remove(connector_name(clearance.resource), _STOP_SECONDS)
        clearance.connector_deleted = True
    source_of(source, catalogue.vault).remove(name, name, patience_seconds=_STOP_SECONDS)


def clear_due(catalogue: Catalogue) -> None:
    """Clear all that is due."""
    with catalogue.session() as session:
        query = select(store.Clearance).where(store.Clearance.not_before <= now())
        due = [(one.resource, one.system) for one in session.scalars(query)]
    for resource, system in due:
        clear(catalogue, resource, system)
