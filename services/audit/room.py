"""What the audit's routes and rules need to do their work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from services.audit.tiles import TileStore
from services.audit.verifier import Key
from services.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Room:
    settings: Settings
    session: Callable[[], Session]
    tiles: TileStore
    key: Key
