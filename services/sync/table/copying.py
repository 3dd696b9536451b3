"""Rows for Postgres: its binary COPY, each field its length in four bytes (-1: null) and its value.

Documentation of COPY, "Binary Format".
"""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, timedelta
from decimal import Context
from typing import Any

from services.core.avro import NotAvro
from services.sync.table.layout import Kind
from services.sync.table.walking import READ_VARINT, Form, logical_type

NULL = b"\xff\xff\xff\xff"

_long = struct.Struct(">iq").pack
_int = struct.Struct(">ii").pack
_length = struct.Struct(">i").pack
_count = struct.Struct(">h").pack
_LENGTHS = tuple(_length(size) for size in range(2_048))
_DATES_BEGIN = (date(2000, 1, 1) - date(1970, 1, 1)).days
_TIMES_BEGIN = _DATES_BEGIN * 86_400_000_000
_NEGATIVE = 0x4000
_MIDNIGHT_2000 = datetime(2000, 1, 1, tzinfo=UTC)
_exact = Context(prec=80)


def numeric(unscaled: bytes, scale: int) -> bytes:
    """A decimal (two's complement, big-endian) as a field of type numeric: digits to the base 10,000."""
    value = int.from_bytes(unscaled, "big", signed=True)
    sign = _NEGATIVE if value < 0 else 0
    rest, groups = abs(value) * 10 ** (-scale % 4), []
    while rest:
        rest, group = divmod(rest, 10_000)
        groups.append(group)
    groups.reverse()
    weight = len(groups) - (scale + 3) // 4 - 1
    while groups and groups[-1] == 0:
        groups.pop()
    body = struct.pack(f">4h{len(groups)}h", len(groups), weight if groups else 0, sign, scale, *groups)
    return _length(len(body)) + body


def field(kind: Kind, value: Any) -> bytes:
    """A value of a column as COPY would write it; a time is one of UTC, and says no zone."""
    if value is None:
        return NULL
    match kind.name:
        case "string":
            data: bytes = value.encode()
            return _length(len(data)) + data
        case "decimal":
            unscaled = int(value.scaleb(kind.scale, _exact))
            return numeric(unscaled.to_bytes(unscaled.bit_length() // 8 + 1, "big", signed=True), kind.scale)
        case "long":
            return _long(8, value)
        case "timestamp":
            return _long(8, (value.replace(tzinfo=UTC) - _MIDNIGHT_2000) // timedelta(microseconds=1))
        case "date":
            return _int(4, (value - date(2000, 1, 1)).days)
        case "double":
            return _LENGTHS[8] + struct.pack(">d", value)
    return _LENGTHS[1] + bytes([bool(value)])


def _read(name: str, kind: Any) -> list[str]:
    match logical_type(kind):
        case "string":
            text = [f"{name} = (lengths[n] if n < 2048 else length(n)) + d[p:p + n]", "p += n"]
            return [*READ_VARINT, "n >>= 1", *text]
        case "decimal":
            scale = int(kind.get("scale", 0))
            return [*READ_VARINT, "n >>= 1", f"{name} = numeric(d[p:p + n], {scale})", "p += n"]
        case "long":
            return [*READ_VARINT, f"{name} = long(8, (n >> 1) ^ -(n & 1))"]
        case "timestamp-micros":
            return [*READ_VARINT, f"{name} = long(8, ((n >> 1) ^ -(n & 1)) - {_TIMES_BEGIN})"]
        case "date":
            return [*READ_VARINT, f"{name} = int4(4, ((n >> 1) ^ -(n & 1)) - {_DATES_BEGIN})"]
        case "double":
            return [f"{name} = lengths[8] + d[p:p + 8][::-1]", "p += 8"]
        case "boolean":
            return [f"{name} = lengths[1] + d[p:p + 1]", "p += 1"]
    raise NotAvro(f"a share record holds no {kind!r}")


COPY = Form(
    header=b"PGCOPY\n\xff\r\n\x00" + bytes(8),
    trailer=b"\xff\xff",
    null=NULL,
    read=_read,
    names={"numeric": numeric, "long": _long, "int4": _int, "length": _length, "lengths": _LENGTHS},
    head=_count,
    end=lambda offset: _long(8, offset),
)
