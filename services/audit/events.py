"""What the audit tells of itself in `audit.events`: reads by auditors, refusals, findings, alerts, commands.

Sealed like all else, so that whoever watches is watched.
"""

from __future__ import annotations

from services.audit.store import outbox
from services.audit.topics import EVENTS
from services.core.avro import Registry
from services.core.happened import EventWriter


class Publisher(EventWriter):
    """Writes the audit's events."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry, "audit", EVENTS, outbox)
