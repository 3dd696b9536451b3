"""`./tongshu audit replay`: a span of the log, told again: as a timeline, as JSON Lines, or as an excerpt with proofs.

What is told comes from the sealed entries, not from the database. `rebuild` works out grants and demands from the
events that the log has sealed: each event is read from its own topic and believed only if its digest is the sealed one.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from cli.audit.reading import Kept, Log
from services.audit.domain.proof import Prover
from services.audit.store import Actor
from services.audit.verifier import WIDTH, Fault
from services.core import db, merkle
from services.core.avro import Codec

# events that say in `data.state` what state their subject is in from then on
_STATES = "demand.events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which entries; all that is given must fit. `grant` and `record` name what an entry is about."""

    first: int = 0
    last: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    thread: str | None = None
    grant: str | None = None
    department: str | None = None
    type: str | None = None
    record: tuple[str, int, int] | None = None

    def takes(self, told: Mapping[str, Any]) -> bool:
        return (
            (self.since is None or told["occurred_at"] >= self.since)
            and (self.until is None or told["occurred_at"] < self.until)
            and self.thread in (None, told["thread"])
            and self.grant in (None, told["subject"])
            and self.department in (None, told["department"])
            and (self.type is None or self.type in told["type"])
            and self.record in (None, (told["topic"], told["partition"], told["offset"]))
        )


def replay(log: Log, span: Span) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Each entry of the span, as it was sealed and decoded."""
    size = log.head.checkpoint.size
    last = size if span.last is None else min(size, span.last + 1)
    for begin in range(span.first, last, WIDTH):
        for raw in log.tiles.entries(begin, min(begin + WIDTH, last)):
            told = log.decode(raw)
            if span.takes(told):
                yield raw, told


def names(log: Log) -> dict[str, str]:
    """Whom the references of the log stand for, where that was not erased."""
    engine = db.engine(log.exchange.settings, "audit")
    try:
        with Session(engine) as session:
            rows = session.execute(select(Actor.reference, Actor.name).where(Actor.name.is_not(None)))
            return {reference: str(name) for reference, name in rows}
    finally:
        engine.dispose()


def excerpt(log: Log, found: list[tuple[bytes, dict[str, Any]]], *, with_records: bool = True) -> dict[str, Any]:
    """The entries with proofs, and the records that they seal where those are kept: what `verify.py` checks alone."""
    signed = log.head.checkpoint
    prover = Prover(log.tiles.whole, log.tiles.hashing)
    kept = _Records(log)
    try:
        entries = []
        for raw, told in found:
            one: dict[str, Any] = {
                "index": told["sequence"],
                "entry": base64.b64encode(raw).decode(),
                "proof": [base64.b64encode(node).decode() for node in prover.inclusion(told["sequence"], signed.size)],
            }
            record = kept.of(told) if with_records else None
            if record is not None and record[1] is not None:
                key, value = (base64.b64encode(part or b"").decode() for part in record)
                one["record"] = {"key": key, "value": value}
            entries.append(one)
        return {"checkpoint": log.note, "key": log.key.text(), "entries": entries}
    finally:
        kept.close()


class _Records:
    """The records that entries tell of, read from their own topics."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._kept: dict[tuple[str, int], Kept] = {}

    def of(self, told: Mapping[str, Any]) -> tuple[bytes, bytes | None] | None:
        """The record of an entry; None when it is no longer kept."""
        where = (told["topic"], told["partition"])
        if where not in self._kept:
            self._kept[where] = Kept(self._log.exchange, *where)
        return self._kept[where].at(told["offset"])

    def close(self) -> None:
        for one in self._kept.values():
            one.close()


@dataclass(slots=True)
class Rebuilt:
    """States worked out from the log: by subject, what its events say of it last; and what could not be believed."""

    states: dict[str, dict[str, Any]]
    faults: list[Fault]


def rebuild(log: Log, as_of: datetime | None = None) -> Rebuilt:
    """The state of each grant and demand at a moment, from the sealed events alone."""
    events, kept = Codec(log.exchange.registry, _STATES), _Records(log)
    rebuilt = Rebuilt({}, [])
    try:
        for _, told in replay(log, Span()):
            if told["topic"] != _STATES or (as_of is not None and told["occurred_at"] > as_of):
                continue
            where = f"entry {told['sequence']}"
            record = kept.of(told)
            if record is None or record[1] is None:
                rebuilt.faults.append(Fault("record-gone", where, "its event is not kept any more"))
            elif log.tiles.hashing.new(merkle.record_entry(*record)).digest() != told["digest"]:
                rebuilt.faults.append(Fault("record", where, "its event is not the one that was sealed"))
            else:
                _apply(rebuilt.states, events.decode(record[1]))
    finally:
        kept.close()
    return rebuilt


def _apply(states: dict[str, dict[str, Any]], event: Mapping[str, Any]) -> None:
    """Take in what an event says of its subject's state: a grant's tells its topic, a demand's its path."""
    facts = event["data"]
    what = "grant" if "topic" in facts else "demand" if "path" in facts else None
    if "state" not in facts or what is None:
        return
    told = {"department": event["department"], "thread": event["thread"], "since": event["occurred_at"], "what": what}
    states[event["subject"]] = {**states.get(event["subject"], {}), **facts, **told}


# what the service's own answer must say as the log does
_COMPARED = {
    "grant": ("state", "resource", "topic", "department", "thread"),
    "demand": ("state", "path", "level", "department", "thread"),
}


def differences(log: Log, rebuilt: Rebuilt) -> list[str]:
    """Where the service's own grants and demands are not what the log says."""
    found = []
    for what, names in _COMPARED.items():
        own = {one["id"]: one for one in _listed(log, f"/{what}s")}
        states = {subject: one for subject, one in rebuilt.states.items() if one["what"] == what}
        # a draft is its author's alone, and the service shows it to nobody else
        sealed = {subject for subject, one in states.items() if one["state"] != "draft"}
        found += [f"{what} {one}: the log has sealed it, the service does not know it" for one in sealed - own.keys()]
        found += [f"{what} {one}: the service has it, the log has not" for one in own.keys() - states.keys()]
        for subject in own.keys() & states.keys():
            found += [
                f"{what} {subject}: {name} is {own[subject][name]!r}, the log says {states[subject][name]!r}"
                for name in names
                if name in states[subject] and own[subject][name] != states[subject][name]
            ]
    return sorted(found)


def _listed(log: Log, path: str) -> Iterator[dict[str, Any]]:
    cursor = ""
    while True:
        answer = log.exchange.ask("GET", "demand", f"{path}?limit=200{cursor}")
        yield from answer["items"]
        if answer["next"] is None:
            return
        cursor = f"&cursor={answer['next']}"
