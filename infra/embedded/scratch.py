"""A Postgres that is thrown away, with the schema of one service: for tests and benchmarks that need no more."""

from __future__ import annotations

import shutil
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
    """Connections to an empty database of its own as its superuser `user`; gone afterwards.

    Settings are those of the embedded exchange, but for what is written to disk (nothing here outlives the process)
    and what `settings` says.
    """
    folder = Path(tempfile.mkdtemp(prefix="tongshu-scratch-"))
    account = unprivileged_user()
    if account:
        folder.chmod(0o755)
        shutil.chown(folder, account)
    data, bin_ = folder / "data", postgres_bin()
    made = [str(bin_ / "initdb"), "-D", str(data), "-U", user, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
    subprocess.run(as_user(account, made, folder), check=True, capture_output=True)
    port = _free_port()
    where = {"port": str(port), "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
    options = {**postgres_settings(), **where, "fsync": "off", **settings}
    words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            as_user(account, [str(bin_ / "postgres"), "-D", str(data), *words], folder), stdout=log, stderr=log
        )
    engine = create_engine(f"postgresql+psycopg://{user}@127.0.0.1:{port}/postgres")
    try:
        _wait(engine, process)
        yield engine
    finally:
        engine.dispose()
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


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
