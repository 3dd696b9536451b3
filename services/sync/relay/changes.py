"""Changes as they are taken from a change topic: partition by partition, in their order, in bytes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from confluent_kafka import Message

from services.sync.relay.routes import Route, State

Partition = tuple[str, int]
Place = tuple[str, int, int]
"""Topic, partition, offset."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A record of a change topic, and when it was written, in milliseconds since 1970."""

    place: Place
    value: bytes
    written_ms: int
    headers: Sequence[tuple[str, bytes | None]]


@dataclass(slots=True)
class Stretch:
    """Changes of one partition: their offsets and bytes. `end` is the offset after the last message.

    `keys` are the bytes of their keys, where the resource has rules; else None. `about` tells by the number of a change
    when it was written and its headers, where traces go anywhere.
    """

    where: Partition
    end: int = 0
    keys: Sequence[bytes | None] | None = None
    offsets: Sequence[int] = field(default_factory=list)
    values: Sequence[bytes] = field(default_factory=list)
    about: Callable[[int], tuple[int, Sequence[tuple[str, bytes | None]]]] | None = None

    def fill(self, messages: Sequence[Message]) -> list[Message]:
        """With all messages, in their order; which of them are changes.

        A tombstone follows a delete, which has made its own, and is only read past.
        """
        self.end = cast(int, messages[-1].offset()) + 1
        sound = [message for message in messages if message.value() is not None]
        self.offsets = list(cast(Iterator[int], map(Message.offset, sound)))
        self.values = list(cast(Iterator[bytes], map(Message.value, sound)))
        if self.keys is not None:
            self.keys = list(map(Message.key, sound))
        return sound

    def origin(self, offset: int) -> Origin | None:
        """The change at an offset, where it is one of these and more is told of them."""
        number = bisect_left(self.offsets, offset)
        if self.about is None or number == len(self.offsets) or self.offsets[number] != offset:
            return None
        return Origin((*self.where, offset), self.values[number], *self.about(number))

    def place(self, number: int) -> Place:
        """Where change `number` stands."""
        return (*self.where, self.offsets[number])


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was decoded: where it stands, its bytes and what they say."""

    place: Place
    value: bytes
    schema_id: int
    envelope: Any


@dataclass(frozen=True, slots=True)
class Audience:
    """For whom changes are projected: grants of one resource, on the live stream or `catching_up` with it.

    With `replays`, those that catch up were delivered before what they are delivered now.
    """

    route: Route
    grants: list[State]
    catching_up: bool = False
    replays: bool = False

    def __iter__(self) -> Iterator[State]:
        return iter(self.grants)
