"""What the demand side keeps of the catalogue's registers, from `catalog.events`: departments, divisions, own days.

An edit of the calendar moves all clocks that run: their days are counted anew, days in the past included.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.demand import demand_store as store
from services.demand import timekeeping
from services.demand.events import Publisher
from services.demand.noticing import tell

_PREFIX, _SUFFIX = "cn.tongshu.catalog.", ".v1"


def keep(session: Session, event: Mapping[str, Any]) -> bool:
    """Keep what a value of `catalog.events` says of a register; whether it changed the calendar."""
    kind, facts = event["type"].removeprefix(_PREFIX).removesuffix(_SUFFIX), event["data"]
    if kind in ("department_registered", "department_changed"):
        row = {"slug": event["subject"], "name": facts["name"], "name_en": facts["name_en"]}
        row |= {"division": facts.get("division") or None}
        statement = insert(store.DepartmentName).values(row)
        session.execute(statement.on_conflict_do_update(index_elements=[store.DepartmentName.slug], set_=row))
    elif kind == "division_entered":
        span = {"code": event["subject"], "name": facts["name"], "valid_from": date.fromisoformat(facts["valid_from"])}
        span |= {name: facts[name] or None for name in ("parent", "successor")}
        span |= {"valid_to": date.fromisoformat(facts["valid_to"]) if facts["valid_to"] else None}
        statement = insert(store.Division).values(span)
        keys = [store.Division.code, store.Division.valid_from]
        session.execute(statement.on_conflict_do_update(index_elements=keys, set_=span))
    elif kind == "calendar_day_entered":
        day = {"day": date.fromisoformat(event["subject"]), "working": facts["working"] == "true"}
        statement = insert(store.CalendarDay).values(day)
        session.execute(statement.on_conflict_do_update(index_elements=[store.CalendarDay.day], set_=day))
        return True
    return False


def move_clocks(session: Session, publisher: Publisher, now: datetime | None = None) -> int:
    """Reckon all open clocks by the calendar as it is now; how many have moved. Both parties are told of those."""
    moment, own, moved = now or datetime.now(UTC), timekeeping.calendar(session), 0
    query = select(store.DemandClock).where(store.DemandClock.closed_at.is_(None)).order_by(store.DemandClock.demand)
    # whoever takes a step locks the demand first, so this does, too
    for demand_id in session.scalars(query.with_only_columns(store.DemandClock.demand).distinct()).all():
        demand = session.get_one(store.Demand, demand_id, with_for_update=True)
        changed = [row for row in timekeeping.running(session, demand) if timekeeping.move(session, row, own, moment)]
        if not changed:
            continue
        moved += len(changed)
        timekeeping.show(session, demand, moment)
        for row in changed:
            facts = {"clock": row.clock, "due_on": row.due_on.isoformat() if row.due_on else ""}
            publisher.happened(session, "clock_moved", demand.id, demand.department, demand.thread, "tongshu", facts)
            tell(session, demand, row.department, "clock_moved", moment, facts=facts)
        publisher.matching(session, demand, "clock_moved")
    return moved
