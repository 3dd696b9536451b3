"""Checks that need more than a row: of `unique` and `consistent` rules, what each row adds to them. No I/O.

A row says of a *subject* (the values by which rows meet) a *value* (what must be the same in all of them). Of a rule
that its items are unique, the subject is those items and the value the row's own key; of one that two resources agree,
the subject is what joins them and the value the items that are compared. Both stand in for themselves as keyed digests,
keyed by the check, so that nobody joins by them what the rule does not.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

from services.core.quality import RuleError, compile_rule
from services.core.rowfilter import Filter
from services.core.rowfilter import parse as parse_filter
from services.sync.relay.routes import State

_DIGEST_BYTES = 16
_WIRE_HEADER = 5
_KINDS = ("unique", "consistent")


@dataclass(frozen=True, slots=True)
class Check:
    """A rule in one of its wordings: in another it is another check. `other` is empty where one resource is enough."""

    name: str
    rule: str
    kind: str
    resource: str
    owner: str
    other: str = ""
    other_owner: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """What rows of a resource add to a check: the items by which they meet, and those that must agree."""

    check: Check
    number: int
    joined: tuple[str, ...]
    agreeing: tuple[str, ...]
    when: Filter | None = None

    @property
    def items(self) -> frozenset[str]:
        """All that must be read of a row."""
        return frozenset((*self.joined, *self.agreeing)) | (self.when.items() if self.when else frozenset())


def sides(resources: Iterable[State]) -> dict[str, list[Side]]:
    """The sides of all checks, by the code of the resource whose rows they look at.

    A rule that cannot be checked (its other resource is not mounted, or has no such items) adds none.
    """
    known = {one["code"]: one for one in resources if one["mount"] is not None and one["grade"] != "core"}
    found: dict[str, list[Side]] = {}
    for resource in known.values():
        for rule in resource["rules"]:
            if rule["kind"] in _KINDS:
                for code, side in _sides_of(rule, resource, known):
                    found.setdefault(code, []).append(side)
    return found


def _sides_of(rule: State, resource: State, known: Mapping[str, State]) -> Iterable[tuple[str, Side]]:
    types = {item["name"]: str(item["type"]) for item in resource["items"]}
    try:
        compile_rule(rule, types, {})
    except RuleError:
        return []  # the catalogue has refused or said so
    items, parameters = tuple(rule["items"]), json.loads(rule["parameters"] or "{}")
    when = parse_filter(parameters["when"]) if "when" in parameters else None
    worded = json.dumps([rule["kind"], items, parameters], ensure_ascii=False, sort_keys=True)
    name = f"{resource['code']}/{rule['id']}/{sha256(worded.encode()).hexdigest()[:8]}"
    about = (name, rule["id"], rule["kind"], resource["code"], resource["department"])
    if rule["kind"] == "unique":
        return [(resource["code"], Side(Check(*about), 0, items, (), when))]
    other, theirs = known.get(parameters["resource"]), tuple(parameters["items"])
    if other is None or not set(theirs) <= {item["name"] for item in other["items"]}:
        return []
    check = Check(*about, other["code"], other["department"])
    return [
        (resource["code"], Side(check, 0, items[:1], items[1:], when)),
        (other["code"], Side(check, 1, theirs[:1], theirs[1:])),
    ]


class Digests:
    """Stands for keys, subjects and values."""

    def __init__(self, master: bytes) -> None:
        self._master = hmac.new(master, b"comparing", sha256).digest()

    def key(self, key: bytes | None) -> bytes:
        """Of a row: the bytes of its record's key without the schema's id, which changes without the key."""
        return self._of(self._master, (key or b"")[_WIRE_HEADER:])

    def entry(self, side: Side, row: Mapping[str, Any], key: bytes) -> tuple[bytes, bytes] | None:
        """Subject and value that a row adds, by its items; None where it says nothing, as all rules do of what is
        missing. `key` is the digest of its key."""
        if side.when is not None and not side.when.matches(row):
            return None
        values = [row[item] for item in (*side.joined, *side.agreeing)]
        if any(value is None for value in values):
            return None
        secret = hmac.new(self._master, side.check.name.encode(), sha256).digest()
        subject = self._of(secret, _spelt(values[: len(side.joined)]))
        return subject, self._of(secret, _spelt(values[len(side.joined) :])) if side.agreeing else key

    @staticmethod
    def _of(secret: bytes, data: bytes) -> bytes:
        return hmac.new(secret, data, sha256).digest()[:_DIGEST_BYTES]


def _spelt(values: Sequence[Any]) -> bytes:
    """The same for values that are the same, of whatever types two resources have for them."""
    return json.dumps([_spell(value) for value in values], ensure_ascii=False).encode()


def _spell(value: Any) -> list[str]:
    match value:
        case bool():
            return ["boolean", str(value)]
        case int() | Decimal():
            return ["number", format(Decimal(value).normalize(), "f")]
        case float():
            return ["double", repr(value)]
        case datetime():
            return ["timestamp", value.isoformat()]
        case date():
            return ["date", value.isoformat()]
        case _:
            return ["text", str(value)]
