"""The live figures of the relay in Redis, for whoever watches. They may be lost: the books are `sync.deliveries`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import redis
import structlog

from services.core.settings import Settings
from services.sync.relay.worker import Figures

log = structlog.get_logger()

KEY = "tongshu:live:grants"
_EVERY_SECONDS = 1.0


class Live:
    """Shows what each grant got, at most once a second. A Redis that is down is waited for, never by the relay."""

    def __init__(self, settings: Settings) -> None:
        self._redis = redis.Redis(
            host=settings.redis_host,
            port=settings.redis_port,
            password=settings.secret("redis_password"),
            socket_timeout=0.05,
            socket_connect_timeout=0.05,
        )
        self._next = 0.0

    def show(self, figures: Mapping[str, Figures]) -> None:
        if time.monotonic() < self._next or not figures:
            return
        self._next = time.monotonic() + _EVERY_SECONDS
        shown: dict[Any, Any] = {
            grant: f"{one.records} {one.latency_max_us} {one.last_delivered_at.isoformat()}"
            for grant, one in figures.items()
            if one.last_delivered_at
        }
        try:
            self._redis.hset(KEY, mapping=shown)
        except redis.RedisError as error:
            self._next += 10 * _EVERY_SECONDS
            log.warning("live figures cannot be shown", reason=type(error).__name__)
