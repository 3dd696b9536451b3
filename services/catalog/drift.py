"""The watch over the mounts: each is compared with its source, contract and connector, and stopped only if it must be.

What it finds is kept with the mount (`store.MountState`) and told once a change. It is safe to run more than once at a
time: whoever looks second finds what the first has written.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import structlog
from confluent_kafka import KafkaException
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.catalog import mounting, store
from services.catalog.catalogue import Catalogue, now
from services.catalog.connector import connector_name, slot_name
from services.catalog.domain import drift
from services.catalog.domain.drift import Condition, Finding, Kind, Log, Seen, Weight
from services.catalog.domain.mount import Column, Table
from services.catalog.domain.reread import State, record_of, reread_of
from services.catalog.domain.resource import MountKind, Terms, mount_of, terms_of
from services.catalog.publication import tell
from services.catalog.reconcile import CannotCompare, reconcile
from services.catalog.resnapshot import ask, config_of, follow
from services.catalog.source import Reading, SourceUnreachable, TableMissing, source_of
from services.catalog.writers import writer_name
from services.core.avro import RegistryUnavailable
from services.core.connect import ConnectRefused, Status
from services.core.words import Words

log = structlog.get_logger()

_AT_ONCE = 4
_PATIENCE_SECONDS = 5.0
# what was written meanwhile is in no stream
_MISSED = frozenset({Kind.PUBLICATION_GONE, Kind.SLOT_GONE, Kind.PUBLICATION_REMADE, Kind.SLOT_REMADE})
_UNFIT_TO_READ = frozenset({Kind.CONNECTOR_FAILED, Kind.SLOT_LOST})
_BY = "exchange"

Failures = Callable[[], Mapping[str, str]]
Connectors = Mapping[str, Status]


@dataclass(frozen=True, slots=True)
class _Mount:
    """Where a mounted resource's table is."""

    resource: str
    schema: str
    table: str

    @property
    def where(self) -> str:
        return f"{self.schema}.{self.table}"


class DriftWatch(threading.Thread):
    """Looks after all mounts until the process ends; `failures` tells which connectors keep failing, and why."""

    def __init__(self, catalogue: Catalogue, failures: Failures) -> None:
        super().__init__(name="mount watch", daemon=True)
        self._catalogue, self._failures = catalogue, failures

    def run(self) -> None:
        every = self._catalogue.settings.mount_watch_seconds
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mount watch") as pool:
            while True:
                begun = time.monotonic()
                try:
                    self._round(pool)
                    mounting.clear_due(self._catalogue)
                except SQLAlchemyError as error:
                    log.warning("mounts cannot be watched just now", reason=type(error).__name__)
                except Exception:
                    log.exception("the watch over the mounts failed, and goes on")
                time.sleep(max(0.5, every - (time.monotonic() - begun)))

    def _round(self, pool: ThreadPoolExecutor) -> None:
        by_system: dict[str, list[_Mount]] = {}
        topics: list[tuple[str, str]] = []
        with self._catalogue.session() as session:
            query = select(store.Resource.code, store.Resource.mount).where(store.Resource.mount.is_not(None))
            for code, mount in session.execute(query):
                kind = MountKind(mount.get("kind", "table"))
                if kind is MountKind.TABLE:
                    by_system.setdefault(mount["system"], []).append(_Mount(code, mount["schema"], mount["table"]))
                elif kind.is_filled:
                    topics.append((code, mount["topic"]))
        # asked after the mounts: a connector is there before its mount is
        try:
            connectors: Connectors | None = self._catalogue.connect.statuses()
        except ConnectRefused:
            connectors = None
        failures = self._failures()
        looks = [
            pool.submit(self._look_at, system, mounts, connectors, failures) for system, mounts in by_system.items()
        ]
        if topics:
            looks.append(pool.submit(self._look_at_topics, topics))
        for look in looks:
            look.result()

    def _look_at_topics(self, topics: Sequence[tuple[str, str]]) -> None:
        """Look after resources, each with its topic, that are filled from outside: nothing of them is ours to steer."""
        catalogue = self._catalogue
        try:
            there, users = catalogue.writers.topics(), catalogue.writers.users()
            latest = {topic: catalogue.registry.latest(f"{topic}-value") for _, topic in topics}
        except (KafkaException, RegistryUnavailable) as error:
            log.warning("topics filled from outside cannot be watched just now", reason=str(error))
            return
        for code, topic in topics:
            with catalogue.session() as session, session.begin():
                resource = session.get(store.Resource, code, with_for_update=True)
                if resource is None or resource.published is None or (resource.mount or {}).get("topic") != topic:
                    continue
                mount, moment = mount_of(resource.mount or {}), now()
                state = session.get(store.MountState, code)
                if not mount.kind.is_filled or state is None:
                    continue
                known = [drift.finding_of(one) for one in state.findings]
                user = writer_name(mount.system, code) if mount.kind is MountKind.TOPIC else None
                seen = drift.of_topic(terms_of(resource.published), topic, user, there, users, latest[topic])
                upstream = session.get(store.Upstream, code)
                if upstream is not None:
                    seen += drift.of_upstream(mount.endpoint or "", upstream.failure)
                product = session.get(store.Product, code)
                if product is not None:
                    seen += drift.of_product(code, product.failure)
                found = drift.remember(known, seen, moment)
                condition = drift.condition_of(found)
                self._tell(session, resource, known, found, condition)
                state.checked_at, state.condition = moment, condition.value
                state.findings = [drift.record_of(one) for one in found]

    def _look_at(
        self, system: str, mounts: Sequence[_Mount], connectors: Connectors | None, failures: Mapping[str, str]
    ) -> None:
        for mount, seen in self._see(system, mounts):
            self._settle(mount, seen, connectors, failures)

    def _see(self, system: str, mounts: Sequence[_Mount]) -> list[tuple[_Mount, Seen | Words]]:
        """What a system holds of each mount; words say why one could not be looked at."""
        with self._catalogue.session() as session:
            source = source_of(session.get_one(store.InformationSystem, system), self._catalogue.vault)
        try:
            with source.reading() as reading:
                return [(mount, _seen(reading, mount)) for mount in mounts]
        except SourceUnreachable as error:
            return [(mount, _unseen(error)) for mount in mounts]

    def _settle(
        self, mount: _Mount, seen: Seen | Words, connectors: Connectors | None, failures: Mapping[str, str]
    ) -> None:
        """Judge what was seen, keep it, tell it, and stop, resume or mend the mount as it needs."""
        catalogue, moment = self._catalogue, now()
        with catalogue.session() as session, session.begin():
            resource = session.get(store.Resource, mount.resource, with_for_update=True)
            if resource is None or resource.mount is None or resource.published is None:
                return
            if (resource.mount["schema"], resource.mount["table"]) != (mount.schema, mount.table):
                return
            state = session.get(store.MountState, mount.resource)
            if state is None:
                state = first_state(mount.resource, resource.version, None)
                session.add(state)
            terms = terms_of(resource.published)
            known = [drift.finding_of(one) for one in state.findings]
            if connectors is None:
                found = [one for one in known if one.kind in (Kind.CONNECTOR_FAILED, Kind.CONNECTOR_GONE)]
            else:
                found = _of_connector(mount.resource, connectors, failures)
            if isinstance(seen, Words):
                unreachable = Finding(
                    kind=Kind.SOURCE_UNREACHABLE, object=resource.mount["system"], weight=Weight.WARN, words=seen
                )
                found = [*drift.kept(known), *drift.remember(known, [unreachable, *found], moment)]
            else:
                found = drift.remember(known, [*self._compare(resource, state, terms, mount, seen), *found], moment)
                state.retained_bytes, state.checked_at = seen.slot.retained_bytes if seen.slot else None, moment
            condition = drift.condition_of(found)
            kinds = {one.kind for one in found}
            try:
                if condition is Condition.STOPPED:
                    self._stop(resource, state, kinds)
                elif isinstance(seen, Seen):
                    rests = connectors is not None and _rests(mount.resource, connectors)
                    self._steer(session, resource, state, kinds, rests=rests)
            except (ConnectRefused, KafkaException, RegistryUnavailable, SourceUnreachable) as refused:
                # what was found is kept and told all the same; the next look tries again
                log.warning("a mount's connector cannot be steered just now", mount=mount.resource, reason=str(refused))
            self._tell(session, resource, known, found, condition)
            state.condition, state.findings = condition.value, [drift.record_of(one) for one in found]

    def _compare(
        self, resource: store.Resource, state: store.MountState, terms: Terms, mount: _Mount, seen: Seen
    ) -> list[Finding]:
        if seen.table is not None and (state.columns is None or state.version != resource.version):
            take_baseline(state, resource.version, seen.table)
        baseline = {name: Column(**column) for name, column in (state.columns or {}).items()}
        limit = self._catalogue.settings.mount_retained_mebibytes << 20
        log = Log(publication=state.publication, decoded=state.decoded, counted_since=state.counted_since)
        found = drift.compare(
            terms, mount.where, slot_name(mount.resource), baseline, seen, retained_limit=limit, log=log
        )  # fmt: skip
        left = seen.log
        state.publication, state.decoded, state.counted_since = left.publication, left.decoded, left.counted_since
        return found

    def _steer(
        self,
        session: Session,
        resource: store.Resource,
        state: store.MountState,
        kinds: set[Kind],
        *,
        rests: bool,
    ) -> None:
        """Let flow again what may, and make again what is only missing.

        `rests`: the connector was stopped when it was looked at.
        """
        connect, name = self._catalogue.connect, connector_name(resource.code)
        # stopped by somebody who died before that was written down
        is_forgotten = rests and not state.stopped
        if kinds & _MISSED:
            state.reread, state.reconcile = True, False
        if Kind.CONNECTOR_GONE in kinds:
            connect.put(name, config_of(self._catalogue, session, resource, tells=state.reading is not None))
            state.stopped = False
        elif state.stopped and state.reconcile:
            self._reconcile(session, resource, state)
        elif state.stopped:
            connect.resume(name)
            # what was written meanwhile is in the log as the table was then, which may not fit the contract
            state.stopped, state.reread = False, True
            log.info("mount resumed", resource=resource.code)
        elif kinds & {Kind.PUBLICATION_GONE, Kind.SLOT_GONE}:
            # the connector makes both when it starts, and only then
            connect.restart(name)
        elif state.reread and not kinds & _UNFIT_TO_READ:
            ask(self._catalogue, session, resource, state, None, patience_seconds=_PATIENCE_SECONDS, missed=True)
            state.reread = False
            log.info("rows are read again", resource=resource.code)
        elif state.reading is not None and reread_of(state.reading).state.is_open:
            reread = follow(self._catalogue, reread_of(state.reading), resource.code)
            state.reading = record_of(reread)
            state.reconcile = reread.missed and reread.state is State.DONE
            state.reread = reread.missed and reread.state is State.FAILED
        if state.reconcile and not state.stopped:
            # the next look finds it written down that the exchange has stopped it, and why, whoever looks
            connect.stop(name)
            state.stopped = True
        elif is_forgotten:
            connect.resume(name)
            log.info("connector resumed", resource=resource.code)

    def _stop(self, resource: store.Resource, state: store.MountState, kinds: set[Kind]) -> None:
        """Stop what must not flow."""
        state.reconcile = False
        if not state.stopped and Kind.CONNECTOR_GONE not in kinds:
            self._catalogue.connect.stop(connector_name(resource.code))
            state.stopped = True
            log.warning("mount stopped", resource=resource.code)

    def _reconcile(self, session: Session, resource: store.Resource, state: store.MountState) -> None:
        """Delete what is gone from the table without a change that said so, then let the connector go on."""
        catalogue, name, mount = self._catalogue, connector_name(resource.code), resource.mount or {}
        # again: whoever let it go on before may have died before that was written down
        catalogue.connect.stop(name)
        catalogue.connect.wait_until_stopped(name, _PATIENCE_SECONDS)
        system = session.get_one(store.InformationSystem, mount["system"])
        try:
            deleted = reconcile(
                catalogue.settings, catalogue.registry, source_of(system, catalogue.vault), resource.code,
                mount["topic"], mount["schema"], mount["table"],
            )  # fmt: skip
            facts = {"deleted": str(deleted)}
        except CannotCompare as error:
            log.warning("rows that are gone cannot be found", resource=resource.code, reason=str(error))
            facts = {"reason": str(error)}
        catalogue.publisher.happened(session, "rows_reconciled", resource.code, resource.department, _BY, facts)
        catalogue.connect.resume(name)
        state.stopped = state.reconcile = False

    def _tell(
        self,
        session: Session,
        resource: store.Resource,
        known: Sequence[Finding],
        found: Sequence[Finding],
        condition: Condition,
    ) -> None:
        what = drift.told(known, found)
        if what is None:
            return
        facts = {"condition": condition.value, "system": str((resource.mount or {})["system"])}
        facts |= {f"{one.kind.value} {one.object}": str(one.words) for one in found}
        self._catalogue.publisher.happened(session, what.value, resource.code, resource.department, _BY, facts)
        stops = [one for one in found if one.weight is Weight.STOP]
        halted = "; ".join(str(one.words) for one in stops) or None
        items = sorted({item for one in stops for item in one.items})
        mount = mount_of(resource.mount or {})
        if (mount.halted, list(mount.halted_items)) != (halted, items):
            resource.mount = {**(resource.mount or {}), "halted": halted, "halted_items": items}
            resource.revision += 1
            session.flush()
            tell(self._catalogue, session, resource, what.value)


def take_baseline(state: store.MountState, version: int, table: Table) -> None:
    """Keep the columns as they are: from here on, drift is what differs from them."""
    state.columns = {name: asdict(column) for name, column in table.columns.items()}
    state.version = version


def first_state(resource: str, version: int, table: Table | None) -> store.MountState:
    """How a mount is that has just been made on `table`, or was made before such states were kept (None)."""
    state = store.MountState(
        resource=resource, condition=Condition.OK.value, findings=[], version=0, stopped=False, reread=False,
        reconcile=False,
    )  # fmt: skip
    if table is not None:
        take_baseline(state, version, table)
    return state


def _seen(reading: Reading, mount: _Mount) -> Seen | Words:
    name = slot_name(mount.resource)
    try:
        oid, published = reading.published(name, mount.schema, mount.table)
        slot = reading.slot(name)
        table = reading.describe(mount.schema, mount.table)
        return Seen(table=table, published=published, slot=slot, publication=oid)
    except TableMissing:
        return Seen(table=None, published=published, slot=slot, publication=oid)
    except SourceUnreachable as error:
        return _unseen(error)


def _unseen(error: SourceUnreachable) -> Words:
    return Words(f"the source cannot be looked at: {error}", f"无法查看来源数据库：{error}")


def _rests(resource: str, connectors: Connectors) -> bool:
    status = connectors.get(connector_name(resource))
    return status is not None and status.state == "STOPPED"


def _of_connector(resource: str, connectors: Connectors, failures: Mapping[str, str]) -> list[Finding]:
    name = connector_name(resource)
    if name not in connectors:
        words = Words(f"connector {name} is gone from Connect", f"连接器 {name} 已不在 Connect 中")
        return [Finding(kind=Kind.CONNECTOR_GONE, object=name, weight=Weight.WARN, words=words)]
    if name in failures:
        reason = failures[name]
        words = Words(f"connector {name} keeps failing: {reason}", f"连接器 {name} 反复失败：{reason}")
        return [Finding(kind=Kind.CONNECTOR_FAILED, object=name, weight=Weight.WARN, words=words)]
    return []
