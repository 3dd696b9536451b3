"""The exchange's life on one machine: up, down, and up again after anything dies, with nothing lost.

An exchange of its own; the one that the other tests share is started beside it at the end.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka import TopicPartition

from cli.demo.grants import GRANTS, RESOURCES
from cli.demo.proof import account, check_log
from cli.demo.stage import Running, catalogue, open_grants, server_of, settle
from cli.demo.workload import Workload
from cli.demo.world import Server, create
from cli.exchange import Exchange
from infra.embedded.home import Home, leftovers
from infra.embedded.supervisor import read_status
from services.catalog.connector import connector_name
from services.core.connect import Connect
from services.core.kafka import read_to_end
from tests.conftest import Tongshu, exchange_of
from tests.road.town import eventually

SERVICES = ("catalog", "demand", "tracking", "sync", "table", "rows", "audit", "watch")
PARTS = ("postgres", "redis", "kafka", "registry", "connect", *SERVICES)


class Shop:
    """A running exchange, at work for three consumers."""

    def __init__(self, command: Tongshu) -> None:
        self.command = command
        self.exchange: Exchange
        self.server: Server
        self.running: list[Running] = []

    @property
    def home(self) -> Home:
        return self.exchange.home

    def open(self) -> None:
        self.exchange = exchange_of(self.command)
        self.server = server_of(self.exchange)
        create(self.server, seed=809, scale=0.05)
        catalogue(self.exchange, self.server)
        self.running = open_grants(self.exchange)
        self.require_equal()

    def parts(self) -> dict[str, dict[str, Any]]:
        return {part["name"]: part for part in self.told()["parts"]}

    def mounts(self) -> dict[str, tuple[str, Any]]:
        """How each mount is: its connector's state, and what the watch over the mounts says."""
        connectors = Connect(self.exchange.settings).statuses()
        told = {code: self.exchange.ask("GET", "catalog", f"/resources/{code}/mount") for code in RESOURCES}
        return {code: (connectors[connector_name(code)].state, mount) for code, mount in told.items()}

    def told(self) -> dict[str, Any]:
        """What the supervisor told last."""
        return read_status(self.home) or {"parts": []}

    def kill(self, part: str, by: signal.Signals = signal.SIGKILL) -> None:
        """Kill a part and wait until another process of it is well."""
        # the end of another part may just be ending this one by itself
        whole = eventually(lambda: self.parts()[part], lambda now: now["state"] == "healthy", f"{part} before", 90)
        old = whole["pid"]
        with suppress(ProcessLookupError):
            os.kill(old, by)
        eventually(
            lambda: self.parts()[part],
            lambda now: now["pid"] not in (None, old) and now["state"] == "healthy",
            f"{part} after {by.name}",
            seconds=90,
        )

    def kill_supervisor(self) -> None:
        supervisor = psutil.Process(self.told()["pid"])
        supervisor.kill()
        psutil.wait_procs([supervisor], 10)

    @contextmanager
    def at_work(self, changes_per_second: int) -> Iterator[Workload]:
        """The sources change while what is inside happens."""
        stop = threading.Event()
        workload = Workload(self.server, seed=time.time_ns() % 1_000_003)
        worker = threading.Thread(target=workload.run, args=(changes_per_second, stop))
        worker.start()
        try:
            yield workload
        finally:
            stop.set()
            worker.join()
            workload.close()

    def work(self, changes: int) -> None:
        workload = Workload(self.server, seed=time.time_ns() % 1_000_003)
        for _ in range(changes):
            workload.change()
        workload.close()

    def records(self, topic: str, **more: Any) -> Iterator[tuple[bytes, bytes | None]]:
        """Key and value of all that a topic holds now."""
        reader = self.exchange.consumer(enable_partition_eof=True, **more)
        try:
            partitions = reader.list_topics(topic, 10).topics[topic].partitions
            reader.assign([TopicPartition(topic, partition, 0) for partition in partitions])
            for message in read_to_end(reader, len(partitions)):
                yield message.key() or b"", message.value()
        finally:
            reader.close()

    def changes(self, topic: str, **more: Any) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Key and decoded value of all but deletions' second records and what was read from a snapshot."""
        for key, value in self.records(topic, **more):
            if value is not None and (change := self.exchange.registry.decode(value)[1])["op"] != "r":
                yield key, change

    def said(self) -> Counter[Any]:
        """How often Connect has written each change, as the relay reads it: what it had not committed too."""
        said: Counter[Any] = Counter()
        for topic in {one["mount"]["topic"] for one in self.exchange.ask("GET", "catalog", "/resources")["items"]}:
            for key, change in self.changes(topic, isolation_level="read_uncommitted"):
                said[topic, change["source"]["sequence"], change["op"], key] += 1
        return said

    def wait_until_said(self, changes: int) -> None:
        eventually(lambda: self.said().total(), lambda said: said >= changes, "changes that Connect has just said", 60)

    def require_equal(self) -> None:
        """Every consumer holds what its source says, every record is in a manifest, every manifest is sealed."""
        assert settle(self.exchange, self.server, self.running, patience_seconds=120) == {}, self.mounts()
        assert account(self.exchange, self.running) == []
        assert check_log(self.exchange) == []


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """An exchange that may be killed; what a test leaves of it is ended. Its log is hashed and signed as in China."""
    algorithms = {"TONGSHU_AUDIT_DIGEST": "sm3", "TONGSHU_AUDIT_SIGNATURE": "sm2"}
    command = Tongshu(tmp_path_factory.mktemp("own") / "home", algorithms)
    command.must("up", "--samples")
    shop = Shop(command)
    try:
        shop.open()
        yield shop
    finally:
        for one in shop.running:
            one.receiver.stop()
        command.must("down")


def test_it_listens_on_loopback_only(shop: Shop) -> None:
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for process in leftovers(shop.home)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {ip for ip, _ in listening} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert set(shop.home.ports.values()) - {shop.home.ports["controller"]} <= {port for _, port in listening}


def test_its_ports_are_none_that_outgoing_connections_are_given(shop: Shop) -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert [name for name, port in shop.home.ports.items() if port >= first] == []


def test_secrets_are_their_owner_s_alone_and_on_no_command_line(shop: Shop) -> None:
    secrets = {path.name: path.read_text().strip() for path in shop.home.secrets.iterdir()}
    assert len(set(secrets.values())) == len(secrets)
    for name in secrets:
        assert stat.S_IMODE((shop.home.secrets / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(shop.home.path.stat().st_mode) == 0o700
    for process in leftovers(shop.home):
        shown = " ".join([*process.cmdline(), *process.environ().values()])
        assert not [name for name, value in secrets.items() if value in shown and name.startswith("kafka")]


def test_a_second_up_is_refused_in_one_sentence(shop: Shop) -> None:
    before = shop.parts()
    answer = shop.command("up")
    assert answer.status == 1
    assert "runs already" in answer.words and str(shop.command.home) in answer.words
    assert {name: part["pid"] for name, part in shop.parts().items()} == {
        name: part["pid"] for name, part in before.items()
    }


def test_status_doctor_and_logs_tell_of_it(shop: Shop) -> None:
    assert json.loads(shop.command.must("status", "--json"))["well"] is True
    assert "healthy" in shop.command.must("status")
    assert json.loads(shop.command.must("doctor", "--json"))
    assert shop.command.must("logs", "sync", "-n", "3").count("\n") <= 3
    (shop.home.secrets / "operator_token").chmod(0o644)
    answer = shop.command("doctor")
    (shop.home.secrets / "operator_token").chmod(0o600)
    assert answer.status == 1
    assert "operator_token" in answer.words and "chmod" in answer.words


def test_any_part_may_be_killed_while_data_flows(shop: Shop) -> None:
    with shop.at_work(50) as workload:
        for part in PARTS:
            shop.kill(part)
            time.sleep(0.5)
    assert workload.done.total() > 50
    shop.require_equal()
    assert shop.command("status").status == 0


def test_the_broker_may_be_told_to_stop(shop: Shop) -> None:
    shop.work(50)
    shop.kill("kafka", by=signal.SIGTERM)
    shop.work(50)
    shop.require_equal()


def test_a_source_s_database_may_be_killed(shop: Shop) -> None:
    shop.work(50)
    shop.kill("sources")
    shop.work(50)
    shop.require_equal()
    # its counts begin anew, and it is known all the same that nothing was missed
    assert [mount["reread"] for _, mount in shop.mounts().values()] == [None, None]


def test_up_again_after_the_supervisor_was_killed(shop: Shop) -> None:
    shop.kill_supervisor()
    answer = shop.command("status")
    assert answer.status == 1 and "does not run" in answer.words and "left" in answer.words
    assert shop.command("doctor").status == 1
    shop.work(50)
    shop.command.must("up")
    shop.work(50)
    shop.require_equal()


def test_up_again_after_a_power_cut(shop: Shop) -> None:
    shop.work(100)
    shop.kill_supervisor()
    for process in leftovers(shop.home):
        # a database's own processes end of themselves when it is gone
        with suppress(psutil.NoSuchProcess):
            process.kill()
    eventually(lambda: leftovers(shop.home), lambda left: not left, "the end of everything")
    shop.command.must("up")
    shop.work(100)
    shop.require_equal()


def test_down_leaves_nothing_and_up_goes_on(shop: Shop) -> None:
    shop.work(50)
    shop.command.must("down")
    assert leftovers(shop.home) == []
    again = shop.command("down")
    assert again.status == 0 and "was not running" in again.words
    with socket.create_server(("127.0.0.1", shop.home.ports["kafka"])):
        answer = shop.command("up")
    assert answer.status == 1
    for told in (str(shop.home.ports["kafka"]), "kafka", "--port kafka=", str(os.getpid())):
        assert told in answer.words
    made_by = shop.home.data("kafka") / "formatted-by"
    version = made_by.read_text()
    made_by.write_text("99.0.1")
    answer = shop.command("up")
    made_by.write_text(version)
    assert answer.status == 1
    assert "set up with Kafka 99.0.1" in answer.words and version in answer.words
    shop.command.must("up")
    shop.require_equal()


def test_what_connect_said_twice_was_delivered_once(shop: Shop) -> None:
    for _ in range(6):
        if max(shop.said().values(), default=0) > 1:
            break
        with shop.at_work(50):
            shop.wait_until_said(shop.said().total() + 1)
            shop.kill("connect")
    assert max(shop.said().values()) > 1, "Connect was killed at work and has repeated nothing: this shows nothing"
    shop.require_equal()
    delivered: Counter[Any] = Counter()
    for one in shop.running:
        for key, change in shop.changes(one.grant["topic"]):
            delivered[one.grant["id"], change["source"]["position"], change["op"], key] += 1
    assert {place: times for place, times in delivered.items() if times > 1} == {}


def test_what_a_grant_was_given_survives_it_all(shop: Shop) -> None:
    grants = shop.exchange.ask("GET", "demand", "/grants")["items"]
    assert sorted(grant["id"] for grant in grants) == sorted(one.grant["id"] for one in shop.running)
    assert len(grants) == len(GRANTS)


def test_another_exchange_starts_beside_it(shop: Shop, tongshu: Tongshu) -> None:
    assert tongshu.home != shop.home.path
    for command in (shop.command, tongshu):
        assert json.loads(command.must("status", "--json"))["well"] is True
    shop.work(50)
    shop.require_equal()
    shop.command.must("audit", "verify")
