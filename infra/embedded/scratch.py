"""A Postgres that is thrown away, with the schema of one service: for tests and benchmarks that need no more."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import alembic.command
import alembic.config
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from infra.configuration import postgres_settings
from infra.embedded.home import ROOT
from infra.embedded.parts import as_user, unprivileged_user
from infra.embedded.toolchain import postgres_bin


@contextmanager
def scratch_database(service: str) -> Iterator[Engine]:
    """Connections to a database of its own with the schema of `service`, migrated; gone afterwards."""
    with scratch_postgres(service) as engine:
        with engine.begin() as connection:
            connection.execute(text(f"create schema {service}"))
        config = alembic.config.Config()
        config.set_main_option("script_location", str(ROOT / "services" / service / "migrations"))
        config.attributes["engine"] = engine
        alembic.command.upgrade(config, "head")
        yield engine


@contextmanager
def scratch_postgres(user: str, **settings: str) -> Iterator[Engine]:
    """Connections to an empty database of its own as its superuser `user`; gone afterwards."""
    server = ScratchPostgres(user, **settings)
    engine = create_engine(server.url)
    try:
        server.start()
        yield engine
    finally:
        engine.dispose()
        server.remove()


class ScratchPostgres:
    """A server in a folder of its own, which can be stopped and started; `user` is its superuser.

    Settings are those of the embedded exchange, but for what is written to disk (nothing here outlives the process)
    and what `settings` says.
    """

    def __init__(self, user: str, **settings: str) -> None:
        account, bin_ = unprivileged_user(), postgres_bin()
        self._folder = Path(tempfile.mkdtemp(prefix="tongshu-scratch-"))
        if account:
            self._folder.chmod(0o755)
            shutil.chown(self._folder, account)
        data, port = self._folder / "data", _free_port()
        made = [str(bin_ / "initdb"), "-D", str(data), "-U", user, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run(as_user(account, made, self._folder), check=True, capture_output=True)
        where = {"port": str(port), "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        options = {**postgres_settings(), **where, "fsync": "off", **settings}
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        self._command = as_user(account, [str(bin_ / "postgres"), "-D", str(data), *words], self._folder)
        self._process: subprocess.Popen[bytes] | None = None
        self.dsn = f"postgresql://{user}@127.0.0.1:{port}/postgres"
        self.url = self.dsn.replace("postgresql:", "postgresql+psycopg:")

    def start(self) -> None:
        """Start it, and wait until it answers; raises OperationalError when it does not."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        engine = create_engine(self.url)
        _wait(engine, self._process)
        engine.dispose()

    def stop(self) -> None:
        """End it at once: those who are connected are thrown out."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait(engine: Engine, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            with engine.connect():
                return
        except OperationalError:
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.1)
