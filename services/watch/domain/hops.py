"""The hops of the road, from the source's commit to the department's database, each with what stands behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.core.words import Words
from services.watch.domain.flow import Spread
from services.watch.domain.lag import Status, Verdict


class HopName(StrEnum):
    SOURCE_CDC = "source_cdc"
    CDC_RELAY = "cdc_relay"
    RELAY_SHARE = "relay_share"
    SHARE_CONSUMER = "share_consumer"
    CONSUMER_APPLIED = "consumer_applied"


TITLES = {
    HopName.SOURCE_CDC: Words("Source to change topic", "源库到变更主题"),
    HopName.CDC_RELAY: Words("Change topic to relay", "变更主题到中继"),
    HopName.RELAY_SHARE: Words("Relay to share topic", "中继到共享主题"),
    HopName.SHARE_CONSUMER: Words("Share topic to consumer", "共享主题到使用方"),
    HopName.CONSUMER_APPLIED: Words("Share topic to department's table", "共享主题到部门库表"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One connector, group or grant of a hop; times in seconds, rates in records a second. None: not known."""

    name: str
    department: str | None
    resource: str | None
    verdict: Verdict
    records: int | None
    seconds: float | None
    rate: float
    last_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """A hop as its rows make it: as bad as the worst."""

    name: HopName
    verdict: Verdict
    records: int | None
    seconds: float | None
    rate: float
    latency: Spread | None
    rows: Sequence[Row]


def hop(name: HopName, rows: Iterable[Row], latency: Spread | None) -> Hop:
    """The hop `name` over its rows, worst first."""
    ordered = sorted(
        rows, key=lambda row: (-row.verdict.status.severity, -(row.seconds or 0.0), -(row.records or 0), row.name)
    )
    known = [row.records for row in ordered if row.records is not None]
    waits = [row.seconds for row in ordered if row.seconds is not None]
    verdict = ordered[0].verdict if ordered else Verdict(Status.OK, Words("Nothing passes here.", "此段暂无数据流转。"))
    if len(ordered) > 1 and verdict.status is not Status.OK:
        first = ordered[0]
        verdict = Verdict(
            verdict.status, Words(f"{first.name}: {verdict.reason}", f"{first.name}：{verdict.reason.zh}")
        )
    return Hop(
        name=name,
        verdict=verdict,
        records=sum(known) if known else None,
        seconds=max(waits) if waits else None,
        rate=sum(row.rate for row in ordered),
        latency=latency,
        rows=ordered,
    )


def of_connector(state: str, tasks: Sequence[str], failure: str | None) -> Verdict:
    """How a connector does, by its state and its tasks' in Connect's words."""
    if state == "FAILED" or "FAILED" in tasks:
        why = failure or "without a reason"
        return Verdict(Status.ERR, Words(f"It has failed: {why}", f"连接器失败：{failure or '未给出原因'}"))
    if state in ("PAUSED", "STOPPED"):
        return Verdict(Status.STOP, Words("It was stopped.", "连接器已停止。"))
    if not tasks:
        return Verdict(Status.WARN, Words("It has no task.", "连接器没有任务。"))
    if {state, *tasks} != {"RUNNING"}:
        return Verdict(Status.WARN, Words("It is being started.", "连接器正在启动。"))
    return Verdict(Status.OK, Words("It runs.", "运行正常。"))
