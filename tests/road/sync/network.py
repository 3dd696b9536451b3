"""A network between Kafka clients and their broker that breaks what transactions say.

A proxy of one broker. It reads requests frame by frame, so that it can choose those that matter, and puts its own port
where the broker names its own, so that clients come back to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections import Counter
from collections.abc import Sequence, Set
from types import TracebackType
from typing import Self

END_TXN = 26
# Produce, InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, TxnOffsetCommit, ConsumerGroupHeartbeat
_MATTERS = frozenset({0, 22, 24, 25, END_TXN, 28, 68})
FAULTS = ("lost", "unanswered", "late", "slow", "mute")


class Network:
    """Lies between clients and the broker at `broker_port` of this machine; `port` is where clients connect.

    While it is broken, one in `one_in` requests that matter meets a fault, in an order drawn from `seed`: it is *lost*
    with its connection; its answer is lost with the connection (*unanswered*); the connection is cut and the request
    arrives *late* all the same, up to two seconds after the client has given it up; it is *slow*; or the answer never
    comes (*mute*). `faults` are those that are met, and `matters` the requests, by their API key, that meet them.
    """

    def __init__(
        self,
        broker_port: int,
        seed: int,
        one_in: int,
        faults: Sequence[str] = FAULTS,
        matters: Set[int] = _MATTERS,
    ) -> None:
        self._kinds, self._matters = faults, matters
        self._broken = False
        self._lines = set[_Line]()
        self.met: Counter[str] = Counter()
        self.commits = 0
        self.port = 0
        self._broker_port, self._one_in, self._choose = broker_port, one_in, random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._faults = list[str]()

    def destroy(self) -> None:
        """Break it from now on."""
        self._broken = True

    def heal(self) -> None:
        """Be as good as any from now on; connections that would stay mute are cut."""
        self._broken = False
        self._loop.call_soon_threadsafe(self._cut_muted)

    def _cut_muted(self) -> None:
        for line in self._lines:
            if line.muted:
                line.cut()

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        broker, to_broker = await asyncio.open_connection("127.0.0.1", self._broker_port)
        line = _Line(to_client)
        self._lines.add(line)
        answers = asyncio.create_task(self._answers(broker, line))
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
                while True:
                    frame = await _frame(client)
                    key = int.from_bytes(frame[4:6], "big")
                    self.commits += key == END_TXN
                    if not await self._pass(frame, self._fault(key), line, to_broker):
                        break
        finally:
            answers.cancel()
            line.cut()
            self._lines.discard(line)
            to_broker.close()

    def _fault(self, key: int) -> str | None:
        if not self._broken or key not in self._matters or self._choose.randrange(self._one_in):
            return None
        if not self._faults:
            self._faults = self._choose.sample(self._kinds, len(self._kinds))
        fault = self._faults.pop()
        self.met[fault] += 1
        return fault

    async def _pass(self, frame: bytes, fault: str | None, line: _Line, to_broker: asyncio.StreamWriter) -> bool:
        """Pass a request on, or what `fault` leaves of it; whether the connection goes on."""
        if fault == "lost":
            return False
        if fault == "late":
            line.cut()
            await asyncio.sleep(self._choose.uniform(0.05, 2.0))
        elif fault == "slow":
            await asyncio.sleep(self._choose.uniform(0.05, 0.5))
        elif fault in ("unanswered", "mute"):
            line.muted = True
        to_broker.write(frame)
        await to_broker.drain()
        if fault in ("late", "unanswered"):
            await asyncio.sleep(0.1)  # the broker has it before the connection ends
            return False
        return True

    async def _answers(self, broker: asyncio.StreamReader, line: _Line) -> None:
        theirs, ours = (b"127.0.0.1" + port.to_bytes(4, "big") for port in (self._broker_port, self.port))
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                line.write((await _frame(broker)).replace(theirs, ours))
        line.cut()


class _Line:
    """The way back to a client: what is `muted` or cut says nothing more."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer, self.muted = writer, False

    def write(self, frame: bytes) -> None:
        if not self.muted and not self._writer.is_closing():
            self._writer.write(frame)

    def cut(self) -> None:
        self.muted = True
        self._writer.close()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(int.from_bytes(head, "big"))
