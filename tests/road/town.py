"""A town to test in: departments that mount tables of their own, are granted data and read it with their own client."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from cli.demo.stage import publish
from cli.demo.world import DEPARTMENTS, Server
from cli.exchange import Exchange, Refused

PATIENCE_SECONDS = 30.0
_TYPES = {
    "text": "string",
    "bigint": "integer",
    "numeric(18,2)": "decimal",
    "double precision": "double",
    "boolean": "boolean",
    "date": "date",
    "timestamptz": "timestamp",
}
OWNER = DEPARTMENTS[0]
T = TypeVar("T")


def eventually(look: Callable[[], T], fits: Callable[[T], bool], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """What `look` gives as soon as it fits; fails with the last that was seen."""
    deadline, pause = time.monotonic() + seconds, 0.02
    while True:
        seen = look()
        if fits(seen):
            return seen
        assert time.monotonic() < deadline, f"{what}: not after {seconds:.0f} s; last seen: {seen!r}"
        time.sleep(pause)
        # what takes long is not made faster by asking it all the time
        pause = min(pause * 1.2, 0.1)


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a share topic as a department's client decodes it; `raw` is all its bytes."""

    key: dict[str, Any]
    value: dict[str, Any] | None
    raw: bytes
    partition: int
    offset: int

    @property
    def op(self) -> str:
        return "tombstone" if self.value is None else str(self.value["op"])

    @property
    def row(self) -> dict[str, Any] | None:
        return self.value["row"] if self.value else None


class Reader:
    """A department's own Kafka client on one topic."""

    def __init__(self, exchange: Exchange, login: Mapping[str, str], topic: str) -> None:
        self.topic, self.records, self.refusals = topic, list[Record](), list[KafkaError]()
        registry = SchemaRegistryClient({"url": exchange.registry_url, "timeout": 10})
        self._decode = AvroDeserializer(registry, conf={"subject.name.strategy": topic_subject_name_strategy})
        self._consumer = Consumer(
            {
                "bootstrap.servers": exchange.bootstrap,
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": login["mechanism"],
                "sasl.username": login["username"],
                "sasl.password": login["password"],
                "group.id": f"{login['group_prefix']}{uuid.uuid4().hex[:8]}",
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "log_level": 2,
            }
        )
        self._consumer.subscribe([topic])

    def poll(self, seconds: float = 0.05) -> None:
        """Take in what comes within `seconds`, a refusal by the broker included."""
        for message in self._consumer.consume(500, seconds):
            error = message.error()
            if error is not None:
                self.refusals.append(error)
                continue
            key, value = message.key() or b"", message.value()
            headers = b"".join(name.encode() + (body or b"") for name, body in message.headers() or [])
            self.records.append(
                Record(
                    self._decode(key, SerializationContext(self.topic, MessageField.KEY)),
                    None
                    if value is None
                    else self._decode(value, SerializationContext(self.topic, MessageField.VALUE)),
                    key + (value or b"") + headers,
                    int(message.partition() or 0),
                    int(message.offset() or 0),
                )
            )

    def await_records(self, count: int, seconds: float = PATIENCE_SECONDS) -> list[Record]:
        """The first `count` records, once that many have come; then, that no more were on their way with them."""

        def come() -> list[Record]:
            self.poll()
            return self.records

        eventually(come, lambda records: len(records) >= count, f"{count} records of {self.topic}", seconds)
        self.poll(0.3)
        assert len(self.records) == count, f"more than {count}: {self.records[count:]}"
        return self.records

    def await_state(self, wanted: Mapping[Any, Any], seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until applying the records gives `wanted`: rows by their only key item."""

        def held() -> dict[Any, Any]:
            self.poll()
            return self.state()

        eventually(held, lambda state: state == wanted, f"state of {self.topic}", seconds)

    def state(self) -> dict[Any, Any]:
        rows: dict[Any, Any] = {}
        for record in self.records:
            (key,) = record.key.values()
            if record.row is None:
                rows.pop(key, None)
            else:
                rows[key] = record.row
        return rows

    def close(self) -> None:
        self._consumer.close()


@dataclass(slots=True)
class Table:
    """A table of the owning department, mounted as the resource `code`."""

    exchange: Exchange
    connection: psycopg.Connection[Any]
    code: str
    name: str
    topic: str

    def run(self, statement: str, *values: Any) -> None:
        """Run SQL in which {t} is the table; committed when it returns."""
        self.connection.execute(statement.replace("{t}", self.name).encode(), values)


@dataclass(slots=True)
class Town:
    exchange: Exchange
    server: Server
    _logins: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _passing: list[str] = field(default_factory=list)

    def table(
        self,
        columns: Mapping[str, str],
        *,
        rows: Sequence[Sequence[Any]] = (),
        query_keys: Sequence[str] = (),
        stays: bool = False,
        **terms: Any,
    ) -> Table:
        """Make a table (its first column is the key), fill it, and mount it as a resource of the same items.

        Unless it `stays`, it is unmounted after the module that made it: each connector costs all that comes later.
        """
        code = f"t{uuid.uuid4().hex[:10]}"
        if not stays:
            self._passing.append(code)
        connection = self.server.connect(OWNER)
        key, *_ = columns
        described = ", ".join(f"{name} {kind}{' primary key' if name == key else ''}" for name, kind in columns.items())
        connection.execute(f"create table population.{code} ({described})".encode())
        connection.execute(f"alter table population.{code} replica identity full".encode())
        for row in rows:
            marks = ", ".join(["%s"] * len(row))
            connection.execute(f"insert into population.{code} values ({marks})".encode(), list(row))
        items = [
            {
                "name": name,
                "title": name,
                "type": _TYPES[kind],
                "column": name,
                "key": name == key,
                "nullable": name != key,
                "query_key": name in query_keys,
            }
            for name, kind in columns.items()
        ]
        self.exchange.ask("POST", "catalog", "/resources", resource_of(code, items, **terms))
        publish(self.exchange, code)
        mount = {"system": OWNER.database, "schema": "population", "table": code}
        mounted = self.exchange.ask("PUT", "catalog", f"/resources/{code}/mount", mount)
        return Table(self.exchange, connection, code, f"population.{code}", mounted["mount"]["topic"])

    def unmount(self) -> None:
        """Take the connectors away of all tables that do not stay."""
        passing, self._passing = self._passing, []
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._unmount, passing))

    def _unmount(self, code: str) -> None:
        # a test may have unmounted or withdrawn it itself
        with suppress(Refused):
            self.exchange.ask("DELETE", "catalog", f"/resources/{code}/mount")

    def grant(
        self, table: Table, items: Sequence[str], department: str = "civil_affairs", **more: Any
    ) -> dict[str, Any]:
        asked = {"resource": table.code, "department": department, "items": list(items), "purpose": "核验", **more}
        granted: dict[str, Any] = self.exchange.ask("POST", "demand", "/grants", asked)
        return granted

    def live_grant(
        self, table: Table, items: Sequence[str], department: str = "civil_affairs", **more: Any
    ) -> dict[str, Any]:
        """A grant that is served from the live stream when this returns."""
        granted = self.grant(table, items, department, **more)

        def served() -> Any:
            try:
                return self.exchange.ask("GET", "sync", f"/grants/{granted['id']}")
            except Refused as refused:
                return refused.slug

        partitions = self.exchange.settings.cdc_partitions
        eventually(served, lambda told: told == {"live": partitions, "catching_up": 0, "behind": 0}, "the live stream")
        return granted

    def login(self, department: str) -> Mapping[str, str]:
        """The department's broker user; its password stays the same for the whole run."""
        if department not in self._logins:
            self._logins[department] = self.exchange.ask("POST", "demand", f"/departments/{department}/credentials")
        return self._logins[department]

    def reader(self, grant: Mapping[str, Any], *, of: str | None = None, topic: str | None = None) -> Reader:
        """A client of the grant's department (or of another) on the grant's topic (or on another)."""
        return Reader(self.exchange, self.login(of or grant["department"]), topic or grant["topic"])

    def quarantined(self, table: Table) -> list[dict[str, Any]]:
        """What waits in the quarantine of a resource."""
        found = self.exchange.read_all(f"quarantine.{table.code}")
        return [self.exchange.registry.decode(value)[1] for _, value, _ in found if value is not None]

    def end_offset(self, topic: str) -> int:
        reader = self.exchange.consumer()
        try:
            return int(reader.get_watermark_offsets(TopicPartition(topic, 0), 10)[1])
        finally:
            reader.close()


def resource_of(code: str, items: list[dict[str, Any]], **terms: Any) -> dict[str, Any]:
    """A resource that may be published as it is; `terms` change it."""
    return {
        "code": code,
        "title": f"测试资源 {code}",
        "abstract": "为测试而编目。",
        "department": OWNER.slug,
        "sharing_type": "unconditional",
        "grade": "general",
        "update_cycle": "real_time",
        "items": items,
        **terms,
    }
