"""The summary of a day: what was delivered, alerts, the worst lag, rows that wait, mounts that have failed.

Deliveries are summed in the database as manifests come, with the offset up to which they were; so a watch that was
away for a while counts what it missed, and nothing twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.core.calendar import PLACE
from services.core.words import Words
from services.watch.domain.alert import Cause, State
from services.watch.domain.day import DAY, Carried, begin_of
from services.watch.domain.hops import HopName
from services.watch.picture import Board, Picture
from services.watch.store import Alert, Day

log = structlog.get_logger()

_EVERY_SECONDS = 10.0
_SHOWN = 20
_MOUNTS = ("mount-halted", "connector-failed")

Wrong = Callable[[Picture], Iterable[Cause]]
Tell = Callable[[Session, Mapping[str, Any], datetime], None]


class Daily(threading.Thread):
    """Keeps what the day was like until `stop` is set, and has `tell` told of each when it is over: from `hour` of the
    place to the same hour of the next day."""

    def __init__(
        self, session: Callable[[], Session], board: Board, wrong: Wrong, tell: Tell, hour: int, stop: threading.Event
    ) -> None:
        super().__init__(name="daily", daemon=True)
        self._session, self._board, self._wrong, self._tell = session, board, wrong, tell
        self._hour, self._stop_told = hour, stop
        self._kept: Carried | None = None

    def run(self) -> None:
        while not self._stop_told.wait(_EVERY_SECONDS):
            picture = self._board.picture()
            if picture is None:
                continue
            try:
                self.step(picture, datetime.now(UTC))
            except SQLAlchemyError as failure:
                log.warning("the day cannot be kept just now", reason=type(failure).__name__)

    def step(self, picture: Picture, now: datetime) -> None:
        """Keep what has come, and tell of the days that are over."""
        with self._session() as session, session.begin():
            day = day_of(session, begin_of(now, self._hour))
            fresh = picture.carried.since(self._kept or Carried())
            day.deliveries, day.records = day.deliveries + fresh.deliveries, day.records + fresh.records
            day.timed, day.late = day.timed + fresh.timed, day.late + fresh.late
            day.counted_to = max(day.counted_to, fresh.counted_to)
            day.is_whole = day.is_whole and not fresh.gaps
            _note_worst(day, picture)
            over = select(Day).where(Day.since < day.since, Day.told_at.is_(None)).order_by(Day.since)
            for past in session.scalars(over.with_for_update()):
                self._tell(session, told_of(session, past, past.since + DAY, self._wrong(picture)), now)
                past.told_at = now
        self._kept = picture.carried


def counted_to(session: Session) -> int:
    """The offset of `sync.deliveries` from which on nothing was counted yet."""
    return session.scalar(select(func.max(Day.counted_to))) or 0


def day_of(session: Session, since: datetime) -> Day:
    """The day that began at `since`, made where there is none."""
    found = session.get(Day, since, with_for_update=True)
    if found is None:
        found = Day(
            since=since, deliveries=0, records=0, timed=0, late=0, longest=None, is_whole=True, counted_to=0,
            worst_seconds=None, worst_group=None, worst_at=None, told_at=None,
        )  # fmt: skip
        session.add(found)
    return found


def told_of(session: Session, day: Day, until: datetime, wrong: Iterable[Cause]) -> dict[str, Any]:
    """The summary of a day up to `until`; what waits and what has failed is that of now."""
    seconds = max(1.0, (until - day.since).total_seconds())
    found = list(wrong)
    waiting = {one.subject: int(one.evidence["rows"]) for one in found if one.rule == "rows-wait"}
    return {
        "since": day.since.isoformat(),
        "until": until.isoformat(),
        "is_whole": day.is_whole,
        "deliveries": day.deliveries,
        "records": day.records,
        "records_per_second": round(day.records / seconds, 3),
        "within_a_minute": round(1 - day.late / day.timed, 4) if day.timed else None,
        "longest_seconds": day.longest,
        "alerts": {
            "opened": _count(session, Alert.opened_at >= day.since, Alert.opened_at < until),
            "solved": _count(
                session, Alert.state == State.CLOSED, Alert.changed_at >= day.since, Alert.changed_at < until
            ),
            "open": _count(session, Alert.state != State.CLOSED),
        },
        "worst_lag": {
            "seconds": day.worst_seconds,
            "group": day.worst_group,
            "at": day.worst_at.isoformat() if day.worst_at else None,
        }
        if day.worst_group
        else None,
        "waiting": waiting,
        "failed_mounts": {
            one.subject: {"en": str(one.text), "zh": one.text.zh} for one in found if one.rule in _MOUNTS
        },
    }


def words(told: Mapping[str, Any]) -> tuple[Words, Words]:
    """Subject and text of a summary."""
    since, until = (_at_place(told[name]) for name in ("since", "until"))
    subject = Words(f"The exchange up to {until}", f"【每日摘要】截至 {until} 的数据共享运行情况")
    alerts, worst, rate = told["alerts"], told["worst_lag"], f"{told['records_per_second']:,.1f}"
    least = Words("", "") if told["is_whole"] else Words("at least ", "至少 ")
    lines = [
        Words(f"From {since} to {until}", f"{since} 至 {until}"),
        Words(
            f"Deliveries: {least}{told['deliveries']:,}, records: {told['records']:,} ({rate} a second on average)",
            f"交付：{least.zh}{told['deliveries']:,} 批，{told['records']:,} 条记录（平均每秒 {rate} 条）",
        ),
    ]
    if told["within_a_minute"] is not None:
        share = f"{told['within_a_minute']:.2%}"
        lines.append(Words(f"Delivered within a minute: {share}", f"一分钟内送达：{share}"))
    lines += [
        Words(
            f"Alerts: {alerts['opened']} opened, {alerts['solved']} solved, {alerts['open']} open now",
            f"告警：触发 {alerts['opened']} 项，解决 {alerts['solved']} 项，目前未关闭 {alerts['open']} 项",
        ),
        Words("Worst lag: none", "最大延迟：无")
        if worst is None
        else Words(
            f"Worst lag: {worst['seconds']:,.1f} s, {worst['group']}",
            f"最大延迟：{worst['seconds']:,.1f} 秒（{worst['group']}）",
        ),
        _listed(
            Words("Rows in quarantine", "隔离待更正的数据行"), sum(told["waiting"].values()),
            [Words(f"{name}: {rows}", f"{name}：{rows} 行") for name, rows in told["waiting"].items()],
        ),
        _listed(
            Words("Failed mounts", "失败的挂接"), len(told["failed_mounts"]),
            [Words(f"{name}: {why['en']}", f"{name}：{why['zh']}") for name, why in told["failed_mounts"].items()],
        ),
    ]  # fmt: skip
    return subject, Words("\n".join(str(one) for one in lines), "\n".join(one.zh for one in lines))


def _at_place(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(PLACE):%Y-%m-%d %H:%M}"


def _listed(title: Words, count: int, lines: list[Words]) -> Words:
    """A count with what it is made of, the first of them."""
    more = ["…"] if len(lines) > _SHOWN else []
    en = [f"{title}: {count}", *(f"  {one}" for one in lines[:_SHOWN]), *more]
    zh = [f"{title.zh}：{count}", *(f"  {one.zh}" for one in lines[:_SHOWN]), *more]
    return Words("\n".join(en), "\n".join(zh))


def _note_worst(day: Day, picture: Picture) -> None:
    spread = picture.latencies.get(HopName.RELAY_SHARE)
    if spread is not None and spread.max > (day.longest or 0.0):
        day.longest = round(spread.max, 3)
    worst = max(picture.standings, key=lambda one: one.lag.seconds, default=None)
    if worst is not None and worst.lag.seconds > (day.worst_seconds or 0.0):
        day.worst_seconds, day.worst_group = round(worst.lag.seconds, 1), worst.group.name
        day.worst_at = datetime.fromtimestamp(picture.at, UTC)


def _count(session: Session, *conditions: Any) -> int:
    return session.scalar(select(func.count()).select_from(Alert).where(*conditions)) or 0
