"""Drift: whatever is done to a table, a mount is stopped exactly when its resource could not be mounted there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.catalog.domain.drift import (
    Condition,
    Finding,
    Kind,
    Log,
    Seen,
    Slot,
    Told,
    Weight,
    compare,
    condition_of,
    finding_of,
    kept,
    record_of,
    remember,
    told,
)
from services.catalog.domain.mount import Column, Table, mount_defects
from services.catalog.domain.resource import Grade, Item, ItemType, SharingType, Terms, UpdateCycle
from services.core.words import Words

TYPES = {"text": ItemType.STRING, "bigint": ItemType.INTEGER, "date": ItemType.DATE}
OTHER_TYPES = ("character varying", "integer", "date", "jsonb", "text")
ITEM_COLUMNS = ("id", "name", "born")
LIMIT = 1 << 30
NOW = datetime(2026, 7, 1, tzinfo=UTC)


def _item(name: str, column_type: str) -> Item:
    return Item(
        name=name, title=name, type=TYPES[column_type], column=name, key=name == "id", nullable=name != "id"
    )  # fmt: skip


TERMS = Terms(
    code="r",
    title="r",
    abstract="r",
    department="d",
    sharing_type=SharingType.UNCONDITIONAL,
    grade=Grade.GENERAL,
    update_cycle=UpdateCycle.REAL_TIME,
    items=[_item("id", "text"), _item("name", "text"), _item("born", "date")],
)
BEFORE = Table(
    schema="s",
    name="t",
    columns={
        name: Column(name=name, type=type_, nullable=name != "id", number=number)
        for number, (name, type_) in enumerate(
            {"id": "text", "name": "text", "born": "date", "extra": "bigint", "more": "text"}.items(), 1
        )
    },
    key=frozenset({"id"}),
    full_replica_identity=True,
)
SLOT = Slot(retained_bytes=0, decoded=5)
LOG = Log(publication=7, decoded=5)
SINGLE = st.sampled_from(list(BEFORE.columns))
NEW_NAMES = st.sampled_from(["fresh", "newer", *BEFORE.columns])


@st.composite
def alterations(draw: st.DrawFn) -> Table:
    """BEFORE after some statements of its owner."""
    columns, key, full, number = dict(BEFORE.columns), BEFORE.key, True, len(BEFORE.columns)
    for _ in range(draw(st.integers(0, 5))):
        match draw(st.sampled_from(["drop", "rename", "retype", "add", "key", "identity", "null"])):
            case "drop" if columns:
                name = draw(st.sampled_from(sorted(columns)))
                del columns[name]
                key -= {name}
            case "rename" if columns:
                name, new = draw(st.sampled_from(sorted(columns))), draw(NEW_NAMES)
                if new not in columns:
                    columns[new] = replace(columns.pop(name), name=new)
                    key = frozenset(new if one == name else one for one in key)
            case "retype" if columns:
                name = draw(st.sampled_from(sorted(columns)))
                columns[name] = replace(columns[name], type=draw(st.sampled_from(OTHER_TYPES)))
            case "null" if columns:
                name = draw(st.sampled_from(sorted(columns)))
                columns[name] = replace(columns[name], nullable=not columns[name].nullable)
            case "add":
                name, number = draw(NEW_NAMES), number + 1
                if name not in columns:
                    type_ = draw(st.sampled_from(OTHER_TYPES))
                    columns[name] = Column(name=name, type=type_, nullable=True, number=number)
            case "key" if columns:
                key = frozenset(draw(st.sets(st.sampled_from(sorted(columns)), max_size=2)))
            case "identity":
                full = not full
    return replace(BEFORE, columns=columns, key=key, full_replica_identity=full)


def look(
    table: Table | None, *, published: bool = True, slot: Slot | None = SLOT, publication: int = 7, log: Log = LOG
) -> list[Finding]:
    seen = Seen(table=table, published=published, slot=slot, publication=publication if published else None)
    return compare(TERMS, "s.t", "slot", BEFORE.columns, seen, retained_limit=LIMIT, log=log)


def test_nothing_has_drifted_where_nothing_was_done() -> None:
    assert look(BEFORE) == []


@given(alterations())
def test_a_mount_stops_exactly_when_it_could_not_be_mounted(table: Table) -> None:
    found = look(table)
    assert (condition_of(found) is Condition.STOPPED) == bool(mount_defects(TERMS, table))
    assert len({one.identity for one in found}) == len(found)
    for one in found:
        if one.weight is Weight.STOP:
            assert one.items
        if one.kind is Kind.COLUMN_NEW:
            assert one.items == () and one.weight is not Weight.STOP
    assert (Kind.IDENTITY_NOT_FULL in {one.kind for one in found}) == (not table.full_replica_identity)
    assert [finding_of(record_of(one)) for one in remember([], found, NOW)] == remember([], found, NOW)


@given(st.lists(alterations() | st.none(), min_size=1, max_size=6))
def test_a_change_is_told_once_and_its_mending_once(tables: Sequence[Table | None]) -> None:
    known: list[Finding] = []
    for hours, table in enumerate(tables):
        found = remember(known, look(table), NOW + timedelta(hours=hours))
        news = told(known, found)
        before, after = {one.identity for one in known}, {one.identity for one in found}
        if after - before:
            assert news is Told.DRIFTED
        if not after and condition_of(known) is not Condition.OK:
            assert news is Told.RESTORED
        assert told(found, remember(found, look(table), NOW + timedelta(days=1))) is None
        for one in found:
            earlier = next((old for old in known if old.identity == one.identity), None)
            assert one.since == (earlier.since if earlier else NOW + timedelta(hours=hours))
            assert one.last_seen == NOW + timedelta(hours=hours)
        known = found


def test_each_thing_is_found_and_named() -> None:
    renamed = {name: column for name, column in BEFORE.columns.items() if name != "name"}
    renamed["full_name"] = replace(BEFORE.columns["name"], name="full_name")
    (one,) = look(replace(BEFORE, columns=renamed))
    assert (one.kind, one.object, one.items) == (Kind.COLUMN_RENAMED, "s.t.name", ("name",))
    assert "full_name" in one.words and "full_name" in one.words.zh
    assert [one.kind for one in look(None)] == [Kind.TABLE_GONE]
    assert [one.kind for one in look(BEFORE, published=False)] == [Kind.PUBLICATION_GONE]
    assert [one.kind for one in look(BEFORE, slot=None)] == [Kind.SLOT_GONE]
    assert [one.kind for one in look(BEFORE, slot=Slot(retained_bytes=0, lost=True))] == [Kind.SLOT_LOST]
    assert [one.kind for one in look(BEFORE, slot=Slot(retained_bytes=LIMIT + 1))] == [Kind.LOG_RETAINED]


counts = st.none() | st.integers(0, 3)


@given(counts, counts, counts, counts, st.booleans())
def test_a_log_that_is_another_one_is_noticed(
    oid: int | None, before: int | None, now: int | None, was: int | None, crashed: bool
) -> None:
    since = datetime(2026, 11, 29, tzinfo=UTC)
    slot = Slot(retained_bytes=0, decoded=now, counted_since=since)
    seen = Seen(table=BEFORE, published=True, slot=slot, publication=oid)
    log = Log(publication=before, decoded=was, counted_since=since - timedelta(days=crashed))
    found = {one.kind for one in compare(TERMS, "s.t", "slot", BEFORE.columns, seen, retained_limit=LIMIT, log=log)}
    assert (Kind.PUBLICATION_REMADE in found) == (oid is not None and before is not None and oid != before)
    assert (Kind.SLOT_REMADE in found) == (now is not None and was is not None and now < was and not crashed)
    assert found <= {Kind.PUBLICATION_REMADE, Kind.SLOT_REMADE}


def test_what_is_known_of_a_source_is_kept_while_it_cannot_be_looked_at() -> None:
    failed = Finding(kind=Kind.CONNECTOR_FAILED, object="c", weight=Weight.WARN, words=Words("c fails", "c 失败"))
    known = [*look(None), failed]
    assert [one.kind for one in kept(known)] == [Kind.TABLE_GONE]
