"""References of actors: the log says who did something by a keyed reference, never by a name.

Each name has a key of its own. Erasing name and key makes the reference stand for nobody, and the log stays as it is.
"""

from __future__ import annotations

import hmac
import secrets
import time
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from services.audit.store import Actor

_REMEMBERED_SECONDS = 30.0


class References:
    """Gives each actor a reference; the same as long as it is not erased."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._known: dict[str, str] = {}
        self._read_at = 0.0

    def of(self, name: str) -> str:
        """The reference of `name`, made if there is none. Raises SQLAlchemyError."""
        if time.monotonic() - self._read_at > _REMEMBERED_SECONDS:
            self._known, self._read_at = {}, time.monotonic()
        if name not in self._known:
            with self._sessions() as session, session.begin():
                self._known[name] = _find(session, name) or _make(session, name)
        return self._known[name]


def _find(session: Session, name: str) -> str | None:
    return session.scalar(select(Actor.reference).where(Actor.name == name))


def _make(session: Session, name: str) -> str:
    key = secrets.token_bytes(32)
    reference = "a" + hmac.new(key, name.encode(), "sha256").hexdigest()[:16]
    row = {"reference": reference, "name": name, "key": key}
    session.execute(insert(Actor).values(row).on_conflict_do_nothing(index_elements=[Actor.name]))
    found = _find(session, name)
    assert found is not None
    return found


def erase(session: Session, reference: str) -> bool:
    """Make `reference` stand for nobody; whether it stood for somebody."""
    found = session.get(Actor, reference, with_for_update=True)
    if found is None or found.name is None:
        return False
    found.name, found.key, found.erased_at = None, None, datetime.now(UTC)
    return True
