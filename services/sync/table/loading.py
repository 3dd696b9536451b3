r"""Rows for MySQL: LOAD DATA's text, fields ended by a tab, rows by a newline, `\` before what would be taken for one.

MySQL reference manual, "LOAD DATA Statement". A null is `\N`.
"""

from __future__ import annotations

import re
import struct
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

from services.core.avro import NotAvro
from services.sync.table.walking import READ_VARINT, Form, logical_type

_double = struct.Struct("<d").unpack
_special = re.compile(rb"[\\\t\n\x00]")
_ESCAPED = {b"\\": b"\\\\", b"\t": b"\\t", b"\n": b"\\n", b"\x00": b"\\0"}
# MySQL's longest decimal has 65 digits
_exact = Context(prec=80)
_DATES_BEGIN = date(1970, 1, 1).toordinal()
_TIMES_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


def _text(data: bytes) -> bytes:
    return _special.sub(lambda found: _ESCAPED[found[0]], data)


def _decimal(unscaled: bytes, scale: int) -> bytes:
    value = int.from_bytes(unscaled, "big", signed=True)
    return f"{Decimal(value).scaleb(-scale, _exact):f}".encode()


def _date(days: int) -> bytes:
    return date.fromordinal(_DATES_BEGIN + days).isoformat().encode()


def _time(micros: int) -> bytes:
    at = _TIMES_BEGIN + timedelta(microseconds=micros)
    return at.replace(tzinfo=None).isoformat(" ", "microseconds").encode()


def _read(name: str, kind: Any) -> list[str]:
    match logical_type(kind):
        case "string":
            return [*READ_VARINT, "n >>= 1", f"{name} = text(d[p:p + n]) + b'\\t'", "p += n"]
        case "decimal":
            scale = int(kind.get("scale", 0))
            return [*READ_VARINT, "n >>= 1", f"{name} = decimal(d[p:p + n], {scale}) + b'\\t'", "p += n"]
        case "long":
            return [*READ_VARINT, f"{name} = b'%d\\t' % ((n >> 1) ^ -(n & 1))"]
        case "timestamp-micros":
            return [*READ_VARINT, f"{name} = time((n >> 1) ^ -(n & 1)) + b'\\t'"]
        case "date":
            return [*READ_VARINT, f"{name} = date((n >> 1) ^ -(n & 1)) + b'\\t'"]
        case "double":
            return [f"{name} = b'%a\\t' % double(d[p:p + 8])[0]", "p += 8"]
        case "boolean":
            return [f"{name} = b'1\\t' if d[p] else b'0\\t'", "p += 1"]
    raise NotAvro(f"a share record holds no {kind!r}")


LOAD = Form(
    null=b"\\N\t",
    read=_read,
    names={"text": _text, "decimal": _decimal, "date": _date, "time": _time, "double": _double},
    head=lambda fields: b"",
    end=lambda offset: b"%d\n" % offset,
    outside=(ValueError, OverflowError, struct.error),
)
