"""What the console tells in `console.events`: who signed in, who could not, and what became of accounts.

What somebody typed as a name that no account has may be anything, a password too: it is told as `unknown`.
"""

from __future__ import annotations

from services.console.store import outbox
from services.console.topics import EVENTS
from services.core.avro import Registry
from services.core.happened import EventWriter

NOBODY_KNOWN = "unknown"


class Publisher(EventWriter):
    """Writes the console's events."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry, "console", EVENTS, outbox)
