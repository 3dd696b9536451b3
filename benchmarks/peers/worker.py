"""A Connect worker for peers alone, so that nothing of the exchange's own runs in it and its CPU is theirs."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cli.exchange import Exchange
from infra.embedded.toolchain import locate
from services.core.connect import avro_converters
from services.core.kafka import client_config

_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Worker:
    """A standalone worker: its REST API, and its process."""

    client: httpx.Client
    pid: int

    def start(self, connector: str, config: dict[str, Any]) -> None:
        answer = self.client.put(f"/connectors/{connector}/config", json=config)
        if answer.is_error:
            raise AssertionError(f"Connect refuses {connector}: {answer.text}")

    def require_running(self, *connectors: str) -> None:
        """Raises AssertionError when a task of one of them has failed."""
        for connector in connectors:
            told = self.client.get(f"/connectors/{connector}/status").json()
            for task in told.get("tasks", ()):
                if task["state"] == "FAILED":
                    raise AssertionError(f"{connector} has failed: {task.get('trace', '')[:2_000]}")

    def end(self, connector: str) -> None:
        self.client.delete(f"/connectors/{connector}")


def login(exchange: Exchange) -> dict[str, str]:
    """What a Java client needs to log in as the administrator."""
    told = client_config(exchange.settings, "admin")
    jaas = (
        "org.apache.kafka.common.security.scram.ScramLoginModule required"
        f' username="{told["sasl.username"]}" password="{told["sasl.password"]}";'
    )
    return {
        "bootstrap.servers": exchange.bootstrap, "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512", "sasl.jaas.config": jaas,
    }  # fmt: skip


@contextmanager
def worker(exchange: Exchange, *, plugins: Path | None = None, jars: Path | None = None) -> Iterator[Worker]:
    """A worker with the exchange's plugins, those in `plugins`, and `jars` on its class path."""
    tools, security = locate(), login(exchange)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="tongshu-bench-connect-") as folder:
        config = {
            **security,
            **{f"{side}.{name}": value for side in ("consumer", "producer") for name, value in security.items()},
            "producer.compression.type": "lz4",
            **avro_converters(exchange.settings),
            "listeners": f"http://127.0.0.1:{port}",
            "plugin.path": ",".join(map(str, filter(None, (plugins, tools.connect_plugins)))),
            "plugin.discovery": "hybrid_warn",
            "offset.storage.file.filename": f"{folder}/offsets",
            "connector.client.config.override.policy": "All",
        }
        properties = Path(folder) / "worker.properties"
        properties.touch(mode=0o600)
        properties.write_text("".join(f"{name}={value}\n" for name, value in config.items()))
        path = f"{tools.connect_classpath}:{jars}/*" if jars else tools.connect_classpath
        command = [str(tools.java), "-Xmx768m", "-cp", path]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "org.apache.kafka.connect.cli.ConnectStandalone", str(properties)], stdout=log, stderr=log
            )
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        try:
            _await(client, process, Path(folder) / "log")
            yield Worker(client, process.pid)
        finally:
            process.terminate()
            process.wait(30)


def _await(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise AssertionError(f"the Connect worker ended: {log.read_text()[-2_000:]}")
        try:
            if client.get("/connectors").is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError("the Connect worker does not answer")
