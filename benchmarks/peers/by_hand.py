"""The projection of the sample grant on the population, written by hand as an application of Kafka would have it.

Needs nothing but fastavro, so that it runs in the environments of the peers. It says the same as the relay does of the
same changes, which the benchmark holds against the reference before any figure counts.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fastavro

_HEADER = struct.Struct(">bI")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ByHand:
    """One grant's view of changes; made from what the benchmark has written down for the peers."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told
        self._writer = fastavro.parse_schema(told["writer"])
        self._key, self._value = fastavro.parse_schema(told["key"]), fastavro.parse_schema(told["value"])

    def __call__(self, change: bytes) -> list[tuple[bytes, bytes | None]]:
        """Keys and values of what the grant sees of a change."""
        envelope: Any = fastavro.schemaless_reader(io.BytesIO(change[_HEADER.size :]), self._writer, None)
        before, after = envelope["before"], envelope["after"]
        was_seen = before is not None and (before["region"] or "").startswith("3206")
        is_seen = after is not None and (after["region"] or "").startswith("3206")
        if not is_seen and not was_seen:
            return []
        op = "d" if not is_seen else "r" if envelope["op"] == "r" else "u" if was_seen else "c"
        source = envelope["source"]
        value = {
            "op": op,
            "row": _row(after) if is_seen else None,
            "source": {
                "system": self._told["system"],
                "position": f"{source['lsn']:016x}",
                "committed_at": _EPOCH + timedelta(microseconds=source["ts_us"]),
            },
            "grant": self._told["grant"],
            "contract_version": self._told["contract_version"],
        }
        key = _written(self._told["key_id"], self._key, {"id_number": (after or before)["id_number"]})
        seen: list[tuple[bytes, bytes | None]] = [(key, _written(self._told["value_id"], self._value, value))]
        return seen if is_seen else [*seen, (key, None)]


def told(path: str) -> dict[str, Any]:
    """What the benchmark has written down: logins, topics, schemas and their ids."""
    found: dict[str, Any] = json.loads(Path(path).read_text())
    return found


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    born = row["birth_date"]
    return {
        "id_number": row["id_number"],
        "name": _kept(row["name"], 1, 0),
        "sex": row["sex"],
        "birth_date": None if born is None else (_EPOCH + timedelta(days=born)).strftime("%Y-%m"),
        "region": row["region"],
        "status": row["status"],
        "phone": _kept(row["phone"], 3, 4),
        "photo_note": row["photo_note"],
    }


def _kept(text: str | None, first: int, last: int) -> str | None:
    if text is None:
        return None
    hidden = len(text) - first - last
    return "*" * len(text) if hidden < 1 else text[:first] + "*" * hidden + text[len(text) - last :]


def _written(schema_id: int, schema: Any, record: Mapping[str, Any]) -> bytes:
    out = io.BytesIO()
    out.write(_HEADER.pack(0, schema_id))
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()
