"""The number of a worker: one of its own among all processes that share the work, and the same again after a restart.

Its transactional ids are made of it. That only one worker takes it keeps workers from fencing each other in turn; that
it is taken again keeps what a killed one has left open from standing in readers' way until it times out. Exactly once
does not hang on either: that is for the broker to see to (`transaction.py`).
"""

from __future__ import annotations

import itertools

import structlog
from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

log = structlog.get_logger()

_TAKE = text("select pg_try_advisory_lock(hashtext('sync.relay'), :number)")


class Number:
    """The lowest number that nobody else holds, by a lock that goes with the connection that took it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._held: int | None = None

    def hold(self) -> int:
        """The number; the one of before unless another has taken it while the database did not see us.

        While the database does not answer nobody can, so it is kept. Raises DBAPIError where there is none yet.
        """
        if self._connection is not None and self._held is not None:
            try:
                self._connection.execute(text("select 1"))
                return self._held
            except DBAPIError as error:
                log.warning("the number may be another's by now", number=self._held, reason=type(error).__name__)
                self.release()
        try:
            return self._take()
        except DBAPIError:
            if self._held is None:
                raise
            return self._held

    def release(self) -> None:
        """Whoever comes next may take it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _take(self) -> int:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            # it is held for as long as the process lives, and none that others may borrow in between
            connection.detach()
            wanted = itertools.chain([] if self._held is None else [self._held], itertools.count())
            self._held = next(number for number in wanted if connection.scalar(_TAKE, {"number": number}))
        except DBAPIError:
            connection.close()
            raise
        self._connection = connection
        return self._held
