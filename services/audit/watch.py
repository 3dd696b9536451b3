"""The watch: judges what the index holds by the rules of warnings, and keeps an alert for each cause."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.audit.domain.finding import Kind, State
from services.audit.domain.warning import (
    Thresholds,
    both_sides_of,
    is_outside_hours,
    is_spike,
    is_sudden,
    is_unusual_volume,
)
from services.audit.events import Publisher
from services.audit.index import advance, locked
from services.audit.store import Cursor, Entry, Matter
from services.audit.topics import EVENTS

log = structlog.get_logger()

WATCHER = "the watch"
_CURSOR = "watch"
_EVERY_SECONDS = 5.0
_EVIDENCE = 50
_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something out of the ordinary; `cause` is what makes it this one and no other."""

    rule: str
    cause: str
    title: str
    text: str
    department: str
    evidence: list[int]


class Watch(threading.Thread):
    """Watches until `stop` is set."""

    def __init__(
        self,
        session: Callable[[], Session],
        publisher: Publisher,
        place: ZoneInfo,
        stop: threading.Event,
        rules: Thresholds | None = None,
    ) -> None:
        super().__init__(name="watch", daemon=True)
        self._session, self._publisher, self._place, self._stop_told = session, publisher, place, stop
        self._rules = rules or Thresholds()

    def run(self) -> None:
        while not self._stop_told.wait(_EVERY_SECONDS):
            try:
                self.step()
            except SQLAlchemyError as failure:
                log.warning("the log cannot be watched just now", reason=type(failure).__name__)

    def step(self) -> int:
        """Judge what was indexed since the last time; how many alerts that gave."""
        with self._session() as session, session.begin():
            first = locked(session, _CURSOR)
            last = min(session.scalar(select(Cursor.next).where(Cursor.name == "entries")) or 0, first + _AT_ONCE)
            if last <= first:
                return 0
            made = sum(self._keep(session, alarm) for alarm in self._alarms(session, first, last))
            advance(session, _CURSOR, last)
        return made

    def _keep(self, session: Session, alarm: Alarm) -> bool:
        row: dict[str, Any] = {
            "kind": Kind.ALERT, "state": State.OPEN, "title": alarm.title, "text": alarm.text, "rule": alarm.rule,
            "department": alarm.department or None, "cause": alarm.cause, "evidence": alarm.evidence,
            "opened_by": WATCHER, "opened_at": datetime.now(UTC), "revision": 1,
        }  # fmt: skip
        kept = insert(Matter).values(row).on_conflict_do_nothing(index_elements=[Matter.cause]).returning(Matter.id)
        number = session.scalar(kept)
        if number is None:
            return False
        facts = {"rule": alarm.rule, "state": State.OPEN}
        self._publisher.happened(
            session, "alert_opened", f"matter/{number}", actor=WATCHER, department=alarm.department, facts=facts
        )
        return True

    # -- the rules ---------------------------------------------------------------------------------------------------

    def _alarms(self, session: Session, first: int, last: int) -> Iterator[Alarm]:
        yield from self._volumes(session, first, last)
        yield from self._denials(session, first, last)
        yield from self._decisions(session, first, last)

    def _volumes(self, session: Session, first: int, last: int) -> Iterator[Alarm]:
        """Grants under which there was delivered just now: far more than usual, or after a long silence."""
        fresh = (
            select(Entry.subject, Entry.department, func.max(Entry.occurred_at))
            .where(Entry.sequence >= first, Entry.sequence < last, Entry.records > 0)
            .group_by(Entry.subject, Entry.department)
        )
        for grant, department, at in session.execute(fresh):
            begin = _window_of(at, self._rules.window)
            records = self._records(session, grant, begin, begin + self._rules.window)
            usual_for = timedelta(days=self._rules.usual_days)
            before = self._records(session, grant, begin - usual_for, begin)
            usual = before * (self._rules.window / usual_for)
            told = f"{records:,} records under grant {grant} in the hour from {begin.isoformat()}"
            evidence = self._evidence(session, grant, begin)
            if self._is_old(session, grant, begin - usual_for) and is_sudden(records, before, self._rules):
                yield Alarm(
                    rule="silent-grant", cause=f"silent-grant {grant} {begin.isoformat()}", department=department,
                    title=f"沉寂授权突然大量使用 / A silent grant is suddenly used: {grant}",
                    text=f"{told}, after {self._rules.usual_days} days without any.", evidence=evidence,
                )  # fmt: skip
            elif before and is_unusual_volume(records, usual, self._rules):
                yield Alarm(
                    rule="volume", cause=f"volume {grant} {begin.isoformat()}", department=department,
                    title=f"数据量异常 / Unusual volume: {grant}",
                    text=f"{told}; usual are {usual:,.0f}.", evidence=evidence,
                )  # fmt: skip

    def _records(self, session: Session, grant: str, since: datetime, until: datetime) -> int:
        query = select(func.sum(Entry.records)).where(
            Entry.subject == grant, Entry.occurred_at >= since, Entry.occurred_at < until
        )
        return int(session.scalar(query) or 0)

    def _is_old(self, session: Session, grant: str, since: datetime) -> bool:
        first = session.scalar(select(func.min(Entry.occurred_at)).where(Entry.subject == grant))
        return first is not None and first < since

    def _evidence(self, session: Session, subject: str, since: datetime) -> list[int]:
        query = (
            select(Entry.sequence)
            .where(Entry.subject == subject, Entry.records > 0, Entry.occurred_at >= since)
            .order_by(Entry.sequence)
            .limit(_EVIDENCE)
        )
        return list(session.scalars(query))

    def _denials(self, session: Session, first: int, last: int) -> Iterator[Alarm]:
        """Whoever was denied just now: how often lately."""
        fresh = (
            select(Entry.actor, func.max(Entry.occurred_at))
            .where(Entry.sequence >= first, Entry.sequence < last, Entry.outcome == "denied", Entry.actor != "")
            .group_by(Entry.actor)
        )
        for actor, at in session.execute(fresh):
            begin = _window_of(at, self._rules.denial_window)
            query = select(Entry.sequence, Entry.department).where(
                Entry.actor == actor, Entry.outcome == "denied", Entry.occurred_at >= begin
            )
            found = session.execute(query.order_by(Entry.sequence)).all()
            if is_spike(len(found), self._rules):
                yield Alarm(
                    rule="denials", cause=f"denials {actor} {begin.isoformat()}", department=found[0][1],
                    title=f"拒绝次数激增 / A spike of denials: {actor}",
                    text=f"{len(found)} attempts of {actor} were denied from {begin.isoformat()} on.",
                    evidence=[sequence for sequence, _ in found[:_EVIDENCE]],
                )  # fmt: skip

    def _decisions(self, session: Session, first: int, last: int) -> Iterator[Alarm]:
        """What people did just now: at what hour, and whether one of them decided both sides."""
        query = select(Entry).where(Entry.sequence >= first, Entry.sequence < last, Entry.actor != "")
        for entry in session.scalars(query.where(Entry.topic != EVENTS.name).order_by(Entry.sequence)):
            local = entry.occurred_at.astimezone(self._place)
            if is_outside_hours(local, self._rules):
                yield Alarm(
                    rule="hours", cause=f"hours {entry.actor} {local.date()}", department=entry.department,
                    title=f"非工作时间操作 / Work outside hours: {entry.actor}",
                    text=f"{entry.type} of {entry.subject} at {local.isoformat(timespec='seconds')}.",
                    evidence=[entry.sequence],
                )  # fmt: skip
            for other in both_sides_of(entry.type):
                yield from self._other_side(session, entry, other)

    def _other_side(self, session: Session, entry: Entry, kind: str) -> Iterator[Alarm]:
        query = select(Entry.sequence, Entry.actor).where(
            Entry.thread == entry.thread, Entry.sequence < entry.sequence, Entry.type.contains(kind, autoescape=True)
        )
        earlier = session.execute(query.order_by(Entry.sequence.desc()).limit(1)).one_or_none()
        if earlier is not None and earlier.actor == entry.actor:
            yield Alarm(
                rule="both-sides", cause=f"both-sides {entry.thread} {entry.sequence}", department=entry.department,
                title=f"同一人双方决定 / One person decided both sides: {entry.subject}",
                text=f"{entry.actor} did {entry.type}, and {kind} before.", evidence=[earlier.sequence, entry.sequence],
            )  # fmt: skip


def _window_of(at: datetime, window: timedelta) -> datetime:
    """The beginning of the window that `at` lies in."""
    seconds = window.total_seconds()
    return datetime.fromtimestamp(at.timestamp() // seconds * seconds, UTC)
