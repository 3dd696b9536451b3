"""The state folder of an exchange (`TONGSHU_HOME`): its ports, its secrets, its data and logs.

Tools are no state: they lie in the tools folder and are shared by all exchanges of a checkout.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from infra import secrets
from infra.files import write_atomically

ROOT = Path(__file__).resolve().parents[2]
FORMAT = 1
PORTS = (
    "postgres",
    "redis",
    "kafka",
    "controller",
    "registry",
    "registry_management",
    "connect",
    "catalog",
    "demand",
    "tracking",
    "sync",
    "table",
    "rows",
    "audit",
    "watch",
    "console",
    "sources",
)
WITH_AN_API = ("catalog", "demand", "sync", "table", "rows", "audit", "watch")
"""Parts that the console passes requests on to."""
LEAST_FREE_BYTES = 2 * 1024**3
_LOWEST_PORT, _PORTS_TO_CHOOSE_FROM = 10_240, 1_000


class HomeProblem(Exception):
    """What is wrong with the state folder, in one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Home:
    """An exchange's folder and what `exchange.json` records of it."""

    path: Path
    id: str
    ports: Mapping[str, int]
    samples: bool

    @property
    def secrets(self) -> Path:
        return self.path / "secrets"

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text().strip()

    def data(self, part: str) -> Path:
        return self.path / "data" / part

    def log(self, part: str) -> Path:
        return self.path / "logs" / f"{part}.log"

    def environment(self) -> dict[str, str]:
        """What every process of the exchange is told (services/core/settings.py)."""
        return {
            "TONGSHU_EXCHANGE": self.id,
            "TONGSHU_KAFKA_BOOTSTRAP": f"127.0.0.1:{self.ports['kafka']}",
            "TONGSHU_REGISTRY_URL": f"http://127.0.0.1:{self.ports['registry']}/apis/ccompat/v7",
            "TONGSHU_CONNECT_URL": f"http://127.0.0.1:{self.ports['connect']}",
            "TONGSHU_POSTGRES_HOST": "127.0.0.1",
            "TONGSHU_POSTGRES_PORT": str(self.ports["postgres"]),
            "TONGSHU_REDIS_HOST": "127.0.0.1",
            "TONGSHU_REDIS_PORT": str(self.ports["redis"]),
            **{
                f"TONGSHU_{name.upper()}_URL": f"http://127.0.0.1:{self.ports[name]}"
                for name in WITH_AN_API
                if name in self.ports
            },
            "TONGSHU_AUDIT_FOLDER": str(self.data("audit")),
            # all of an embedded exchange is on one machine, and so may be what fills it
            "TONGSHU_UPSTREAM_NETWORKS": "127.0.0.0/8,::1/128",
            "TONGSHU_SECRETS": str(self.secrets),
            "PYTHONPATH": str(ROOT),
        }

    def with_samples(self) -> Home:
        """The same exchange with the sample departments' databases."""
        if self.samples:
            return self
        home = replace(self, samples=True)
        _record(home)
        return home

    def check_disk(self) -> None:
        """Raises HomeProblem when there is not enough room to run safely."""
        free = shutil.disk_usage(self.path).free
        if free < LEAST_FREE_BYTES:
            raise HomeProblem(
                f"Only {free // 1024**2} MiB are free where {self.path} is; make room"
                f" (at least {LEAST_FREE_BYTES // 1024**2} MiB) and run this again."
            )

    def check_ports(self) -> None:
        """Raises HomeProblem when a port of the exchange is held by somebody else."""
        for part, port in self.ports.items():
            if (part != "sources" or self.samples) and not _is_free(port):
                raise HomeProblem(
                    f"Port {port}, recorded for {part}, is taken{_holder(port)}; end that, or choose another with"
                    f" `--port {part}=NUMBER`, or all anew with `--new-ports`."
                )


def home_path() -> Path:
    return Path(os.environ.get("TONGSHU_HOME") or ROOT / ".tongshu").absolute()


def find() -> Home | None:
    """The exchange in the state folder; None where there is none yet. Raises HomeProblem when it cannot be read."""
    path = home_path()
    record = path / "exchange.json"
    try:
        text = record.read_text()
    except FileNotFoundError:
        if (path / "data").exists():
            raise HomeProblem(
                f"{record} is missing though {path} holds data; put it back from a copy, or move {path} away."
            ) from None
        return None
    except OSError as error:
        raise HomeProblem(f"{record} cannot be read: {error.strerror}.") from error
    try:
        kept = json.loads(text)
        if kept["format"] != FORMAT:
            raise HomeProblem(f"{record} is of format {kept['format']}, this version reads {FORMAT}.")
        # a part that is new since the folder was made gets its port at the next `up`
        ports = {part: int(kept["ports"][part]) for part in PORTS if part in kept["ports"]}
        return Home(path, str(kept["id"]), ports, bool(kept["samples"]))
    except (ValueError, KeyError, TypeError) as error:
        raise HomeProblem(
            f"{record} is damaged ({type(error).__name__}); put it back from a copy, or move {path} away to begin anew."
        ) from error


def prepare(*, samples: bool = False, ports: Mapping[str, int] | None = None, new_ports: bool = False) -> Home:
    """The exchange in the state folder, made if there is none: folders, ports and secrets.

    `ports` fixes some of them, `new_ports` chooses the others anew. Nothing that is there is overwritten. Raises
    HomeProblem.
    """
    wanted = dict(ports or {})
    for part, port in wanted.items():
        if part not in PORTS:
            raise HomeProblem(f"There is no port {part!r}; there are {', '.join(PORTS)}.")
        if not 1 <= port <= 65_535:
            raise HomeProblem(f"{port} is no port number.")
    home = find()
    path = home.path if home else home_path()
    try:
        for folder in (path, path / "secrets", path / "data", path / "logs", path / "run"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if home is None or wanted or new_ports or home.ports.keys() != set(PORTS):
            chosen = {} if home is None or new_ports else dict(home.ports)
            chosen |= wanted
            chosen |= _free_ports([part for part in PORTS if part not in chosen])
            home = Home(path, home.id if home else os.urandom(8).hex(), chosen, samples or bool(home and home.samples))
            _record(home)
        elif samples:
            home = home.with_samples()
        secrets.make(home.secrets)
    except OSError as error:
        raise HomeProblem(f"{error.filename or path} cannot be written: {error.strerror}.") from error
    return home


class Lock:
    """Held by the supervisor as long as it lives; the system lets go of it however it dies."""

    def __init__(self, home: Home) -> None:
        self._path = home.path / "run" / "lock"
        self._file: Any = None

    def take(self) -> bool:
        """Whether it could be taken."""
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file
        return True

    def holder(self) -> int | None:
        """The process that holds it; None when it is free."""
        try:
            with self._path.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read() or 0)
        except FileNotFoundError:
            return None
        return None


def leftovers(home: Home) -> list[psutil.Process]:
    """Processes of the exchange, whoever started them; the caller's own are left out."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid not in mine and process.environ().get("TONGSHU_EXCHANGE") == home.id:
                found.append(process)
        except psutil.Error:
            continue
    return found


def _record(home: Home) -> None:
    record = {"format": FORMAT, "id": home.id, "ports": dict(home.ports), "samples": home.samples}
    write_atomically(home.path / "exchange.json", json.dumps(record, indent=2) + "\n")


def _free_ports(parts: list[str]) -> dict[str, int]:
    """A free port for each of `parts`, all different.

    None that the system gives to outgoing connections: one of those could take it before its part does, or while its
    part is started again.
    """
    begin, end = _LOWEST_PORT, _first_outgoing_port()
    if end - begin < _PORTS_TO_CHOOSE_FROM:
        begin, end = 49_152, 65_536  # IANA's dynamic ports: what is left when the system gives out nearly all
    candidates = (port for port in random.sample(range(begin, end), end - begin) if _is_free(port))
    return dict(zip(parts, candidates, strict=False))


def _first_outgoing_port() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32_768


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    try:
        for one in psutil.net_connections("tcp"):
            if one.laddr and one.laddr.port == port and one.status == psutil.CONN_LISTEN and one.pid:
                return f" by {psutil.Process(one.pid).name()} (process {one.pid})"
    except psutil.Error:
        pass
    return ""
