"""Administrative divisions as the demand side keeps them, and the grants whose rows are chosen by them.

A grant carries the codes that each division of its filter stands for. When divisions change - a county is merged, or
moved to another prefecture - it gets those of the new order, and is served anew: what has come into its sight arrives,
what has left it is deleted.
"""

from __future__ import annotations

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
        found = codes(session, row_filter)
    except rowfilter.FilterError:
        return []
    return [
        Defect("/row_filter", Words(f"there is no division {one['code']} now", f"现行行政区划中没有 {one['code']}"))
        for one in found
        if not one["codes"]
    ]


def codes(session: Session, row_filter: str | None) -> list[dict[str, Any]]:
    """What each division of a filter stands for today, in the fields of `demand.grants`. Raises FilterError."""
    named = _named(row_filter)
    return _codes(named, known(session)) if named else []


def _named(row_filter: str | None) -> frozenset[str]:
    return rowfilter.parse(row_filter).divisions() if row_filter else frozenset()


def _codes(named: frozenset[str], there: Divisions) -> list[dict[str, Any]]:
    day = today()
    return [{"code": one, "codes": sorted(there.within(one, day))} for one in sorted(named)]


def regroup(session: Session, publisher: Publisher, there: Divisions, now: datetime) -> None:
    """Give grants by divisions what those stand for today, when `there` are all divisions."""
    query = select(store.Grant).where(store.Grant.state == State.ACTIVE, store.Grant.row_filter.contains(" within "))
    for grant in session.scalars(query.with_for_update()):
        codes_now = _codes(_named(grant.row_filter), there)
        if codes_now == grant.divisions:
            continue
        facts = _difference(grant.divisions, codes_now)
        grant.divisions_before = [*grant.divisions_before, grant.divisions][-_KEPT_ORDERS:]
        grant.divisions, grant.fill, grant.updated_at = codes_now, grant.fill + 1, now
        publisher.grant(session, grant, "grant_regrouped", _BY, facts)
        log.info("grant regrouped", grant=grant.id, what=facts)


def _difference(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> str:
    old, new = _all_codes(before), _all_codes(after)
    told = [f"{sign}{' '.join(sorted(part))}" for sign, part in (("+", new - old), ("-", old - new)) if part]
    return "; ".join(told)


def _all_codes(order: list[dict[str, Any]]) -> set[str]:
    return {code for one in order for code in one["codes"]}
