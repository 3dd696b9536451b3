"""Reading rows again: how far a connector is, as its own notifications tell (Debezium, "Notifications")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """`asked`: the connector has not taken it up yet; `failed`: it gave up, and rows may not have been read."""

    ASKED = "asked"
    READING = "reading"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_open(self) -> bool:
        return self in (State.ASKED, State.READING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reread:
    """Rows that are, or were, read again under the id `id`, from `since` on.

    `rows` were read so far, in whole chunks until the end; `estimate` is the server's of the whole table, where it has
    one. `some`: only rows that a filter matches. `missed`: because changes were in no stream, deletes among them.
    """

    id: str
    since: datetime
    estimate: int | None = None
    some: bool = False
    missed: bool = False
    state: State = State.ASKED
    rows: int = 0


def progress(reread: Reread, notifications: Iterable[Mapping[str, Any]], chunk_rows: int) -> Reread:
    """How far it is by all the notifications that a connector has given, in their order."""
    state, rows = State.ASKED, 0
    for one in notifications:
        if one.get("id") != reread.id:
            continue
        match one.get("type"):
            case "STARTED" | "RESUMED":
                state = State.READING
            case "IN_PROGRESS":
                state, rows = State.READING, rows + chunk_rows
            case "TABLE_SCAN_COMPLETED":
                told = (one.get("additional_data") or {}).get("total_rows_scanned")
                state, rows = State.READING, int(str(told)) if str(told).isdecimal() else rows
            case "COMPLETED":
                state = State.DONE
            case "ABORTED":
                state = State.FAILED
    return replace(reread, state=state, rows=rows)


def reread_of(record: Mapping[str, Any]) -> Reread:
    """What is kept (`record_of`)."""
    return Reread(**{**record, "since": datetime.fromisoformat(record["since"]), "state": State(record["state"])})


def record_of(reread: Reread) -> dict[str, Any]:
    """As it is kept."""
    return {
        "id": reread.id,
        "since": reread.since.isoformat(),
        "estimate": reread.estimate,
        "some": reread.some,
        "missed": reread.missed,
        "state": reread.state.value,
        "rows": reread.rows,
    }
