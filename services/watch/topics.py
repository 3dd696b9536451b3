"""The topics that the watch owns."""

from __future__ import annotations

from services.core.kafka import Topic

EVENTS = Topic("watch.events")
