"""What the source's log has said before, recognised by where in that log it stands.

Debezium says things twice: after a restart it goes on from the last position it has committed, and what it wrote in a
transaction that came to nothing stays in the topic beside its repetition. Positions only grow within a partition of a
change topic, so one mark is enough to know a repetition (Materialize does it so: MaterializeInc/materialize#14211).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

_METADATA_PARTS = 4


class Mark(NamedTuple):
    """How far a partition of a change topic has been read in terms of the source's log.

    `committed` is the LSN of the last commit before the change's own, `lsn` the change's; a change of key is a delete
    and a create at one position, so `ops` says what was seen there. `until_us` is the latest commit time seen: a change
    that was committed later is none that was seen, whatever its position (a source restored from a backup counts anew).
    """

    committed: int = -1
    lsn: int = -1
    ops: str = ""
    until_us: int = -1

    def text(self) -> str:
        """For the metadata of a committed offset, so that offset and mark are committed as one."""
        return f"{self.committed} {self.lsn} {self.ops or '-'} {self.until_us}"


def parse(text: str | None) -> Mark:
    """The mark from an offset's metadata; the very first mark when there is none."""
    parts = (text or "").split()
    if len(parts) != _METADATA_PARTS:
        return Mark()
    committed, lsn, ops, until_us = parts
    return Mark(int(committed), int(lsn), ops.strip("-"), int(until_us))


def later(mark: Mark, envelope: Mapping[str, Any]) -> Mark | None:
    """The mark after this change; None when the change is a repetition.

    A row that a snapshot read has no place in the log, and neither has a change of a connector that tells no position:
    they are never repetitions.
    """
    source, op = envelope["source"], envelope["op"]
    sequence, at_us = source.get("sequence"), source.get("ts_us")
    if op == "r" or not sequence or at_us is None:
        return mark
    committed, lsn = (int(part or 0) for part in json.loads(sequence))
    place, marked, seen = (committed, lsn), (mark.committed, mark.lsn), at_us <= mark.until_us
    if seen and (place < marked or (place == marked and op in mark.ops)):
        return None
    return Mark(committed, lsn, mark.ops + op if seen and place == marked else op, max(at_us, mark.until_us))
