"""What was set aside, what became of it, and how good each resource is: from the topics into the database.

A count adds once by the relay's run and its number, and all is one transaction with how far the topics were read, so
that the figures are the topics', whatever is killed when (docs/decisions/0008-tracking.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import Message
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.core.avro import Codec, Registry
from services.sync import store
from services.sync.events import Publisher
from services.sync.topics import EVENTS, QUALITY

TOPICS = (QUALITY.name, EVENTS.name, r"^quarantine\..*")
_HOUR_SECONDS = 3_600
_PREFIX, _ROW = "cn.tongshu.sync.", "row_"
_COUNTS = ("judged", "incomplete", "inaccurate", "late", "set_aside", "corrected")


class Books:
    """Takes in batches of the topics `TOPICS`."""

    def __init__(self, registry: Registry, publisher: Publisher) -> None:
        self._publisher = publisher
        self._quality, self._events = Codec(registry, QUALITY.name), Codec(registry, EVENTS.name)
        self._quarantine = Codec(registry, "quarantine")

    def take(self, session: Session, batch: Sequence[Message]) -> None:
        """Apply records that were not applied before."""
        for message in batch:
            value = message.value() or b""
            if message.topic() == QUALITY.name:
                count(session, self._quality.decode(value))
            elif message.topic() == EVENTS.name:
                self._happened(session, self._events.decode(value))
            else:
                set_aside(session, self._quarantine.decode(value))

    def _happened(self, session: Session, event: Mapping[str, Any]) -> None:
        kind = event["type"].removeprefix(_PREFIX).removesuffix(".v1")
        if kind.startswith(_ROW):
            end(session, kind.removeprefix(_ROW), event)
        elif kind == "replay_served":
            served(session, event, self._publisher)


def served(session: Session, event: Mapping[str, Any], publisher: Publisher) -> None:
    """A partition has been delivered once more; with the last one the replay ends."""
    facts = event["data"]
    one = session.get(store.Replay, facts["replay"], with_for_update=True)
    if one is None or one.ended_at is not None or int(facts["partition"]) in one.served:
        return
    one.served, one.partitions = [*one.served, int(facts["partition"])], int(facts["partitions"])
    one.records += int(facts["records"])
    one.state = one.state if one.state == "cancelling" else "running"
    if len(one.served) == one.partitions:
        one.state = "cancelled" if one.state == "cancelling" else "done"
        one.ended_at = event["occurred_at"]
        publisher.replay(session, one, f"replay_{one.state}", "tongshu")
    session.flush()


def count(session: Session, told: Mapping[str, Any]) -> None:
    """Add a value of `sync.quality` to its hour, unless that was done before."""
    run = (told["worker"], told["resource"])
    counted = session.get(store.CountedScores, run)
    if counted is None:
        counted = store.CountedScores(worker=run[0], resource=run[1], sequence=0)
        session.add(counted)
    if told["sequence"] <= counted.sequence:
        return
    counted.sequence = told["sequence"]
    session.flush()
    seconds = int(told["counted_at"].timestamp())
    hour = {"resource": told["resource"], "start": seconds - seconds % _HOUR_SECONDS}
    values = {**hour, "department": told["department"], **{name: told[name] for name in _COUNTS}}
    made = insert(store.QualityHour).values(values)
    table = store.QualityHour.__table__.c
    added = {name: table[name] + made.excluded[name] for name in _COUNTS}
    session.execute(made.on_conflict_do_update(index_elements=[table.resource, table.start], set_=added))
    for rule, rows in sorted(told["broken"].items()):
        broken = insert(store.BrokenRule).values({**hour, "rule": rule, "rows": rows})
        rules = store.BrokenRule.__table__.c
        more = {"rows": rules.rows + broken.excluded.rows}
        session.execute(
            broken.on_conflict_do_update(index_elements=[rules.resource, rules.start, rules.rule], set_=more)
        )


def set_aside(session: Session, entry: Mapping[str, Any]) -> None:
    """Keep an entry of a quarantine; what became of it may be known already."""
    one = _entry(session, entry["topic"], entry["partition"], entry["offset"], entry["grant"] or "")
    for name in ("resource", "owner", "reason", "detail", "rules", "key_digest", "digest", "size", "quarantined_at"):
        setattr(one, name, entry[name])
    if entry["reason"] != "quality":
        one.state = "failed"  # nothing waits for it: the next change of its row simply goes on
    session.flush()


def end(session: Session, how: str, event: Mapping[str, Any]) -> None:
    """Keep what became of a row that was set aside."""
    topic, partition, offset = event["data"]["place"].rsplit("/", 2)
    one = _entry(session, topic, int(partition), int(offset), "")
    one.revision += 1
    if how != "redrive_failed":
        one.state, one.ended_at, one.ended_by = how, event["occurred_at"], event["actor"]
        one.by_offset = int(event["data"]["by_offset"]) if "by_offset" in event["data"] else None
    session.flush()


def _entry(session: Session, topic: str, partition: int, offset: int, grant: str) -> store.Quarantined:
    """The row of a place, made where there is none."""
    place = {"topic": topic, "partition": partition, "offset": offset, "grant": grant}
    new = {**place, "state": "waiting", "revision": 1}
    session.execute(insert(store.Quarantined).values(new).on_conflict_do_nothing())
    return session.scalars(select(store.Quarantined).filter_by(**place)).one()
