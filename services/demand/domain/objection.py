"""Objections (校核, 数据异议): a consumer says that a delivered record is wrong, its source answers, the road closes.

The source department accepts or refuses, with a reason, within so many working days. What closes an objection is the
correction itself: a later delivery of the record in which the items in question say something else. Each department
that ever received the record has that by the same road.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import Any

from services.core.defects import Defect
from services.core.words import Words


class State(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    CLOSED = "closed"


WAITING = frozenset({State.OPEN, State.ACCEPTED})


class Action(StrEnum):
    ACCEPT = "accept"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"


class By(StrEnum):
    CONSUMER = "consumer"
    PROVIDER = "provider"


class Outcome(StrEnum):
    """How a correction answered an objection."""

    AS_ASKED = "as_asked"
    OTHERWISE = "otherwise"
    REMOVED = "removed"


# Who may do what where; a correction closes what is open or accepted, whoever has answered.
TRANSITIONS: Mapping[tuple[State, Action], tuple[State, By]] = {
    (State.OPEN, Action.ACCEPT): (State.ACCEPTED, By.PROVIDER),
    (State.OPEN, Action.REFUSE): (State.REFUSED, By.PROVIDER),
    (State.ACCEPTED, Action.REFUSE): (State.REFUSED, By.PROVIDER),
    (State.OPEN, Action.WITHDRAW): (State.WITHDRAWN, By.CONSUMER),
    (State.ACCEPTED, Action.WITHDRAW): (State.WITHDRAWN, By.CONSUMER),
}
NEEDS_REASON = frozenset({Action.REFUSE})


@dataclass(frozen=True, slots=True)
class Claim:
    """What an item of the record says, and what it should say, both as the consumer sees them."""

    item: str
    says: str | None
    should_say: str | None


def text_of(value: Any) -> str | None:
    """A value as it is written in an objection: dates and times in ISO 8601 (UTC), numbers in plain digits."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def texts_of(row: Mapping[str, Any]) -> dict[str, str | None]:
    return {name: text_of(value) for name, value in row.items()}


def defects(
    key: Mapping[str, str], claims: Sequence[Claim], keys: Sequence[str], granted: Sequence[str]
) -> list[Defect]:
    """What is wrong with an objection to a record of a grant: `keys` are the resource's key items."""
    found = []
    if set(key) != set(keys):
        names = ", ".join(keys)
        found.append(Defect("/key", Words(f"name the key items: {names}", f"请提供主键信息项：{names}")))
    if not claims:
        found.append(Defect("/items", Words("say which item is wrong", "请指出有误的信息项")))
    for place, claim in enumerate(claims):
        if claim.item not in granted:
            found.append(Defect(f"/items/{place}/item", Words("is not granted", "不在授权信息项内")))
        if claim.says == claim.should_say:
            found.append(Defect(f"/items/{place}/should_say", Words("is what it says", "与现值相同")))
    if len({claim.item for claim in claims}) != len(claims):
        found.append(Defect("/items", Words("an item is there twice", "信息项重复")))
    return found


def judge(claims: Sequence[Claim], row: Mapping[str, Any] | None) -> Outcome | None:
    """What a later delivery of the record means: `row` as delivered, None when it is gone; None: nothing is corrected.

    All items in question must say something else than they did; what they should have said decides how it is called.
    """
    if row is None:
        return Outcome.REMOVED
    now = texts_of(row)
    if any(now.get(claim.item) == claim.says for claim in claims):
        return None
    as_asked = all(now.get(claim.item) == claim.should_say for claim in claims)
    return Outcome.AS_ASKED if as_asked else Outcome.OTHERWISE


def reference(secret: bytes, resource: str, key: Mapping[str, str]) -> str:
    """What stands for a record in events: the same for the same record, and of no use to whoever lacks the secret."""
    canonical = json.dumps([resource, dict(key)], ensure_ascii=False, sort_keys=True)
    return hmac.new(secret, canonical.encode(), sha256).hexdigest()
