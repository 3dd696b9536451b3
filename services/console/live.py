"""What happens, on its way from the topics to the browsers that look on: one stream each.

A thread reads the topics from now on and hands over to the loop, where each browser has a short queue. Nobody waits for
a browser: one whose queue is full is dropped, and comes back with the id of the last event that it saw. What happened
within about a minute is kept for that; further back it is told to look at everything again.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import structlog
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from services.console.domain.live import Delivered, Happening, happening
from services.core.avro import Codec, Registry, RegistryUnavailable
from services.core.identity import Viewer
from services.core.kafka import StateView, consumer, gathered, state_consumer
from services.core.problems import Problem
from services.core.settings import Settings
from services.core.words import Words

log = structlog.get_logger()

_EVENTS = {"catalog.events": "catalog", "demand.events": "demand", "audit.events": "audit", "watch.events": "watch"}
_DELIVERIES, _RESOURCES = "sync.deliveries", "catalog.resources"
_KEPT, _KEPT_SECONDS = 5_000, 60.0
_QUEUE = 256
_STREAMS, _STREAMS_OF_A_SESSION = 2_000, 12
_TICK_SECONDS = 1.0
_HEARTBEAT_SECONDS = 15.0
_LOOK_SECONDS = 5.0
_RETRY_MILLISECONDS = 2_000


class Stream:
    """A browser that looks on."""

    def __init__(self, viewer: Viewer, session: str) -> None:
        self.viewer, self.session = viewer, session
        self.waiting: asyncio.Queue[str] = asyncio.Queue(_QUEUE)
        self.is_dropped = False

    def put(self, text: str) -> None:
        """Give it something to send, or drop it."""
        try:
            self.waiting.put_nowait(text)
        except asyncio.QueueFull:
            self.is_dropped = True


class Hub:
    """All streams. Its methods belong to the loop in which they are served."""

    def __init__(self) -> None:
        self._run, self._number = secrets.token_hex(4), 0
        self._kept: deque[tuple[float, int, Happening]] = deque(maxlen=_KEPT)
        self._streams: set[Stream] = set()

    def open(self, viewer: Viewer, session: str, last_seen: str | None) -> Stream:
        """A stream that goes on after the event `last_seen`. Raises a 429 problem where there are too many."""
        own = sum(one.session == session for one in self._streams)
        if own >= _STREAMS_OF_A_SESSION or len(self._streams) >= _STREAMS:
            title = Words("Too many streams are open", "打开的实时连接过多")
            detail = Words("Close other windows of the console.", "请关闭其他控制台窗口后重试。")
            raise Problem(429, "too-many-streams", title, detail, headers={"Retry-After": "10"})
        stream = Stream(viewer, session)
        stream.put(f"retry: {_RETRY_MILLISECONDS}\n\n")
        if last_seen is not None:
            for text in self._since(viewer, last_seen):
                stream.put(text)
        self._streams.add(stream)
        return stream

    def close(self, stream: Stream) -> None:
        self._streams.discard(stream)

    def say(self, happened: Happening) -> None:
        """Tell all whom it concerns."""
        self._number += 1
        self._kept.append((time.monotonic(), self._number, happened))
        text = self._text(self._number, happened)
        for stream in self._streams:
            if happened.is_shown_to(stream.viewer):
                stream.put(text)

    def tick(self, delivered: list[Delivered]) -> None:
        """Tell what was delivered within the last second, to each what concerns him."""
        at = datetime.now(UTC).isoformat()
        for stream in self._streams:
            if grants := [one.told() for one in delivered if one.is_shown_to(stream.viewer)]:
                stream.put(event("deliveries", {"at": at, "grants": grants}))

    def _since(self, viewer: Viewer, last_seen: str) -> list[str]:
        run, _, number = last_seen.partition("-")
        begun = time.monotonic() - _KEPT_SECONDS
        kept = [one for one in self._kept if one[0] >= begun]
        oldest = kept[0][1] if kept else self._number + 1
        if run != self._run or not number.isdigit() or int(number) < oldest - 1:
            return [event("reset", {})]
        missed = [self._text(at, one) for _, at, one in kept if at > int(number) and one.is_shown_to(viewer)]
        return missed if len(missed) < _QUEUE // 2 else [event("reset", {})]

    def _text(self, number: int, happened: Happening) -> str:
        return f"id: {self._run}-{number}\n{event(happened.name, happened.data)}"


def event(name: str, data: Mapping[str, Any]) -> str:
    """A server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


async def told(hub: Hub, stream: Stream, is_signed_in: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
    """What `stream` sends until it is dropped or its session is over."""
    looked, beaten = time.monotonic(), time.monotonic()
    try:
        while not stream.is_dropped:
            try:
                text = await asyncio.wait_for(stream.waiting.get(), _LOOK_SECONDS)
            except TimeoutError:
                text = None
            if text is not None:
                yield text
            now = time.monotonic()
            if now - looked >= _LOOK_SECONDS:
                looked = now
                if not await is_signed_in():
                    yield event("signed-out", {})
                    return
            if now - beaten >= _HEARTBEAT_SECONDS:
                beaten = now
                yield event("heartbeat", {"at": datetime.now(UTC).isoformat()})
    finally:
        hub.close(stream)


class Feed:
    """Reads the topics, in threads of its own, and tells `hub` in `loop`."""

    def __init__(self, settings: Settings, registry: Registry, hub: Hub) -> None:
        self._settings, self._hub = settings, hub
        self._codecs = {topic: Codec(registry, topic) for topic in (*_EVENTS, _DELIVERIES)}
        self._resources: StateView[dict[str, Any]] = StateView(
            lambda wait: state_consumer(settings, "console", "console.resources", wait),
            _RESOURCES,
            Codec(registry, _RESOURCES).decode,
        )
        self.failure: str | None = "starting"
        self._stopping = threading.Event()

    @contextmanager
    def following(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Read as long as this is entered, beside whatever the loop does."""
        threading.Thread(target=self._run, args=(loop,), name="live", daemon=True).start()
        try:
            yield
        finally:
            self._stopping.set()

    def why_not_ready(self) -> str | None:
        """Why nothing is told just now; None when it is."""
        return self.failure or (str(self._resources.failure) if self._resources.failure else None)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        known = False
        while not self._stopping.is_set():
            try:
                if not known:
                    self._resources.start()
                    known = True
                self._follow(loop)
            except (KafkaException, RegistryUnavailable) as error:
                self.failure = f"live: {error}"
                log.warning("what happens cannot be told just now", reason=str(error))
                self._stopping.wait(_TICK_SECONDS)
        self._resources.stop()

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        source = consumer(self._settings, "console", "console.live", **gathered(100))
        try:
            source.assign(_ends(source, [*_EVENTS, _DELIVERIES]))
            self.failure = None
            delivered: dict[str, Delivered] = {}
            due = time.monotonic() + _TICK_SECONDS
            while not self._stopping.is_set():
                for message in source.consume(500, 0.05):
                    self._take(message, delivered, loop)
                if time.monotonic() >= due:
                    due = time.monotonic() + _TICK_SECONDS
                    if delivered:
                        loop.call_soon_threadsafe(self._hub.tick, list(delivered.values()))
                        delivered = {}
        finally:
            source.close()

    def _take(self, message: Message, delivered: dict[str, Delivered], loop: asyncio.AbstractEventLoop) -> None:
        error = message.error()
        if error is not None:
            if error.fatal():
                raise KafkaException(error)
            return
        topic, value = str(message.topic()), message.value()
        if value is None:
            return
        record = self._codecs[topic].decode(value)
        if topic in _EVENTS:
            if happened := happening(_EVENTS[topic], record):
                loop.call_soon_threadsafe(self._hub.say, happened)
            return
        grant, resource = str(record["grant"]), str(record["resource"])
        if grant not in delivered:
            owner = (self._resources.get(resource) or {}).get("department")
            delivered[grant] = Delivered(grant, resource, str(record["department"]), owner)
        delivered[grant].add(record)


def _ends(source: Consumer, topics: list[str]) -> list[TopicPartition]:
    """All partitions of `topics`, from now on; raises KafkaException for one that is not there."""
    found = []
    for topic in topics:
        partitions = source.list_topics(topic, timeout=30).topics[topic].partitions
        if not partitions:
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, f"{topic} does not exist"))
        found += [TopicPartition(topic, partition, OFFSET_END) for partition in partitions]
    return found
