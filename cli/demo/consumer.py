"""A consuming department's program: a plain confluent-kafka client that keeps the state of one share topic.

It knows what a department is told and nothing else: broker, registry, its own user and password, the topic. It runs in
a process of its own, so that the latencies it measures are not those of whoever watches it.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from multiprocessing.connection import Connection
from typing import Any

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from services.core.cutoff import CutOff, ReachingConsumer

_REPORT_SECONDS = 0.25

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a department is handed to receive the data of one grant."""

    bootstrap: str
    registry: str
    username: str
    password: str
    group: str
    topic: str


@dataclass(slots=True)
class Report:
    """What came since the last report: how many records, by operation, and how long each took from the commit."""

    operations: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Received:
    """All that was received: the rows as they stand, and for each record its place and the hash of its bytes."""

    rows: dict[Key, dict[str, Any]]
    records: dict[tuple[int, int], bytes]


class Receiver:
    """A department's consumer in a process of its own, as the one that started it sees it."""

    def __init__(self, access: Access) -> None:
        self._here, there = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=_receive, args=(access, there), daemon=True)
        self._process.start()
        there.close()

    def reports(self) -> list[Report]:
        """The reports that have come since the last call."""
        found = []
        while self._here.poll():
            found.append(self._here.recv())
        return found

    def received(self) -> Received:
        """All that it holds now."""
        self._here.send("state")
        while True:
            answer = self._here.recv()
            if isinstance(answer, Received):
                return answer

    def stop(self) -> None:
        self._here.send("stop")
        self._process.join(10)


def _receive(access: Access, parent: Connection) -> None:
    registry = SchemaRegistryClient({"url": access.registry, "timeout": 10})
    # the default strategy first asks for associations of topics, which this registry does not keep
    by_topic = {"subject.name.strategy": topic_subject_name_strategy}
    decode_key, decode_value = AvroDeserializer(registry, conf=by_topic), AvroDeserializer(registry, conf=by_topic)
    consumer = _consumer(access)
    rows: dict[Key, dict[str, Any]] = {}
    records: dict[tuple[int, int], bytes] = {}
    report, due = Report(), time.monotonic() + _REPORT_SECONDS
    try:
        while True:
            try:
                message = consumer.poll(0.05)
            except CutOff:
                consumer = _consumer(access)
                continue
            now = time.time()
            if message is not None:
                if message.error() is not None:
                    raise KafkaException(message.error())
                key_bytes, value_bytes = message.key() or b"", message.value()
                key = tuple(decode_key(key_bytes, SerializationContext(access.topic, MessageField.KEY)).values())
                # the same framing as the exchange's own (services/core/merkle.py), written again to check it
                framed = len(key_bytes).to_bytes(4, "big") + key_bytes
                framed += b"\x00" if value_bytes is None else b"\x01" + value_bytes
                records[int(message.partition() or 0), int(message.offset() or 0)] = sha256(b"\x00" + framed).digest()
                if value_bytes is None:
                    rows.pop(key, None)
                    report.operations["tombstone"] += 1
                else:
                    change = decode_value(value_bytes, SerializationContext(access.topic, MessageField.VALUE))
                    report.operations[change["op"]] += 1
                    if change["op"] == "d":
                        rows.pop(key, None)
                    else:
                        rows[key] = change["row"]
                    if change["op"] != "r":
                        report.latencies.append(now - change["source"]["committed_at"].timestamp())
            if time.monotonic() >= due:
                if report.operations:
                    parent.send(report)
                    report = Report()
                due = time.monotonic() + _REPORT_SECONDS
                while parent.poll():
                    match parent.recv():
                        case "state":
                            parent.send(Received(rows, records))
                        case "stop":
                            return
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return
    finally:
        consumer.close()


def _consumer(access: Access) -> Consumer:
    made = ReachingConsumer(
        {
            "bootstrap.servers": access.bootstrap,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": access.username,
            "sasl.password": access.password,
            "group.id": access.group,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": True,
        }
    )
    made.subscribe([access.topic])
    return made
