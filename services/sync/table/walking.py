"""Share records as rows that a database loads in bulk: Avro bytes in, its bytes out, no Python object per field.

For each pair of schemas one function is compiled that walks the record once. How a database wants its rows is a `Form`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.core.avro import NotAvro
from services.sync.table.layout import Column, Layout, row_schema

# a key's fields, and (operation, fields of the row or None, time of the commit in microseconds since 1970)
Key = Callable[[bytes], bytes]
Value = Callable[[bytes], tuple[bytes, bytes | None, int]]


@dataclass(frozen=True, slots=True)
class Form:
    """How rows are written for a bulk load: `header`, for each row its head, its fields and its end, then `trailer`.

    `read` gives the lines that make field `name` of the Avro type from the bytes `d` at `p`, and set `p` behind it;
    they may use `names`, and raise one of `outside` for a value that the database cannot hold. `head` is told how many
    fields follow; `end` makes the field of the record's offset, and ends the row.
    """

    null: bytes
    read: Callable[[str, Any], list[str]]
    names: Mapping[str, Any]
    head: Callable[[int], bytes]
    end: Callable[[int], bytes]
    header: bytes = b""
    trailer: bytes = b""
    outside: tuple[type[Exception], ...] = ()

    def row_head(self, layout: Layout) -> bytes:
        """What a row of `layout` with its offset begins with."""
        return self.head(len(layout.columns) + 1)

    def key_head(self, layout: Layout) -> bytes:
        """As `row_head`, of a row that holds only the key and the offset."""
        return self.head(len(layout.key) + 1)

    def compile_key(self, schema: Mapping[str, Any], layout: Layout) -> Key:
        """What makes the key's fields of a record's key (in wire format) that was written with `schema`."""
        lines = [
            "p = 5",
            *self._fields(schema, layout.key),
            "if p != len(d): raise NotAvro('the record ends elsewhere than its bytes')",
            f"return {_joined(layout.key)}",
        ]
        return self._function(lines)

    def compile_value(self, schema: Mapping[str, Any], layout: Layout) -> Value:
        """What reads a record's value (in wire format) that was written with the share schema `schema`."""
        row = self._fields(row_schema(schema), layout.others)
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
            *READ_VARINT,
            "at = (n >> 1) ^ -(n & 1)",
            *_skipped(2),
            "if p != len(d): raise NotAvro('the record ends elsewhere than its bytes')",
            "return op, row, at",
        ]
        return self._function(lines)

    def _fields(self, schema: Mapping[str, Any], columns: Sequence[Column]) -> list[str]:
        """Lines that read a record's fields into f0, f1, … by their place in `columns`; the others are read past."""
        places = {column.field: place for place, column in enumerate(columns)}
        lines: list[str] = []
        for field in schema["fields"]:
            kind = field["type"]
            name = f"f{places[field['name']]}" if field["name"] in places else "_"
            if not isinstance(kind, list):
                lines += self.read(name, kind)
                continue
            present = self.read(name, next(branch for branch in kind if branch != "null"))
            some = "!=" if kind[0] == "null" else "=="
            lines += ["p += 1", f"if d[p - 1] {some} 0:", *(f"    {line}" for line in present), f"else: {name} = null"]
        return lines

    def _function(self, lines: Sequence[str]) -> Callable[[bytes], Any]:
        source = "def read(d):\n    try:\n" + "".join(f"        {line}\n" for line in lines)
        source += (
            "    except IndexError as early:\n        raise NotAvro('the bytes end before the record') from early\n"
        )
        source += "    except outside:\n        raise NotAvro('a value is none that the database can hold') from None\n"
        own = {"varint": varint, "null": self.null, "NotAvro": NotAvro, "outside": self.outside}
        names: dict[str, Any] = {**own, **self.names}
        # made of names of our own and numbers only: what a schema calls its fields does not come into it
        exec(source, names)
        made: Callable[[bytes], Any] = names["read"]
        return made


READ_VARINT = ("n = d[p]", "if n < 128: p += 1", "else: n, p = varint(d, p)")


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


def logical_type(kind: Any) -> Any:
    """The logical type of an Avro type, or the type itself where it has none."""
    return kind.get("logicalType") if isinstance(kind, dict) else kind


def _joined(columns: Sequence[Column]) -> str:
    fields = [f"f{place}" for place in range(len(columns))]
    return f"b''.join(({', '.join(fields)},))" if fields else "b''"


def _skipped(texts: int) -> list[str]:
    return [line for _ in range(texts) for line in (*READ_VARINT, "p += n >> 1")]
