"""Changes become records: the native engine as far as it goes, each change before which it stops by the reference.

What is compiled for a grant is kept until the grant or its resource changes. What cannot be projected is set aside per
grant and stops nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from services.core.avro import NotAvro, Registry, SchemaRefused, UnknownSchema, wire_schema_id
from services.core.masks import MaskError
from services.core.rowfilter import FilterError
from services.core.settings import Settings
from services.sync.projection import native
from services.sync.projection.plan import NotAnEnvelope
from services.sync.projection.reference import (
    NOTHING_MORE,
    Known,
    UnavailableValue,
    UnknownOperation,
    committed_at,
    sees,
)
from services.sync.projection.values import WrongType
from services.sync.relay.changes import Audience, Change, Partition, Place, Stretch
from services.sync.relay.client import TIMEOUT_SECONDS
from services.sync.relay.inspection import Inspection
from services.sync.relay.repeats import Mark, later
from services.sync.relay.routes import Route, State
from services.sync.relay.serving import records, serve
from services.sync.relay.standing import Standing
from services.sync.relay.transaction import Filling, Transactions

log = structlog.get_logger()

_UNPROJECTED = (
    NotAnEnvelope, UnknownOperation, SchemaRefused, UnavailableValue, WrongType, MaskError, FilterError,
    KeyError, TypeError, ValueError, OverflowError,
)  # fmt: skip


class Projector:
    """Fills transactions with what grants see of changes."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        admin: AdminClient,
        standing: Standing,
        inspection: Inspection,
        transactions: Transactions,
    ) -> None:
        self._most_bytes, self._registry, self._admin = settings.max_record_bytes, registry, admin
        self._master = bytes.fromhex(settings.secret("pseudonym_key"))
        self._standing, self._inspection, self._transactions = standing, inspection, transactions
        self._plans: dict[tuple[int, str, datetime, int], native.Served] = {}
        self._projections: dict[tuple[int, str, int, tuple[tuple[str, datetime], ...]], Any] = {}
        self._partitions: dict[str, int] = {}

    def partitions_of(self, topic: str) -> int:
        """How many partitions a share topic has. Raises KafkaException where there is no such topic."""
        if topic not in self._partitions:
            told = self._admin.list_topics(timeout=TIMEOUT_SECONDS).topics
            self._partitions = {name: len(one.partitions) for name, one in told.items()}
        if topic not in self._partitions:
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, f"there is no topic {topic}"))
        return self._partitions[topic]

    def keep_only(self, routes: Sequence[Route]) -> None:
        """Drop what was compiled for grants and versions that are no longer there."""
        served = {(grant["id"], grant["updated_at"]) for route in routes for grant in route.grants}
        versions = {route.resource["code"]: route.resource["version"] for route in routes}
        self._plans = {known: plan for known, plan in self._plans.items() if known[1:3] in served}
        self._projections = {
            known: one for known, one in self._projections.items()
            if versions.get(known[1]) == known[2] and served.issuperset(known[3])
        }  # fmt: skip

    # -- runs of changes ---------------------------------------------------------------------------------------------

    def pass_on(self, stretch: Stretch, at: int, until: int, audience: Audience, tx: Filling) -> None:
        """Project changes number `at` up to `until` (left out)."""
        at = at if audience.grants else until
        by_reference = audience.catching_up and any(grant["divisions_before"] for grant in audience)
        while at < until:
            # the reference finds rows that have left the sight of a grant because divisions have changed
            projection = None if by_reference else self._projection(stretch.values[at], audience)
            stopped_at = at
            if projection is not None:
                stopped_at = self._run(projection, stretch, at, until, audience, tx)
            if stopped_at == at:
                self._pass_one(stretch, at, audience, tx)
                at += 1
            else:
                at = stopped_at

    def _run(self, projection: Any, stretch: Stretch, at: int, until: int, audience: Audience, tx: Filling) -> int:
        """Have the native engine project from change number `at` on; the number of the one before which it stopped."""
        mark = None if audience.catching_up else self.mark(stretch.where, tx)
        now_us = int(datetime.now(UTC).timestamp() * 1_000_000)
        outcomes = projection.run(stretch.values, at, mark, now_us, audience.catching_up, until=until)
        for place, grant in enumerate(audience):
            if outcomes.delivers(place):
                tally = tx.tally(grant, self.partitions_of)
                tally.take(outcomes, place, *stretch.where, stretch.offsets.__getitem__)
        if mark is not None:
            tx.marks[stretch.where] = Mark(*outcomes.mark)
        return int(outcomes.stopped_at)

    def _projection(self, value: bytes, audience: Audience) -> Any:
        """The native engine for changes written as `value` is; None where the reference does the work."""
        try:
            schema_id = wire_schema_id(value)
        except NotAvro:
            return None
        resource = audience.route.resource
        served = tuple((grant["id"], grant["updated_at"]) for grant in audience)
        versions = (schema_id, resource["code"], resource["version"], served)
        if versions not in self._projections:
            try:
                plans = [self._plan(schema_id, audience.route, grant) for grant in audience]
                found = native.compiled(self._registry.schema(schema_id), schema_id, plans, self._most_bytes)
            except native.Unsupported as why:
                found = None
                log.info("the reference engine projects", resource=resource["code"], why=str(why))
            except (NotAnEnvelope, SchemaRefused, UnknownSchema, MaskError, FilterError, KeyError):
                found = None  # what is wrong is found change by change, and set aside
            self._projections[versions] = found
        return self._projections[versions]

    def _plan(self, schema_id: int, route: Route, grant: State) -> native.Served:
        versions = (schema_id, grant["id"], grant["updated_at"], route.resource["version"])
        if versions not in self._plans:
            self._plans[versions] = serve(
                self._registry, schema_id, route.resource, grant, self._master, self.partitions_of
            )
        return self._plans[versions]

    # -- one change --------------------------------------------------------------------------------------------------

    def _pass_one(self, stretch: Stretch, at: int, audience: Audience, tx: Filling) -> None:
        """Project change number `at` by the reference, for each grant apart; what cannot be is set aside."""
        place, value = stretch.place(at), stretch.values[at]
        if len(value) > self._most_bytes:
            self._set_aside(place, value, audience.route, None, "oversized", f"{len(value)} bytes", tx)
            return
        try:
            schema_id = wire_schema_id(value)
            _, envelope = self._registry.decode(value)
        except NotAvro as error:
            self._set_aside(place, value, audience.route, None, "not-avro", str(error), tx)
            return
        except UnknownSchema as error:
            self._set_aside(place, value, audience.route, None, "unknown-schema", str(error), tx)
            return
        if not audience.catching_up and self.repeats(stretch.where, envelope, tx):
            return
        change = Change(place, value, schema_id, envelope)
        for grant in audience:
            self.deliver(change, audience.route, grant, tx, catching_up=audience.catching_up)

    def deliver(
        self,
        change: Change,
        route: Route,
        grant: State,
        tx: Filling,
        *,
        catching_up: bool,
        known: Known = NOTHING_MORE,
        timed: bool = True,
    ) -> None:
        """Keep what `grant` sees of a change, all of it or nothing: what cannot be projected is set aside.

        How long it took counts where the change is `timed`.
        """
        reason = self._project(change, route, grant, tx, catching_up=catching_up, known=known, timed=timed)
        if reason:
            self._set_aside(change.place, change.value, route, grant["id"], *reason, tx)

    def _project(
        self, change: Change, route: Route, grant: State, tx: Filling, *, catching_up: bool, known: Known, timed: bool
    ) -> tuple[str, str] | None:
        """The reason when it cannot be projected."""
        envelope = change.envelope
        try:
            served = self._plan(change.schema_id, route, grant)
            made = records(self._registry, served, envelope, catching_up=catching_up, known=known)
        except (NotAnEnvelope, UnknownOperation, SchemaRefused, KeyError) as error:
            return "wrong-shape", str(error)
        except UnavailableValue as error:
            return "unavailable-value", str(error)
        except (WrongType, MaskError, FilterError) as error:
            return "wrong-type", str(error)
        except (TypeError, ValueError, OverflowError) as error:
            # the words of these may quote the value, and a quarantine entry must not
            return "wrong-type", f"a value does not fit the contract ({type(error).__name__})"
        if not made:
            return None
        tally = tx.tally(grant, self.partitions_of)
        topic, partition, offset = change.place
        tally.read(topic, partition, offset, offset, 1)
        latency = None
        if timed and not catching_up and envelope["op"] != "r":
            latency = max(0, int((datetime.now(UTC) - committed_at(envelope)).total_seconds() * 1_000_000))
        for op, key, value in made:
            tally.add(op, key, value, latency)
        return None

    def holding(self, change: Change, route: Route, grants: list[State]) -> frozenset[str]:
        """The grants that have the row of a change that is set aside, as it was before.

        A snapshot's read does not say how the row was; who would see it now may have it.
        """
        envelope = change.envelope
        row = envelope["after"] if envelope["op"] == "r" else envelope["before"]
        found = set()
        for grant in grants if row is not None else ():
            try:
                if sees(self._plan(change.schema_id, route, grant).plan, row):
                    found.add(grant["id"])
            except _UNPROJECTED:
                continue  # what cannot be projected was not delivered
        return frozenset(found)

    # -- what was said before ----------------------------------------------------------------------------------------

    def mark(self, where: Partition, tx: Filling) -> Mark:
        """How far the source's log was heard, the open transaction included."""
        return tx.marks.get(where) or self._standing.heard.get(where, Mark())

    def repeats(self, where: Partition, envelope: Any, tx: Filling) -> bool:
        """Whether the source's log has said this before; a change that makes no sense is new, and set aside as such."""
        try:
            mark = later(self.mark(where, tx), envelope)
        except (KeyError, TypeError, ValueError):
            return False
        if mark is not None:
            tx.marks[where] = mark
        return mark is None

    def _set_aside(
        self, place: Place, value: bytes, route: Route, grant: str | None, reason: str, detail: str, tx: Filling
    ) -> None:
        """Put a change that cannot be relayed into quarantine: where it is and why, none of its data."""
        if tx.quiet:
            return
        topic, partition, offset = place
        self._inspection.put_aside(
            self._transactions.produce, place, value, route, tx.now,
            grant=grant, reason=reason, detail=detail, digest=sha256(value).digest(),
        )  # fmt: skip
        log.warning("change quarantined", topic=topic, partition=partition, offset=offset, grant=grant, reason=reason)
