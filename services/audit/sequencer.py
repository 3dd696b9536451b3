"""The sequencer: numbers every event of the exchange, hashes it into one tree and appends it to `audit.log`.

Entries, the checkpoint that covers them, how far each input is sealed and the input offsets are one transaction under
one transactional id. Several sequencers may run: whoever is given the one partition of `audit.log` by the group seals,
the others stand by. Should two believe that it is their turn, the broker fences the one that began earlier, so two can
never both append, nor sign two trees.

Tiles are written after the commit; the folder can always be made again from the log (`services/audit/tiles.py`). While
the broker commits one batch, the next is taken and hashed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.exc import SQLAlchemyError

from services.audit import native
from services.audit.domain.entry import INPUTS, NotAnEvent
from services.audit.domain.note import PrivateKey, log_key, sign
from services.audit.sealing import Batches, Sealed
from services.audit.tiles import TilesBroken, TileStore
from services.audit.topics import CHECKPOINTS, LOG, PROGRESS
from services.audit.verifier import SM3_SUFFIX, Checkpoint, NotSigned, open_note
from services.core.avro import Codec, Registry, RegistryUnavailable, UnknownSchema, load
from services.core.connections import Connections
from services.core.kafka import OffsetSender, committed, consumer, gathered, producer, read_to_end, state_consumer
from services.core.settings import Settings

log = structlog.get_logger()

GROUP = "audit.sequencer"
_ORIGIN = "tongshu.exchange/audit"
_BATCH = 20_000
_TIMEOUT_SECONDS = 30.0
# the relay commits dozens of transactions a second: their manifests are sealed together, and the cores left to it
_PAUSE_SECONDS = 0.2
_SETTLE_SECONDS = 5.0
_DISCOVER_SECONDS = 5.0
# a sequencer that was killed is missed after this long; with its restart elsewhere that stays below ten seconds
_SESSION_MS, _HEARTBEAT_MS = 6_000, 500
# what may lie after the last checkpoint: the marker of its transaction, and of such as came to nothing
_TAIL = 50


class LogBroken(Exception):
    """The log on the broker is not the one that was signed: nothing may be sealed on top of it."""


def origin_of(settings: Settings) -> str:
    """The log's name, which says what its tree is hashed with."""
    return _ORIGIN + (SM3_SUFFIX if settings.audit_digest == "sm3" else "")


def signing_key(settings: Settings) -> PrivateKey:
    """What the log is signed with; of one secret, a key of its own for each kind. Raises NoSm2."""
    secret = bytes.fromhex(settings.secret("audit_signing_key"))
    if settings.audit_signature == "sm2":
        return native.sm2_key(sha256(b"tongshu sm2" + secret).digest())
    return Ed25519PrivateKey.from_private_bytes(secret)


@dataclass(slots=True)
class _Turn:
    """Whose turn it is to seal: the member of the group that holds the partition of `audit.log`."""

    member: Consumer
    mine: bool = False

    def begin(self) -> None:
        self.member.subscribe([LOG.name], on_assign=self._given, on_revoke=self._taken, on_lost=self._taken)

    def is_mine(self, seconds: float = 0.0) -> bool:
        """Must be asked often: this is what tells the group that we live."""
        message = self.member.poll(seconds)
        error = message.error() if message is not None else None
        if error is not None and error.fatal():
            raise KafkaException(error)
        return self.mine

    def _given(self, member: Consumer, partitions: list[TopicPartition]) -> None:
        member.assign(partitions)
        # it is about the turn: the log itself is read otherwise
        member.pause(partitions)
        self.mine = bool(partitions)

    def _taken(self, member: Consumer, partitions: list[TopicPartition]) -> None:
        self.mine = False


class Sequencer:
    """Seals, or stands by, until told to stop."""

    def __init__(
        self, settings: Settings, registry: Registry, tiles: TileStore, reference: Callable[[str], str]
    ) -> None:
        self._settings, self._tiles = settings, tiles
        self._key, self._origin = signing_key(settings), origin_of(settings)
        self._batches = Batches(self._origin, tiles.hashing, self._schema, reference)
        self._registry = registry
        self._checkpoints, self._progress = Codec(registry, CHECKPOINTS.name), Codec(registry, PROGRESS.name)
        self._schema_of_entries = load(LOG.name)
        self._source: Consumer
        self._connections: Connections
        self._producer: Producer
        self._offsets: OffsetSender
        self._settling: Future[None] | None = None
        self._committing: Future[None] | None = None
        self._turn: _Turn
        self._next = 0
        self._inputs: set[tuple[str, int]] = set()
        self._settled_at = self._discovered_at = 0.0
        self._not_ready: str | None = "starting"
        self.sealing = False
        # whether there is more to seal than comes in a pause: others in the process leave it the processor
        self.busy = False

    def why_not_ready(self) -> str | None:
        """Why nothing can be sealed or taken over just now; None when it can, and when another one seals."""
        return self._not_ready

    def run(self, stop: threading.Event) -> None:
        """Seal or stand by until `stop` is set."""
        while not stop.is_set():
            try:
                self._run(stop)
            except (KafkaException, LogBroken, TilesBroken, OSError, SQLAlchemyError, RegistryUnavailable) as error:
                self._not_ready = f"{type(error).__name__}: {error}"
                log.warning("sealing begins anew from what is committed", reason=self._not_ready)
                stop.wait(1.0)
            finally:
                self.sealing = False

    def _run(self, stop: threading.Event) -> None:
        member = consumer(
            self._settings, "audit", GROUP, group_protocol="classic", session_timeout_ms=_SESSION_MS,
            heartbeat_interval_ms=_HEARTBEAT_MS,
        )  # fmt: skip
        self._turn = _Turn(member)
        try:
            self._turn.begin()
            while not stop.is_set():
                if self._turn.is_mine(0.2):
                    self._seal_while_it_is_our_turn(stop)
                else:
                    self._not_ready = None
        finally:
            member.close()

    def _seal_while_it_is_our_turn(self, stop: threading.Event) -> None:
        # the epoch first: whoever sealed before is fenced, and the log that is then read stays as it is
        self._connections = Connections()
        self._producer = producer(
            self._settings, "audit", self._connections.logger, transactional_id="audit-sequencer",
            transaction_timeout_ms=60_000, linger_ms=5,
        )  # fmt: skip
        self._producer.init_transactions(_TIMEOUT_SECONDS)
        self._take_up()
        self._source = consumer(self._settings, "audit", GROUP, group_protocol="classic", **gathered(100))
        self._offsets = OffsetSender()
        self._inputs, self._discovered_at, self._settling, self._committing = set(), 0.0, None, None
        log.info("sealing", size=self._tiles.size)
        self.sealing, self._not_ready = True, None
        try:
            with ThreadPoolExecutor(1, "settling") as settler, ThreadPoolExecutor(1, "committing") as committer:
                while not stop.is_set() and self._turn.is_mine():
                    self._discover()
                    batch = self._take()
                    self.busy = len(batch) > _BATCH // 4
                    if batch:
                        self._seal(batch, committer)
                    if not self.busy:
                        self._await_commit()
                    if batch and not self.busy:
                        stop.wait(_PAUSE_SECONDS)
                    self._settle_at_times(settler)
                self._await_commit()
        finally:
            self.sealing = self.busy = False
            self._offsets.end()
            self._source.close()
        if self._settling is not None:
            self._settling.result()
        self._tiles.settle(self._next)

    # -- what is there -----------------------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Take up the log where it was left; raises LogBroken when it is not the one that was signed."""
        signed = self._last_checkpoint()
        try:
            self._grow(self._tiles.open())
            faults = self._differs(signed)
        except TilesBroken as error:
            faults = str(error)
        if faults:
            log.warning("the tiles are made anew from the log", reason=faults)
            self._tiles.reset()
            self._grow(0)
            if faults := self._differs(signed):
                raise LogBroken(faults)
        self._tiles.settle(self._next)
        if signed is not None:
            self._tiles.publish(sign(signed, self._key))

    def _differs(self, signed: Checkpoint | None) -> str | None:
        if signed is None:
            return None
        if self._tiles.size != signed.size:
            return f"the log holds {self._tiles.size} entries, {signed.size} were signed"
        return None if self._tiles.root() == signed.root else f"the first {signed.size} entries are not those signed"

    def _last_checkpoint(self) -> Checkpoint | None:
        """The checkpoint that committed last; raises LogBroken when it is not ours."""
        reader = state_consumer(self._settings, "audit", "audit.reader")
        try:
            low, high = reader.get_watermark_offsets(TopicPartition(CHECKPOINTS.name, 0), _TIMEOUT_SECONDS)
            found, back = None, _TAIL
            while found is None and high - back + _TAIL > low:
                reader.assign([TopicPartition(CHECKPOINTS.name, 0, max(low, high - back))])
                for message in read_to_end(reader, 1):
                    found = message.value() or found
                back *= 10
        finally:
            reader.close()
        if found is None:
            return None
        try:
            return open_note(self._checkpoints.decode(found)["note"], log_key(self._origin, self._key)).checkpoint
        except NotSigned as error:
            raise LogBroken(f"the last checkpoint is not ours: {error}") from error

    def _grow(self, offset: int) -> None:
        """Take the log's records from `offset` on into the tiles."""
        reader = state_consumer(self._settings, "audit", "audit.reader")
        try:
            _, high = reader.get_watermark_offsets(TopicPartition(LOG.name, 0), _TIMEOUT_SECONDS)
            if offset > high:
                raise LogBroken(f"the log ends at offset {high}, and was sealed up to {offset}")
            self._next = offset
            reader.assign([TopicPartition(LOG.name, 0, offset)])
            entries: list[bytes] = []
            for message in read_to_end(reader, 1):
                entries.append(message.value() or b"")
                self._next = int(message.offset() or 0) + 1
                if len(entries) == _BATCH:
                    self._tiles.append(entries, self._tiles.hashing.leaves(entries))
                    entries = []
                    self._turn.is_mine()
            self._tiles.append(entries, self._tiles.hashing.leaves(entries))
        finally:
            reader.close()

    def _discover(self) -> None:
        """Read the inputs that are there by now, each from where it is sealed."""
        if time.monotonic() - self._discovered_at < _DISCOVER_SECONDS:
            return
        self._discovered_at = time.monotonic()
        fresh = {
            (name, partition)
            for name, topic in self._source.list_topics(timeout=_TIMEOUT_SECONDS).topics.items()
            if any(one.takes(name) for one in INPUTS)
            for partition in topic.partitions
        } - self._inputs
        if not fresh:
            return
        for where in committed(self._source, [TopicPartition(*place) for place in fresh], _TIMEOUT_SECONDS):
            offset = where.offset if where.offset >= 0 else OFFSET_BEGINNING
            self._source.incremental_assign([TopicPartition(where.topic, where.partition, offset)])
        self._inputs |= fresh

    def _take(self) -> list[Message]:
        first = self._source.poll(0.2)
        if first is None:
            return []
        taken = [first, *self._source.consume(_BATCH - 1, 0)]
        for message in taken:
            if (error := message.error()) is not None:
                raise KafkaException(error)
        return taken

    # -- one transaction ---------------------------------------------------------------------------------------------

    def _seal(self, batch: list[Message], committer: ThreadPoolExecutor) -> None:
        """Hash a batch, and hand it over to be committed once the one before it is."""
        now, first = datetime.now(UTC), self._tiles.size
        sealed = self._batches.seal(batch, self._head(), first, now)
        self._await_commit()
        # grown in memory only: should the transaction come to nothing, the tiles are opened again
        self._tiles.grow(sealed.entries, sealed.leaves)
        checkpoint = Checkpoint(self._origin, self._tiles.size, self._tiles.root())
        note = sign(checkpoint, self._key)
        self._producer.begin_transaction()
        self._produce_entries(sealed, first)
        told = {"size": checkpoint.size, "note": note, "signed_at": now}
        self._produce(CHECKPOINTS.name, str(checkpoint.size), self._checkpoints.encode(told))
        for (topic, partition), end in sealed.ends.items():
            told = {"topic": topic, "partition": partition, "next": end, "sealed_at": now}
            self._produce(PROGRESS.name, f"{topic}/{partition}", self._progress.encode(told))
        self._committing = committer.submit(self._commit, sealed.ends, note)

    def _commit(self, ends: Mapping[tuple[str, int], int], note: str) -> None:
        self._offsets.send(
            self._producer,
            [TopicPartition(*where, end) for where, end in ends.items()],
            self._turn.member.consumer_group_metadata(),
            _TIMEOUT_SECONDS,
        )()
        self._producer.commit_transaction(_TIMEOUT_SECONDS)
        self._tiles.write()
        self._tiles.publish(note)
        # a commit that was said twice may still come once more, and must not end the half of the next transaction
        self._connections.require(self._producer)

    def _await_commit(self) -> None:
        """Until nothing is being committed; raises what that failed with."""
        committing, self._committing = self._committing, None
        if committing is not None:
            committing.result()

    def _produce_entries(self, sealed: Sealed, first: int) -> None:
        """Give the producer entries numbered from `first` on. Raises KafkaException."""
        messages = native.messages(sealed.entries, first)
        messages[-1]["callback"] = self._at
        # a transaction begins with an empty queue, which holds five batches
        if self._producer.produce_batch(LOG.name, messages, partition=0) != len(messages):
            raise KafkaException(next(message["_error"] for message in messages if "_error" in message))

    def _at(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._next = int(message.offset() or 0) + 1

    def _schema(self, schema_id: int) -> Mapping[str, Any]:
        try:
            return self._registry.schema(schema_id)
        except UnknownSchema as error:
            raise NotAnEvent(str(error)) from error

    def _head(self) -> bytes:
        schema_id = self._registry.register(f"{LOG.name}-value", self._schema_of_entries, "BACKWARD")
        return b"\x00" + schema_id.to_bytes(4, "big")

    def _produce(self, topic: str, key: str, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key)
                return
            except BufferError:
                self._producer.poll(0.1)

    def _settle_at_times(self, settler: ThreadPoolExecutor) -> None:
        if time.monotonic() - self._settled_at < _SETTLE_SECONDS:
            return
        if self._settling is not None:
            if not self._settling.done():
                return
            self._settling.result()
        self._await_commit()
        self._settled_at = time.monotonic()
        self._settling = settler.submit(self._tiles.settling(self._next))
