"""Row filters as conditions in a source's SQL: which rows of a table are to be read again.

The text comes from the parsed filter alone, every name and value quoted by us: nothing that a caller wrote reaches the
source as SQL. It means what `services/core/rowfilter.py` says the filter means, NULL included.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

from services.catalog.domain.mount import Column
from services.core.rowfilter import Compare, Filter, FilterError, In, IsNull, Join, Node, Not, Value, Within

_TEXTS = frozenset({"text", "character varying", "character", "uuid"})


def condition(row_filter: Filter, columns: Mapping[str, Column]) -> str:
    """The condition that holds of the rows that `row_filter` matches; `columns` gives the column of each item."""
    return f"({_sql(row_filter.root, columns)})"


def _sql(node: Node, columns: Mapping[str, Column]) -> str:
    match node:
        case Compare(item, "starts with", value):
            return f"starts_with({_column(columns[item])}, {_literal(value, columns[item])})"
        case Compare(item, operator, value):
            sign = "<>" if operator == "!=" else operator
            # texts are ordered by their characters, wherever the source is
            order = ' collate "C"' if isinstance(value, str) and sign not in ("=", "<>") else ""
            return f"{_column(columns[item])}{order} {sign} {_literal(value, columns[item])}"
        case In(item, values):
            return f"{_column(columns[item])} in ({', '.join(_literal(value, columns[item]) for value in values)})"
        case Within(_, division):
            raise FilterError(f"rows cannot be chosen by the division {division} here")
        case IsNull(item):
            return f"{_column(columns[item])} is null"
        case Not(inner):
            return f"not ({_sql(inner, columns)})"
        case Join(word, left, right):
            return f"({_sql(left, columns)}) {word} ({_sql(right, columns)})"


def _column(column: Column) -> str:
    quoted = '"' + column.name.replace('"', '""') + '"'
    return f"{quoted}::text" if column.type in _TEXTS else quoted


def _literal(value: Value, column: Column) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            if "\0" in value:
                raise ValueError("no text holds a NUL")
            return "'" + value.replace("'", "''") + "'"
        case datetime() if column.type == "timestamp without time zone":
            # such a column is delivered as if it were UTC
            return f"timestamp '{value.replace(tzinfo=None).isoformat(' ')}'"
        case datetime():
            return f"timestamptz '{value.isoformat(' ')}'"
        case date():
            return f"date '{value.isoformat()}'"
        case Decimal():
            return f"{value:f}"
        case int():
            return str(value)
