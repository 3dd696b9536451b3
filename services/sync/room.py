"""What the data road's routes need to do their work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from services.core.avro import Registry
from services.core.identity import Role, Viewer
from services.core.kafka import StateView
from services.core.problems import Problem, unknown
from services.core.settings import Settings
from services.sync.events import Publisher


@dataclass(frozen=True, slots=True)
class Room:
    """The database of the data road, what it tells the others, and what it knows of the catalogue and the grants."""

    settings: Settings
    registry: Registry
    session: Callable[[], Session]
    publisher: Publisher
    resources: StateView[dict[str, Any]]
    grants: StateView[dict[str, Any]]


def oversees(viewer: Viewer) -> bool:
    """Whether `viewer` sees what was done for any department, and not only for his own."""
    return viewer.sees_all() or Role.OPS in viewer.roles


_NAMES = {
    "entry": "隔离记录",
    "resource": "资源",
    "grant": "授权",
    "replay": "重放",
    "reconciliation": "对账",
    "inconsistency": "不一致",
}


def missing(what: str, name: object) -> Problem:
    return unknown(what, _NAMES[what], name)
