"""Drift: what has become of a mounted table, its log and its connector, against contract and catalogue.

A finding that would make delivery wrong stops the mount, one that may is a warning, one that touches no item is a
note. Nothing here knows when it was seen first: `remember` joins what is found now to what was known before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.catalog.domain.envelope import misfits
from services.catalog.domain.mount import Column, Table, item_type_of
from services.catalog.domain.resource import Item, Terms
from services.core.words import Words


class Weight(StrEnum):
    """What a finding does: `stop` ends delivery until it is mended, `warn` asks for somebody, `note` is to know."""

    NOTE = "note"
    WARN = "warn"
    STOP = "stop"


class Condition(StrEnum):
    """How a mount is: its gravest finding."""

    OK = "ok"
    WARN = "warn"
    STOPPED = "stopped"


class Kind(StrEnum):
    TABLE_GONE = "table_gone"
    COLUMN_GONE = "column_gone"
    COLUMN_RENAMED = "column_renamed"
    COLUMN_RETYPED = "column_retyped"
    COLUMN_NULLABLE = "column_nullable"
    COLUMN_NEW = "column_new"
    KEY_CHANGED = "key_changed"
    IDENTITY_NOT_FULL = "identity_not_full"
    PUBLICATION_GONE = "publication_gone"
    SLOT_GONE = "slot_gone"
    PUBLICATION_REMADE = "publication_remade"
    SLOT_REMADE = "slot_remade"
    SLOT_LOST = "slot_lost"
    LOG_RETAINED = "log_retained"
    CONNECTOR_FAILED = "connector_failed"
    CONNECTOR_GONE = "connector_gone"
    SOURCE_UNREACHABLE = "source_unreachable"
    TOPIC_GONE = "topic_gone"
    USER_GONE = "user_gone"
    SCHEMA_UNFIT = "schema_unfit"
    UPSTREAM_FAILED = "upstream_failed"
    ROWS_UNFIT = "rows_unfit"
    INPUT_ENDED = "input_ended"
    INPUT_STRICTER = "input_stricter"
    VIEW_FAILED = "view_failed"


# What a look at the source tells; without one, these stay as they were.
OF_THE_SOURCE = frozenset(Kind) - {Kind.CONNECTOR_FAILED, Kind.CONNECTOR_GONE, Kind.SOURCE_UNREACHABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be: `object` names it, `items` are the information items it touches."""

    kind: Kind
    object: str
    weight: Weight
    words: Words
    items: tuple[str, ...] = ()
    since: datetime | None = None
    last_seen: datetime | None = None

    @property
    def identity(self) -> tuple[Kind, str]:
        return self.kind, self.object


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A replication slot: `retained_bytes` of log are kept for it; `lost` says that the server has given some up.

    `decoded` counts the transactions that were decoded for it since it was made, or since the server lost its counts
    (`counted_since`: a crash throws them away); None where the server does not tell.
    """

    retained_bytes: int
    lost: bool = False
    decoded: int | None = None
    counted_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look at the source found; `table` is None where there is none, `published` whether its changes are.

    `publication` is the publication's oid: one that was dropped and made again has another.
    """

    table: Table | None
    published: bool
    slot: Slot | None
    publication: int | None = None

    @property
    def log(self) -> Log:
        """By what the next look knows publication and slot again."""
        if self.slot is None:
            return Log(publication=self.publication)
        return Log(publication=self.publication, decoded=self.slot.decoded, counted_since=self.slot.counted_since)


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """By what publication and slot are known again: oid, and transactions decoded so far. None: not known yet."""

    publication: int | None = None
    decoded: int | None = None
    counted_since: datetime | None = None


Baseline = Mapping[str, Column]


def compare(
    terms: Terms, where: str, slot: str, baseline: Baseline, seen: Seen, *, retained_limit: int, log: Log
) -> list[Finding]:
    """What of a table, its publication and its slot is not as contract and catalogue have it.

    `baseline` holds the columns as they were when the version in force was published or mounted, `log` what publication
    and slot were at the last look, `retained_limit` is in bytes.
    """
    found = [*_of_log(where, slot, seen, retained_limit), *_remade(slot, seen, log)]
    if seen.table is None:
        words = Words(f"table {where} is gone", f"表 {where} 已不存在")
        items = tuple(item.name for item in terms.items)
        return [Finding(kind=Kind.TABLE_GONE, object=where, weight=Weight.STOP, words=words, items=items), *found]
    return [*_of_columns(terms.items, where, baseline, seen.table), *_of_table(terms, where, seen.table), *found]


def _of_columns(items: Sequence[Item], where: str, baseline: Baseline, table: Table) -> list[Finding]:
    found: list[Finding] = []
    by_number = {column.number: column for column in table.columns.values() if column.number}
    by_column = {item.column: item for item in items}
    renamed: set[str] = set()
    for name in dict.fromkeys([*baseline, *by_column]):
        item, before, now = by_column.get(name), baseline.get(name), table.columns.get(name)
        if now is None:
            other = by_number.get(before.number) if before and before.number else None
            if other and other.name not in baseline:
                renamed.add(other.name)
            found.append(_gone(f"{where}.{name}", item, other))
        elif item is not None and item_type_of(now.type) is not item.type:
            words = Words(
                f"{where}.{name} is {now.type} now, which does not fit item {item.name} ({item.type.value})",
                f"{where}.{name} 的类型现为 {now.type}，与信息项“{item.title}”（{item.type.value}）不符",
            )
            found.append(_finding(Kind.COLUMN_RETYPED, f"{where}.{name}", Weight.STOP, words, item))
        elif before is not None and before.type != now.type:
            words = Words(
                f"{where}.{name} was {before.type} and is {now.type} now",
                f"{where}.{name} 的类型由 {before.type} 改为 {now.type}",
            )
            weight = Weight.NOTE if item else Weight.WARN
            found.append(_finding(Kind.COLUMN_RETYPED, f"{where}.{name}", weight, words, item))
        loosened = now is not None and now.nullable and not (before is not None and before.nullable)
        if item is not None and not item.nullable and loosened:
            words = Words(
                f"{where}.{name} may hold NULL now, but item {item.name} must be there",
                f"{where}.{name} 现允许为空，而信息项“{item.title}”必填",
            )
            found.append(_finding(Kind.COLUMN_NULLABLE, f"{where}.{name}", Weight.WARN, words, item))
    for name in table.columns:
        if baseline and name not in baseline and name not in renamed and name not in by_column:
            words = Words(f"{where}.{name} is new, and no item", f"{where} 新增字段 {name}，尚未编目")
            found.append(_finding(Kind.COLUMN_NEW, f"{where}.{name}", Weight.NOTE, words, None))
    return found


def _gone(column: str, item: Item | None, other: Column | None) -> Finding:
    weight = Weight.STOP if item else Weight.WARN
    en, zh = (f", which item {item.name} needs", f"，信息项“{item.title}”依赖它") if item else ("", "")
    if other is not None:
        words = Words(f"{column} is called {other.name} now{en}", f"{column} 已改名为 {other.name}{zh}")
        return _finding(Kind.COLUMN_RENAMED, column, weight, words, item)
    words = Words(f"{column} is gone{en}", f"{column} 已不存在{zh}")
    return _finding(Kind.COLUMN_GONE, column, weight, words, item)


def _finding(kind: Kind, object_: str, weight: Weight, words: Words, item: Item | None) -> Finding:
    return Finding(kind=kind, object=object_, weight=weight, words=words, items=(item.name,) if item else ())


def _of_table(terms: Terms, where: str, table: Table) -> list[Finding]:
    found: list[Finding] = []
    keys = {item.column: item.name for item in terms.items if item.key}
    if table.key != keys.keys():
        words = Words(
            f"the primary key of {where} is ({', '.join(sorted(table.key)) or 'none'}) now, "
            f"the key items are ({', '.join(sorted(keys))})",
            f"{where} 的主键现为（{'、'.join(sorted(table.key)) or '无'}），主键信息项是（{'、'.join(sorted(keys))}）",
        )
        items = tuple(sorted(keys.values()))
        found.append(Finding(kind=Kind.KEY_CHANGED, object=where, weight=Weight.STOP, words=words, items=items))
    if not table.full_replica_identity:
        statement = f'ALTER TABLE "{table.schema}"."{table.name}" REPLICA IDENTITY FULL'
        words = Words(
            f"{where} does not log whole rows any more: a row that leaves a grant's filter would stay with its "
            f"consumer; its owner runs: {statement}",
            f"{where} 的变更日志不再含整行，移出授权范围的行将无法从使用方删除；请表的属主执行：{statement}",
        )
        items = tuple(item.name for item in terms.items)
        found.append(Finding(kind=Kind.IDENTITY_NOT_FULL, object=where, weight=Weight.STOP, words=words, items=items))
    return found


def _of_log(where: str, slot: str, seen: Seen, limit: int) -> list[Finding]:
    found: list[Finding] = []
    if seen.table is not None and not seen.published:
        words = Words(
            f"publication {slot} is gone or does not hold {where}: changes made meanwhile are not in the stream",
            f"发布 {slot} 已不存在或不含 {where}，其间的变更不在变更流中",
        )
        found.append(Finding(kind=Kind.PUBLICATION_GONE, object=slot, weight=Weight.WARN, words=words))
    if seen.slot is None:
        words = Words(
            f"replication slot {slot} is gone: changes made meanwhile are not in the stream",
            f"复制槽 {slot} 已不存在，其间的变更不在变更流中",
        )
        found.append(Finding(kind=Kind.SLOT_GONE, object=slot, weight=Weight.WARN, words=words))
    elif seen.slot.lost:
        words = Words(
            f"the source has given up log that slot {slot} needs: unmount the resource and mount it again",
            f"数据库已清除复制槽 {slot} 所需的日志：请解除挂接后重新挂接",
        )
        found.append(Finding(kind=Kind.SLOT_LOST, object=slot, weight=Weight.WARN, words=words))
    elif seen.slot.retained_bytes > limit:
        words = Words(
            f"the source keeps more than {limit >> 20} MiB of log for slot {slot}",
            f"数据库为复制槽 {slot} 保留的日志超过 {limit >> 20} MiB",
        )
        found.append(Finding(kind=Kind.LOG_RETAINED, object=slot, weight=Weight.WARN, words=words))
    return found


def _remade(slot: str, seen: Seen, log: Log) -> list[Finding]:
    """What is there, but is not what was there before: between the two no change was in the stream.

    A slot is known again by a count that only grows, as long as the server has not lost its counts.
    """
    found: list[Finding] = []
    if None not in (seen.publication, log.publication) and seen.publication != log.publication:
        words = Words(
            f"publication {slot} was dropped and made again: changes made in between are not in the stream, and all "
            "rows are read again",
            f"发布 {slot} 曾被删除并重建，其间的变更不在变更流中，全部数据将重新读取",
        )
        found.append(Finding(kind=Kind.PUBLICATION_REMADE, object=slot, weight=Weight.WARN, words=words))
    decoded, counts_on = seen.log.decoded, seen.log.counted_since == log.counted_since
    if counts_on and decoded is not None and log.decoded is not None and decoded < log.decoded:
        words = Words(
            f"replication slot {slot} was dropped and made again: changes made in between are not in the stream, and "
            "all rows are read again",
            f"复制槽 {slot} 曾被删除并重建，其间的变更不在变更流中，全部数据将重新读取",
        )
        found.append(Finding(kind=Kind.SLOT_REMADE, object=slot, weight=Weight.WARN, words=words))
    return found


def of_topic(
    terms: Terms,
    topic: str,
    user: str | None,
    topics: Collection[str],
    users: Collection[str],
    latest: Mapping[str, Any] | None,
) -> list[Finding]:
    """What of a topic that is filled from outside is not as it should be; all of it warns, nothing stops.

    `user` writes it (None where the exchange does), `latest` is the schema registered last for its values, whoever
    registered it. A change that does not fit goes to quarantine by itself, so there is no need to hold up the others.
    """
    found: list[Finding] = []
    if topic not in topics:
        words = Words(f"change topic {topic} is gone", f"变更主题 {topic} 已不存在")
        found.append(Finding(kind=Kind.TOPIC_GONE, object=topic, weight=Weight.WARN, words=words))
    if user is not None and user not in users:
        words = Words(
            f"broker user {user} is gone: issue new credentials", f"消息系统用户 {user} 已不存在，请重新签发凭据"
        )
        found.append(Finding(kind=Kind.USER_GONE, object=user, weight=Weight.WARN, words=words))
    for one in misfits(terms, latest):
        where = f"{topic}.{one.item}" if one.item else topic
        items = (one.item,) if one.item else ()
        found.append(Finding(kind=Kind.SCHEMA_UNFIT, object=where, weight=Weight.WARN, words=one.words, items=items))
    return found


def of_upstream(endpoint: str, failure: Mapping[str, str] | None) -> list[Finding]:
    """What became of asking an upstream API last, which answers at `endpoint`; None: all went well.

    It warns: what is held stays as it was, and the API is asked again.
    """
    if failure is None:
        return []
    words = Words(f"{endpoint}: {failure['en']}", f"{endpoint}：{failure['zh']}")
    return [Finding(kind=Kind(failure["kind"]), object=endpoint, weight=Weight.WARN, words=words)]


def of_product(resource: str, failure: Mapping[str, str] | None) -> list[Finding]:
    """What became of evaluating a data product's view last; None: all went well.

    What may no longer be passed on stops it; else what is held stays as it was, and the view is evaluated again.
    """
    if failure is None:
        return []
    kind = Kind(failure["kind"])
    weight = Weight.STOP if kind in (Kind.INPUT_ENDED, Kind.INPUT_STRICTER) else Weight.WARN
    return [Finding(kind=kind, object=resource, weight=weight, words=Words(failure["en"], failure["zh"]))]


def condition_of(findings: Sequence[Finding]) -> Condition:
    weights = {one.weight for one in findings}
    if Weight.STOP in weights:
        return Condition.STOPPED
    return Condition.WARN if Weight.WARN in weights else Condition.OK


def remember(known: Sequence[Finding], found: Sequence[Finding], moment: datetime) -> list[Finding]:
    """What is found now, each since when it is known; `moment` is when it was seen."""
    since = {one.identity: one.since for one in known}
    return [replace(one, since=since.get(one.identity) or moment, last_seen=moment) for one in found]


def kept(known: Sequence[Finding]) -> list[Finding]:
    """What is still believed of the source while it cannot be looked at."""
    return [one for one in known if one.kind in OF_THE_SOURCE]


class Told(StrEnum):
    """What the others are told of a change of findings."""

    DRIFTED = "mount_drifted"
    RESTORED = "mount_restored"


def told(known: Sequence[Finding], found: Sequence[Finding]) -> Told | None:
    """What to tell when `found` follows `known`; None when nothing has changed that others must know.

    Something new, or something graver, is told as drift; that nothing is left to warn of, once, as restored.
    """
    before = {one.identity: one.weight for one in known}
    if any(before.get(one.identity) is not one.weight for one in found):
        return Told.DRIFTED
    if condition_of(found) is Condition.OK and condition_of(known) is not Condition.OK:
        return Told.RESTORED
    return Told.DRIFTED if condition_of(found) is not condition_of(known) else None


def record_of(finding: Finding) -> dict[str, object]:
    """A finding as it is kept."""
    return {
        "kind": finding.kind.value,
        "object": finding.object,
        "weight": finding.weight.value,
        "en": str(finding.words),
        "zh": finding.words.zh,
        "items": list(finding.items),
        "since": finding.since.isoformat() if finding.since else None,
        "last_seen": finding.last_seen.isoformat() if finding.last_seen else None,
    }


def finding_of(record: Mapping[str, object]) -> Finding:
    """The finding of its record."""

    def moment(name: str) -> datetime | None:
        value = record.get(name)
        return datetime.fromisoformat(str(value)) if value else None

    items = record["items"]
    return Finding(
        kind=Kind(str(record["kind"])),
        object=str(record["object"]),
        weight=Weight(str(record["weight"])),
        words=Words(str(record["en"]), str(record["zh"])),
        items=tuple(str(item) for item in items) if isinstance(items, list) else (),
        since=moment("since"),
        last_seen=moment("last_seen"),
    )
