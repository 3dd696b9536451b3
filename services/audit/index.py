"""The log made searchable: its entries in the database, read from the bundles that are published.

Rows follow from the log alone and can be made again. Whichever process indexes, the cursor's lock lets one at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.audit.store import Cursor, Entry
from services.audit.tiles import TilesBroken, TileStore
from services.audit.verifier import WIDTH
from services.core.avro import Codec, NotAvro, RegistryUnavailable, UnknownSchema

log = structlog.get_logger()

_CURSOR = "entries"
_BUNDLES = 32
_EVERY_SECONDS = 0.5


class EntryIndex(threading.Thread):
    """Follows the log until `stop` is set, but while sealing has its hands full."""

    def __init__(
        self,
        session: Callable[[], Session],
        tiles: TileStore,
        entries: Codec,
        is_busy: Callable[[], bool],
        stop: threading.Event,
    ) -> None:
        super().__init__(name="entry index", daemon=True)
        self._session, self._tiles, self._entries = session, tiles, entries
        self._is_busy, self._stop_told = is_busy, stop

    def run(self) -> None:
        while not self._stop_told.is_set():
            try:
                if self._is_busy() or not self.step():
                    self._stop_told.wait(_EVERY_SECONDS)
            except (SQLAlchemyError, RegistryUnavailable, TilesBroken) as failure:
                log.warning("the log cannot be indexed just now", reason=type(failure).__name__)
                self._stop_told.wait(5.0)

    def step(self) -> bool:
        """Take in the next entries; whether there were any."""
        size = self._tiles.signed_size()
        with self._session() as session, session.begin():
            first = locked(session, _CURSOR)
            if first >= size:
                return False
            last = min(size, (first // WIDTH + _BUNDLES) * WIDTH)
            rows = self._rows(first, last)
            if rows:
                session.execute(insert(Entry).on_conflict_do_nothing(), rows)
            advance(session, _CURSOR, last)
        return True

    def _rows(self, first: int, last: int) -> list[dict[str, object]]:
        found = []
        for sequence, entry in enumerate(self._tiles.entries(first, last), first):
            try:
                found.append(dict(self._entries.decode(entry)))
            except (NotAvro, UnknownSchema) as error:
                log.error("an entry cannot be read", sequence=sequence, reason=str(error))
        return found


def locked(session: Session, name: str) -> int:
    """How far `name` has come; nobody else moves it before the transaction ends."""
    session.execute(insert(Cursor).values(name=name, next=0).on_conflict_do_nothing())
    return session.scalars(select(Cursor.next).where(Cursor.name == name).with_for_update()).one()


def advance(session: Session, name: str, to: int) -> None:
    session.get_one(Cursor, name).next = to
