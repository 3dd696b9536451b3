"""How much each resource is used: the grants of it in force, counted from `demand.grants`; searches rank by it."""

from __future__ import annotations

import threading
import time
from collections import Counter

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.catalog import search
from services.catalog.catalogue import Catalogue, now
from services.catalog.domain.lineage import in_force

log = structlog.get_logger()

_EVERY_SECONDS = 2.0


class UseCount(threading.Thread):
    """Keeps the counts until the process ends; they follow from the grants alone, so that a repetition does no harm."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(name="use count", daemon=True)
        self._catalogue = catalogue
        self._counted: set[str] | None = None

    def run(self) -> None:
        while True:
            try:
                self._count()
            except SQLAlchemyError as failure:
                log.warning("uses cannot be counted just now", reason=type(failure).__name__)
            time.sleep(_EVERY_SECONDS)

    def _count(self) -> None:
        moment = now()
        uses = Counter(grant["resource"] for grant in self._catalogue.grants.values() if in_force(grant, moment))
        with self._catalogue.session() as session, session.begin():
            before = search.in_use(session) if self._counted is None else self._counted
            search.used(session, {**dict.fromkeys(before, 0), **uses})
        self._counted = set(uses)
