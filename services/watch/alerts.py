"""Alerts that come of what the watch sees, kept with who took them on, and told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.core.words import Words
from services.watch import telling
from services.watch.domain.alert import Action, Cause, Fact, Lasting, Severity, State
from services.watch.domain.book import Standing
from services.watch.domain.hops import of_connector
from services.watch.domain.lag import Status
from services.watch.domain.telling import carried_over
from services.watch.events import Publisher
from services.watch.picture import Board, Picture
from services.watch.store import Alert, AlertStep

log = structlog.get_logger()

WATCHER = "the watch"
_EVERY_SECONDS = 1.0
_STANDING = frozenset({Status.STALL, Status.STOP, Status.ERR})
_TOPICS_NAMED = 5
_SEALER, _SEALED = "audit.sequencer", "sync.deliveries"


class Alerting(threading.Thread):
    """Looks at each new picture until `stop` is set: opens what has lasted, closes what is over, and has both told.

    `wrong` gives what is wrong as a picture is looked at.
    """

    def __init__(
        self,
        session: Callable[[], Session],
        publisher: Publisher,
        board: Board,
        wrong: Callable[[Picture], Iterable[Cause]],
        patience_seconds: float,
        silence: timedelta,
        stop: threading.Event,
    ) -> None:
        """`silence` is after how long an alert that nobody takes on is told again."""
        super().__init__(name="alerting", daemon=True)
        self._session, self._publisher, self._board, self._stop_told = session, publisher, board, stop
        self._wrong, self._lasting, self._silence = wrong, Lasting(patience_seconds), silence
        self._seen = 0

    def run(self) -> None:
        while not self._stop_told.wait(_EVERY_SECONDS):
            picture = self._board.picture()
            if picture is None or picture.number == self._seen:
                continue
            self._seen = picture.number
            try:
                self.step(picture)
            except SQLAlchemyError as failure:
                log.warning("alerts cannot be kept just now", reason=type(failure).__name__)

    def step(self, picture: Picture) -> None:
        """Open what has lasted, close what is over, tell of both."""
        with self._session() as session, session.begin():
            open_ = {
                (one.rule, one.subject): one
                for one in session.scalars(select(Alert).where(Alert.state != State.CLOSED).with_for_update())
            }
            due, over = self._lasting.look(self._wrong(picture), open_.keys(), picture.at)
            opened = [self._open(session, cause) for cause in due]
            closed = [self._close(session, open_.pop(key)) for key in over]
            telling.tell_open(session, [*open_.values(), *opened], datetime.now(UTC), self._silence)
            telling.tell_over(session, closed)

    def _open(self, session: Session, cause: Cause) -> Alert:
        now = datetime.now(UTC)
        before = select(Alert.told_at).where(Alert.rule == cause.rule, Alert.subject == cause.subject)
        told_at = session.scalar(before.order_by(Alert.id.desc()).limit(1))
        made = Alert(
            rule=cause.rule, subject=cause.subject, department=cause.department, severity=cause.severity,
            state=State.OPEN, text=str(cause.text), text_zh=cause.text.zh, evidence=dict(cause.evidence),
            opened_at=now, changed_at=now, told_at=carried_over(told_at, now, self._silence), revision=1,
        )  # fmt: skip
        session.add(made)
        session.flush()
        self._publisher.happened(session, made, "alert_opened", actor=WATCHER)
        return made

    def _close(self, session: Session, alert: Alert) -> Alert:
        now = datetime.now(UTC)
        alert.state, alert.changed_at, alert.revision = State.CLOSED, now, alert.revision + 1
        said = "The cause is over. / 原因已消除。"
        session.add(AlertStep(alert=alert.id, action=Action.CLOSE, taken_by=WATCHER, text=said, taken_at=now))
        self._publisher.happened(session, alert, "alert_closed", actor=WATCHER)
        return alert


def causes(picture: Picture, budget_seconds: float) -> Iterator[Cause]:
    """What is wrong in a picture."""
    for one in picture.standings:
        name = one.group.name
        if one.lag.verdict.status in _STANDING:
            place = picture.places.grants.get(name.removeprefix("table/")) if one.group.kind == "table" else None
            department = place.department if place else picture.places.department_of_group(name)
            yield Cause(
                rule="group-stands", subject=name, department=department, severity=Severity.CRITICAL,
                text=one.lag.verdict.reason, evidence=_of_group(one),
            )  # fmt: skip
        behind = max((part.seconds for part in one.partitions if part.topic == _SEALED), default=0.0)
        if name == _SEALER and behind > budget_seconds / 2:
            text = Words(
                f"Sealing is {behind:.0f} s behind; at {budget_seconds:.0f} s deliveries stop.",
                f"审计封存落后 {behind:.0f} 秒；达到 {budget_seconds:.0f} 秒将停止交付。",
            )
            yield Cause(
                rule="sealing-behind", subject=name, department=None, severity=Severity.CRITICAL, text=text,
                evidence={"group": name, "seconds": round(behind, 1), "budget_seconds": budget_seconds},
            )  # fmt: skip
    for name, told in picture.connectors.items():
        verdict = of_connector(told.state, [task.state for task in told.tasks], told.failure)
        if verdict.status is Status.ERR:
            yield Cause(
                rule="connector-failed", subject=name, department=picture.places.connector(name).department,
                severity=Severity.CRITICAL, text=verdict.reason,
                evidence={"connector": name, "state": told.state, "worker": told.worker},
            )  # fmt: skip


def _of_group(one: Standing) -> dict[str, Fact]:
    return {
        "group": one.group.name,
        "status": one.lag.verdict.status.value,
        "topics": ", ".join(sorted({part.topic for part in one.partitions})[:_TOPICS_NAMED]),
        "records": one.lag.records,
        "seconds": round(one.lag.seconds, 1),
        "members": one.group.members,
    }
