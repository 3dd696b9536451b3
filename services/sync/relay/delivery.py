"""What becomes of a stretch of changes: each is judged where its resource has rules, and projected for its audience.

A row that breaks a rule is set aside and its key waits (`services/sync/quality/gate.py`), in the same transaction as
everything else. A resource without rules never comes near that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime

from services.core.avro import NotAvro, Registry, UnknownSchema, wire_schema_id
from services.core.settings import Settings
from services.sync.projection.reference import Known
from services.sync.quality.gate import Decision, Fate, Waiting
from services.sync.relay.changes import Audience, Change, Stretch
from services.sync.relay.inspection import BY, ENDS, Inspection
from services.sync.relay.projecting import Projector
from services.sync.relay.repeats import Mark, later
from services.sync.relay.routes import State
from services.sync.relay.transaction import Filling, Transactions

Exceptions = Iterator[tuple[int, int, object, Decision]]
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


def _day(now: datetime) -> int:
    """The day of `now` in days since 1970-01-01."""
    return now.date().toordinal() - _EPOCH_ORDINAL


def _timed(found: Exceptions, tx: Filling) -> Exceptions:
    """The same, while it is noted how long they took to be found."""
    while True:
        begun = time.perf_counter()
        one = next(found, None)
        tx.checking += time.perf_counter() - begun
        if one is None:
            return
        yield one


class Delivery:
    """Judges and projects changes into the open transaction."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        inspection: Inspection,
        projector: Projector,
        transactions: Transactions,
    ) -> None:
        self._most_bytes, self._registry = settings.max_record_bytes, registry
        self._inspection, self._gate = inspection, inspection.gate
        self._projector, self._transactions = projector, transactions

    def relay(self, stretch: Stretch, audience: Audience, tx: Filling) -> None:
        """Fill `tx` with what the audience sees of a stretch."""
        at = 0
        if stretch.keys is not None:
            exceptions = _timed(self._exceptions(stretch, stretch.keys, audience, tx), tx)
            for number, schema_id, envelope, decision in exceptions:
                self._projector.pass_on(stretch, at, number, audience, tx)
                change = Change(stretch.place(number), stretch.values[number], schema_id, envelope)
                self._settle(change, decision, audience, tx)
                at = number + 1
        self._projector.pass_on(stretch, at, len(stretch.values), audience, tx)
        if tx.heard is not None and not audience.catching_up:
            # where nobody is served, projection does not follow what was heard
            tx.marks[stretch.where], tx.heard = tx.heard, None

    def _exceptions(
        self, stretch: Stretch, keys: Sequence[bytes | None], audience: Audience, tx: Filling
    ) -> Exceptions:
        """The changes of a stretch that do not simply go on, in their order; each must be settled before the next.

        Number, id of the schema, the change decoded, and what becomes of it. What cannot be read is no exception: it is
        found out when it is projected.
        """
        route, where, is_live = audience.route, stretch.where, not audience.catching_up
        mark, score, gate = self._projector.mark(where, tx), tx.findings.of(route), self._gate
        digests, at = list[bytes](), 0
        while at < len(stretch.values):
            number, value = at, stretch.values[at]
            try:
                schema_id = wire_schema_id(value)
                if (fast := self._inspection.fast(schema_id, route)) is not None:
                    if gate.waits.any_in(where) and not digests:
                        digests = [gate.key_digest(key) for key in keys]
                    end = gate.waits.first(where, digests, at) if digests else len(keys)
                    heard_before = mark if is_live else None
                    at, rows, heard = fast.run(stretch.values, at, heard_before, _day(tx.now), until=end)
                    score.judged += rows if is_live else 0
                    mark = Mark(*heard) if heard is not None else mark
                    if at > number:
                        continue
                at += 1
                judge = self._inspection.judge(schema_id, route)
                if judge is None or len(value) > self._most_bytes:
                    continue
                envelope = self._registry.decode(value)[1]
                if not is_live:
                    decision = gate.lane(where, stretch.offsets[number], keys[number], envelope, judge, tx.now)
                elif (said := later(mark, envelope)) is None:
                    continue
                else:
                    mark = said
                    decision = gate.live(where, keys[number], envelope, judge, tx.now, score)
            except (NotAvro, UnknownSchema, KeyError, TypeError, ValueError):
                at = number + 1
                continue
            if decision is not None:
                yield number, schema_id, envelope, decision
        tx.heard = mark

    def _settle(self, change: Change, decision: Decision, audience: Audience, tx: Filling) -> None:
        """Settle a change that does not simply go on."""
        where, offset, route = change.place[:2], change.place[2], audience.route
        if decision.fate is Fate.HIDDEN:
            if audience.replays:
                return  # who was delivered what came before keeps it
            self._deliver(change, audience, tx, lambda _: Known(hidden=True))
            return
        self._projector.repeats(where, change.envelope, tx)
        produce = self._transactions.produce
        if decision.fate is Fate.ASIDE:
            self._inspection.tell_aside(produce, change.place, change.value, route, decision, tx.now)
            self._gate.set_aside(
                where, offset, decision, route.resource["code"],
                lambda: self._projector.holding(change, route, audience.grants),
            )  # fmt: skip
        elif decision.fate is Fate.UNSURE or decision.waited is None:
            self._deliver(change, audience, tx, lambda _: Known(unsure=True))
        else:
            waited, how = decision.waited, ENDS[decision.fate]
            self._deliver(change, audience, tx, lambda grant: Known(held=grant["id"] in waited.holding))
            self._gate.waits.put(where, decision.digest, None)
            tx.findings.of(route).corrected += decision.fate is Fate.CORRECTED
            self._inspection.tell_end(produce, (*where, waited.offset), route, how, BY, by=offset)

    def _deliver(
        self, change: Change, audience: Audience, tx: Filling, known: Callable[[State], Known], *, timed: bool = True
    ) -> None:
        for grant in audience:
            self._projector.deliver(
                change, audience.route, grant, tx,
                catching_up=audience.catching_up, known=known(grant), timed=timed,
            )  # fmt: skip

    def try_again(
        self, change: Change, digest: bytes, waited: Waiting, actor: str, audience: Audience, tx: Filling
    ) -> None:
        """Judge a change that is set aside by the rules of today, and deliver it where it breaks none."""
        judge = self._inspection.judge(change.schema_id, audience.route)
        verdict = judge.judge(change.envelope["after"], change.envelope["before"], tx.now) if judge else None
        if verdict is not None and verdict.stopping:
            self._tell_ordered(change, audience, "redrive_failed", actor)
            return
        self._gate.waits.put(change.place[:2], digest, None)
        self._tell_ordered(change, audience, "redriven", actor)
        self._deliver_held(change, waited, audience, tx)

    def release(
        self, change: Change, digest: bytes, waited: Waiting, actor: str, audience: Audience, tx: Filling
    ) -> None:
        """Deliver a change that is set aside though it breaks a rule."""
        self._gate.waits.put(change.place[:2], digest, replace(waited, released=True))
        self._tell_ordered(change, audience, "released", actor)
        self._deliver_held(change, waited, audience, tx)

    def _deliver_held(self, change: Change, waited: Waiting, audience: Audience, tx: Filling) -> None:
        self._deliver(change, audience, tx, lambda grant: Known(held=grant["id"] in waited.holding), timed=False)

    def _tell_ordered(self, change: Change, audience: Audience, how: str, actor: str) -> None:
        self._inspection.tell_end(self._transactions.produce, change.place, audience.route, how, actor)
