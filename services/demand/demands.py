"""What the demand side's routes and watches need to do their work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy.orm import Session

from services.core.kafka import StateView
from services.core.settings import Settings
from services.demand.broker import Broker
from services.demand.events import Publisher
from services.demand.objecting import Registrar


@dataclass(frozen=True, slots=True)
class Demands:
    """The demand side of an exchange: its database, what it tells the others, and what it knows of the catalogue."""

    settings: Settings
    session: Callable[[], Session]
    publisher: Publisher
    broker: Broker
    vault: Fernet
    registrar: Registrar
    resources: StateView[dict[str, Any]]
