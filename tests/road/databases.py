"""Databases of departments, which the exchange fills."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pymysql
from psycopg.rows import dict_row
from pymysql.cursors import DictCursor

from infra.embedded.scratch import ScratchPostgres
from tests.mariadb import ScratchMariadb


class OwnDatabase:
    """A department's database server, and the secret by which the exchange reaches it."""

    def __init__(self, secrets: Path, department: str) -> None:
        self.server = ScratchPostgres(department)
        self.secret = f"{department}_dsn"
        self._kept = secrets / self.secret
        self._kept.write_text(self.server.dsn)
        self._kept.chmod(0o600)
        self.start()

    def start(self) -> None:
        self.server.start()
        self._connection = psycopg.connect(self.server.dsn, autocommit=True, row_factory=dict_row)

    def stop(self) -> None:
        self._connection.close()
        self.server.stop()

    def remove(self) -> None:
        self.server.remove()
        self._kept.unlink()

    def run(self, statement: str) -> None:
        self._connection.execute(statement.encode())

    def rows(self, query: str) -> list[dict[str, Any]]:
        """What a query finds; nothing where the table is not there (yet)."""
        try:
            return self._connection.execute(query.encode()).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            return []

    def target(self, table: str) -> dict[str, str]:
        return {"dsn_secret": self.secret, "schema": "public", "table": table}


class OwnMariadb:
    """A department's server that speaks MySQL's protocol, and the secret by which the exchange reaches it."""

    def __init__(self, secrets: Path, department: str) -> None:
        self.server = ScratchMariadb("received")
        self.secret = f"{department}_dsn"
        self._kept = secrets / self.secret
        self._kept.write_text(self.server.dsn)
        self._kept.chmod(0o600)
        self.server.start()
        self._connection = self.server.connect(database="received", cursorclass=DictCursor)

    def remove(self) -> None:
        self._connection.close()
        self.server.remove()
        self._kept.unlink()

    def run(self, statement: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)

    def rows(self, query: str) -> list[dict[str, Any]]:
        """What a query finds; nothing where the table is not there (yet)."""
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(query)
            except pymysql.ProgrammingError:
                return []
            return list(cursor.fetchall())

    def target(self, table: str) -> dict[str, str]:
        return {"dsn_secret": self.secret, "schema": "received", "table": table}
