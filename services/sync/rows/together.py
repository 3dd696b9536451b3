"""Look-ups under a grant that come in one turn of the loop are asked of Redis together.

They are counted as one and read at one moment, and each is told its own part: with many callers at a time it is the
conversation with Redis that a look-up costs most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from services.sync.rows.cache import PREFIX
from services.sync.rows.wire import RedisAway, Wire, packed

_DAY_SECONDS = 86_400
_MOST_TOGETHER = 500
_PREFIX = PREFIX.encode()
_MULTI, _EXEC = packed(b"MULTI"), packed(b"EXEC")
# a quota is of a day of the place
_PLACE_AHEAD = int(timedelta(hours=8).total_seconds())


class Found(NamedTuple):
    """The rows of each value, and where the grant stood at that moment: whether it was `ready`, and its position.

    `in_second` and `in_day` say how many values were asked for under the grant until then, these included.
    """

    rows: Sequence[list[bytes]]
    ready: bool
    position: bytes
    in_second: int
    in_day: int


def left_of_day(second: int) -> int:
    """How many seconds the place's day had left."""
    return _DAY_SECONDS - (second + _PLACE_AHEAD) % _DAY_SECONDS


class _Caller(NamedTuple):
    future: asyncio.Future[Found]
    first: int
    last: int
    counted: int


@dataclass(slots=True)
class _Turn:
    grant: str
    second: int
    reads: list[bytes] = field(default_factory=list)
    counted: int = 0
    callers: list[_Caller] = field(default_factory=list)


class Together:
    """Asks `wire`; belongs to its loop."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._turns: dict[str, _Turn] = {}

    def look_up(self, grant: str, second: int, lookups: Sequence[str], *, again: bool = False) -> asyncio.Future[Found]:
        """The rows of each of `lookups` (`<item>:<digest>`), counted at `second` unless `again`; raises RedisAway."""
        loop = asyncio.get_running_loop()
        turn = self._turns.get(grant)
        if turn is None or turn.second != second or len(turn.reads) >= _MOST_TOGETHER:
            turn = self._turns[grant] = _Turn(grant, second)
            loop.call_soon(self._ask, turn)
        first, future = len(turn.reads), loop.create_future()
        for one in lookups:
            key = f"{PREFIX}{grant}:{one}".encode()
            turn.reads.append(b"*2\r\n$5\r\nHVALS\r\n$%d\r\n%b\r\n" % (len(key), key))
        turn.counted += 0 if again else len(lookups)
        turn.callers.append(_Caller(future, first, len(turn.reads), turn.counted))
        return future

    def _ask(self, turn: _Turn) -> None:
        if self._turns.get(turn.grant) is turn:
            del self._turns[turn.grant]
        state, number = _PREFIX + turn.grant.encode(), b"%d" % turn.counted
        rate = b"%b:rate:%d" % (state, turn.second)
        quota = b"%b:day:%d" % (state, (turn.second + _PLACE_AHEAD) // _DAY_SECONDS)
        counts = packed(b"INCRBY", rate, number) + packed(b"INCRBY", quota, number)
        where = packed(b"HMGET", state, b"ready", b"position")
        asked = self._wire.ask(b"".join((counts, _MULTI, *turn.reads, where, _EXEC)), len(turn.reads) + 5)
        asked.add_done_callback(partial(self._answer, turn, rate, quota))

    def _answer(self, turn: _Turn, rate: bytes, quota: bytes, done: asyncio.Future[list[Any]]) -> None:
        waiting = [caller for caller in turn.callers if not caller.future.done()]
        try:
            this_second, today, *_, executed = done.result()
            if not (isinstance(this_second, int) and isinstance(today, int)):
                raise RedisAway("Redis does not count")
            if not isinstance(executed, list) or any(type(one) is not list for one in executed):
                raise RedisAway("Redis answers with an error")
        except RedisAway as error:
            for caller in waiting:
                caller.future.set_exception(error)
            return
        # the first count of a second or a day says when it is forgotten
        if this_second == turn.counted:
            self._wire.tell(packed(b"EXPIRE", rate, b"10"))
        if today == turn.counted:
            self._wire.tell(packed(b"EXPIRE", quota, b"%d" % (2 * _DAY_SECONDS)))
        ready, position = executed[-1]
        for caller in waiting:
            later = turn.counted - caller.counted
            rows = executed[caller.first : caller.last]
            caller.future.set_result(Found(rows, bool(ready), position or b"", this_second - later, today - later))
