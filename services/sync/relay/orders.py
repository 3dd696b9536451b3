"""Orders: what persons want done with changes that are set aside, carried out between two batches."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from confluent_kafka import TopicPartition

from services.core.avro import Registry
from services.core.kafka import StateView, state_consumer
from services.core.settings import Settings
from services.sync.relay.assignment import Assignment
from services.sync.relay.changes import Audience, Change, Partition
from services.sync.relay.delivery import Delivery
from services.sync.relay.inspection import Inspection
from services.sync.relay.reading import read_at
from services.sync.relay.routes import Route, State
from services.sync.relay.standing import Standing
from services.sync.relay.transaction import Filling, Transactions


class Orders:
    """Carries out the orders that concern this worker's partitions."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        view: StateView[dict[str, Any]],
        standing: Standing,
        assignment: Assignment,
        inspection: Inspection,
        delivery: Delivery,
        transactions: Transactions,
    ) -> None:
        self._settings, self._registry, self._view = settings, registry, view
        self._standing, self._assignment = standing, assignment
        self._inspection, self._delivery, self._transactions = inspection, delivery, transactions
        self._carried_out: set[str] = set()

    def carry_out(self) -> None:
        """Each order is struck in the transaction that does what it wants. Raises KafkaException."""
        orders = self._view.values()
        self._carried_out &= {order["id"] for order in orders}
        for order in orders:
            where = (order["topic"], order["partition"])
            route = self._standing.routes.get(where[0])
            if route is None or where not in self._standing.live or order["id"] in self._carried_out:
                continue
            found = self._read_again(where, order["offset"])
            tx = self._transactions.begin()
            if found is not None:
                self._obey(order, *found, route, tx)
            self._inspection.done(self._transactions.produce, f"{where[0]}/{where[1]}/{order['offset']}")
            self._transactions.commit(tx, self._standing.at([where]))
            self._carried_out.add(order["id"])

    def _obey(self, order: State, key: bytes | None, value: bytes, route: Route, tx: Filling) -> None:
        """Try a change that is set aside again, or release it; nothing where it is not what its key waits for."""
        gate, place = self._inspection.gate, (order["topic"], order["partition"], order["offset"])
        where, digest = place[:2], gate.key_digest(key)
        waited = gate.waits.get(where, digest)
        if waited is None or waited.released or waited.offset != place[2]:
            return
        change = Change(place, value, *self._registry.decode(value))
        audience = Audience(route, self._merged(route, where, tx.now))
        do = self._delivery.try_again if order["action"] == "redrive" else self._delivery.release
        do(change, digest, waited, order["actor"], audience, tx)

    def _merged(self, route: Route, where: Partition, now: datetime) -> list[State]:
        return [grant for grant in route.live(now) if (grant["id"], *where) in self._standing.merged]

    def _read_again(self, where: Partition, offset: int) -> tuple[bytes, bytes] | None:
        """Key and value of one change; None when its topic does not hold it any more. Raises KafkaException."""
        reader = state_consumer(
            self._settings, "sync", "sync.orders.reader", isolation_level=self._assignment.isolation
        )
        try:
            return read_at(reader, TopicPartition(*where, offset))
        finally:
            reader.close()
