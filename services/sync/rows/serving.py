"""Who may look up what: the grants with the channel `api`, as every call checks them, in memory.

A row may be looked up by an item that the contract declares a query key and the grant shows in clear: by a masked item
it could be found out what the mask hides.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from services.sync.projection.plan import grant_secret
from services.sync.sink import State

_DIGEST_BYTES = 16


class NoSuchValue(Exception):
    """A text that no value of the item's type is written as."""


@dataclass(frozen=True, slots=True)
class Served:
    """A grant under which rows may be looked up; `ended` says why they may no longer, None that they may."""

    id: str
    resource: str
    department: str
    thread: str
    key: hmac.HMAC
    query_keys: Mapping[str, str]
    valid_from: float
    valid_to: float
    ended: str | None

    def why_not(self, now: float) -> str | None:
        """Why nothing may be read under the grant at `now` (seconds since 1970); None when it may."""
        if self.ended is not None:
            return self.ended
        if now < self.valid_from:
            return "has not begun"
        return "is over" if now >= self.valid_to else None

    def digest(self, item: str, text: str) -> bytes:
        """What stands for a value in the cache and in the accounts: keyed by the grant, so it tells nobody anything."""
        keyed = self.key.copy()
        keyed.update(f"{item}\0{text}".encode())
        return keyed.digest()[:_DIGEST_BYTES]


def served(grant: State, resource: State | None, master: bytes) -> Served:
    """`grant` as calls are checked against it; `resource` is as `catalog.resources` has it, None when not in force."""
    in_clear = {item["name"] for item in grant["items"] if item["mask"] is None}
    items = resource["items"] if resource is not None else []
    return Served(
        id=grant["id"],
        resource=grant["resource"],
        department=grant["department"],
        thread=grant["thread"],
        key=hmac.new(grant_secret(master, grant["id"]), digestmod="sha256"),
        query_keys={item["name"]: item["type"] for item in items if item["query_key"] and item["name"] in in_clear},
        valid_from=grant["valid_from"].timestamp(),
        valid_to=grant["valid_to"].timestamp() if grant["valid_to"] is not None else float("inf"),
        ended=_ended(grant, resource),
    )


def _ended(grant: State, resource: State | None) -> str | None:
    if grant["state"] != "active":
        return f"is {grant['state']}"
    if "api" not in grant["channels"]:
        return "does not have the channel api"
    if resource is None or resource["grade"] == "core" or resource["sharing_type"] == "not_shared":
        return "stands on a resource that is not shared any more"
    return None


@dataclass(frozen=True, slots=True)
class Index:
    """All grants, by who presents himself: an API key's digest (hex) or a department, and the resource asked for."""

    by_key: Mapping[tuple[str, str], list[Served]]
    by_department: Mapping[tuple[str, str], list[Served]]
    keys: frozenset[str]
    resources: frozenset[str]

    @classmethod
    def of(cls, grants: Iterable[State], resources: Mapping[str, State], master: bytes) -> Index:
        by_key: dict[tuple[str, str], list[Served]] = {}
        by_department: dict[tuple[str, str], list[Served]] = {}
        keys = set()
        for grant in sorted(grants, key=lambda one: str(one["id"])):
            if "api" not in grant["channels"]:
                continue
            one = served(grant, resources.get(grant["resource"]), master)
            by_department.setdefault((one.department, one.resource), []).append(one)
            for digest in grant["api_key_digests"]:
                by_key.setdefault((digest, one.resource), []).append(one)
                keys.add(digest)
        return cls(by_key, by_department, frozenset(keys), frozenset(resources))


def canonical(kind: str, text: str) -> str:
    """How the value that `text` writes is written in look-ups: one way for each value. Raises NoSuchValue.

    Texts stand for themselves; dates and times are written as in RFC 3339, numbers in digits.
    """
    try:
        match kind:
            case "integer":
                return str(int(text))
            case "decimal":
                number = Decimal(text)
                if not number.is_finite():
                    raise NoSuchValue(f"{kind} expected")
                return written(number)
            case "double":
                return written(float(text))
            case "boolean":
                if text not in ("true", "false"):
                    raise NoSuchValue("true or false expected")
                return text
            case "date":
                return written(date.fromisoformat(text))
            case "timestamp":
                moment = datetime.fromisoformat(text)
                if moment.tzinfo is None:
                    raise NoSuchValue("a time needs its zone")
                return written(moment)
    except (ValueError, InvalidOperation, OverflowError) as error:
        raise NoSuchValue(f"{kind} expected") from error
    return text


def written(value: Any) -> str:
    """A value of a row as look-ups write it; the counterpart of `canonical`."""
    match value:
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value.normalize() + 0, "f")
        case float():
            return repr(value)
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
    return str(value)
