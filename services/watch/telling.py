"""Telling of alerts: what is put on its way to whom, and how it reads.

All alerts that open in one look are one message to each address, however many there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.core.calendar import PLACE
from services.core.sending import Letter, Sender, letter_to
from services.core.settings import Settings
from services.core.words import Words
from services.watch import summary
from services.watch.domain.alert import TITLES, Severity, State
from services.watch.domain.telling import Kind, due, was_told
from services.watch.store import Alert, Dispatch, Subscription

MOST_ALERTS = 50
"""In one message; of more, how many."""

_SEVERITIES = {Severity.CRITICAL: Words("critical", "严重"), Severity.WARNING: Words("warning", "警告")}
_WHAT = {
    Kind.OPENED: Words("Alert", "告警"),
    Kind.STILL_OPEN: Words("Nobody is on it yet", "告警无人处理"),
    Kind.OVER: Words("Alert is over", "告警结束"),
}


def tell_open(session: Session, alerts: Iterable[Alert], now: datetime, silence: timedelta) -> None:
    """Have those of open alerts told that are due."""
    told: dict[Kind, list[Alert]] = {}
    for one in alerts:
        if (kind := due(State(one.state), one.told_at, now, silence)) is not None:
            one.told_at = now
            told.setdefault(kind, []).append(one)
    for kind, of_kind in told.items():
        _put(session, kind, of_kind, now)


def tell_over(session: Session, alerts: Iterable[Alert]) -> None:
    """Have told that alerts are closed, as far as they were told of."""
    aloud = [one for one in alerts if was_told(one.opened_at, one.told_at)]
    if aloud:
        _put(session, Kind.OVER, aloud, max(one.changed_at for one in aloud))


def tell_summary(session: Session, told: Mapping[str, Any], now: datetime) -> None:
    """Put the summary of a day on its way to all who want one."""
    for one in _subscriptions(session):
        if one.daily:
            put(session, one, Kind.SUMMARY, told, now)


def put(session: Session, subscription: Subscription, kind: Kind, told: Mapping[str, Any], now: datetime) -> None:
    """Put a message on its way to one address."""
    session.add(
        Dispatch(
            subscription=subscription.id, kind=kind, told=dict(told), attempts=0, next_at=now, created_at=now
        )
    )  # fmt: skip


def sender(session: Callable[[], Session], settings: Settings) -> Sender[Dispatch, Subscription]:
    """Sends what is on its way."""

    def letter(_: Session, dispatch: Dispatch, subscription: Subscription) -> Letter:
        return letter_of(dispatch, subscription, settings)

    return Sender(session, settings, Dispatch, Subscription, letter)


def letter_of(dispatch: Dispatch, subscription: Subscription, settings: Settings) -> Letter:
    subject, text = _words(Kind(dispatch.kind), dispatch.told, settings.console_url)
    told = {
        "id": dispatch.id, "kind": dispatch.kind, "words": {"en": str(subject), "zh": subject.zh},
        "created_at": dispatch.created_at.isoformat(), **dispatch.told,
    }  # fmt: skip
    return letter_to(
        subscription,
        settings,
        letter_id=f"watch_{dispatch.id}",
        subject=subject.zh,
        text=f"{text.zh}\n\n{text}\n",
        body=json.dumps(told, ensure_ascii=False).encode(),
    )


def _subscriptions(session: Session) -> Sequence[Subscription]:
    return session.scalars(select(Subscription).where(Subscription.ended_at.is_(None))).all()


def _put(session: Session, kind: Kind, alerts: Sequence[Alert], now: datetime) -> None:
    for one in _subscriptions(session):
        mine = [alert for alert in alerts if one.department in (None, alert.department)]
        if mine:
            shown = [_told(alert) for alert in mine[:MOST_ALERTS]]
            put(session, one, kind, {"alerts": shown, "count": len(mine)}, now)


def _told(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id, "rule": alert.rule, "subject": alert.subject, "department": alert.department,
        "severity": alert.severity, "state": alert.state, "text": {"en": alert.text, "zh": alert.text_zh},
        "evidence": alert.evidence, "opened_at": alert.opened_at.isoformat(),
        "closed_at": alert.changed_at.isoformat() if alert.state == State.CLOSED else None,
    }  # fmt: skip


def _words(kind: Kind, told: Mapping[str, Any], console_url: str) -> tuple[Words, Words]:
    """Subject and text of a message."""
    if kind is Kind.SUMMARY:
        return summary.words(told)
    if kind is Kind.TRIAL:
        said = Words("A trial: alerts will come here", "试发：告警将发送到这里")
        return said, said
    alerts, count = told["alerts"], told["count"]
    what = _WHAT[kind]
    first = _title(alerts[0])
    if count == 1:
        subject = Words(f"{what}: {first}", f"【{what.zh}】{first.zh}")
    else:
        subject = Words(f"{what}: {count}, among them {first}", f"【{what.zh}】{count} 项，其中 {first.zh}")
    texts = [_text(alert, console_url) for alert in alerts]
    if count > len(alerts):
        texts.append(Words(f"And {count - len(alerts)} more.", f"另有 {count - len(alerts)} 项。"))
    return subject, Words(
        "\n\n".join([f"{subject}", *(str(one) for one in texts)]),
        "\n\n".join([subject.zh, *(one.zh for one in texts)]),
    )


def _title(alert: Mapping[str, Any]) -> Words:
    title = TITLES.get(alert["rule"], Words(alert["rule"]))
    return Words(f"{title}, {alert['subject']}", f"{title.zh}：{alert['subject']}")


def _text(alert: Mapping[str, Any], console_url: str) -> Words:
    title, severity = _title(alert), _SEVERITIES[Severity(alert["severity"])]
    opened = at_place(alert["opened_at"])
    en = [f"{title} ({severity})", alert["text"]["en"], f"opened {opened}"]
    zh = [f"{title.zh}（{severity.zh}）", alert["text"]["zh"], f"触发于 {opened}"]
    if alert["closed_at"]:
        closed = at_place(alert["closed_at"])
        en, zh = [*en, f"over {closed}"], [*zh, f"结束于 {closed}"]
    if console_url:
        where = f"{console_url.rstrip('/')}/running/alerts/{alert['id']}"
        en, zh = [*en, where], [*zh, where]
    return Words("\n".join(en), "\n".join(zh))


def at_place(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(PLACE):%Y-%m-%d %H:%M:%S}"
