"""The reference engine: what projection means, in plain Python. Every other engine must equal it byte for byte.

Of each change it decides what one grant sees: whether the row is in the grant's sight before and after, the projected
key and the projected row. A row that comes into sight is a create, one that leaves it a delete followed by a
tombstone. A change that touches nothing of what is granted is not delivered: that it happened is not granted either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.core import masks
from services.sync.projection.plan import Column, Plan, Shown
from services.sync.projection.values import UNAVAILABLE

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ROW_OPS = frozenset("crud")


class UnavailableValue(Exception):
    """A large value that the change does not carry and that cannot be had from the row before."""


class UnknownOperation(Exception):
    """An operation that concerns no single row (a truncation), or none that we know."""


@dataclass(frozen=True, slots=True)
class Projected:
    """One record for a share topic: `key` and `value` fit the plan's schemas; a value of None is a tombstone."""

    op: str
    key: dict[str, Any]
    value: dict[str, Any] | None


def committed_at(envelope: Mapping[str, Any]) -> datetime:
    """When the source committed the change (UTC); microseconds where the connector gives them."""
    source = envelope["source"]
    micros = source.get("ts_us")
    return EPOCH + timedelta(microseconds=micros if micros is not None else source["ts_ms"] * 1_000)


def position(envelope: Mapping[str, Any]) -> str:
    """Where the change stands in its source's log, as text that sorts as positions do."""
    return f"{envelope['source'].get('lsn') or envelope['source'].get('position') or 0:016x}"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a change beside what it says.

    `held` says whether the consumer has the row from before, where that does not follow from the row before; with
    `unsure` it may lack it. A row that is `hidden` counts as out of sight.
    """

    held: bool | None = None
    unsure: bool = False
    hidden: bool = False


NOTHING_MORE = Known()


def project(
    plan: Plan, envelope: Mapping[str, Any], *, catching_up: bool = False, known: Known = NOTHING_MORE
) -> Iterator[Projected]:
    """What the plan's grant sees of a decoded change, in order of delivery.

    `catching_up` reads changes that may have been compacted: every row in sight is then delivered, as a read, and one
    that left it because divisions have changed as deleted.
    Raises WrongType, UnavailableValue, UnknownOperation, and KeyError when the envelope lacks a part.
    """
    op, before, after = envelope["op"], envelope["before"], envelope["after"]
    if op not in _ROW_OPS:
        raise UnknownOperation(f"operation {op!r} is not the change of one row")
    if (op == "d") != (after is None) or (op == "d" and before is None):
        # taken for nothing in sight, it would leave consumers a row that is gone, or one that is out of date
        raise UnknownOperation(f"operation {op!r} with the rows of another")
    was_seen = (before is not None and sees(plan, before)) if known.held is None else known.held
    is_seen = after is not None and not known.hidden and sees(plan, after, before)
    if is_seen:
        if catching_up or op == "r":
            seen_as = "r"
        elif not was_seen:
            seen_as = "c"
        elif known.held is None and not known.unsure and _same(plan, before, after):
            return
        else:
            seen_as = "u"
        yield Projected(seen_as, _key(plan, after), _change(plan, envelope, seen_as, _row(plan, after, before)))
    elif was_seen or (catching_up and after is not None and _was_within(plan, after)):
        key = _key(plan, before if before is not None else after)
        yield Projected("d", key, _change(plan, envelope, "d", None))
        yield Projected("tombstone", key, None)


def read(column: Column, row: Mapping[str, Any], before: Mapping[str, Any] | None) -> Any:
    """The value of a column, None where there is none; taken from the row before where an update did not touch it.

    Raises WrongType and UnavailableValue.
    """
    value = row[column.column]
    if value == UNAVAILABLE:
        value = before[column.column] if before is not None else UNAVAILABLE
        if value == UNAVAILABLE:
            raise UnavailableValue(f"the value of {column.item!r} is not in the change")
    return None if value is None else column.read(value)


def sees(plan: Plan, row: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> bool:
    """Whether the row is in the grant's sight; raises as `read`."""
    if plan.row_filter is None:
        return True
    return plan.row_filter.matches({column.item: read(column, row, before) for column in plan.filtered})


def _was_within(plan: Plan, row: Mapping[str, Any]) -> bool:
    """Whether the row was in the grant's sight while divisions were others."""
    items = {column.item: read(column, row, None) for column in plan.filtered} if plan.filters_before else {}
    return any(one.matches(items) for one in plan.filters_before)


def _same(plan: Plan, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return all(after[one.source.column] in (before[one.source.column], UNAVAILABLE) for one in (*plan.shown, *plan.key))


def _show(one: Shown, value: Any, secret: bytes) -> Any:
    return masks.shown(one.mask, value, secret)


def _key(plan: Plan, row: Mapping[str, Any]) -> dict[str, Any]:
    return {one.source.item: _show(one, read(one.source, row, None), plan.secret) for one in plan.key}


def _row(plan: Plan, after: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    return {one.source.item: _show(one, read(one.source, after, before), plan.secret) for one in plan.shown}


def _change(plan: Plan, envelope: Mapping[str, Any], op: str, row: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "op": op,
        "row": row,
        "source": {
            "system": plan.system,
            "position": position(envelope),
            "committed_at": committed_at(envelope),
        },
        "grant": plan.grant,
        "contract_version": plan.contract_version,
    }
