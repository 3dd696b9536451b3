"""Share records as rows of a binary COPY: Avro bytes in, COPY bytes out, no Python object per field.

For each pair of schemas one function is compiled that walks the record once. What it writes is PostgreSQL's binary
format: each field its length in four bytes (-1: null) and its value (documentation of COPY, "Binary Format").
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from services.core.avro import NotAvro
from services.sync.table.layout import Column, Layout, row_schema

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"

_long = struct.Struct(">iq").pack
_int = struct.Struct(">ii").pack
_length = struct.Struct(">i").pack
_count = struct.Struct(">h").pack
_LENGTHS = tuple(_length(size) for size in range(2_048))
_DATES_BEGIN = (date(2000, 1, 1) - date(1970, 1, 1)).days
_TIMES_BEGIN = _DATES_BEGIN * 86_400_000_000
_NEGATIVE = 0x4000

# a key's fields, and (operation, fields of the row or None, time of the commit in microseconds since 1970)
Key = Callable[[bytes], bytes]
Value = Callable[[bytes], tuple[bytes, bytes | None, int]]


def varint(data: bytes, place: int) -> tuple[int, int]:
    """An unsigned varint that begins at `place`, and where it ends. Raises IndexError."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7


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


def row_head(layout: Layout) -> bytes:
    """How many fields a row of `layout` has, its offset included."""
    return _count(len(layout.columns) + 1)


def key_head(layout: Layout) -> bytes:
    """As `row_head`, of a row that holds only the key and the offset."""
    return _count(len(layout.key) + 1)


def offset_field(offset: int) -> bytes:
    return _long(8, offset)


def compile_key(schema: Mapping[str, Any], layout: Layout) -> Key:
    """What makes the key's fields of a record's key (in wire format) that was written with `schema`."""
    lines = [
        "p = 5",
        *_fields(schema, layout.key),
        "if p != len(d): raise NotAvro('the record ends elsewhere than its bytes')",
        f"return {_joined(layout.key)}",
    ]
    return _function(lines)


def compile_value(schema: Mapping[str, Any], layout: Layout) -> Value:
    """What reads a record's value (in wire format) that was written with the share schema `schema`."""
    row = _fields(row_schema(schema), layout.others)
    lines = [
        "n = d[5]",
        "p = 6 + (n >> 1)",
        "op = d[6:p]",
        "p += 1",
        "row = None",
        "if d[p - 1]:",
        *(f"    {line}" for line in row),
        f"    row = {_joined(layout.others)}",
        *_skipped(2),
        *_varint(),
        "at = (n >> 1) ^ -(n & 1)",
        *_skipped(2),
        "if p != len(d): raise NotAvro('the record ends elsewhere than its bytes')",
        "return op, row, at",
    ]
    return _function(lines)


def _function(lines: Sequence[str]) -> Callable[[bytes], Any]:
    source = "def read(d):\n    try:\n" + "".join(f"        {line}\n" for line in lines)
    source += "    except IndexError as early:\n        raise NotAvro('the bytes end before the record') from early\n"
    names = {
        "varint": varint, "numeric": numeric, "long": _long, "int4": _int, "length": _length, "lengths": _LENGTHS,
        "null": NULL, "NotAvro": NotAvro,
    }  # fmt: skip
    # made of names of our own and numbers only: what a schema calls its fields does not come into it
    exec(source, names)
    made: Callable[[bytes], Any] = names["read"]  # type: ignore[assignment]
    return made


def _joined(columns: Sequence[Column]) -> str:
    fields = [f"f{place}" for place in range(len(columns))]
    return f"b''.join(({', '.join(fields)},))" if fields else "b''"


def _varint() -> list[str]:
    return ["n = d[p]", "if n < 128: p += 1", "else: n, p = varint(d, p)"]


def _skipped(texts: int) -> list[str]:
    return [line for _ in range(texts) for line in (*_varint(), "p += n >> 1")]


def _fields(schema: Mapping[str, Any], columns: Sequence[Column]) -> list[str]:
    """Lines that read a record's fields into f0, f1, … by their place in `columns`; the others are read past."""
    places = {column.field: place for place, column in enumerate(columns)}
    lines: list[str] = []
    for field in schema["fields"]:
        kind = field["type"]
        name = f"f{places[field['name']]}" if field["name"] in places else "_"
        if not isinstance(kind, list):
            lines += _read(name, kind)
            continue
        value = next(branch for branch in kind if branch != "null")
        present = _read(name, value)
        some = "!=" if kind[0] == "null" else "=="
        lines += ["p += 1", f"if d[p - 1] {some} 0:", *(f"    {line}" for line in present), f"else: {name} = null"]
    return lines


def _read(name: str, kind: Any) -> list[str]:
    logical = kind.get("logicalType") if isinstance(kind, dict) else kind
    match logical:
        case "string":
            text = [f"{name} = (lengths[n] if n < 2048 else length(n)) + d[p:p + n]", "p += n"]
            return [*_varint(), "n >>= 1", *text]
        case "decimal":
            return [*_varint(), "n >>= 1", f"{name} = numeric(d[p:p + n], {int(kind.get('scale', 0))})", "p += n"]
        case "long":
            return [*_varint(), f"{name} = long(8, (n >> 1) ^ -(n & 1))"]
        case "timestamp-micros":
            return [*_varint(), f"{name} = long(8, ((n >> 1) ^ -(n & 1)) - {_TIMES_BEGIN})"]
        case "date":
            return [*_varint(), f"{name} = int4(4, ((n >> 1) ^ -(n & 1)) - {_DATES_BEGIN})"]
        case "double":
            return [f"{name} = lengths[8] + d[p:p + 8][::-1]", "p += 8"]
        case "boolean":
            return [f"{name} = lengths[1] + d[p:p + 1]", "p += 1"]
    raise NotAvro(f"a share record holds no {kind!r}")
