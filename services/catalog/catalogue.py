"""What the catalogue's routes need to do their work, and the few questions they all ask of the database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from cryptography.fernet import Fernet
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from services.catalog import store
from services.catalog.events import Publisher
from services.catalog.source import NoDatabase, SourceDatabase, SourceUnreachable, source_of
from services.catalog.writers import Writers
from services.core.avro import Registry
from services.core.calendar import Calendar
from services.core.connect import Connect
from services.core.identity import Role, Token, Viewer, token_of
from services.core.kafka import StateView, Topic
from services.core.problems import Problem, unknown
from services.core.settings import Settings
from services.core.words import Words

Row = TypeVar("Row", bound=store.Base)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The catalogue of an exchange: its database, what it tells the others, and the parts it works with."""

    settings: Settings
    session: Callable[[], Session]
    publisher: Publisher
    registry: Registry
    connect: Connect
    make_topic: Callable[[Topic], None]
    has_topic: Callable[[str], bool]
    writers: Writers
    vault: Fernet
    grants: StateView[dict[str, Any]]

    def consumers(self, code: str) -> set[str]:
        """The departments that hold a grant on the resource, by the demand side's word."""
        return {
            str(grant["department"])
            for grant in self.grants.values()
            if grant["resource"] == code and grant["state"] == "active"
        }

    def find_token(self, token_id: str) -> Token | None:
        with self.session() as session:
            kept = session.get(store.Token, token_id)
        if kept is None:
            return None
        return token_of(
            {
                "id": kept.id,
                "digest": kept.digest,
                "name": kept.name,
                "department": kept.department,
                "roles": kept.roles,
                "expires_at": kept.expires_at,
                "revoked": kept.revoked_at is not None,
            }
        )


def now() -> datetime:
    return datetime.now(UTC)


def calendar(session: Session) -> Calendar:
    """The national calendar with the days that the place has entered."""
    return Calendar({row.day: row.working for row in session.scalars(select(store.CalendarDay))})


def readable(viewer: Viewer) -> Select[store.Resource]:
    """Resources that `viewer` may see: those in force, its own department's, all for administrators and auditors."""
    query = select(store.Resource)
    if viewer.sees_all():
        return query
    in_force = store.Resource.published.is_not(None)
    if Role.PROVIDER in viewer.roles:
        return query.where(or_(in_force, store.Resource.department == viewer.department))
    return query.where(in_force)


_NAMES = {
    "department": "部门", "system": "信息系统", "resource": "资源", "category": "分类", "division": "行政区划",
    "code-list": "代码集", "version": "版本", "token": "令牌", "notice": "通知", "import": "导入", "clock": "时限",
    "calendar-day": "日历", "policy": "策略", "power": "权力", "service-item": "事项", "data-item": "数据项",
    "mount": "挂接",
}  # fmt: skip


def missing(what: str, name: object) -> Problem:
    return unknown(what, _NAMES[what], name)


def taken(what: str, name: object) -> Problem:
    zh = _NAMES[what]
    return Problem(
        409, f"{what}-exists", Words(f"The {what} exists", f"{zh}已存在"),
        Words(f"There is a {what} {str(name)!r}, or one with its code, already.", f"{zh}“{name}”或其代码已存在。"),
    )  # fmt: skip


def unreachable(error: SourceUnreachable) -> Problem:
    """What a caller is told whose source does not answer: 503, for it may come back."""
    title, detail = Words("The database cannot be reached", "数据库无法连接"), Words(str(error), f"无法连接：{error}")
    return Problem(503, "source-unreachable", title, detail, headers={"Retry-After": "30"})


def database_of(catalogue: Catalogue, system: store.InformationSystem) -> SourceDatabase:
    """The database of a system; raises a 422 problem where it has none."""
    try:
        return source_of(system, catalogue.vault)
    except NoDatabase as error:
        title = Words("The system has no database", "信息系统没有数据库")
        detail = Words(
            f"System {system.code} was registered without a database: no table of it can be mounted.",
            f"信息系统 {system.code} 登记时没有数据库，无法挂接其中的表。",
        )
        raise Problem(422, "database-missing", title, detail) from error


def need(session: Session, kind: type[Row], key: Any, what: str, *, lock: bool = False) -> Row:
    """The row; raises a 404 problem where there is none."""
    found = session.get(kind, key, with_for_update=True if lock else None)
    if found is None:
        raise missing(what, key)
    return found
