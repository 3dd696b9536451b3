"""What the demand side's routes and watches need to do their work, and the few questions they all ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy.orm import Session

from services.core.kafka import StateView
from services.core.problems import Problem, unknown
from services.core.settings import Settings
from services.demand.broker import Broker
from services.demand.cases import Desk
from services.demand.events import Publisher
from services.demand.objecting import Registrar


@dataclass(frozen=True, slots=True)
class Demands:
    """The demand side of an exchange: its database, what it tells the others, and what it knows of the catalogue.

    `decided` is called, with the resource it is about, after a step that the exchange must perhaps act on by itself.
    """

    settings: Settings
    session: Callable[[], Session]
    publisher: Publisher
    broker: Broker
    vault: Fernet
    registrar: Registrar
    resources: StateView[dict[str, Any]]
    decided: Callable[[str | None], None]

    @property
    def desk(self) -> Desk:
        return Desk(self.publisher, self.resources.get, self.broker.close)


def now() -> datetime:
    return datetime.now(UTC)


_NAMES = {
    "demand": "申请", "clock": "时限", "notice": "通知", "subscription": "订阅", "department": "部门",
    "resource": "资源", "grant": "授权", "objection": "异议",
    "return": "回流",
}  # fmt: skip


def missing(what: str, name: object) -> Problem:
    return unknown(what, _NAMES[what], name)
