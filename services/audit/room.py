"""What the audit's routes and rules need to do their work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from services.audit.events import Publisher
from services.audit.tiles import TileStore
from services.audit.verifier import Key
from services.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Room:
    """`tiles` show the log; `is_sealing` says whether this process has the turn."""

    settings: Settings
    session: Callable[[], Session]
    publisher: Publisher
    tiles: TileStore
    key: Key
    is_sealing: Callable[[], bool]
