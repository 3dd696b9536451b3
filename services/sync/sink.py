"""From share topics into stores that keep, beside the rows, how far each topic has come: exactly once, grant by grant.

A store is what a thread of its own writes to: a department's database, or the row cache. Rows and offsets are one
transaction of the store, so a batch is there whole or not at all, whatever dies in between; and the offsets change only
from what the batch began with, so two workers that both believe to be the only one cannot both write. Where anything
goes wrong the grant is placed anew: its topic is read on from where the store says that it stands.

A store that does not answer waits alone; in one that does, a grant whose rows are refused waits alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from services.core.avro import NotAvro, RegistryUnavailable, UnknownSchema
from services.core.kafka import consumer
from services.core.settings import Settings

log = structlog.get_logger()

State = Mapping[str, Any]

BATCH = 10_000
_WAIT_SECONDS = 0.1
_FIRST_BACK_OFF_SECONDS = 0.5
_LONGEST_BACK_OFF_SECONDS = 15.0


class Unreachable(Exception):
    """The store does not answer, or takes nothing just now; the message says why, without data."""


class Refused(Exception):
    """The store does not take the rows of this grant; the message says why and what to do, without data."""


class Moved(Exception):
    """The store stands elsewhere than we thought: it is asked, and the topic read on from there."""


@dataclass(slots=True, eq=False)
class Placed:
    """A grant that is served.

    By partition, `next` is the offset that is prepared next; all before `written` is in the store.
    """

    grant: State
    next: dict[int, int]
    written: dict[int, int]
    is_served: bool = True


Write = Callable[[], None]
"""Writes something and its offsets, or nothing. Raises Unreachable, Refused, Moved and KafkaException."""


class Store(Protocol):
    """Where rows end. Only the thread of one `Sink` and its writer call it, never both at once but for `prepare`."""

    name: str
    look_seconds: float

    def place(self, grant: State, partitions: Iterable[int]) -> dict[int, int]:
        """The next offset of each partition. Raises Unreachable and Refused."""

    def prepare(self, placed: Placed, partition: int, messages: Sequence[Message]) -> Sequence[Write]:
        """What is to be written, in this order; does not touch the store.

        Raises Refused, NotAvro, UnknownSchema and RegistryUnavailable.
        """

    def reached_end(self, placed: Placed, partition: int, offset: int) -> None:
        """All before `offset` is written, and there was no more at that moment. Raises as a `Write`."""

    def look(self, placed: Placed) -> None:
        """Asked every `look_seconds`: raises Moved when the store does not hold what was written; else as a `Write`."""

    def forget(self, grant: str) -> None:
        """The grant is not served any more. Raises Unreachable."""

    def close(self) -> None: ...


@dataclass(slots=True)
class Standing:
    """How a grant stands: `reason` says why it waits, None that it does not; `written` as in `Placed`."""

    grant: str
    reason: str | None = "not placed yet"
    written: dict[int, int] = field(default_factory=dict)
    back_off: float = _FIRST_BACK_OFF_SECONDS
    retry_at: float = 0.0


class Sink(threading.Thread):
    """Serves the grants that `serve` names last; runs until `stop` is called or something nobody foresaw breaks it."""

    def __init__(self, settings: Settings, store: Store, group: str) -> None:
        super().__init__(name=f"sink {store.name}", daemon=True)
        self._settings, self._store, self._group = settings, store, group
        self._wanted: dict[str, State] = {}
        self._placed: dict[str, Placed] = {}
        self._by_topic: dict[str, Placed] = {}
        self._standing: dict[str, Standing] = {}
        self._leaving: set[str] = set()
        self._stopping = threading.Event()
        self._writer = ThreadPoolExecutor(1, f"writer {store.name}")
        self._writing: Future[None] | None = None
        self._in_hand: list[tuple[Placed, Write]] = []
        self._next_look = 0.0
        self.failure: Exception | None = None

    def serve(self, grants: Mapping[str, State]) -> None:
        """From now on serve these grants, by id; may be called from any thread."""
        self._wanted = dict(grants)

    def standings(self) -> list[Standing]:
        """How each grant stands; may be asked from any thread."""
        return list(self._standing.copy().values())

    def places(self) -> list[Placed]:
        """The grants that are served just now; may be asked from any thread."""
        return list(self._placed.copy().values())

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        try:
            # records that are no longer there must not be passed over in silence, so no offset is made up
            self._source = consumer(
                self._settings, "sync", self._group, auto_offset_reset="error", enable_partition_eof=True,
                fetch_wait_max_ms=50,
            )  # fmt: skip
            while not self._stopping.is_set():
                self._take_up()
                self._step()
            self._settle()
        except Exception as failure:  # whoever watches the process must see it end
            self.failure = failure
            log.exception("a store is no longer served", store=self._store.name)
        finally:
            self._writer.shutdown()
            self._source.close()
            self._store.close()

    # -- which grants are served -------------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Place the grants that are due, and leave those that are no longer wanted."""
        wanted, now = self._wanted, time.monotonic()
        for grant_id in [one for one in self._standing if one not in wanted]:
            if placed := self._placed.get(grant_id):
                self._lift(placed)
            self._standing.pop(grant_id)
            self._leaving.add(grant_id)
        if self._leaving or any(one not in self._placed for one in wanted):
            self._settle()
        for grant_id in list(self._leaving):
            try:
                self._store.forget(grant_id)
                self._leaving.discard(grant_id)
            except Unreachable:
                break
        for grant_id, grant in wanted.items():
            standing = self._standing.setdefault(grant_id, Standing(grant_id))
            placed = self._placed.get(grant_id)
            if placed is not None:
                placed.grant = grant
            elif standing.retry_at <= now:
                try:
                    self._place(grant, standing)
                except (Unreachable, KafkaException) as error:
                    self._wait_all(str(error))
                    break

    def _place(self, grant: State, standing: Standing) -> None:
        topic = self._source.list_topics(grant["topic"], 10).topics[grant["topic"]]
        if topic.error is not None:
            self._wait(standing, topic.error.str())
            return
        try:
            begin = self._store.place(grant, topic.partitions)
        except Refused as error:
            self._wait(standing, str(error))
            return
        placed = Placed(grant, begin, dict(begin))
        self._placed[grant["id"]] = self._by_topic[grant["topic"]] = placed
        standing.written = placed.written
        self._source.incremental_assign(
            [TopicPartition(grant["topic"], partition, offset) for partition, offset in placed.next.items()]
        )
        log.info("grant placed", grant=grant["id"], store=self._store.name, next=sum(placed.next.values()))

    def _lift(self, placed: Placed) -> None:
        placed.is_served = False
        topic = placed.grant["topic"]
        self._placed.pop(placed.grant["id"], None)
        self._by_topic.pop(topic, None)
        self._source.incremental_unassign([TopicPartition(topic, partition) for partition in placed.next])

    def _wait(self, standing: Standing, reason: str) -> None:
        if reason != standing.reason:
            log.warning("grant waits", grant=standing.grant, store=self._store.name, reason=reason)
        standing.reason = reason
        standing.retry_at = time.monotonic() + standing.back_off
        standing.back_off = min(standing.back_off * 2, _LONGEST_BACK_OFF_SECONDS)

    def _wait_all(self, reason: str) -> None:
        """The store is gone: every grant of it waits."""
        for placed in list(self._placed.values()):
            self._lift(placed)
        for standing in self._standing.values():
            self._wait(standing, reason)

    def _park(self, placed: Placed, reason: str | None) -> None:
        """Lift a grant; with a `reason` it waits, without one it is placed anew at once."""
        if not placed.is_served:
            return
        self._lift(placed)
        standing = self._standing.get(placed.grant["id"])
        if standing is not None and reason is not None:
            self._wait(standing, reason)

    # -- one batch ---------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        """Prepare what has come while the last batch is being written."""
        ready = self._prepare(self._take())
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + self._store.look_seconds
            ready += [(placed, partial(self._store.look, placed)) for placed in self._placed.values()]
        if ready or (self._writing is not None and self._writing.done()):
            self._settle()
        if ready:
            self._in_hand = [one for one in ready if one[0].is_served]
            self._writing = self._writer.submit(self._write, self._in_hand)

    def _take(self) -> list[Message]:
        first = self._source.poll(0.001 if self._writing else _WAIT_SECONDS)
        return [] if first is None else [first, *self._source.consume(BATCH - 1, 0)]

    def _prepare(self, messages: Iterable[Message]) -> list[tuple[Placed, Write]]:
        runs: dict[tuple[str, int], list[Message]] = {}
        ends: dict[tuple[str, int], int] = {}
        for message in messages:
            where, error = (str(message.topic()), int(message.partition() or 0)), message.error()
            if error is None:
                runs.setdefault(where, []).append(message)
                ends.pop(where, None)
            elif error.code() == KafkaError._PARTITION_EOF:
                ends[where] = int(message.offset() or 0)
            else:
                self._complain(where, error)
        ready: list[tuple[Placed, Write]] = []
        for where, run in runs.items():
            if placed := self._by_topic.get(where[0]):
                ready += self._prepare_run(placed, where[1], run)
        for where, offset in ends.items():
            if (placed := self._by_topic.get(where[0])) and where[1] in placed.next:
                ready.append((placed, partial(self._store.reached_end, placed, where[1], offset)))
                ready.append((placed, partial(placed.written.__setitem__, where[1], offset)))
        return ready

    def _prepare_run(self, placed: Placed, partition: int, run: Sequence[Message]) -> list[tuple[Placed, Write]]:
        # a grant that was placed anew may still get what was fetched for its last place
        run = [message for message in run if int(message.offset() or 0) >= placed.next[partition]]
        if not run:
            return []
        try:
            writes = self._store.prepare(placed, partition, run)
        except (Refused, NotAvro, UnknownSchema) as error:
            self._settle()
            self._park(placed, str(error))
            return []
        except RegistryUnavailable as error:
            self._settle()
            self._park(placed, f"the schema registry does not answer: {error}")
            return []
        placed.next[partition] = int(run[-1].offset() or 0) + 1
        done: Write = partial(placed.written.__setitem__, partition, placed.next[partition])
        return [(placed, write) for write in (*writes, done)]

    def _complain(self, where: tuple[str, int], error: KafkaError) -> None:
        placed = self._by_topic.get(where[0])
        if placed is None:
            return
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            reason = (
                f"the share topic does not hold offset {placed.next.get(where[1])} of partition {where[1]} any more"
            )
            self._settle()
            self._park(placed, reason)
        elif error.code() in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART):
            self._settle()
            self._park(placed, error.str())
        else:
            log.warning("the share topic cannot be read just now", topic=where[0], reason=error.str())

    def _write(self, ready: Sequence[tuple[Placed, Write]]) -> None:
        """In the writer's thread: what a grant that is refused has left in the batch is not written."""
        refused: dict[int, tuple[Placed, str | None]] = {}
        try:
            for placed, write in ready:
                if id(placed) in refused or not placed.is_served:
                    continue
                try:
                    write()
                except Refused as error:
                    refused[id(placed)] = placed, str(error)
                except Moved:
                    refused[id(placed)] = placed, None
        finally:
            self._refused = list(refused.values())

    def _settle(self) -> None:
        """Wait until nothing is being written; what was refused is parked, all of it where the store is gone."""
        writing, self._writing = self._writing, None
        if writing is None:
            return
        try:
            writing.result()
        except (Unreachable, KafkaException) as error:
            self._wait_all(str(error))
            return
        for placed, reason in self._refused:
            self._park(placed, reason)
        refused = {id(placed) for placed, _ in self._refused}
        for placed, _ in self._in_hand:
            standing = self._standing.get(placed.grant["id"])
            if standing is not None and id(placed) not in refused and placed.is_served:
                standing.reason, standing.back_off = None, _FIRST_BACK_OFF_SECONDS


def grants_by_store(
    grants: Iterable[State], channel: str, store_of: Callable[[State], str], now: datetime | None = None
) -> dict[str, dict[str, State]]:
    """The grants in force at `now` with `channel`, by the store that `store_of` names, and by id."""
    at = now or datetime.now(UTC)
    found: dict[str, dict[str, State]] = {}
    for grant in grants:
        if grant["state"] != "active" or channel not in grant["channels"]:
            continue
        if grant["valid_from"] <= at and (grant["valid_to"] is None or at < grant["valid_to"]):
            found.setdefault(store_of(grant), {})[str(grant["id"])] = grant
    return found
