"""Asking upstream APIs: each is asked when it is due, and what it answers becomes changes, as a full file does.

Asking takes no lock; what was answered is judged and taken in with the resource locked, by the contract in force then.
What fails is told with the mount (`store.Upstream.failure`), changes nothing, and is tried again ever more rarely.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from confluent_kafka import KafkaException
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.catalog import store
from services.catalog.catalogue import Catalogue, now
from services.catalog.domain.drift import Kind
from services.catalog.domain.drop import Fault, judged, key_of
from services.catalog.domain.resource import MountKind, mount_of, terms_of
from services.catalog.domain.upstream import read, upstream_of
from services.catalog.filedrop import Target, fill
from services.catalog.publication import code_lists, make_topic
from services.catalog.upstream import Answer, UpstreamFailed, Validators, ask
from services.core.avro import RegistryUnavailable
from services.core.calendar import PLACE
from services.core.problems import Problem, joined
from services.core.reach import networks_of
from services.core.words import Words

log = structlog.get_logger()

_AT_ONCE = 4
_LOOK_SECONDS = 0.5
# longer than asking and taking in may last: what a process that died was asking is asked again then
_LEASE = timedelta(minutes=10)
_AGAIN = timedelta(seconds=10)
_LONGEST_PAUSE = timedelta(minutes=15)
_TOLD_FAULTS = 10
_BY = "exchange"


@dataclass(frozen=True, slots=True)
class Claim:
    """An API that nobody else asks until `until`."""

    resource: str
    until: datetime


class Poller(threading.Thread):
    """Asks what is due until the process ends. More than one may run: each API is asked by one at a time."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(name="upstream poller", daemon=True)
        self._catalogue = catalogue
        networks_of(catalogue.settings.upstream_networks)  # a setting that is not valid is told at the start

    def run(self) -> None:
        free = threading.Semaphore(_AT_ONCE)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="upstream") as pool:
            while True:
                time.sleep(_LOOK_SECONDS)
                try:
                    while free.acquire(blocking=False):
                        claim = self._claim()
                        if claim is None:
                            free.release()
                            break
                        pool.submit(self._poll, claim).add_done_callback(lambda _: free.release())
                except SQLAlchemyError as error:
                    free.release()
                    log.warning("upstream APIs cannot be asked just now", reason=type(error).__name__)

    def _claim(self) -> Claim | None:
        with self._catalogue.session() as session, session.begin():
            due = select(store.Upstream).where(store.Upstream.next_at <= now()).order_by(store.Upstream.next_at)
            found = session.scalars(due.limit(1).with_for_update(skip_locked=True)).one_or_none()
            if found is None:
                return None
            found.next_at = now() + _LEASE
            return Claim(found.resource, found.next_at)

    def _poll(self, claim: Claim) -> None:
        try:
            poll(self._catalogue, claim)
        except (KafkaException, RegistryUnavailable, Problem, SQLAlchemyError) as error:
            # nothing of the API's doing: what it answers is there again in a moment
            log.warning("an answer cannot be taken in just now", resource=claim.resource, reason=str(error)[:300])
            self._postpone(claim)
        except Exception:
            log.exception("asking an upstream API failed, and is tried again", resource=claim.resource)
            self._postpone(claim)

    def _postpone(self, claim: Claim) -> None:
        try:
            with self._catalogue.session() as session, session.begin():
                kept = _claimed(session, claim)
                if kept is not None:
                    kept.next_at = now() + _AGAIN
        except SQLAlchemyError as error:
            log.warning("it is asked again when its lease is over", reason=type(error).__name__)


def poll(catalogue: Catalogue, claim: Claim) -> None:
    """Ask an API once and take in what it answers.

    Raises KafkaException, RegistryUnavailable and Problem when the exchange itself cannot take it in.
    """
    with catalogue.session() as session:
        kept, resource = session.get(store.Upstream, claim.resource), session.get(store.Resource, claim.resource)
        if kept is None or resource is None:
            return
        upstream = upstream_of(kept.form)
        secret = catalogue.vault.decrypt(kept.secret).decode() if kept.secret else None
        known = Validators(kept.etag, kept.last_modified) if kept.version == resource.version else None
    try:
        answer = ask(upstream, secret, networks_of(catalogue.settings.upstream_networks), known)
    except UpstreamFailed as failed:
        with catalogue.session() as session, session.begin():
            _fail(_claimed(session, claim), Kind.UPSTREAM_FAILED, failed.words)
        return
    with catalogue.session() as session, session.begin():
        # in the order in which unmounting locks them
        locked = session.get(store.Resource, claim.resource, with_for_update=True)
        kept = _claimed(session, claim)
        if locked is None or kept is None:
            return
        if answer is None:
            _succeed(kept, upstream.every_seconds)
        else:
            _take_in(catalogue, session, locked, kept, answer)


def _claimed(session: Session, claim: Claim) -> store.Upstream | None:
    """The API, unless it has been mounted anew meanwhile or is asked by somebody else by now."""
    kept = session.get(store.Upstream, claim.resource, with_for_update=True)
    return kept if kept is not None and kept.next_at == claim.until else None


def _take_in(
    catalogue: Catalogue, session: Session, resource: store.Resource, kept: store.Upstream, answer: Answer
) -> None:
    if resource.published is None or mount_of(resource.mount or {}).kind is not MountKind.API:
        return
    terms, upstream = terms_of(resource.published), upstream_of(kept.form)
    system = str((resource.mount or {})["system"])
    rows, faults = read(terms, upstream, answer.rows, PLACE)
    broken, _ = judged(terms, code_lists(session), rows, faults, now())
    if faults or broken:
        _fail(kept, Kind.ROWS_UNFIT, words_of([*faults, *broken]))
        return
    target = Target(terms, system, *make_topic(catalogue, terms, system))
    given = {key_of(terms, row): row for row in rows.values()}
    changes = fill(catalogue.settings, catalogue.registry, target, given, full=True)
    kept.etag, kept.last_modified = answer.validators.etag, answer.validators.last_modified
    kept.version, kept.rows = resource.version, len(rows)
    _succeed(kept, upstream.every_seconds)
    if changes:
        count = {op: sum(change.op == op for change in changes) for op in "cud"}
        facts = {"rows": str(len(rows)), "pages": str(answer.pages), "created": str(count["c"])}
        facts |= {"updated": str(count["u"]), "deleted": str(count["d"])}
        catalogue.publisher.happened(session, "mount_api_taken", resource.code, resource.department, _BY, facts)


def words_of(faults: Sequence[Fault]) -> Words:
    """All that is wrong with the rows of an answer, the first of it one by one."""
    ordered = sorted(faults, key=lambda fault: fault.row)[:_TOLD_FAULTS]
    told = joined([{"pointer": fault.pointer, "detail": fault.words} for fault in ordered])
    return Words(
        f"its rows have {len(faults)} faults, and nothing of them was taken in: {told}",
        f"返回的数据有 {len(faults)} 处错误，未接收任何内容：{told.zh}",
    )


def _succeed(kept: store.Upstream, seconds: int) -> None:
    moment = now()
    kept.asked_at, kept.next_at = moment, moment + timedelta(seconds=seconds)
    kept.failures, kept.failure = 0, None


def _fail(kept: store.Upstream | None, kind: Kind, words: Words) -> None:
    if kept is None:
        return
    moment, every = now(), timedelta(seconds=upstream_of(kept.form).every_seconds)
    pause = min(every * 2 ** min(kept.failures, 16), max(every, _LONGEST_PAUSE))
    kept.asked_at, kept.next_at, kept.failures = moment, moment + pause, kept.failures + 1
    kept.failure = {"kind": kind.value, "en": str(words), "zh": words.zh}
    log.warning("an upstream API failed", resource=kept.resource, failures=kept.failures, reason=str(words)[:300])
