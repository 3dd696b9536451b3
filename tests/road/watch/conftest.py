from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from cli.exchange import Exchange, Refused
from tests.road.town import Table, Town, eventually


@dataclass(slots=True)
class Client:
    """A department's own Kafka client: it reads and commits as it is told."""

    exchange: Exchange
    login: Mapping[str, str]
    topic: str
    protocol: str = "consumer"
    group: str = ""
    consumer: Consumer | None = field(default=None)

    def __post_init__(self) -> None:
        self.group = self.group or f"{self.login['group_prefix']}{uuid.uuid4().hex[:8]}"

    def connect(self) -> None:
        self.consumer = Consumer(
            {
                "bootstrap.servers": self.exchange.bootstrap,
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": self.login["mechanism"],
                "sasl.username": self.login["username"],
                "sasl.password": self.login["password"],
                "group.id": self.group,
                "group.protocol": self.protocol,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "log_level": 2,
            }
        )
        self.consumer.subscribe([self.topic])

    def read(self, count: int, *, at_once: int = 500, pause: float = 0.0, seconds: float = 30.0) -> None:
        """Read `count` records, and commit after each batch."""
        left, deadline = count, time.monotonic() + seconds
        while left > 0:
            left -= self.take(min(at_once, left))
            time.sleep(pause)
            assert time.monotonic() < deadline, f"{left} of {count} records have not come"

    def take(self, most: int) -> int:
        """Read what there is, commit it, and say how much it was."""
        assert self.consumer is not None
        batch = [one for one in self.consumer.consume(most, 0.2) if one.error() is None]
        if batch:
            end = TopicPartition(self.topic, 0, int(batch[-1].offset() or 0) + 1)
            self.consumer.commit(offsets=[end], asynchronous=False)
        return len(batch)

    def stay(self, seconds: float) -> None:
        """Stay connected, and do nothing."""
        assert self.consumer is not None
        self.consumer.pause(self.consumer.assignment())
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.consumer.poll(0.1)

    def leave(self) -> None:
        if self.consumer:
            self.consumer.close()
            self.consumer = None


class Lookout:
    """The watch of the shared exchange as ops see it."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def group(self, name: str) -> dict[str, Any]:
        """How a group does; nothing where the watch knows none of that name."""
        try:
            told: dict[str, Any] = self.exchange.ask("GET", "watch", f"/lag/{name}")
        except Refused as refused:
            assert refused.slug in ("group-unknown", "not-seen-yet"), refused
            return {}
        return told

    def await_group(
        self, name: str, fits: Callable[[dict[str, Any]], bool], what: str, seconds: float = 30.0
    ) -> dict[str, Any]:
        return eventually(lambda: self.group(name), lambda told: bool(told) and fits(told), f"{name}: {what}", seconds)

    def next_samples(self, count: int) -> None:
        """Wait until the watch has looked `count` times more."""
        seen = {self._measured()}
        eventually(lambda: seen.add(self._measured()) or len(seen) > count, bool, f"{count} samples")

    def _measured(self) -> str:
        return str(self.exchange.ask("GET", "watch", "/hops")["measured_at"])


@dataclass(frozen=True, slots=True)
class Scene:
    """A table whose changes a department's own client receives."""

    table: Table
    grant: Mapping[str, Any]
    town: Town

    def client(self, protocol: str = "consumer") -> Client:
        made = Client(self.town.exchange, self.town.login(self.grant["department"]), self.grant["topic"], protocol)
        made.connect()
        return made

    def write(self, count: int) -> None:
        """`count` changes of the table, in one transaction."""
        prefix = uuid.uuid4().hex[:8]
        self.table.run(f"insert into {{t}} select '{prefix}' || n, n from generate_series(1, {count}) n")


@pytest.fixture(scope="session")
def lookout(exchange: Exchange) -> Lookout:
    return Lookout(exchange)


@pytest.fixture
def scene(town: Town) -> Iterator[Scene]:
    table = town.table({"id": "text", "visits": "bigint"})
    yield Scene(table, town.live_grant(table, ["id", "visits"]), town)
    table.connection.close()
