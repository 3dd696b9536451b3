"""Lag: how far a group is behind in a partition, how it is judged, where it tends and when it will be over.

A partition is judged over a sliding window of samples by the rules of Burrow (linkedin/Burrow, wiki "Consumer Lag
Evaluation Rules" and core/internal/evaluator/caching.go), which need no threshold of records. Two things are ours.
Burrow sees each commit and its time, an observer of offsets does not: whether nobody commits (STOP) or somebody
commits the same again (STALL) is told by whether the group has members. And a lag that is always there, but never
older than `Rules.fresh_seconds`, is that of a group that keeps up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import median

from services.core.words import Words


class Status(StrEnum):
    """How a group does; in the order of severity."""

    OK = "OK"
    WARN = "WARN"
    STALL = "STALL"
    STOP = "STOP"
    ERR = "ERR"

    @property
    def severity(self) -> int:
        return list(Status).index(self)


class Trend(StrEnum):
    GROWING = "growing"
    SHRINKING = "shrinking"
    STEADY = "steady"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How long the window is, and up to which age a lag is not worth a warning; in seconds."""

    window_seconds: float = 60.0
    fresh_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A partition at the time `at` (seconds): what a group has committed (None: nothing), the last stable offset, and
    how many offsets are left between them; 0 where nothing is left that a consumer would be given."""

    at: float
    committed: int | None
    end: int
    lag: int


@dataclass(frozen=True, slots=True)
class Verdict:
    status: Status
    reason: Words


@dataclass(frozen=True, slots=True)
class Estimate:
    """Rates in offsets a second; `eta_seconds` is the time to clear: 0 when clear, None when not at this rate."""

    trend: Trend
    consumed_rate: float
    produced_rate: float
    eta_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLag:
    """One partition as it stands; `seconds` is how long the oldest record not yet committed has waited."""

    topic: str
    partition: int
    committed: int | None
    begin: int
    end: int
    records: int
    seconds: float
    exact: bool
    member: str | None
    verdict: Verdict
    estimate: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLag:
    """A group as its worst partition makes it."""

    verdict: Verdict
    records: int
    seconds: float
    exact: bool
    estimate: Estimate
    skew: float


# -- the rules -------------------------------------------------------------------------------------------------------


def judge(samples: Sequence[Sample], *, members: bool, waited: float, has_leader: bool, rules: Rules) -> Verdict:
    """How a group does in a partition.

    `samples` are those of the window, oldest first, at least one; `waited` is how long the oldest record has waited.
    """
    last = samples[-1]
    if not has_leader:
        return Verdict(Status.ERR, Words("The partition has no leader.", "该分区没有主副本。"))
    if _span(samples) >= rules.window_seconds * 0.9 and all((one.committed or 0) > one.end for one in samples):
        return Verdict(
            Status.ERR,
            Words(
                f"The committed offset {last.committed} lies beyond the topic's end {last.end}: it was made anew.",
                f"已提交位点 {last.committed} 超出主题末尾 {last.end}：主题可能被重建。",
            ),
        )
    if last.lag == 0:
        return Verdict(Status.OK, Words("All is read.", "已全部读取。"))
    if last.committed is None:
        return _never_committed(last, members=members, waited=waited, rules=rules)
    if (back := _went_back(samples)) is not None:
        before, after = back
        return Verdict(
            Status.ERR,
            Words(
                f"The committed offset went back from {before} to {after}: records are read a second time.",
                f"已提交位点由 {before} 回退到 {after}，数据正在被重复读取。",
            ),
        )
    if any(one.lag == 0 for one in samples):
        return Verdict(Status.OK, Words("It reads on; all was read just now.", "正在读取，刚才已读完。"))
    if not _moved(samples):
        return _stands_still(samples, members=members, waited=waited, rules=rules)
    if waited > rules.fresh_seconds and _never_shrinks(_at_commits(samples)):
        return Verdict(
            Status.WARN,
            Words(
                f"It reads on, but is not catching up: the lag has not shrunk for {_spell(_span(samples))}.",
                f"正在读取，但没有追上：积压已有 {_spell_zh(_span(samples))}没有减少。",
            ),
        )
    return Verdict(Status.OK, Words("It reads on.", "正在读取。"))


def _never_committed(last: Sample, *, members: bool, waited: float, rules: Rules) -> Verdict:
    if waited < rules.window_seconds:
        return Verdict(Status.OK, Words("It has not committed yet.", "尚未提交位点。"))
    if members:
        reason = Words(
            f"It is connected and has never committed an offset: {last.lag} records wait.",
            f"客户端已连接，但从未提交位点：有 {last.lag} 条等待读取。",
        )
    else:
        reason = Words(f"It has never committed an offset: {last.lag} records wait.",
                       f"从未提交位点：有 {last.lag} 条等待读取。")  # fmt: skip
    return Verdict(Status.ERR, reason)


def _stands_still(samples: Sequence[Sample], *, members: bool, waited: float, rules: Rules) -> Verdict:
    # what is not read yet may be so new that nobody had time for it
    if _span(samples) < rules.window_seconds * 0.9 and (members or waited < rules.window_seconds):
        return Verdict(Status.OK, Words("It has not been watched for long enough.", "观察时间尚短，暂不判断。"))
    records, age, age_zh = samples[-1].lag, _spell(waited), _spell_zh(waited)
    if members:
        return Verdict(
            Status.STALL,
            Words(
                f"A client is connected, but its offset does not move: {records} records wait, the oldest for {age}.",
                f"客户端已连接，但位点不再前进：有 {records} 条等待读取，最久的已等待 {age_zh}。",
            ),
        )
    return Verdict(
        Status.STOP,
        Words(
            f"Nobody reads: no client is connected, {records} records wait, the oldest for {age}.",
            f"已停止读取：没有客户端连接，有 {records} 条等待读取，最久的已等待 {age_zh}。",
        ),
    )


def _went_back(samples: Sequence[Sample]) -> tuple[int, int] | None:
    """Where the committed offset went back, unless the group has been there again since."""
    highest, lowest_after = -1, -1
    for one in samples:
        if one.committed is None:
            continue
        if one.committed >= highest:
            highest, lowest_after = one.committed, -1
        elif lowest_after < 0:
            lowest_after = one.committed
    return (highest, lowest_after) if lowest_after >= 0 else None


def _moved(samples: Sequence[Sample]) -> bool:
    return len({one.committed for one in samples}) > 1


def _at_commits(samples: Sequence[Sample]) -> list[Sample]:
    """The samples in which a commit shows. Between commits a lag only grows, whatever its group does."""
    found = [later for earlier, later in pairwise(samples) if later.committed != earlier.committed]
    # who has not committed since is behind by what came in meanwhile, too
    return found if not found or found[-1] is samples[-1] else [*found, samples[-1]]


def _never_shrinks(samples: Sequence[Sample]) -> bool:
    """Whether no lag of the second half is below one of the first; a wobble between two commits is no progress."""
    if len(samples) < 4:
        return False
    half = len(samples) // 2
    return min(one.lag for one in samples[half:]) >= max(one.lag for one in samples[:half])


def _span(samples: Sequence[Sample]) -> float:
    return samples[-1].at - samples[0].at


# -- estimates -------------------------------------------------------------------------------------------------------


def estimate(samples: Sequence[Sample]) -> Estimate:
    """Trend, rates and time to clear of a partition from the samples of the window, oldest first, at least one."""
    last = samples[-1]
    consumed, produced = _consumed_rate(samples), _produced_rate(samples)
    # whoever had read all a moment ago has only to read what came since
    incoming = 0.0 if any(one.lag == 0 for one in samples) else produced
    return Estimate(_trend(samples), consumed, produced, _eta(last.lag, consumed - incoming))


def _eta(lag: int, rate: float) -> float | None:
    if lag == 0:
        return 0.0
    return lag / rate if rate > 0 else None


def _produced_rate(samples: Sequence[Sample]) -> float:
    span = _span(samples)
    return max(0, samples[-1].end - samples[0].end) / span if span > 0 else 0.0


def _consumed_rate(samples: Sequence[Sample]) -> float:
    """How fast the committed offset moves: from commit to commit, so that a stand before the first does not count.

    A stand after the last commit counts as far as it is longer than usual between two.
    """
    known = [one for one in samples if one.committed is not None]
    commits = [later for earlier, later in pairwise(known) if later.committed != earlier.committed]
    if not commits:
        return 0.0
    if len(commits) == 1:
        begin, end = known[0], commits[0]
        seconds = known[-1].at - begin.at
    else:
        begin, end = commits[0], commits[-1]
        usual = (end.at - begin.at) / (len(commits) - 1)
        seconds = max(end.at, known[-1].at - usual) - begin.at
    moved = (end.committed or 0) - (begin.committed or 0)
    return max(0, moved) / seconds if seconds > 0 else 0.0


def _trend(samples: Sequence[Sample]) -> Trend:
    """By the middle of the first and of the last third of the window, so that single samples do not decide."""
    if len(samples) < 2:
        return Trend.STEADY
    third = max(1, len(samples) // 3)
    before, after = (median(one.lag for one in some) for some in (samples[:third], samples[-third:]))
    change, least = after - before, max(1.0, 0.02 * max(before, after))
    if samples[-1].lag == 0:
        return Trend.SHRINKING if before > 0 else Trend.STEADY
    if abs(change) < least:
        return Trend.STEADY
    return Trend.GROWING if change > 0 else Trend.SHRINKING


# -- a group ---------------------------------------------------------------------------------------------------------


def of_group(partitions: Sequence[PartitionLag]) -> GroupLag:
    """A group, from its partitions (at least one): as bad as the worst, clear when the slowest is."""
    worst = max(partitions, key=lambda one: (one.verdict.status.severity, one.seconds, one.records))
    oldest = max(partitions, key=lambda one: one.seconds)
    records = sum(one.records for one in partitions)
    return GroupLag(
        verdict=worst.verdict,
        records=records,
        seconds=oldest.seconds,
        exact=oldest.exact,
        estimate=Estimate(
            _trend_of(partitions),
            sum(one.estimate.consumed_rate for one in partitions),
            sum(one.estimate.produced_rate for one in partitions),
            _slowest(one.estimate.eta_seconds for one in partitions),
        ),
        skew=max(one.records for one in partitions) * len(partitions) / records if records else 1.0,
    )


def _trend_of(partitions: Sequence[PartitionLag]) -> Trend:
    """Of the partition with most to read among those whose lag changes."""
    moving = [one for one in partitions if one.estimate.trend is not Trend.STEADY]
    return max(moving, key=lambda one: one.records).estimate.trend if moving else Trend.STEADY


def _slowest(times: Iterable[float | None]) -> float | None:
    slowest = 0.0
    for one in times:
        if one is None:
            return None
        slowest = max(slowest, one)
    return slowest


# -- words -----------------------------------------------------------------------------------------------------------


def _spell(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.0f} h"


def _spell_zh(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} 秒"
    return f"{seconds / 60:.0f} 分钟" if seconds < 7_200 else f"{seconds / 3_600:.0f} 小时"
