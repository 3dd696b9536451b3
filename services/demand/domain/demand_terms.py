"""What a demand (需求) asks for, and what keeps it from being submitted: all defects are told at once.

A demand asks for a catalogued resource (some of its items, rows by filter), for data that nobody has catalogued yet, or
for third-party and social data (社会数据) that the data authority finds a supplier for. It never gets more than the
contract of the resource allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.core import rowfilter
from services.core.defects import Defect
from services.core.words import Words
from services.demand.domain import grant
from services.demand.domain.demand import Path


class Kind(StrEnum):
    CATALOGUED = "catalogued"
    UNCATALOGUED = "uncatalogued"
    SOCIAL = "social"


class Frequency(StrEnum):
    """How often the applicant needs the data; the exchange delivers changes as they come whatever is said here."""

    REAL_TIME = "real_time"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"
    ONCE = "once"


# Grades from low to high (GB/T 43697-2024).
GRADES = ("general", "important", "core")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is asked for. `emergency` names a responsible person and a reason where data must flow at once.

    `table` is the schema and the table that are filled where the channel `table` is asked for.
    """

    kind: Kind
    department: str
    resource: str | None
    wanted: str | None
    items: Sequence[str]
    masks: Mapping[str, Mapping[str, Any]]
    row_filter: str | None
    channels: Sequence[str]
    table: Mapping[str, str] | None
    purpose: str
    legal_basis: str | None
    until: datetime | None
    emergency: Mapping[str, str] | None


def asked(terms: Terms, now: datetime) -> grant.Asked:
    """The grant that `terms` ask for, from `now` on.

    A department asks for tables of its own database only: that is the one that the secret of its name opens.
    """
    target = {"dsn_secret": f"{terms.department}_dsn", **terms.table} if terms.table is not None else None
    return grant.Asked(
        department=terms.department, items=terms.items, masks=terms.masks, row_filter=terms.row_filter,
        purpose=terms.purpose, valid_from=now, valid_to=terms.until, channels=terms.channels, table_target=target,
    )  # fmt: skip


def defects(terms: Terms, resource: Mapping[str, Any] | None, now: datetime) -> list[Defect]:
    """All that keeps `terms` from being submitted; `resource` is as in `catalog.resources`, None: not in force."""
    found = _common_defects(terms, now)
    if terms.kind is not Kind.CATALOGUED:
        return found + _described_defects(terms)
    if resource is None:
        words = Words(f"there is no resource {terms.resource!r} in force", f"没有已发布的资源“{terms.resource or ''}”")
        return [*found, Defect("/resource", words)]
    return found + grant_defects(terms, resource, now)


def grant_defects(terms: Terms, resource: Mapping[str, Any], now: datetime) -> list[Defect]:
    """All that keeps the contract of `resource` from giving what `terms` ask for."""
    told_by_others = ("/purpose", "/valid_to", "/table_target")
    found = [one for one in grant.defects(asked(terms, now), resource) if one.pointer not in told_by_others]
    return found + _filter_defects(terms, resource) + _emergency_defects(terms, resource)


def _common_defects(terms: Terms, now: datetime) -> list[Defect]:
    found = []
    if not terms.purpose.strip():
        found.append(Defect("/purpose", Words("say what the data will be used for", "须写明使用目的")))
    if terms.until is not None and terms.until <= now:
        found.append(Defect("/until", Words("lies in the past", "不能早于现在")))
    if ("table" in terms.channels) != (terms.table is not None):
        words = Words("goes with the channel table, and that with it", "与库表交换方式须同时填写")
        found.append(Defect("/table", words))
    if terms.emergency is None and not (terms.legal_basis or "").strip():
        words = Words("say which law or duty the demand rests on", "须写明申请所依据的法律法规或职责")
        found.append(Defect("/legal_basis", words))
    if terms.emergency is not None and terms.kind is not Kind.CATALOGUED:
        words = Words("only catalogued data can flow at once", "只有已编目的数据才能应急共享")
        found.append(Defect("/emergency", words))
    if terms.emergency is not None and terms.until is None:
        words = Words("an emergency names its end", "应急共享须写明截止时间")
        found.append(Defect("/until", words))
    return found


def _described_defects(terms: Terms) -> list[Defect]:
    found = []
    if not (terms.wanted or "").strip():
        words = Words("describe the data that is needed", "须描述所需数据")
        found.append(Defect("/wanted", words))
    if terms.resource is not None:
        words = Words("is for catalogued data only", "仅适用于已编目的数据")
        found.append(Defect("/resource", words))
    return found


def _filter_defects(terms: Terms, resource: Mapping[str, Any]) -> list[Defect]:
    """A filter may look at what is asked for only: rows chosen by another item would tell that item's value."""
    if terms.row_filter is None:
        return []
    try:
        used = rowfilter.parse(terms.row_filter).items()
    except rowfilter.FilterError:
        return []  # told by the grant's own rules
    known = {item["name"] for item in resource["items"]}
    beyond = sorted((used & known) - set(terms.items))
    return [
        Defect(
            "/row_filter",
            Words(
                f"filters by {name!r}, which is not among the items asked for",
                f"按“{name}”筛选，但该信息项不在申请范围内",
            ),
        )
        for name in beyond
    ]


def _emergency_defects(terms: Terms, resource: Mapping[str, Any]) -> list[Defect]:
    if terms.emergency is None or resource["grade"] == "general":
        return []
    words = Words(
        f"{resource['grade']} data does not flow before it is approved, not even in an emergency",
        "重要数据须经批准后方可共享，不适用应急通道",
    )
    return [Defect("/emergency", words)]


def path_of(terms: Terms, resource: Mapping[str, Any] | None) -> Path:
    """How the demand is decided."""
    if terms.emergency is not None:
        return Path.EMERGENCY
    if resource is not None and resource["sharing_type"] == "unconditional" and resource["grade"] == "general":
        return Path.RULE
    return Path.DECISION


def approvals_needed(resource: Mapping[str, Any] | None) -> int:
    """Important data is given by two approvals, of two persons (GB/T 43697-2024)."""
    return 2 if resource is not None and resource["grade"] == "important" else 1


def is_higher(grade: str, than: str | None) -> bool:
    """Whether `grade` is above the one that was decided for; False where none was."""
    return than is not None and GRADES.index(grade) > GRADES.index(than)
