"""The topics that the audit owns."""

from __future__ import annotations

from services.core.kafka import Topic

LOG = Topic("audit.log")
CHECKPOINTS = Topic("audit.checkpoints")
PROGRESS = Topic("audit.progress", compacted=True)
EVENTS = Topic("audit.events")
