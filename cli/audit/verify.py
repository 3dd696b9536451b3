"""`./tongshu audit verify`: everything from scratch – topic, tiles, checkpoints, records, manifests, database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from cli.audit.reading import Kept, Log
from services.audit import native
from services.audit.store import Cursor, Entry
from services.audit.verifier import Fault, Walk
from services.core import db, merkle
from services.core.avro import Codec, NotAvro

_MANIFESTS = "sync.deliveries"
# of these only the last record of each key must still be there
_COMPACTED = ("demand.grants", "demand.matching", "catalog.resources")
_COLUMNS = Entry.__table__.columns
_told = itemgetter(*_COLUMNS.keys())
# manifests are made with SHA-256, whatever the log is hashed with
_DELIVERED = native.hashing_of("")


@dataclass(slots=True)
class Verdict:
    """What was checked, and what does not hold."""

    entries: int = 0
    checkpoints: int = 0
    cosigned: int = 0
    records: int = 0
    records_gone: int = 0
    manifests: int = 0
    manifests_compacted: int = 0
    delivered: int = 0
    rows: int = 0
    faults: list[Fault] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "faults"}
        faults = [{"kind": one.kind, "where": one.where, "detail": one.detail} for one in self.faults]
        return {"holds": not self.faults, **told, "faults": faults}


def verify(log: Log, on_step: Callable[[int, int], None] = lambda done, total: None) -> Verdict:
    """Check the log up to its present checkpoint; `on_step` is told how many entries are done, and of how many."""
    walk = Walk(log.tiles.read, log.key, [*log.notes(), log.note], log.witnesses, log.tiles.hashing)
    check = _Check(log, Verdict(), walk.faults)
    try:
        for done in walk.run(check.bundle):
            on_step(done, walk.size)
    finally:
        check.close()
    verdict = check.verdict
    verdict.entries, verdict.checkpoints, verdict.cosigned = walk.size, len(walk.checkpoints), walk.cosigned
    verdict.faults = walk.faults
    return verdict


class _Check:
    """Holds each entry against its topic, its record and its row, as the walk goes on."""

    def __init__(self, log: Log, verdict: Verdict, faults: list[Fault]) -> None:
        self._log, self.verdict, self._faults = log, verdict, faults
        self._topic = log.records()
        self._kept: dict[tuple[str, int], Kept] = {}
        self._manifests = Codec(log.exchange.registry, _MANIFESTS)
        self._engine = db.engine(log.exchange.settings, "audit")
        self._session = Session(self._engine)
        self._indexed = self._session.scalar(select(Cursor.next).where(Cursor.name == "entries")) or 0

    def bundle(self, first: int, entries: list[bytes]) -> None:
        rows = {row[0]: row for row in self._rows(first, len(entries))}
        for number, entry in enumerate(entries, first):
            if next(self._topic, None) != entry:
                self._fault("topic", f"entry {number}", "audit.log does not hold it as it was sealed")
            try:
                told = self._log.decode(entry)
            except NotAvro as error:
                self._fault("malformed", f"entry {number}", str(error))
                continue
            self._record(number, told)
            self._row(number, rows.get(number), told)

    def close(self) -> None:
        for one in self._kept.values():
            one.close()
        self._session.close()
        self._engine.dispose()

    def _fault(self, kind: str, where: str, detail: str) -> None:
        self._faults.append(Fault(kind, where, detail))

    def _of(self, topic: str, partition: int) -> Kept:
        where = (topic, partition)
        if where not in self._kept:
            self._kept[where] = Kept(self._log.exchange, topic, partition)
        return self._kept[where]

    def _record(self, number: int, told: dict[str, Any]) -> None:
        found = self._of(told["topic"], told["partition"]).at(told["offset"])
        where = f"entry {number}"
        place = f"{told['topic']}/{told['partition']} at offset {told['offset']}"
        if found is None:
            self.verdict.records_gone += 1
            if told["topic"] not in _COMPACTED:
                self._fault("record-gone", where, f"{place} holds its record no longer")
            return
        self.verdict.records += 1
        key, value = found
        if self._log.tiles.hashing.new(merkle.record_entry(key, value)).digest() != told["digest"]:
            self._fault("record", where, f"{place} holds another record than was sealed")
        elif told["topic"] == _MANIFESTS and value is not None:
            self._manifest(number, self._manifests.decode(value))

    def _manifest(self, number: int, manifest: dict[str, Any]) -> None:
        """The delivered records, where all of them are still kept, must have the root that the manifest tells."""
        self.verdict.manifests += 1
        delivered = [
            merkle.record_entry(key, value)
            for target in manifest["targets"]
            for _, key, value in self._of(target["topic"], target["partition"]).between(target["first"], target["last"])
        ]
        self.verdict.delivered += len(delivered)
        if len(delivered) < manifest["records"]:
            self.verdict.manifests_compacted += 1
        elif len(delivered) > manifest["records"] or _root(delivered) != manifest["root"]:
            targets = ", ".join(
                f"{one['topic']}/{one['partition']} {one['first']}–{one['last']}" for one in manifest["targets"]
            )
            self._fault("manifest", f"entry {number}", f"what {targets} holds is not what its manifest tells")

    def _rows(self, first: int, count: int) -> Iterator[Row[Any]]:
        # an object a row would cost more than all other checks of its entry
        yield from self._session.execute(select(*_COLUMNS).where(Entry.sequence.between(first, first + count - 1)))

    def _row(self, number: int, row: Row[Any] | None, told: dict[str, Any]) -> None:
        if row is None:
            if number < self._indexed:
                self._fault("database", f"entry {number}", "the database has lost its row")
            return
        self.verdict.rows += 1
        if tuple(row) != _told(told):
            wrong = ", ".join(name for name, value in told.items() if row._mapping[name] != value)
            self._fault("database", f"entry {number}", f"the database tells another {wrong} than the log")


def _root(delivered: list[bytes]) -> bytes:
    return _DELIVERED.fold(_DELIVERED.leaves(delivered)) if delivered else merkle.EMPTY_ROOT
