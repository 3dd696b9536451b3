"""The topics that the console owns."""

from __future__ import annotations

from services.core.kafka import Topic

EVENTS = Topic("console.events")
