"""Starts the peers, each in a process of its own that reads one topic and writes others."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers import bringing
from benchmarks.peers.worker import login, worker
from cli.demo.world import DEPARTMENTS, Server
from cli.exchange import Exchange
from infra.embedded.toolchain import ROOT, locate
from services.core.kafka import Topic, ensure_topics

OWNER = DEPARTMENTS[0]


@dataclass(frozen=True, slots=True)
class Running:
    """A peer at work: its process, the topic that it reads, and those that it writes (partition 0 of each)."""

    pid: int
    input: str
    outputs: Sequence[str]
    copies: bool
    """Whether it hands on what it reads, and does not project it."""
    require_well: Callable[[], None]
    """Raises AssertionError when it is not at work any more."""
    said: Callable[[], str] = str
    """What it has said of itself last."""


Peer = Callable[[Exchange, Mapping[str, Any]], AbstractContextManager[Running]]


@contextmanager
def mirrored(exchange: Exchange, told: Mapping[str, Any], copies: int = 1) -> Iterator[Running]:
    """MirrorMaker 2 in a Connect worker, once for each copy."""
    changes = _topics(exchange, "changes")
    security = login(exchange)
    converter = "org.apache.kafka.connect.converters.ByteArrayConverter"
    clusters = {f"{side}.cluster.{name}": value for side in ("source", "target") for name, value in security.items()}
    with worker(exchange, jars=bringing.mirror()) as connect:
        names = [f"mirror{number}" for number in range(copies)]
        for name in names:
            config = {
                **clusters,
                "connector.class": "org.apache.kafka.connect.mirror.MirrorSourceConnector",
                "source.cluster.alias": name,
                "target.cluster.alias": "here",
                "topics": changes,
                "tasks.max": "1",
                "replication.factor": "1",
                "offset-syncs.topic.replication.factor": "1",
                "sync.topic.acls.enabled": "false",
                "sync.topic.configs.enabled": "false",
                "key.converter": converter,
                "value.converter": converter,
                "consumer.max.poll.records": "5000",
                "producer.override.linger.ms": "5",
                "producer.override.batch.size": "262144",
            }
            connect.start(name, config)
        outputs = [f"{name}.{changes}" for name in names]
        yield Running(connect.pid, changes, outputs, True, lambda: connect.require_running(*names))
        for name in names:
            connect.end(name)
    exchange.admin().delete_topics([changes, *outputs])


@contextmanager
def connectors(exchange: Exchange, server: Server, count: int) -> Iterator[Running]:
    """So many Debezium connectors on the population, that flatten, cut and mask: a topic each."""
    schema, table = next(iter(OWNER.tables)).split(".")
    kept = ("id_number", "name", "sex", "birth_date", "region", "status", "phone", "photo_note")
    dropped = [column for column in OWNER.tables[f"{schema}.{table}"] if column not in kept]
    names = [f"bench{number}_{uuid.uuid4().hex[:6]}" for number in range(count)]
    with worker(exchange) as connect:
        for name in names:
            config = {
                "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
                "plugin.name": "pgoutput",
                "database.hostname": server.host,
                "database.port": str(server.port),
                "database.dbname": OWNER.database,
                "database.user": OWNER.database,
                "database.password": server.owner_password,
                "slot.name": name,
                "slot.drop.on.stop": "true",
                "publication.name": name,
                "publication.autocreate.mode": "filtered",
                "topic.prefix": name,
                "table.include.list": f"{schema}.{table}",
                "snapshot.mode": "no_data",
                # the exchange's heartbeats in the log, which each would tell on a topic of its own
                "message.prefix.exclude.list": ".*",
                "poll.interval.ms": "50",
                "max.batch.size": "4096",
                "max.queue.size": "16384",
                "producer.override.linger.ms": "5",
                "transforms": "flat,cut,mask",
                "transforms.flat.type": "io.debezium.transforms.ExtractNewRecordState",
                "transforms.cut.type": "org.apache.kafka.connect.transforms.ReplaceField$Value",
                "transforms.cut.exclude": ",".join(dropped),
                "transforms.mask.type": "org.apache.kafka.connect.transforms.MaskField$Value",
                "transforms.mask.fields": "name,phone",
                "transforms.mask.replacement": "*",
            }
            connect.start(name, config)
        outputs = [f"{name}.{schema}.{table}" for name in names]
        ensure_topics(exchange.admin(), [Topic(output) for output in outputs], 1)
        _await_slots(server, names)
        yield Running(connect.pid, "", outputs, False, lambda: connect.require_running(*names))
        for name in names:
            connect.end(name)
    with server.connect(OWNER) as source:
        for name in names:
            source.execute(f"drop publication if exists {name}".encode())
    exchange.admin().delete_topics(outputs)


def _streams(exchange: Exchange, told: Mapping[str, Any], folder: Path) -> list[str]:
    settings = {
        **login(exchange), "application.id": f"bench-streams-{uuid.uuid4().hex[:8]}", "num.stream.threads": 1,
        "replication.factor": 1, "state.dir": str(folder), "consumer.auto.offset.reset": "earliest",
        "consumer.max.poll.records": 5_000, "producer.compression.type": "lz4",
    }  # fmt: skip
    path = folder / "told.properties"
    path.touch(mode=0o600)
    lines = {**told, **{f"streams.{name}": value for name, value in settings.items()}}
    written = {
        name: json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
        for name, value in lines.items()
    }
    path.write_text("".join(f"{name}={value.replace(chr(92), chr(92) * 2)}\n" for name, value in written.items()))
    return [str(locate().java), "-Xmx768m", "-cp", bringing.streams(), "Streams", str(path)]


def _faust(exchange: Exchange, told: Mapping[str, Any], folder: Path) -> list[str]:
    return _python(bringing.faust(), "by_faust.py", told, folder)


def _quix(exchange: Exchange, told: Mapping[str, Any], folder: Path) -> list[str]:
    return _python(bringing.quix(), "by_quix.py", told, folder)


def _python(python: Path, program: str, told: Mapping[str, Any], folder: Path) -> list[str]:
    return [str(python), str(Path(__file__).with_name(program)), _spec(told, folder)]


def _spec(told: Mapping[str, Any], folder: Path) -> str:
    path = folder / "told.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({**told, "folder": str(folder)}))
    return str(path)


def _application(command: Callable[[Exchange, Mapping[str, Any], Path], list[str]]) -> Peer:
    """A peer that is a program which is told in a file what to do."""

    @contextmanager
    def running(exchange: Exchange, told: Mapping[str, Any]) -> Iterator[Running]:
        changes, share = _topics(exchange, "changes"), _topics(exchange, "share")
        with tempfile.TemporaryDirectory(prefix="tongshu-bench-peer-") as folder:
            here = {**told, "input": changes, "output": share, "group": f"bench-{uuid.uuid4().hex[:8]}"}
            log = Path(folder) / "log"
            with log.open("wb") as out:
                process = subprocess.Popen(
                    command(exchange, here, Path(folder)), stdout=out, stderr=out, cwd=folder,
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                )  # fmt: skip

            def said() -> str:
                return log.read_text()[-3_000:]

            def require_well() -> None:
                if process.poll() is not None:
                    raise AssertionError(f"the peer ended: {said()}")

            try:
                yield Running(process.pid, changes, [share], False, require_well, said)
            finally:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(20)
        exchange.admin().delete_topics([changes, share])

    return running


PEERS: tuple[tuple[str, str, Peer], ...] = (
    ("MirrorMaker 2", "mm2", mirrored),
    ("Kafka Streams, exactly_once_v2", "streams", _application(_streams)),
    ("quixstreams, exactly-once", "quix", _application(_quix)),
    ("faust, exactly_once", "faust", _application(_faust)),
)
"""What one is called for people and in the ratios, and how it is started."""


def _topics(exchange: Exchange, name: str) -> str:
    made = f"bench.{name}.{uuid.uuid4().hex[:8]}"
    ensure_topics(exchange.admin(), [Topic(made)], 1)
    return made


def _await_slots(server: Server, names: Sequence[str], patience_seconds: float = 120.0) -> None:
    """A connector sees what comes after its slot was made, and reads from it once the slot is active."""
    until = time.monotonic() + patience_seconds
    query = "select count(*) from pg_replication_slots where slot_name = any(%s) and active"
    with server.connect_admin() as admin:
        while admin.execute(query, (list(names),)).fetchone() != (len(names),):
            if time.monotonic() > until:
                raise AssertionError("the connectors do not come to read their slots")
            time.sleep(0.2)
