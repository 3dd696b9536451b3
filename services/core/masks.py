"""Masks: what a grant shows of an item instead of its value.

A mask is data (`{"kind": "keep", "first": 6, "last": 4}`), checked when the grant is made and applied to every row.
What is missing stays missing, except under a constant, which hides that too.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any


class MaskError(Exception):
    """A mask that is not well formed or does not fit the item, in words for whoever wrote it."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Shows the first and last characters; a value with nothing between them is hidden whole."""

    first: int
    last: int
    fill: str

    def result_type(self, item_type: str) -> str:
        return _only("keep", item_type, "string")

    def apply(self, value: object, key: bytes) -> object:
        text = str(value)
        hidden = len(text) - self.first - self.last
        if hidden <= 0:
            return self.fill * len(text)
        return text[: self.first] + self.fill * hidden + text[len(text) - self.last :]


@dataclass(frozen=True, slots=True)
class Null:
    """Shows nothing."""

    def result_type(self, item_type: str) -> str:
        return item_type

    def apply(self, value: object, key: bytes) -> object:
        return None


@dataclass(frozen=True, slots=True)
class Constant:
    """Shows the same text for every row, missing values included."""

    value: str

    def result_type(self, item_type: str) -> str:
        return "string"

    def apply(self, value: object, key: bytes) -> object:
        return self.value


@dataclass(frozen=True, slots=True)
class DateTo:
    """Shows the year (`1990`) or the month (`1990-05`) of a date."""

    unit: str

    def result_type(self, item_type: str) -> str:
        _only("date_to", item_type, "date", "timestamp")
        return "string"

    def apply(self, value: object, key: bytes) -> object:
        assert isinstance(value, date)
        return f"{value.year:04}" if self.unit == "year" else f"{value.year:04}-{value.month:02}"


@dataclass(frozen=True, slots=True)
class Range:
    """Shows the range of `width` that a number lies in, both ends included for whole numbers (`30-39`)."""

    width: int

    def result_type(self, item_type: str) -> str:
        _only("range", item_type, "integer", "decimal")
        return "string"

    def apply(self, value: object, key: bytes) -> object:
        assert isinstance(value, int | Decimal)
        # by the whole number below: the quotient of a long Decimal would be more than Decimal's context can hold
        start = math.floor(value) // self.width * self.width
        return f"{start}-{start + self.width - 1}"


@dataclass(frozen=True, slots=True)
class Pseudonym:
    """Shows a keyed pseudonym: the same for the same value under one grant, unrelated under another."""

    def result_type(self, item_type: str) -> str:
        return "string"

    def apply(self, value: object, key: bytes) -> object:
        return pseudonym(value, key)


@dataclass(frozen=True, slots=True)
class RegionTo:
    """Shows an administrative division up to a level, the rest as zeros (GB/T 2260)."""

    level: str

    def result_type(self, item_type: str) -> str:
        return _only("region_to", item_type, "string")

    def apply(self, value: object, key: bytes) -> object:
        kept = _REGION_DIGITS[self.level]
        return str(value)[:kept].ljust(6, "0")


Mask = Keep | Null | Constant | DateTo | Range | Pseudonym | RegionTo

_REGION_DIGITS = {"province": 2, "prefecture": 4, "county": 6}


def parse(spec: Mapping[str, Any]) -> Mask:
    """The mask that `spec` describes; raises MaskError."""
    kind = spec.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise MaskError(f"a mask's kind is one of {', '.join(_KINDS)}, not {kind!r}")
    make, fields = _KINDS[kind]
    if extra := sorted(set(spec) - fields - {"kind"}):
        raise MaskError(f"a {kind} mask has no {', '.join(map(str, extra))}")
    return make(spec)


def shown(mask: Mask | None, value: object, key: bytes) -> object:
    """What is shown of `value`; `key` is the grant's."""
    if mask is None or (value is None and not isinstance(mask, Constant)):
        return value
    return mask.apply(value, key)


def pseudonym(value: object, key: bytes) -> str:
    """HMAC-SHA-256 over the typed value, its first 128 bits in lower-case hex: 1 and "1" differ."""
    return hmac.new(key, _canonical(value), sha256).hexdigest()[:32]


def _canonical(value: object) -> bytes:
    match value:
        case bool():
            return b"b1" if value else b"b0"
        case str():
            return b"s" + value.encode()
        case int():
            return b"i%d" % value
        case Decimal():
            text = format(value, "f")  # not normalize, which rounds to the context's digits
            return b"n" + (text.rstrip("0").rstrip(".") if "." in text else text).encode()
        case float():
            return b"f" + value.hex().encode()
        case datetime():
            return b"t" + value.isoformat().encode()
        case date():
            return b"d" + value.isoformat().encode()
        case _:
            raise MaskError(f"a value of type {type(value).__name__} has no pseudonym")


def _only(kind: str, item_type: str, *fitting: str) -> str:
    if item_type not in fitting:
        raise MaskError(f"a {kind} mask is for {' or '.join(fitting)}, not for {item_type}")
    return item_type


def _number(spec: Mapping[str, Any], name: str, least: int, default: int | None = None) -> int:
    value = spec.get(name, default)
    if type(value) is not int or not least <= value <= 1_000_000:
        raise MaskError(f"{name} is a whole number from {least} on, not {value!r}")
    return value


def _choice(spec: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str:
    value = spec.get(name)
    if value not in choices:
        raise MaskError(f"{name} is one of {', '.join(choices)}, not {value!r}")
    return str(value)


def _keep(spec: Mapping[str, Any]) -> Mask:
    fill = spec.get("fill", "*")
    if not isinstance(fill, str) or len(fill) != 1:
        raise MaskError(f"fill is one character, not {fill!r}")
    return Keep(_number(spec, "first", 0, 0), _number(spec, "last", 0, 0), fill)


def _constant(spec: Mapping[str, Any]) -> Mask:
    if not isinstance(spec.get("value"), str):
        raise MaskError("a constant mask needs a text as its value")
    return Constant(spec["value"])


_KINDS: dict[str, tuple[Callable[[Mapping[str, Any]], Mask], frozenset[str]]] = {
    "keep": (_keep, frozenset({"first", "last", "fill"})),
    "null": (lambda spec: Null(), frozenset()),
    "constant": (_constant, frozenset({"value"})),
    "date_to": (lambda spec: DateTo(_choice(spec, "unit", ("year", "month"))), frozenset({"unit"})),
    "range": (lambda spec: Range(_number(spec, "width", 1)), frozenset({"width"})),
    "pseudonym": (lambda spec: Pseudonym(), frozenset()),
    "region_to": (lambda spec: RegionTo(_choice(spec, "level", tuple(_REGION_DIGITS))), frozenset({"level"})),
}


_SECRET = Constant("***")
_NOTHING = Null()


def usual(sensitivity: str, item_type: str) -> Mask | None:
    """The mask under which a value is shown to people who need to see what it looks like, not what it says.

    What is open or internal is shown as it is (None), of a personal text the ends, of a personal date the year, of
    other personal values nothing, and of a secret not even whether it is there.
    """
    if sensitivity in ("open", "internal"):
        return None
    if sensitivity != "personal":
        return _SECRET
    if item_type == "string":
        return Keep(1, 1, "*")
    return DateTo("year") if item_type in ("date", "timestamp") else _NOTHING
