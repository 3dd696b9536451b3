"""Keeping data products up to date: when an input has changed, the view is asked anew, and what differs is published.

A view is evaluated whole, one at a time, and not again before as long has passed as it took (and a second at least), so
that products never cost more than half a core of the database. Before each evaluation it is looked at whether its
inputs are granted still and are handled no more strictly than the product: else nothing more is published, and the
mount is stopped (`store.Product.failure`, told by the watch over the mounts).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from confluent_kafka import KafkaException
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from services.catalog import store
from services.catalog.catalogue import Catalogue, now
from services.catalog.domain import product
from services.catalog.domain.drift import Kind
from services.catalog.domain.drop import Key, Row, key_of
from services.catalog.domain.product import NotAView, View
from services.catalog.domain.resource import Terms, terms_of
from services.catalog.filedrop import Filling, Target
from services.catalog.polling import words_of
from services.catalog.product_wizard import Grants, grants_defects, inputs_of, not_come
from services.catalog.publication import columns_of, make_topic, product_defects
from services.catalog.publication import inputs_of as terms_of_inputs
from services.catalog.workroom import Place, ViewFailed, Workroom, WorkroomUnreachable
from services.core.avro import RegistryUnavailable
from services.core.defects import Defect
from services.core.problems import Problem, joined
from services.core.words import Words

log = structlog.get_logger()

_LOOK_SECONDS = 0.25
_AGAIN_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 300.0
_LOCK = 0x70726F64  # of the exchange's database, for whoever evaluates just now
_BY = "exchange"


class Failed(Exception):
    """The product cannot be published as it is; `kind` and `words` say why, without a value of a row."""

    def __init__(self, kind: Kind, words: Words) -> None:
        super().__init__(words)
        self.kind, self.words = kind, words


@dataclass(slots=True)
class _Standing:
    """What is known of a product in the state that `key` names.

    `places` is how far its inputs were when they were last looked at, `seen` and `failed` when the view was last
    published or failed; what failed is tried again at `again_at` though nothing has changed.
    """

    key: object
    version: int
    terms: Terms
    system: str
    stricter: Sequence[Defect]
    view: View | None = None
    filling: Filling | None = None
    places: Mapping[str, Place] | None = None
    seen: Mapping[str, Place] | None = None
    failed: Mapping[str, Place] | None = None
    failures: int = 0
    again_at: float = 0.0
    not_before: float = 0.0


class Products(threading.Thread):
    """Evaluates what has changed until the process ends. More than one may run: one evaluates at a time."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(name="products", daemon=True)
        self._catalogue = catalogue
        self._room = Workroom(catalogue.settings)
        self._standings: dict[str, _Standing] = {}

    def run(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            try:
                with self._catalogue.session() as session, session.begin():
                    # by grants that are no longer followed nothing is published
                    followed = self._catalogue.grants.failure is None
                    if followed and session.scalar(select(func.pg_try_advisory_xact_lock(_LOCK))):
                        self._round()
            except SQLAlchemyError as error:
                log.warning("data products cannot be looked at just now", reason=type(error).__name__)
            except Exception:
                log.exception("looking after data products failed, and goes on")

    def _round(self) -> None:
        with self._catalogue.session() as session:
            products = {one.resource: one for one in session.scalars(select(store.Product))}
            codes = {*products, *(one["resource"] for kept in products.values() for one in kept.inputs.values())}
            in_force = select(store.Resource.code, store.Resource.version).where(
                store.Resource.code.in_(codes), store.Resource.published.is_not(None)
            )
            versions = {row.code: row.version for row in session.execute(in_force)} if codes else {}
        for gone in self._standings.keys() - products.keys():
            del self._standings[gone]
        for code, kept in products.items():
            if code not in versions:
                continue
            try:
                self._look_at(kept, versions)
            except SQLAlchemyError:
                raise
            except Exception:
                # nothing of the others' doing: they are looked after all the same
                log.exception("a data product cannot be looked after", resource=code)
                self._standings.pop(code, None)

    def _look_at(self, kept: store.Product, versions: Mapping[str, int]) -> None:
        """Evaluate a product if something of it has changed; what fails is told, and tried again ever more rarely."""
        inputs = {one["resource"] for one in kept.inputs.values()}
        key = (kept.revision, versions[kept.resource], tuple(sorted((code, versions.get(code)) for code in inputs)))
        standing = self._standings.get(kept.resource)
        if standing is None or standing.key != key:
            standing = self._standings[kept.resource] = self._standing(kept, key)
        begun = time.monotonic()
        try:
            view = self._passable(kept, standing)
            if time.monotonic() >= standing.not_before:
                self._evaluate(kept, standing, view)
        except Failed as failed:
            self._tell(kept, {"kind": failed.kind.value, "en": str(failed.words), "zh": failed.words.zh})
            standing.failed, standing.seen, standing.failures = standing.places, None, standing.failures + 1
            pause = min(2.0 ** min(standing.failures, 16), _LONGEST_PAUSE_SECONDS)
            standing.again_at = time.monotonic() + pause
            standing.not_before = self._not_before(begun)
        except (WorkroomUnreachable, KafkaException, RegistryUnavailable, Problem) as error:
            # nothing of the view's doing; what a transaction came to is known again when the topic has been read
            log.warning("a product cannot be published just now", resource=kept.resource, reason=str(error)[:300])
            standing.filling, standing.not_before = None, time.monotonic() + _AGAIN_SECONDS

    def _standing(self, kept: store.Product, key: object) -> _Standing:
        with self._catalogue.session() as session:
            resource = session.get_one(store.Resource, kept.resource)
            terms = terms_of(resource.published or {})
            stricter = product.handling_defects(terms, columns_of(kept), terms_of_inputs(session, kept))
            system = str((resource.mount or {}).get("system", ""))
        return _Standing(key=key, version=resource.version, terms=terms, system=system, stricter=stricter)

    def _grants(self, kept: store.Product) -> Grants:
        return {name: self._catalogue.grants.get(one["grant"]) for name, one in kept.inputs.items()}

    def _passable(self, kept: store.Product, standing: _Standing) -> View:
        """The view, if all that it reads may be passed on as the product now; raises Failed."""
        grants = self._grants(kept)
        if ended := grants_defects(grants, standing.terms.department, now()):
            standing.places = None
            raise Failed(Kind.INPUT_ENDED, _told(ended))
        if standing.stricter:
            raise Failed(Kind.INPUT_STRICTER, _told(standing.stricter))
        if standing.view is None:
            try:
                standing.view = product.read(kept.sql, inputs_of(grants))
            except NotAView as error:
                raise Failed(Kind.VIEW_FAILED, _told(error.defects)) from error
        return standing.view

    def _evaluate(self, kept: store.Product, standing: _Standing, view: View) -> None:
        """Publish what differs, if an input has changed since; raises what `_look_at` tells of."""
        here, grants = self._catalogue.settings, self._grants(kept)
        if standing.filling is None:
            standing.filling = self._filling(standing)
            standing.seen = None
        begun = time.monotonic()
        try:
            with self._room.moment(standing.terms.department, here.product_seconds) as asked:
                ids = [str(grant["id"]) for grant in grants.values() if grant is not None]
                standing.places = places = asked.places(ids) if asked is not None else {}
                waits = places == standing.failed and begun < standing.again_at
                # a table that is filled anew holds rows that may be gone
                if places == standing.seen or waits or any(place.rebuilding for place in places.values()):
                    return
                missing = not_come(places, grants)
                if asked is None or missing:
                    raise Failed(Kind.VIEW_FAILED, _told(missing))
                names, values = asked.rows(view.statement, here.product_rows + 1)
        except ViewFailed as failed:
            raise Failed(Kind.VIEW_FAILED, Words(f"the view {failed.words}", f"视图{failed.words.zh}")) from failed
        given = _given(standing.terms, names, values, here.product_rows)
        if self._publish(kept, standing, given, time.monotonic() - begun):
            standing.seen, standing.failed, standing.failures = places, None, 0
        standing.not_before = self._not_before(begun)

    def _not_before(self, begun: float) -> float:
        """When what was begun then and has ended now may be done again."""
        now = time.monotonic()
        return now + max(self._catalogue.settings.product_pause_seconds, now - begun)

    def _filling(self, standing: _Standing) -> Filling:
        topic, key_id, value_id = make_topic(self._catalogue, standing.terms, standing.system)
        target = Target(standing.terms, standing.system, topic, key_id, value_id)
        return Filling(self._catalogue.settings, self._catalogue.registry, target)

    def _publish(self, kept: store.Product, standing: _Standing, given: Mapping[Key, Row], took: float) -> bool:
        """Publish what differs from the rows `given`; False where the product is another one by now."""
        assert standing.filling is not None
        with self._catalogue.session() as session, session.begin():
            # in the order in which unmounting locks them
            resource = session.get(store.Resource, kept.resource, with_for_update=True)
            again = session.get(store.Product, kept.resource, with_for_update=True)
            if resource is None or again is None or again.revision != kept.revision:
                return False
            if resource.published is None or resource.version != standing.version:
                return False
            ended = grants_defects(self._grants(kept), resource.department, now())
            if ended or product_defects(session, standing.terms):
                return False
            changes = standing.filling.fill(given, full=True)
            again.rows, again.evaluated_at, again.milliseconds = len(given), now(), int(took * 1_000)
            again.failure = None
            if changes:
                count = {op: sum(change.op == op for change in changes) for op in "cud"}
                facts = {"rows": str(len(given)), "created": str(count["c"]), "updated": str(count["u"])}
                facts |= {"deleted": str(count["d"])}
                facts |= {f"input {name}": one["grant"] for name, one in kept.inputs.items()}
                self._catalogue.publisher.happened(
                    session, "product_published", resource.code, resource.department, _BY, facts
                )
        return True

    def _tell(self, kept: store.Product, failure: dict[str, str]) -> None:
        if kept.failure == failure:
            return
        with self._catalogue.session() as session, session.begin():
            again = session.get(store.Product, kept.resource, with_for_update=True)
            if again is not None and again.revision == kept.revision:
                again.failure = failure
        log.warning(
            "a product is not published", resource=kept.resource, kind=failure["kind"], reason=failure["en"][:300]
        )


def _told(defects: Sequence[Defect]) -> Words:
    return joined([{"pointer": one.pointer, "detail": one.detail} for one in defects])


def _given(terms: Terms, names: Sequence[str], values: Sequence[Sequence[Any]], most: int) -> dict[Key, Row]:
    """The rows of a view by their keys; raises Failed where they do not fit the contract."""
    if len(values) > most:
        raise Failed(Kind.VIEW_FAILED, Words(f"the view has more than {most} rows", f"视图超过 {most} 行"))
    if absent := sorted({item.column for item in terms.items} - set(names)):
        words = Words(f"the view has no column {', '.join(absent)}", f"视图中没有列：{'、'.join(absent)}")
        raise Failed(Kind.VIEW_FAILED, words)
    rows, faults = product.rows_of(terms, names, values)
    if faults:
        raise Failed(Kind.ROWS_UNFIT, words_of(faults))
    return {key_of(terms, row): row for row in rows.values()}
