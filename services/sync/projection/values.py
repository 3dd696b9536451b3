"""From what Debezium writes to what a filter, a mask and a consumer understand.

Every item type of a contract has one Python form (str, int, Decimal, float, bool, date, aware datetime) and one Avro
form in share topics; how a source spelt it (days since the epoch, micro- or milliseconds, ISO text) ends here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

_EPOCH_DATE = date(1970, 1, 1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Debezium's stand-in for a large value that an update did not touch and the source's log does not repeat.
UNAVAILABLE = "__debezium_unavailable_value"

Read = Callable[[Any], Any]


class WrongType(Exception):
    """A value that is not what the contract says; the message names the types, never the value."""


def _exactly(kind: type, name: str) -> Read:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise WrongType(f"expected {name}, found {type(value).__name__}")
        return value

    return read


def _date(value: Any) -> date:
    if type(value) is int:
        return _EPOCH_DATE + timedelta(days=value)
    if type(value) is date:
        return value
    raise WrongType(f"expected a date, found {type(value).__name__}")


def _micros(value: Any) -> datetime:
    if type(value) is not int:
        raise WrongType(f"expected a timestamp, found {type(value).__name__}")
    return _EPOCH + timedelta(microseconds=value)


def _millis(value: Any) -> datetime:
    if type(value) is not int:
        raise WrongType(f"expected a timestamp, found {type(value).__name__}")
    return _EPOCH + timedelta(milliseconds=value)


def _zoned(value: Any) -> datetime:
    if type(value) is datetime and value.tzinfo is not None:
        return value
    if type(value) is not str:
        raise WrongType(f"expected a timestamp, found {type(value).__name__}")
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except ValueError as error:
        raise WrongType("expected a timestamp, found text that is none") from error


_TIMESTAMPS: dict[str | None, Read] = {
    "io.debezium.time.MicroTimestamp": _micros,
    "io.debezium.time.Timestamp": _millis,
    "io.debezium.time.ZonedTimestamp": _zoned,
}
_READS: dict[str, Read] = {
    "string": _exactly(str, "text"),
    "integer": _exactly(int, "an integer"),
    "decimal": _exactly(Decimal, "a decimal number"),
    "double": _exactly(float, "a number"),
    "boolean": _exactly(bool, "true or false"),
    "date": _date,
}


def reader(item_type: str, source_schema: dict[str, Any] | str) -> Read:
    """How to read an item of `item_type` from a column written with `source_schema` (its non-null branch)."""
    if item_type == "timestamp":
        name = source_schema.get("connect.name") if isinstance(source_schema, dict) else None
        return _TIMESTAMPS.get(name, _zoned)
    return _READS[item_type]


def share_type(item_type: str, source_schema: dict[str, Any] | str) -> Any:
    """The Avro type of an item of `item_type` in a share topic."""
    if item_type == "decimal" and isinstance(source_schema, dict):
        precision, scale = source_schema.get("precision", 38), source_schema.get("scale", 0)
        return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}
    return {
        "string": "string",
        "integer": "long",
        "decimal": {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 0},
        "double": "double",
        "boolean": "boolean",
        "date": {"type": "int", "logicalType": "date"},
        "timestamp": {"type": "long", "logicalType": "timestamp-micros"},
    }[item_type]
