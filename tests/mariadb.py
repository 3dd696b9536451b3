"""A MariaDB that is thrown away: a department's database that speaks MySQL's protocol."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pymysql

from infra.embedded.parts import as_user, unprivileged_user
from tests.debian import program
from tests.serving import free_port


class ScratchMariadb:
    """A server in a folder of its own with one schema; `dsn` is its connection string."""

    def __init__(self, schema: str) -> None:
        self._server = program("mariadb-server-core", "mariadbd")
        self._account, self._schema = unprivileged_user(), schema
        self._folder = Path(tempfile.mkdtemp(prefix="tongshu-scratch-"))
        self._data, self._port = self._folder / "data", free_port()
        self._data.mkdir()
        if self._account:
            self._folder.chmod(0o755)
            for place in (self._folder, self._data):
                shutil.chown(place, self._account)
        self._process: subprocess.Popen[bytes] | None = None
        self.dsn = f"mysql://root@127.0.0.1:{self._port}/"

    def start(self) -> None:
        """Start it, and wait until it answers; raises pymysql.Error when it does not."""
        words = [
            self._server, "--no-defaults", f"--datadir={self._data}", f"--socket={self._folder / 'socket'}",
            f"--port={self._port}", "--bind-address=127.0.0.1", f"--pid-file={self._folder / 'pid'}",
            # without tables of users, which would have to be made first
            "--skip-grant-tables", "--skip-networking=0", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=64M",
        ]  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            words = as_user(self._account, words, self._folder)
            self._process = subprocess.Popen(words, stdout=log, stderr=log, cwd=self._folder)
        until = time.monotonic() + 60
        while True:
            try:
                with self.connect() as connection:
                    connection.cursor().execute(f"create database if not exists `{self._schema}`")
                return
            except pymysql.Error:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def connect(self, **more: Any) -> pymysql.Connection[Any]:
        return pymysql.connect(host="127.0.0.1", port=self._port, user="root", autocommit=True, **more)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
