"""How the relay reads change topics and writes to share topics: by whole record batches, or message by message.

Both do the same. `batches.py` is the native engine's, from the broker's bytes to the broker's bytes; `messages.py` is
librdkafka's, for where there is no native engine. Membership in the group is librdkafka's either way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from confluent_kafka import Consumer, TopicPartition

from services.core.settings import Settings
from services.sync.projection import native
from services.sync.relay.changes import Partition, Stretch

LIVE_BATCH = 10_000
"""After about so many changes a transaction ends."""
BUSY = 500
"""The live stream is busy where so many changes come at once."""
GATHER_SECONDS = 0.02
"""Of a busy stream it is waited for so long that the next transaction gets more: each costs as much as hundreds of
changes, to us and to the broker."""
LANE_SLICE = 5_000
"""So many changes who catches up gets at once, of whole record batches; between them, the live stream has its turn."""
BACKLOG_SECONDS = 0.01
"""How long a slice is waited for, before the live stream has its turn."""
TIMEOUT_SECONDS = 30.0
TRANSACTION_SECONDS = 30.0
"""After so long the broker ends what a worker has left open that never comes back."""
# a broker that says nothing more, on a connection that seems alive
REQUEST_TIMEOUT_SECONDS = 10.0

Message = dict[str, Any]
"""`key` and `value`, as `Producer.produce_batch` takes it."""
Begin = Callable[[Partition], Stretch | None]
Headers = Mapping[str, str | bytes | None] | Sequence[tuple[str, str | bytes | None]]


class DeliveryFailed(Exception):
    """The broker did not take a record of the open transaction."""


class Gathered(Protocol):
    """Messages for one partition, in their order."""

    def append(self, message: Message, /) -> None: ...

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Message: ...

    def __iter__(self) -> Iterator[Message]: ...


class Reader(Protocol):
    """The live stream of the partitions that are ours. All but the constructor is for the worker's own thread."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions have come. Called while the group says so."""

    def place(self, at: Mapping[Partition, int]) -> None:
        """Go on at these offsets. Raises KafkaException."""

    def leave(self, partitions: Sequence[Partition]) -> None:
        """These are not ours any more."""

    def take(self, wait_seconds: float, begin: Begin, listening: Callable[[], None]) -> list[Stretch]:
        """What is there: what has come, else after a wait for the first. Raises KafkaException.

        Of a busy stream more may be waited for, for `GATHER_SECONDS` and never for longer than for the first.

        The group is served first, where it is due; `listening` is called before. Then `begin` gives the empty stretch
        of a partition, which ends where it is to go on; None for one that is not ours.
        """

    def close(self) -> None: ...


class Backlog(Protocol):
    """What partitions hold before the live stream, for who catches up; one partition after another."""

    def fill(self, stretch: Stretch, before: int) -> None:
        """With what stands next, from its end on and before an offset: what has come, else after a short wait.

        Its end tells how far was read: behind it where nothing that counts is left, where it was when nothing has come
        yet. Raises KafkaException.
        """

    def rest(self) -> None:
        """Nothing is to be read for now."""


class Writer(Protocol):
    """One transaction after another under one transactional id; what older writers of it had in flight is fenced.

    After a failure it is of no more use: what came of its transaction is not known.
    """

    def gather(self) -> Gathered:
        """What takes the messages for a partition, for `deliver`."""

    def begin(self) -> None:
        """Open a transaction. Raises KafkaException where another writer is needed."""

    def produce(self, topic: str, *, key: str | bytes, value: bytes | None, headers: Headers | None = None) -> None: ...

    def deliver(self, topic: str, partition: int, messages: Gathered, traced: tuple[int, str] | None) -> None:
        """Messages for a partition; the one whose number is `traced` carries that `traceparent`.

        Raises DeliveryFailed.
        """

    def send_offsets(self, offsets: Sequence[TopicPartition], member: Any) -> None:
        """Commit these offsets with the transaction, as `member` of the group."""

    def flush(self) -> None:
        """Wait until all is acknowledged. Raises DeliveryFailed and KafkaException."""

    def ends(self, topic: str, partition: int) -> tuple[int, int]:
        """The offsets of the first and the last record that a partition got in this transaction, once acknowledged.

        Writers keep the order within a partition, so they tell where all of them are. Raises DeliveryFailed.
        """

    def commit(self) -> None:
        """Raises KafkaException."""

    def end(self) -> None: ...


def _by_batches(settings: Settings) -> bool:
    """Whether whole record batches are read and written, by what is there only where the native engine is."""
    return settings.relay_client == "batches" and native.is_here()


def reader(settings: Settings, source: Consumer, client_id: str, *, committed: bool) -> Reader:
    """Of what the group assigns to `source`; only what is `committed`, or all."""
    if _by_batches(settings):
        from services.sync.relay.client import batches

        return batches.Reader(settings, source, client_id, committed=committed)
    from services.sync.relay.client import messages

    return messages.Reader(source)


def backlog(settings: Settings, client_id: str, *, committed: bool) -> Backlog:
    """Of any partition; only what is `committed`, or all."""
    if _by_batches(settings):
        from services.sync.relay.client import batches

        return batches.Backlog(settings, client_id, committed=committed)
    from services.sync.relay.client import messages

    return messages.Backlog(settings, client_id, committed=committed)


def writer(settings: Settings, transactional_id: str, client_id: str) -> Writer:
    """Raises KafkaException."""
    if _by_batches(settings):
        from services.sync.relay.client import batches

        return batches.Writer(settings, transactional_id, client_id)
    from services.sync.relay.client import messages

    return messages.Writer(settings, transactional_id, client_id)
