"""Alerts and the daily summary on their way, from a real database to real receivers of posts and mail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from infra.embedded.scratch import scratch_database
from services.core import db
from services.core.sending import Sender, secret_of, signature
from services.core.settings import Settings
from services.core.words import Words
from services.watch import store, telling
from services.watch.domain.alert import Cause, Severity, State
from services.watch.domain.day import Carried, begin_of
from services.watch.domain.places import Places
from services.watch.picture import Board, Picture
from services.watch.summary import Daily
from tests.receivers import Hook, Mailbox, free_port, hook, mailbox
from tests.road.town import eventually

SILENCE = timedelta(hours=4)
NOW = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)  # 11:00 at the place


class Watch:
    """Alerts in a database of their own, an address that gets posts, and one that gets mail."""

    def __init__(self, session: Callable[[], Session], here: Settings, posts: Hook, mails: Mailbox) -> None:
        self.session, self.here, self.posts, self.mails = session, here, posts, mails
        self.sender: Sender[Any, Any] = telling.sender(session, here)

    def subscribe(self, kind: str, target: str, *, department: str | None = None, daily: bool = False) -> Any:
        made = store.Subscription(
            department=department, kind=kind, target=target, daily=daily, created_by="值班", created_at=NOW
        )  # fmt: skip
        with self.session() as session, session.begin():
            session.add(made)
        return made.id

    def alert(self, number: int, opened_at: datetime, told_at: datetime | None = None) -> None:
        with self.session() as session, session.begin():
            session.add(
                store.Alert(
                    id=number, rule="rows-wait", subject=f"resource{number}", department="public_security",
                    severity="warning", state=State.OPEN, text="Rows wait.", text_zh="数据行待更正。",
                    evidence={"rows": 1}, opened_at=opened_at, changed_at=opened_at, told_at=told_at, revision=1,
                )
            )  # fmt: skip

    def look(self, now: datetime) -> None:
        """As alerting does: what is open, and due, is told."""
        with self.session() as session, session.begin():
            open_ = select(store.Alert).where(store.Alert.state != State.CLOSED).order_by(store.Alert.id)
            telling.tell_open(session, session.scalars(open_).all(), now, SILENCE)

    def turn(self, number: int, state: State, now: datetime) -> None:
        with self.session() as session, session.begin():
            one = session.get_one(store.Alert, number)
            one.state, one.changed_at = state, now
            if state is State.CLOSED:
                telling.tell_over(session, [one])

    def sent(self, posts: int, mails: int) -> None:
        """Send all there is: so many have come in all by then, and nothing waits any more."""

        def waiting() -> int:
            self.sender.send_due(datetime.now(UTC) + timedelta(days=1))
            with self.session() as session:
                left = select(func.count()).select_from(store.Dispatch).where(store.Dispatch.delivered_at.is_(None))
                return session.scalar(left) or 0

        eventually(waiting, lambda count: count == 0, "all is sent", 10)
        assert (len(self.posts.requests), len(self.mails.envelopes)) == (posts, mails)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with scratch_database("watch") as made:
        yield made


@pytest.fixture
def watch(tmp_path: Path, engine: Engine) -> Iterator[Watch]:
    with engine.begin() as connection:
        for table in reversed(store.Base.metadata.sorted_tables):
            connection.execute(delete(table))
    (tmp_path / "webhook_key").write_text("00" * 32)
    port = free_port()
    here = Settings(
        secrets=tmp_path, webhook_networks="127.0.0.0/8", smtp_host="127.0.0.1", smtp_port=port,
        console_url="https://tongshu.city.example",
    )  # fmt: skip
    with hook() as posts, mailbox(port) as mails:
        yield Watch(db.sessions(engine), here, posts, mails)


def test_an_alert_is_told_once_as_it_opens_and_once_when_it_is_over(watch: Watch) -> None:
    posted = watch.subscribe("webhook", watch.posts.url)
    watch.subscribe("email", "ops@city.example")
    watch.subscribe("email", "other@city.example", department="civil_affairs")
    watch.alert(7, NOW)
    watch.look(NOW)
    watch.look(NOW + timedelta(minutes=5))
    watch.sent(1, 1)
    (told,) = watch.posts.told()
    assert (told["kind"], told["alerts"][0]["id"], told["alerts"][0]["evidence"]) == ("alerts_opened", 7, {"rows": 1})
    head, _, body = watch.posts.requests[0].partition(b"\r\n\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head.decode().split("\r\n")[1:])}
    signed = signature(secret_of(watch.here, posted), headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    assert headers["webhook-signature"] == signed
    (mail,) = watch.mails.messages()
    assert (mail["To"], mail["Subject"]) == ("ops@city.example", "【告警】数据待更正：resource7")
    assert "https://tongshu.city.example/running/alerts/7" in _text(mail)

    watch.look(NOW + SILENCE)
    watch.sent(2, 2)
    assert watch.posts.told()[1]["kind"] == "alerts_still_open"
    watch.turn(7, State.ACKNOWLEDGED, NOW + SILENCE)
    watch.look(NOW + 3 * SILENCE)
    watch.sent(2, 2)
    watch.turn(7, State.CLOSED, NOW + 3 * SILENCE)
    watch.sent(3, 3)
    assert watch.posts.told()[2]["kind"] == "alerts_over"
    assert watch.mails.messages()[2]["Subject"] == "【告警结束】数据待更正：resource7"


def test_many_at_once_are_one_message_and_what_comes_and_goes_is_heard_once(watch: Watch) -> None:
    watch.subscribe("webhook", watch.posts.url, department="public_security")
    for number in range(1, 81):
        watch.alert(number, NOW)
    watch.look(NOW)
    watch.sent(1, 0)
    (told,) = watch.posts.told()
    assert (told["count"], len(told["alerts"])) == (80, telling.MOST_ALERTS)
    watch.turn(1, State.CLOSED, NOW)
    watch.sent(2, 0)
    for _ in range(3):  # back, as alerting opens it: with the time at which its cause was told of
        watch.alert(100 + _, NOW + timedelta(minutes=1), told_at=NOW)
        watch.look(NOW + timedelta(minutes=2))
        watch.turn(100 + _, State.CLOSED, NOW + timedelta(minutes=3))
    watch.sent(2, 0)


def test_what_cannot_be_sent_is_tried_again(watch: Watch) -> None:
    watch.subscribe("email", "nobody@city.example")
    watch.alert(1, NOW)
    watch.look(NOW)
    watch.sender.send_due(NOW)

    def dispatch() -> store.Dispatch:
        with watch.session() as session:
            return session.scalars(select(store.Dispatch)).one()

    failed = eventually(dispatch, lambda one: one.failure is not None, "an attempt that failed", 10)
    assert failed.attempts == 1 and failed.next_at is not None and failed.delivered_at is None
    assert failed.failure is not None and "RecipientsRefused" in failed.failure


def _text(mail: EmailMessage) -> str:
    body = mail.get_body()
    assert body is not None
    return str(body.get_content())


def _picture(carried: Carried) -> Picture:
    return Picture(
        number=1, at=NOW.timestamp(), complete=True, standings=[], topics=[], rows={}, latencies={}, connectors={},
        connect_reachable=True, last_committed={}, places=Places(), carried=carried,
    )  # fmt: skip


def test_a_day_is_summed_and_told_when_it_is_over(watch: Watch) -> None:
    watch.subscribe("email", "ops@city.example", daily=True)
    watch.subscribe("webhook", watch.posts.url)
    watch.alert(3, NOW, told_at=NOW)
    watch.alert(4, NOW, told_at=NOW - timedelta(hours=1))
    watch.turn(4, State.CLOSED, NOW + timedelta(minutes=1))
    waiting = Cause(
        rule="rows-wait", subject="population", department=None, severity=Severity.WARNING, text=Words("x"),
        evidence={"rows": 12},
    )  # fmt: skip
    halted = Cause(
        rule="mount-halted", subject="low_income", department=None, severity=Severity.CRITICAL,
        text=Words("Its mount is stopped: no table", "挂接已停止：没有表"),
    )  # fmt: skip

    def daily() -> Daily:
        return Daily(watch.session, Board(), lambda _: [waiting, halted], telling.tell_summary, 8, threading.Event())

    carried = Carried()
    for offset, seconds in enumerate((0.1, 0.2, 90.0, None)):
        carried = carried.plus(offset, 100, seconds)
    first = daily()
    first.step(_picture(carried), NOW)
    first.step(_picture(carried), NOW + timedelta(seconds=10))
    # another process: it begins at the offset that was kept, and counts nothing twice
    again, fresh = daily(), _picture(Carried(counted_to=4).plus(3, 100, 0.1).plus(4, 100, 0.1))
    again.step(fresh, NOW + timedelta(hours=1))
    watch.sent(0, 0)
    again.step(fresh, NOW + timedelta(days=1))
    again.step(fresh, NOW + timedelta(days=1, seconds=10))
    watch.sent(0, 1)
    (mail,) = watch.mails.messages()
    text = _text(mail)
    assert mail["Subject"] == "【每日摘要】截至 2026-11-29 08:00 的数据共享运行情况"
    for said in (
        "交付：5 批，500 条记录", "一分钟内送达：75.00%", "告警：触发 2 项，解决 1 项，目前未关闭 1 项",
        "隔离待更正的数据行：12", "population：12 行", "失败的挂接：1",
        "low_income：挂接已停止：没有表", "Deliveries: 5, records: 500",
    ):  # fmt: skip
        assert said in text, text


@pytest.mark.parametrize(("hours", "begun"), [(0, 0), (23, 0), (-1, -24)])
def test_a_day_begins_at_the_hour_of_the_place(hours: int, begun: int) -> None:
    eight = datetime(2026, 11, 28, 0, 0, tzinfo=UTC)
    assert begin_of(eight + timedelta(hours=hours), 8) == eight + timedelta(hours=begun)
