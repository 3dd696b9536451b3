"""The row cache in Redis, filled from share topics: ready answers by look-up, and how far each topic has come.

For a grant `g` (all keys begin with `tongshu:rows:`):

    g                  hash   where the topic stands: `next:<partition>`, `ready:<partition>`, `fill`, `position`, and
                              when that was last `seen` (seconds since 1970)
    g:keys             hash   key of a row → the look-ups under which the row is found now
    g:<item>:<digest>  hash   key of a row → the row as JSON, for each row with that value

The values are the grant's own rows, already cut and masked. Offsets and rows change in one transaction, and only from
the offset that the batch began with; when Redis has forgotten, nothing is ready until the topic was read again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import redis
from confluent_kafka import Message

from services.core.avro import Registry
from services.core.settings import Settings
from services.sync.rows.serving import Served, written
from services.sync.sink import Moved, Placed, Refused, State, Unreachable, Write
from services.sync.tracing import Received, received, stored

GROUP = "sync.rows"
PREFIX = "tongshu:rows:"
_WIRE_HEADER = 5
_FORGOTTEN_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is found: its JSON, and its look-ups (`<item>:<digest>`); None where it is gone."""

    json: bytes
    lookups: tuple[str, ...]


class RowCache:
    """The store of one Redis; `served` gives a grant as calls are checked against it."""

    name = "rows"
    look_seconds = 0.5

    def __init__(self, settings: Settings, registry: Registry, served: Mapping[str, Served]) -> None:
        self._registry, self._served = registry, served
        self._tombstones = settings.delete_retention_hours * 3_600
        self._redis: Any = redis.Redis(
            host=settings.redis_host,
            port=settings.redis_port,
            password=settings.secret("redis_password"),
            socket_timeout=10,
            socket_connect_timeout=3,
        )

    def place(self, grant: State, partitions: Iterable[int]) -> dict[int, int]:
        state, numbers = PREFIX + grant["id"], sorted(partitions)
        try:
            kept = self._redis.hgetall(state)
            fill, known = str(grant.get("fill", 0)).encode(), all(f"next:{one}".encode() in kept for one in numbers)
            # what was away for as long as tombstones are kept may have missed a delete
            recent = float(kept.get(b"seen", 0)) > time.time() - self._tombstones
            if kept.get(b"fill") == fill and known and recent:
                return {one: int(kept[f"next:{one}".encode()]) for one in numbers}
            self._forget(grant["id"])
            begin: dict[Any, Any] = {f"next:{one}": 0 for one in numbers}
            position = _position(dict.fromkeys(numbers, 0))
            self._redis.hset(state, mapping=begin | {"fill": fill, "position": position, "seen": time.time()})
        except redis.RedisError as error:
            raise _told(error) from error
        return dict.fromkeys(numbers, 0)

    def prepare(self, placed: Placed, partition: int, messages: Sequence[Message]) -> Sequence[Write]:
        served = self._served.get(placed.grant["id"])
        if served is None:
            raise Refused("the grant is not known yet")
        last = {(message.key() or b""): message.value() for message in messages}
        rows = {
            key[_WIRE_HEADER:]: None if value is None else self._row(served, self._registry.decode(value)[1]["row"])
            for key, value in last.items()
        }
        begin, end = placed.next[partition], int(messages[-1].offset() or 0) + 1
        position = _position({**placed.next, partition: end})
        traced = received(placed.grant, GROUP, messages)
        write = partial(self._write, placed.grant["id"], partition, begin, end, position, rows)
        return [partial(_traced, traced, write) if traced else write]

    def _row(self, served: Served, row: Mapping[str, Any] | None) -> Row | None:
        if row is None:
            return None
        lookups = tuple(
            lookup(item, served.digest(item, written(row[item])))
            for item in served.query_keys
            if row.get(item) is not None
        )
        return Row(json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=_shown).encode(), lookups)

    def _write(
        self, grant: str, partition: int, begin: int, end: int, position: str, rows: Mapping[bytes, Row | None]
    ) -> None:
        state, keys = PREFIX + grant, f"{PREFIX}{grant}:keys"
        try:
            with self._redis.pipeline() as work:
                work.watch(state)
                if work.hget(state, f"next:{partition}") != str(begin).encode():
                    raise Moved("Redis has forgotten, or another has written")
                before = work.hmget(keys, list(rows)) if rows else []
                work.multi()
                for (key, row), old in zip(rows.items(), before, strict=True):
                    now = row.lookups if row is not None else ()
                    for gone in set((old or b"").decode().split()) - set(now):
                        work.hdel(f"{PREFIX}{grant}:{gone}", key)
                    if row is None:
                        work.hdel(keys, key)
                        continue
                    for one in now:
                        work.hset(f"{PREFIX}{grant}:{one}", key, row.json)
                    work.hset(keys, key, " ".join(now))
                work.hset(state, mapping={f"next:{partition}": end, "position": position})
                work.execute()
        except redis.WatchError as error:
            raise Moved("another has written") from error
        except redis.RedisError as error:
            raise _told(error) from error

    def look(self, placed: Placed) -> None:
        try:
            state = PREFIX + placed.grant["id"]
            if self._redis.hget(state, "position") is None:
                raise Moved("Redis has forgotten")
            self._redis.hset(state, "seen", time.time())
        except redis.RedisError as error:
            raise _told(error) from error

    def reached_end(self, placed: Placed, partition: int, offset: int) -> None:
        state = PREFIX + placed.grant["id"]
        try:
            with self._redis.pipeline() as work:
                # were Redis to forget in between, the rows would be called ready though none is there
                work.watch(state)
                kept = work.hgetall(state)
                if f"next:{partition}".encode() not in kept:
                    raise Moved("Redis has forgotten")
                work.multi()
                work.hset(state, f"ready:{partition}", 1)
                if all(one == partition or f"ready:{one}".encode() in kept for one in placed.next):
                    work.hset(state, "ready", 1)
                work.execute()
        except redis.WatchError as error:
            raise Moved("Redis has forgotten, or another has written") from error
        except redis.RedisError as error:
            raise _told(error) from error

    def forget(self, grant: str) -> None:
        try:
            self._forget(grant)
        except redis.RedisError as error:
            raise _told(error) from error

    def _forget(self, grant: str) -> None:
        """Nothing is ready from the first step on; what is then left goes piece by piece."""
        keys = f"{PREFIX}{grant}:keys"
        self._redis.delete(PREFIX + grant)
        cursor = 0
        while True:
            cursor, found = self._redis.hscan(keys, cursor, count=_FORGOTTEN_AT_ONCE)
            gone = {f"{PREFIX}{grant}:{one}" for lookups in found.values() for one in lookups.decode().split()}
            if gone:
                self._redis.unlink(*gone)
            if cursor == 0:
                break
        self._redis.unlink(keys)

    def close(self) -> None:
        self._redis.close()


def _traced(records: Sequence[Received], write: Write) -> None:
    """Write, and tell of the traced records of the batch once that is done."""
    begun = time.time_ns()
    write()
    ended = time.time_ns()
    for one in records:
        span = one.process()
        stored(span, "cache rows", "redis", {}, begun, ended)
        span.end(ended)


def lookup(item: str, digest: bytes) -> str:
    """The end of the key under which rows are found by a value of `item`."""
    return f"{item}:{digest.hex()}"


def _position(places: Mapping[int, int]) -> str:
    return ",".join(f"{partition}:{end}" for partition, end in sorted(places.items()))


def _shown(value: Any) -> Any:
    """Values that JSON does not have: money stays exact as text, moments are RFC 3339."""
    match value:
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
    raise TypeError(f"a row holds no {type(value).__name__}")


def _told(error: redis.RedisError) -> Unreachable | Refused:
    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return Unreachable(f"Redis does not answer ({type(error).__name__})")
    return Refused(f"Redis takes nothing just now ({str(error)[:80]})")
