"""A share topic in memory, as the relay would fill it: for stores that are driven without a broker."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from services.core.avro import Registry

DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}
DATE = {"type": "int", "logicalType": "date"}
TIMESTAMP = {"type": "long", "logicalType": "timestamp-micros"}
ITEMS = {
    "id": "string", "name": "string", "age": "long", "paid": DECIMAL, "rate": "double", "alive": "boolean",
    "born": DATE, "seen": TIMESTAMP,
}  # fmt: skip
SOURCE = {
    "type": "record",
    "name": "Source",
    "fields": [
        {"name": "system", "type": "string"},
        {"name": "position", "type": "string"},
        {"name": "committed_at", "type": TIMESTAMP},
    ],
}
KEY = {"type": "record", "name": "Key", "fields": [{"name": "id", "type": "string"}]}


def at_micros(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


text = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=6)
rows = st.fixed_dictionaries(
    {
        "name": st.none() | text,
        "age": st.none() | st.integers(-(2**63), 2**63 - 1),
        "paid": st.none() | st.decimals(-(10**15), 10**15, places=2, allow_nan=False),
        "rate": st.none() | st.floats(allow_nan=False),
        "alive": st.none() | st.booleans(),
        "born": st.none() | st.dates(date(1900, 1, 1), date(2100, 1, 1)),
        "seen": st.none() | st.integers(-(2**51), 2**52).map(at_micros),
    }
)
keys = st.sampled_from(["甲", "乙", "丙", "丁", "a\tb\\N\n"])


def value_schema(items: list[str]) -> dict[str, Any]:
    fields = [{"name": name, "type": ["null", ITEMS[name]], "default": None} for name in items]
    return {
        "type": "record",
        "name": "Change",
        "fields": [
            {"name": "op", "type": "string"},
            {"name": "row", "type": ["null", {"type": "record", "name": "Row", "fields": fields}], "default": None},
            {"name": "source", "type": SOURCE},
            {"name": "grant", "type": "string"},
            {"name": "contract_version", "type": "string"},
        ],
    }


class Ids(Registry):
    """Gives ids by itself."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1")
        self.newest: dict[str, Any] = {}

    def keep(self, schema: dict[str, Any]) -> int:
        for schema_id, known in self._raw.items():
            if known == schema:
                return schema_id
        self._raw[len(self._raw) + 1] = schema
        return len(self._raw)

    def latest(self, subject: str) -> dict[str, Any] | None:
        return self.newest


@dataclass(frozen=True, slots=True)
class Record:
    at: int
    key_bytes: bytes
    value_bytes: bytes | None

    def key(self) -> bytes:
        return self.key_bytes

    def value(self) -> bytes | None:
        return self.value_bytes

    def offset(self) -> int:
        return self.at


@dataclass
class Topic:
    """A share topic with what was produced to it, and the state that this makes."""

    registry: Ids = field(default_factory=Ids)
    records: list[Record] = field(default_factory=list)
    state: dict[str, dict[str, Any]] = field(default_factory=dict)
    items: list[str] = field(default_factory=lambda: [name for name in ITEMS if name not in ("seen", "rate")])
    end: int = 0

    def produce(self, key: str, op: str, row: dict[str, Any] | None) -> None:
        schema = value_schema(self.items)
        self.registry.newest = schema
        shown = None if row is None else {name: ({"id": key} | row)[name] for name in self.items}
        change = {
            "op": op,
            "row": shown,
            "source": {"system": "s", "position": f"{self.end:016x}", "committed_at": datetime.now(UTC)},
            "grant": "g",
            "contract_version": "1.0.0",
        }
        key_bytes = self.registry.encode(self.registry.keep(KEY), {"id": key})
        self._append(Record(self.end, key_bytes, self.registry.encode(self.registry.keep(schema), change)))
        if shown is None:
            self._append(Record(self.end, key_bytes, None))
            self.state.pop(key, None)
        else:
            self.state[key] = shown
        self.end += 1  # a control record takes an offset, too

    def _append(self, record: Record) -> None:
        self.records.append(record)
        self.end += 1

    def compact(self, until: int) -> None:
        """Keep the last record of each key before `until`, but no tombstone."""
        last = {record.key_bytes: record for record in self.records if record.at < until}
        self.records = [
            record
            for record in self.records
            if record.at >= until or (last[record.key_bytes] is record and record.value_bytes is not None)
        ]
