"""The forms in which the watch answers, and how they are made from a picture."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from services.core.words import Words
from services.watch.domain.book import Standing
from services.watch.domain.flow import BOUNDS, Spread
from services.watch.domain.hops import TITLES, Hop, HopName, Row, hop, of_connector
from services.watch.domain.lag import PartitionLag, Status, Trend
from services.watch.room import Sight

_REASON = {"zh": "正在读取。", "en": "It reads on."}
_GROUP: dict[str, Any] = {
    "group": "civil_affairs.my-program",
    "department": "civil_affairs",
    "state": "STABLE",
    "kind": "consumer",
    "members": 1,
    "topics": ["share.civil_affairs.9f2c01d4be7a"],
    "resources": ["population"],
    "status": "OK",
    "reason": _REASON,
    "records": 120,
    "seconds": 1.8,
    "exact": True,
    "trend": "shrinking",
    "consumed_rate": 140.0,
    "produced_rate": 100.0,
    "eta_seconds": 3.0,
    "skew": 1.0,
    "partitions": 1,
}
_PART: dict[str, Any] = {
    "topic": "share.civil_affairs.9f2c01d4be7a",
    "partition": 0,
    "committed": 880,
    "begin": 0,
    "end": 1000,
    "records": 120,
    "seconds": 1.8,
    "exact": True,
    "status": "OK",
    "reason": _REASON,
    "trend": "shrinking",
    "consumed_rate": 140.0,
    "produced_rate": 100.0,
    "eta_seconds": 3.0,
    "member": "my-program-1",
}
_POINT: dict[str, Any] = {
    "at": "2026-06-30T08:00:00Z",
    "records": 120,
    "seconds": 1.8,
    "committed": 880,
    "produced": 1000,
}

Status_ = Annotated[Status, Field(description="By Burrow's rules over a sliding window; ERR is the worst.")]
Rate = Annotated[float, Field(description="Records a second, over the window.")]
Seconds = Annotated[float, Field(description="How long the oldest record not yet committed has waited.")]
Records = Annotated[int, Field(description="Offsets from the committed to the last stable one; 0: all was read.")]
Exact = Annotated[bool, Field(description="Whether `seconds` is by the record's own timestamp; else by samples.")]
Eta = Annotated[float | None, Field(description="Seconds until all is read: the slowest partition's. Null: never so.")]


class Text(BaseModel):
    """The same in both languages."""

    zh: str
    en: str


class Lag(BaseModel):
    """What is said of a group and of a partition alike."""

    records: Records
    seconds: Seconds
    exact: Exact
    status: Status_
    reason: Text
    trend: Trend
    consumed_rate: Rate
    produced_rate: Rate
    eta_seconds: Eta


class GroupOut(Lag):
    """A group; `department` is null for the exchange's own."""

    model_config = ConfigDict(json_schema_extra={"example": _GROUP})

    group: str
    department: str | None
    state: str
    kind: Annotated[str, Field(description="`consumer`, `classic`; `table`: a grant's table, by its receipts.")]
    members: int
    topics: list[str]
    resources: list[str]
    skew: Annotated[float, Field(description="The worst partition's share of the lag, times partitions; 1: even.")]
    partitions: int


class PartOut(Lag):
    """A partition as a group has read it."""

    model_config = ConfigDict(json_schema_extra={"example": _PART})

    topic: str
    partition: int
    committed: int | None
    begin: int
    end: Annotated[int, Field(description="The last stable offset.")]
    member: Annotated[str | None, Field(description="The client that reads it just now.")]


class PointOut(BaseModel):
    """A point of a curve; `committed` and `produced` are sums of offsets over the partitions."""

    at: datetime
    records: int
    seconds: float
    committed: int
    produced: int


class GroupsOut(BaseModel):
    """All groups, worst first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "measured_at": "2026-06-30T08:00:00Z", "sample_seconds": 3.0, "window_seconds": 60.0, "complete": True,
                "items": [_GROUP], "next": None,
            }
        }
    )  # fmt: skip

    measured_at: datetime
    sample_seconds: float
    window_seconds: float
    complete: Annotated[bool, Field(description="Whether a whole window has been watched; before, little is judged.")]
    items: list[GroupOut]
    next: None = None


class GroupDetailOut(GroupOut):
    """A group with its partitions and its curve over two hours, oldest first."""

    model_config = ConfigDict(json_schema_extra={"example": {**_GROUP, "parts": [_PART], "curve": [_POINT]}})

    parts: list[PartOut]
    curve: list[PointOut]


class ReaderOut(BaseModel):
    group: str
    status: Status_
    records: Records
    seconds: Seconds


class TopicOut(BaseModel):
    """A topic with its readers."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "topic": "share.civil_affairs.9f2c01d4be7a", "kind": "share", "department": "civil_affairs",
                "resource": "population", "grant": "9f2c01d4be7a", "partitions": 1, "records": 1000,
                "produced_rate": 12.0, "last_record_at": "2026-06-30T08:00:00Z",
                "groups": [{"group": "civil_affairs.my-program", "status": "OK", "records": 0, "seconds": 0.0}],
            }
        }
    )  # fmt: skip

    topic: str
    kind: str
    department: str | None
    resource: str | None
    grant: str | None
    partitions: int
    records: Annotated[int, Field(description="Offsets from beginning to end: at most as many records.")]
    produced_rate: Annotated[float, Field(description="Records a second, over the last minute.")]
    last_record_at: Annotated[datetime | None, Field(description="When it grew last, as far as it was watched.")]
    groups: list[ReaderOut]


class TopicsOut(BaseModel):
    measured_at: datetime
    items: list[TopicOut]
    next: None = None


class SpreadOut(BaseModel):
    """Latencies of the last ten minutes, in seconds; `count` is how many were measured."""

    p50: float
    p95: float
    max: float
    count: int


class BucketOut(BaseModel):
    le: Annotated[float | None, Field(description="Upper bound in seconds; null: none.")]
    count: int


class RowOut(BaseModel):
    """A connector, group or grant of a hop."""

    name: str
    department: str | None
    resource: str | None
    status: Status_
    reason: Text
    records: int | None
    seconds: float | None
    rate: float
    last_at: datetime | None


class HopOut(BaseModel):
    """A hop of the road, as bad as the worst of its rows."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "hop": "relay_share", "title": {"zh": "中继到共享主题", "en": "Relay to share topic"},
                "status": "OK", "reason": {"zh": "随到随送。", "en": "It is delivered as it comes."}, "records": None,
                "seconds": 0.03, "rate": 12.0, "latency": {"p50": 0.02, "p95": 0.04, "max": 0.3, "count": 120},
                "histogram": [{"le": 0.025, "count": 90}, {"le": None, "count": 120}], "rows": [],
            }
        }
    )  # fmt: skip

    hop: HopName
    title: Text
    status: Status_
    reason: Text
    records: int | None
    seconds: float | None
    rate: float
    latency: SpreadOut | None
    histogram: Annotated[list[BucketOut], Field(description="Cumulative; empty where nothing was measured.")]
    rows: list[RowOut]


class HopsOut(BaseModel):
    measured_at: datetime
    items: list[HopOut]


class TaskOut(BaseModel):
    id: int
    state: str
    worker: str
    trace: Annotated[str | None, Field(description="Why it has failed: the innermost cause, in Connect's words.")]


class ConnectorOut(BaseModel):
    """A connector in Connect's words, and what they mean."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "connector": "mount.population", "kind": "source", "resource": "population", "department": "police",
                "state": "RUNNING", "worker": "127.0.0.1:8083",
                "tasks": [{"id": 0, "state": "RUNNING", "worker": "127.0.0.1:8083", "trace": None}],
                "status": "OK", "reason": {"zh": "运行正常。", "en": "It runs."},
                "last_committed_at": "2026-06-30T08:00:00Z",
            }
        }
    )  # fmt: skip

    connector: str
    kind: str
    resource: str | None
    department: str | None
    state: str
    worker: str
    tasks: list[TaskOut]
    status: Status_
    reason: Text
    last_committed_at: Annotated[datetime | None, Field(description="The newest commit of its source that was seen.")]


class ConnectorsOut(BaseModel):
    measured_at: datetime
    reachable: Annotated[bool, Field(description="Whether Connect answered just now; else this is what it said last.")]
    items: list[ConnectorOut]
    next: None = None


# -- from the picture ------------------------------------------------------------------------------------------------


def time_of(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def text_of(words: Words) -> Text:
    return Text(zh=words.zh, en=str(words))


def group_out(sight: Sight, one: Standing) -> GroupOut:
    lag, place = one.lag, sight.place_of(one)
    topics = sorted({part.topic for part in one.partitions})
    resources = {resource for topic in topics if (resource := sight.picture.places.topic(topic).resource)}
    return GroupOut(
        group=one.group.name,
        department=place.department,
        state=one.group.state,
        kind=one.group.kind,
        members=one.group.members,
        topics=topics,
        resources=sorted(resources),
        status=lag.verdict.status,
        reason=text_of(lag.verdict.reason),
        records=lag.records,
        seconds=round(lag.seconds, 3),
        exact=lag.exact,
        trend=lag.estimate.trend,
        consumed_rate=round(lag.estimate.consumed_rate, 3),
        produced_rate=round(lag.estimate.produced_rate, 3),
        eta_seconds=_rounded(lag.estimate.eta_seconds),
        skew=round(lag.skew, 3),
        partitions=len(one.partitions),
    )


def part_out(part: PartitionLag) -> PartOut:
    return PartOut(
        topic=part.topic,
        partition=part.partition,
        committed=part.committed,
        begin=part.begin,
        end=part.end,
        records=part.records,
        seconds=round(part.seconds, 3),
        exact=part.exact,
        status=part.verdict.status,
        reason=text_of(part.verdict.reason),
        trend=part.estimate.trend,
        consumed_rate=round(part.estimate.consumed_rate, 3),
        produced_rate=round(part.estimate.produced_rate, 3),
        eta_seconds=_rounded(part.estimate.eta_seconds),
        member=part.member,
    )


def hops(sight: Sight) -> Iterable[Hop]:
    """The road's hops in their order, over the rows that may be seen. Latencies are of all, and shown to all who may
    see all."""
    rows, latencies = sight.rows(), sight.picture.latencies
    for name in HopName:
        yield hop(name, rows.get(name, ()), latencies.get(name) if sight.sees_all else None)


def hop_out(one: Hop) -> HopOut:
    return HopOut(
        hop=one.name,
        title=text_of(TITLES[one.name]),
        status=one.verdict.status,
        reason=text_of(one.verdict.reason),
        records=one.records,
        seconds=_rounded(one.seconds),
        rate=round(one.rate, 3),
        latency=_spread_out(one.latency),
        histogram=_buckets(one.latency),
        rows=[_row_out(row) for row in one.rows],
    )


def _row_out(row: Row) -> RowOut:
    return RowOut(
        name=row.name,
        department=row.department,
        resource=row.resource,
        status=row.verdict.status,
        reason=text_of(row.verdict.reason),
        records=row.records,
        seconds=_rounded(row.seconds),
        rate=round(row.rate, 3),
        last_at=time_of(row.last_at) if row.last_at is not None else None,
    )


def _spread_out(spread: Spread | None) -> SpreadOut | None:
    if spread is None:
        return None
    return SpreadOut(p50=round(spread.p50, 4), p95=round(spread.p95, 4), max=round(spread.max, 4), count=spread.count)


def _buckets(spread: Spread | None) -> list[BucketOut]:
    if spread is None:
        return []
    return [BucketOut(le=bound, count=count) for bound, count in zip((*BOUNDS, None), spread.buckets, strict=True)]


def connector_out(sight: Sight, name: str) -> ConnectorOut:
    told, place = sight.picture.connectors[name], sight.picture.places.connector(name)
    verdict = of_connector(told.state, [task.state for task in told.tasks], told.failure)
    committed = sight.picture.last_committed.get(name)
    return ConnectorOut(
        connector=name,
        kind=told.kind,
        resource=place.resource,
        department=place.department,
        state=told.state,
        worker=told.worker,
        tasks=[TaskOut(id=one.id, state=one.state, worker=one.worker, trace=one.failure) for one in told.tasks],
        status=verdict.status,
        reason=text_of(verdict.reason),
        last_committed_at=time_of(committed) if committed is not None else None,
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
