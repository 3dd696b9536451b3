from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from cli.exchange import Exchange
from infra.embedded.scratch import scratch_database
from services.audit.events import Publisher
from services.audit.topics import LOG
from services.core import telemetry
from services.core.avro import Codec, Registry
from services.core.settings import Settings
from tests.conftest import Tongshu
from tests.road.catalog.office import government_code
from tests.road.town import Town, eventually


class Books:
    """The audit log of the shared exchange, as whoever looks into it sees it."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._codec = Codec(exchange.registry, LOG.name)

    def entries(self) -> list[dict[str, Any]]:
        return [self._codec.decode(value or b"") for _, value, _ in self.exchange.read_all(LOG.name)]

    def of(self, subject: str, **fits: Any) -> list[dict[str, Any]]:
        wanted = {"subject": subject, **fits}
        return [one for one in self.entries() if wanted.items() <= one.items()]

    def await_entry(self, subject: str, seconds: float = 30.0, **fits: Any) -> dict[str, Any]:
        """The first entry of `subject` that fits, once it is sealed."""
        found = eventually(lambda: self.of(subject, **fits), bool, f"an entry of {subject} {fits}", seconds)
        return found[0]

    def happening(self, code: str | None = None) -> str:
        """Make something happen; the subject that its entry will have."""
        code = code or f"c{uuid.uuid4().hex[:10]}"
        form = {"slug": code, "uscc": government_code(), "name": f"部门 {code}", "name_en": f"Department {code}"}
        self.exchange.ask("POST", "catalog", "/departments", form)
        return code


@pytest.fixture(scope="session")
def books(exchange: Exchange) -> Books:
    return Books(exchange)


@pytest.fixture(scope="session")
def delivered(town: Town, books: Books) -> dict[str, Any]:
    """A grant under which records were delivered, and whose manifests are sealed."""
    table = town.table({"id": "text", "visits": "bigint"}, stays=True)
    grant = town.live_grant(table, ["id", "visits"])
    reader = town.reader(grant)
    table.run("insert into {t} select 'k' || n, n from generate_series(1, 300) n")
    table.run("update {t} set visits = visits + 1 where id = 'k7'")
    reader.await_records(301)
    reader.close()
    eventually(
        lambda: sum(one["records"] for one in books.of(grant["id"], topic="sync.deliveries")),
        lambda total: total == 301,
        "the manifests in the log",
    )
    return {"grant": grant, "table": table}


class OwnRegistry(Registry):
    """Gives schemas ids by itself, for what needs no more of an exchange than a database."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1")

    def register(self, subject: str, schema: Mapping[str, Any], compatibility: str | None = None) -> int:
        self._raw[len(self._raw) + 1] = dict(schema)
        return len(self._raw)


@pytest.fixture(scope="session")
def publisher() -> Publisher:
    telemetry.start("test", Settings(log_level="WARNING"))
    return Publisher(OwnRegistry())


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A database of its own with the audit's tables, for what needs no more of an exchange."""
    with scratch_database("audit") as made:
        yield made


@pytest.fixture
def exported(books: Books, tongshu: Tongshu, tmp_path: Path) -> Path:
    tongshu.must("audit", "export", str(tmp_path / "log"))
    return tmp_path / "log"


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
