"""Administrative divisions as the demand side keeps them, and the grants whose rows are chosen by them.

A grant carries the codes that each division of its filter stands for. When divisions change - a county is merged, or
moved to another prefecture - it gets those of the new order, and is served anew: what has come into its sight arrives,
what has left it is deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.core import rowfilter
from services.core.calendar import today
from services.core.defects import Defect
from services.core.divisions import Divisions, Span
from services.core.words import Words
from services.demand import demand_store, store
from services.demand.domain.grant import State
from services.demand.events import Publisher

log = structlog.get_logger()

_BY = "tongshu"
_KEPT_ORDERS = 8


def known(session: Session) -> Divisions:
    rows = session.scalars(select(demand_store.Division))
    return Divisions(
        Span(
            code=row.code, name=row.name, parent=row.parent, valid_from=row.valid_from, valid_to=row.valid_to,
            successor=row.successor,
        )
        for row in rows
    )  # fmt: skip


def defects(session: Session, row_filter: str | None) -> list[Defect]:
    """Divisions that a filter names and that there are not; a filter that is not well formed is told of by others."""
    try:
        named = rowfilter.parse(row_filter).divisions() if row_filter else frozenset()
    except rowfilter.FilterError:
        return []
    if not named:
        return []
    there, day = known(session), today()
    return [
        Defect("/row_filter", Words(f"there is no division {one} now", f"现行行政区划中没有 {one}"))
        for one in sorted(named)
        if not there.within(one, day)
    ]


def codes(session: Session, row_filter: str | None) -> list[dict[str, Any]]:
    """What each division of a filter stands for today, in the fields of `demand.grants`."""
    named = rowfilter.parse(row_filter).divisions() if row_filter else frozenset()
    if not named:
        return []
    there, day = known(session), today()
    return [{"code": one, "codes": sorted(there.within(one, day))} for one in sorted(named)]


def regroup(session: Session, publisher: Publisher, now: datetime) -> int:
    """Give grants by divisions what those stand for today; how many have changed."""
    query = select(store.Grant).where(store.Grant.state == State.ACTIVE, store.Grant.row_filter.contains(" within "))
    changed = 0
    for grant in session.scalars(query.with_for_update()):
        there = codes(session, grant.row_filter)
        if there == grant.divisions:
            continue
        facts = _difference(grant.divisions, there)
        grant.divisions_before = [*grant.divisions_before, grant.divisions][-_KEPT_ORDERS:]
        grant.divisions, grant.fill, grant.updated_at = there, grant.fill + 1, now
        publisher.grant(session, grant, "grant_regrouped", _BY, facts)
        log.info("grant regrouped", grant=grant.id, what=facts)
        changed += 1
    return changed


def _difference(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> str:
    old, new = _all_codes(before), _all_codes(after)
    told = [f"{sign}{' '.join(sorted(part))}" for sign, part in (("+", new - old), ("-", old - new)) if part]
    return "; ".join(told)


def _all_codes(there: list[Mapping[str, Any]] | list[dict[str, Any]]) -> set[str]:
    return {code for one in there for code in one["codes"]}
