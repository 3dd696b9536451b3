"""Reconciliations, one after the other: asked for by people or due by the clock; told, and healed where it is wanted.

What is on its way is no difference. So each side is read to its end, the later one last, and what differs counts only
if it still does, unchanged, when all were read again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from confluent_kafka import KafkaException, TopicPartition
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.core.avro import Codec, NotAvro, Registry, RegistryUnavailable
from services.core.kafka import StateView, consumer, read_to_end, state_consumer
from services.core.settings import SecretMissing, Settings
from services.sync import reconcile, replaying, store
from services.sync.events import Publisher
from services.sync.reconcile.sides import ChangeTopic, Digests, ShareTopic
from services.sync.reconcile.states import Difference, Range, Row, Rows, compare, range_of
from services.sync.reconcile.tables import NotReadable, Table, table_of
from services.sync.relay.inspection import BY, Inspection
from services.sync.relay.routes import Route, build
from services.sync.relay.worker import GROUP
from services.sync.topics import PROGRESS

log = structlog.get_logger()

State = Mapping[str, Any]
_LOOK_SECONDS = 1.0
_PATIENCE_SECONDS = 60.0
_ROUNDS = 6
_KEYS_AT_ONCE = 500_000
_NAMED = 200
_MOST_HEALED = 5_000


class NotComparable(Exception):
    """Why a grant cannot be compared just now, in words."""


@dataclass(slots=True)
class Compared:
    """What was found of a grant: rows of each side, what differs, and what the healing needs."""

    source: int = 0
    topic: int = 0
    table: int | None = None
    waiting: int = 0
    in_topic: dict[str, list[bytes]] = field(default_factory=lambda: {"missing": [], "surplus": [], "differing": []})
    in_table: dict[str, list[bytes]] = field(default_factory=lambda: {"missing": [], "surplus": [], "differing": []})
    ranges: list[dict[str, Any]] = field(default_factory=list)
    heal_keys: set[bytes] = field(default_factory=set)
    ghosts: list[tuple[int, int]] = field(default_factory=list)
    read_to: dict[int, int] = field(default_factory=dict)
    strangers: set[bytes] = field(default_factory=set)

    @property
    def differs(self) -> bool:
        return any((*self.in_topic.values(), *self.in_table.values()))

    def report(self) -> dict[str, Any]:
        """For people: counts, and keyed digests of the first rows of each kind."""

        def told(found: Mapping[str, list[bytes]]) -> dict[str, Any]:
            return {
                kind: {"rows": len(keys), "keys": [key.hex() for key in sorted(keys)[:_NAMED]]}
                for kind, keys in found.items()
            }

        return {
            "source": self.source, "topic": self.topic, "table": self.table, "set_aside": self.waiting,
            "in_topic": told(self.in_topic), "in_table": told(self.in_table) if self.table is not None else None,
            "ranges": self.ranges[:_NAMED],
        }  # fmt: skip


class Reconciler(threading.Thread):
    """Works off what is asked for until `stop` is set; what is due by the clock asks for itself."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        session: Callable[[], Session],
        stop: threading.Event,
    ) -> None:
        super().__init__(name="reconciler", daemon=True)
        self._settings, self._registry, self._session = settings, registry, session
        self._stop_asked, self._publisher = stop, Publisher(registry)
        self._grants = self._view("demand.grants")
        self._resources = self._view("catalog.resources")
        self._code_lists = self._view("catalog.code_lists")
        self._views = (self._grants, self._resources, self._code_lists)
        self._master = bytes.fromhex(settings.secret("pseudonym_key"))
        self._next_due = 0.0
        self.not_ready: str | None = "starting"

    def _view(self, topic: str) -> StateView[dict[str, Any]]:
        return StateView(
            lambda wait: state_consumer(self._settings, "sync", f"sync.reconcile.{topic}", wait),
            topic,
            Codec(self._registry, topic).decode,
        )

    def run(self) -> None:
        for view in self._views:
            view.start()
        self.not_ready = None
        while not self._stop_asked.wait(_LOOK_SECONDS):
            try:
                self._plan_due()
                while (one := self._take()) is not None:
                    self._reconcile(one)
                self.not_ready = None
            except (OperationalError, KafkaException, RegistryUnavailable) as error:
                self.not_ready = f"{type(error).__name__}: {error}"
                log.warning("reconciliation must wait", reason=self.not_ready)
        for view in self._views:
            view.stop()

    # -- what is to be done ------------------------------------------------------------------------------------------

    def _plan_due(self) -> None:
        """Ask for what is due by the clock."""
        hours = self._settings.reconcile_hours
        if hours <= 0 or time.monotonic() < self._next_due:
            return
        self._next_due = time.monotonic() + 60
        now = datetime.now(UTC)
        with self._session() as session, session.begin():
            lasts = select(store.Reconciliation.grant, func.max(store.Reconciliation.asked_at))
            asked = dict(session.execute(lasts.group_by(store.Reconciliation.grant)).tuples().all())
            for grant in self._grants.values():
                resource = self._resources.get(grant["resource"])
                last = asked.get(grant["id"], grant["valid_from"])
                if resource is None or resource["mount"] is None or grant["state"] != "active":
                    continue
                if now - last >= timedelta(hours=hours):
                    heal = self._settings.reconcile_heals
                    reconcile.ask(session, self._publisher, grant, resource["department"], BY, now, heal=heal)

    def _take(self) -> str | None:
        with self._session() as session, session.begin():
            query = select(store.Reconciliation).where(store.Reconciliation.state.in_(("requested", "running")))
            query = query.order_by(store.Reconciliation.asked_at).limit(1).with_for_update(skip_locked=True)
            one = session.scalars(query).first()
            if one is None:
                return None
            one.state = "running"
            return one.id

    def _reconcile(self, name: str) -> None:
        with self._session() as session:
            one = session.get_one(store.Reconciliation, name)
        try:
            found = self._compare(one.grant)
            if found.differs:
                self._tell(one.id, found, "different", "difference_found")
                if one.heal:
                    found = self._heal(one, found)
                    self._tell(one.id, found, "different" if found.differs else "healed",
                               "difference_stays" if found.differs else "difference_healed", ended=True)  # fmt: skip
                else:
                    self._end(one.id)
            else:
                self._tell(one.id, found, "equal", "reconciled", ended=True)
        except (NotComparable, NotAvro, SecretMissing, NotReadable) as why:
            told = isinstance(why, NotComparable | NotReadable)
            reason = str(why) if told else f"the table cannot be read: {type(why).__name__}"
            self._fail(one.id, reason)

    def _tell(self, name: str, found: Compared, state: str, event: str, *, ended: bool = False) -> None:
        """Keep what was found, and tell both departments."""
        with self._session() as session, session.begin():
            one = session.get_one(store.Reconciliation, name, with_for_update=True)
            # what was found first is the case; what healing left is told by the state
            if one.report is None or state == "different":
                one.report = found.report()
            one.state, one.ended_at = state, datetime.now(UTC) if ended else None
            facts = {
                "reconciliation": one.id, "resource": one.resource, "provider": one.provider,
                "consumer": one.department, "replay": one.replay or "",
                **{f"topic_{kind}": str(len(keys)) for kind, keys in found.in_topic.items()},
                **{f"table_{kind}": str(len(keys)) for kind, keys in found.in_table.items()},
            }  # fmt: skip
            for department in dict.fromkeys((one.department, one.provider)):
                self._publisher.happened(session, event, one.grant, department, one.thread, BY, facts)

    def _end(self, name: str) -> None:
        with self._session() as session, session.begin():
            session.get_one(store.Reconciliation, name, with_for_update=True).ended_at = datetime.now(UTC)

    def _fail(self, name: str, reason: str) -> None:
        log.warning("not reconciled", reconciliation=name, reason=reason)
        with self._session() as session, session.begin():
            one = session.get_one(store.Reconciliation, name, with_for_update=True)
            one.state, one.reason, one.ended_at = "failed", reason, datetime.now(UTC)
            facts = {"reconciliation": one.id}
            self._publisher.happened(session, "reconciliation_failed", one.grant, one.department, one.thread, BY, facts)

    # -- comparing ---------------------------------------------------------------------------------------------------

    def _compare(self, grant_id: str) -> Compared:
        """Raises NotComparable, KafkaException, RegistryUnavailable, NotReadable."""
        route = self._route(grant_id)
        found, passes, number = Compared(), 1, 0
        while number < passes:
            with self._sides(route, lambda digest: digest[-1] * passes >> 8 == number) as sides:  # noqa: B023
                source, _, _ = sides
                entries = sum(self._end_offsets(source.positions))
                if number == 0 and (needed := -(-entries // _KEYS_AT_ONCE)) > passes:
                    passes = min(needed, 256)
                    continue
                self._compare_part(route, *sides, found)
            number += 1
        return found

    def _route(self, grant_id: str) -> Route:
        grant = self._grants.get(grant_id)
        resource = self._resources.get(grant["resource"]) if grant else None
        if grant is None or resource is None or resource["mount"] is None:
            raise NotComparable("nothing is delivered under this grant")
        route = build([resource], [grant])[resource["mount"]["topic"]]
        if not route.live(datetime.now(UTC)):
            raise NotComparable("nothing is delivered under this grant")
        return route

    @contextmanager
    def _sides(
        self, route: Route, wanted: Callable[[bytes], bool]
    ) -> Iterator[tuple[ChangeTopic, ShareTopic, Table | None]]:
        (grant,) = route.grants
        digests = Digests(self._registry, grant, self._master)
        inspection = Inspection(self._settings, self._registry)
        lists = {one["name"]: one["codes"] for one in self._code_lists.values()}
        inspection.keep_only({}, lists)
        with ExitStack() as stack:
            source = ChangeTopic(self._settings, self._registry, inspection, route, digests, wanted)
            stack.callback(source.close)
            topic = ShareTopic(self._settings, grant, digests, wanted)
            stack.callback(topic.close)
            table = None
            if "table" in grant["channels"] and grant["table_target"]:
                dsn = self._settings.connection_string(grant["table_target"]["dsn_secret"])
                table = table_of(dsn, grant, digests, wanted)
            yield source, topic, table

    def _end_offsets(self, positions: Mapping[tuple[str, int], int]) -> Iterator[int]:
        reader = state_consumer(self._settings, "sync", "sync.reconcile")
        try:
            for where in positions:
                low, high = reader.get_watermark_offsets(TopicPartition(*where), 30)
                yield high - low
        finally:
            reader.close()

    def _compare_part(
        self, route: Route, source: ChangeTopic, topic: ShareTopic, table: Table | None, found: Compared
    ) -> None:
        in_topic, in_table = _Doubts(), _Doubts()
        for place in range(_ROUNDS):
            if place:
                time.sleep(_LOOK_SECONDS)
            source.catch_up()
            self._await_relay(route, source.positions)
            topic.catch_up()
            differences, ranges = compare(source.rows, topic.rows)
            in_topic.hear(differences, source.rows, topic.rows)
            table_ranges: dict[int, tuple[Range, Range]] = {}
            if table is not None:
                self._await_table(table, topic.positions)
                table.read()
                differences, table_ranges = compare(topic.rows, table.rows)
                in_table.hear(differences, topic.rows, table.rows)
            if in_topic.is_settled and in_table.is_settled:
                break
        _add(found, source, topic, table, in_topic.confirmed, in_table.confirmed)
        for name, one, unlike in (("topic", in_topic, ranges), ("table", in_table, table_ranges)):
            of = {range_of(key) for key in one.confirmed.keys}
            found.ranges += [_range(at, name, *unlike[at]) for at in sorted(of & unlike.keys())]

    def _await_relay(self, route: Route, ends: Mapping[tuple[str, int], int]) -> None:
        """Until the relay has delivered what we have read of the change topic."""
        group = f"{GROUP}.filled" if route.is_filled else GROUP
        reader = consumer(self._settings, "sync", group)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        try:
            while True:
                asked = [TopicPartition(*where) for where in ends]
                at = {(one.topic, one.partition): one.offset for one in reader.committed(asked, 30)}
                if all(at[where] >= end for where, end in ends.items() if end) and not self._catches_up(route, ends):
                    return
                if time.monotonic() > deadline:
                    raise NotComparable("the relay is behind, or the grant still catches up")
                time.sleep(0.2)
        finally:
            reader.close()

    def _catches_up(self, route: Route, ends: Mapping[tuple[str, int], int]) -> bool:
        (grant,) = route.grants
        codec, latest = Codec(self._registry, PROGRESS.name), dict[tuple[str, int], dict[str, Any]]()
        reader = state_consumer(self._settings, "sync", "sync.reconcile.progress")
        try:
            reader.assign([TopicPartition(PROGRESS.name, 0, 0)])
            for message in read_to_end(reader, 1):
                if (value := message.value()) is not None and (told := codec.decode(value))["grant"] == grant["id"]:
                    latest[told["topic"], told["partition"]] = told
        finally:
            reader.close()
        return any(not told["merged"] and told["cursor"] < ends.get(where, 0) for where, told in latest.items())

    def _await_table(self, table: Table, ends: Mapping[tuple[str, int], int]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            at = table.positions()
            if all(at.get(partition, 0) >= end for (_, partition), end in ends.items()):
                return
            if time.monotonic() > deadline:
                raise NotComparable("the table is behind its topic")
            time.sleep(0.2)

    # -- healing -----------------------------------------------------------------------------------------------------

    def _heal(self, one: store.Reconciliation, found: Compared) -> Compared:
        """Have the rows that differ delivered once more, take away what nobody delivered, and compare again."""
        route = self._route(one.grant)
        (grant,) = route.grants
        if found.strangers:
            with self._sides(route, lambda _: True) as (_, topic, table):
                if table is not None:
                    topic.catch_up()
                    table.remove(frozenset(found.strangers))
        if found.heal_keys or found.ghosts:
            self._replay(one, grant, found)
        return self._compare(one.grant)

    def _replay(self, one: store.Reconciliation, grant: State, found: Compared) -> None:
        deadline, asked = time.monotonic() + 10 * _PATIENCE_SECONDS, ""
        keys = sorted(found.heal_keys)
        while time.monotonic() < deadline and not self._stop_asked.is_set():
            with self._session() as session, session.begin():
                if asked:
                    if session.get_one(store.Replay, asked).ended_at is not None:
                        return
                elif replaying.under_way(session, one.grant) is None:
                    # so many at once that all of it is no more work
                    some = keys if len(keys) <= _MOST_HEALED else []
                    ghosts = found.ghosts if len(keys) <= _MOST_HEALED else []
                    asked = replaying.ask(
                        session, self._publisher, grant, BY, datetime.now(UTC), keys=some, ghosts=ghosts,
                        read_to=found.read_to, reconciliation=one.id,
                    ).id  # fmt: skip
                    session.get_one(store.Reconciliation, one.id).replay = asked
            time.sleep(0.3)
        raise NotComparable("the replay that heals has not ended in time")


class _Doubts:
    """What differs between two sides, as often as they are read.

    What differs the same twice counts. What differs first, and then not or otherwise, was under way.
    """

    def __init__(self) -> None:
        self.confirmed = Difference()
        self._open: dict[bytes, tuple[Row | None, Row | None]] | None = None

    def hear(self, told: Difference, source: Rows, target: Rows) -> None:
        found = {key: (source.get(key), target.get(key)) for key in told.keys}
        if self._open is None:
            self._open = found
            return
        same = {key for key, sides in self._open.items() if found.get(key) == sides}
        self.confirmed = told.among(same | (self.confirmed.keys & found.keys()))
        self._open = {key: found[key] for key in self._open if key in found and key not in same}

    @property
    def is_settled(self) -> bool:
        return not self._open


def _add(
    found: Compared,
    source: ChangeTopic,
    topic: ShareTopic,
    table: Table | None,
    in_topic: Difference,
    in_table: Difference,
) -> None:
    found.source += sum(row is not None for row in source.rows.values())
    found.topic += len(topic.rows)
    found.waiting += sum(row is None for row in source.rows.values())
    found.read_to |= {partition: end for (_, partition), end in topic.positions.items()}
    for kind, keys in (("missing", in_topic.missing), ("differing", in_topic.differing)):
        rows = [source.rows[key] for key in keys]
        found.in_topic[kind] += [row.key for row in rows if row is not None]
    ghosts = [row for key in in_topic.surplus if (row := topic.rows[key]) is not None]
    found.in_topic["surplus"] += [row.key for row in ghosts]
    found.ghosts += [row.place for row in ghosts if row.place is not None]
    found.heal_keys |= {*found.in_topic["missing"], *found.in_topic["differing"]}
    if table is None:
        return
    found.table = (found.table or 0) + len(table.rows)
    for kind, keys in (("missing", in_table.missing), ("differing", in_table.differing)):
        rows = [topic.rows[key] for key in keys]
        found.in_table[kind] += [row.key for row in rows if row is not None]
    found.in_table["surplus"] += sorted(in_table.surplus)
    found.strangers |= in_table.surplus
    found.heal_keys |= {*found.in_table["missing"], *found.in_table["differing"]}


def _range(place: int, where: str, there: Range, here: Range) -> dict[str, Any]:
    return {
        "range": f"{place:02x}", "of": where, "should_have": there.rows, "has": here.rows,
        "should_sum": f"{there.checksum:016x}", "sum": f"{here.checksum:016x}",
    }  # fmt: skip
