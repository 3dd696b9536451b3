"""The log of a running exchange: verified from scratch, by tools of others, and kept by whoever's turn it is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from cli.exchange import Exchange
from infra.embedded.home import ROOT
from infra.embedded.supervisor import read_status
from tests.conftest import Tongshu
from tests.road.audit.conftest import Books
from tests.road.town import eventually

VERIFIER = ROOT / "tests" / "verifier"
TAKE_OVER_SECONDS = 10.0


def test_all_of_it_is_verified_from_scratch(tongshu: Tongshu, delivered: dict[str, Any]) -> None:
    told = json.loads(tongshu.must("audit", "verify", "--json"))
    assert told["holds"] and told["faults"] == []
    assert told["entries"] > told["manifests"] > 0 and told["checkpoints"] > 1
    assert told["delivered"] >= 301 and told["records"] > told["manifests"]
    assert "All holds" in tongshu.must("audit", "verify")


def test_an_entry_says_who_what_and_when_and_nothing_personal(books: Books, exchange: Exchange) -> None:
    subject = books.happening()
    entry = books.await_entry(subject, type="cn.tongshu.catalog.department_registered.v1")
    assert entry["department"] == subject and entry["outcome"] == "done" and len(entry["trace"]) == 32
    assert entry["occurred_at"] <= entry["recorded_at"]
    assert entry["actor"].startswith("a") and "operator" not in json.dumps(entry, default=str)


def test_a_row_that_was_edited_or_deleted_is_named(tongshu: Tongshu, exchange: Exchange, books: Books) -> None:
    number = books.await_entry(books.happening())["sequence"]
    here = exchange.settings
    with psycopg.connect(
        host=here.postgres_host, port=here.postgres_port, dbname=here.postgres_database, user="audit",
        password=exchange.home.secret("postgres_audit_password"), autocommit=True,
    ) as database:  # fmt: skip
        count = "select count(*) from audit.entries where sequence = %s"
        eventually(lambda: database.execute(count, (number,)).fetchone(), lambda row: row == (1,), "its row")
        for change, told in (
            ("update audit.entries set actor = 'somebody else' where sequence = %s", "tells another actor"),
            ("delete from audit.entries where sequence = %s", "has lost its row"),
        ):
            database.execute(change.encode(), (number,))
            answer = tongshu("audit", "verify")
            assert answer.status == 1 and f"entry {number}: the database {told}" in answer.words
        # the index is made again from the log
        database.execute("update audit.cursors set next = 0 where name = 'entries'")
        eventually(lambda: database.execute(count, (number,)).fetchone(), lambda row: row == (1,), "its row again")


def test_an_export_is_verified_with_nothing_of_ours(exported: Path, exchange: Exchange) -> None:
    key = exchange.ask("GET", "audit", "/key")
    command = [sys.executable, "-I", str(exported / "verify.py"), str(exported), "--key", key]
    done = subprocess.run(command, cwd=exported, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "all holds" in done.stdout, done.stdout + done.stderr
    bundle = next((exported / "tile" / "entries").rglob("*.p/*"))
    bundle.write_bytes(bundle.read_bytes()[:-1] + b"!")
    done = subprocess.run(command, cwd=exported, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "[entry]" in done.stdout


def test_the_command_verifies_an_export_too(tongshu: Tongshu, exported: Path) -> None:
    assert tongshu("audit", "verify", "--offline", str(exported)).status == 0
    shutil.rmtree(exported / "tile" / "0")
    answer = tongshu("audit", "verify", "--offline", str(exported))
    assert answer.status == 1 and "the tile is not there" in answer.words
    assert tongshu("audit", "verify", "--offline", str(exported / "nowhere")).status == 2


@pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go here to build the verifier of others with")
def test_tools_that_others_wrote_accept_it(
    exchange: Exchange, books: Books, delivered: dict[str, Any], tmp_path: Path
) -> None:
    older = tmp_path / "older"
    older.write_text(exchange.ask("GET", "audit", "/checkpoint"))
    books.await_entry(books.happening())
    words = [exchange.url("audit"), exchange.ask("GET", "audit", "/key"), exchange.home.secret("operator_token")]
    eventually(
        lambda: exchange.ask("GET", "audit", "/checkpoint"), lambda note: note != older.read_text(), "a new checkpoint"
    )
    binary = tmp_path / "verifier"
    built = subprocess.run(["go", "build", "-o", binary, "."], cwd=VERIFIER, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    done = subprocess.run([binary, *words, older], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "are in the tree" in done.stdout and "it grew from" in done.stdout
    older.write_text(older.read_text().replace("\n— ", "\nx\n— "))
    assert subprocess.run([binary, *words, older], capture_output=True, check=False).returncode == 1


def test_tiles_are_for_everybody_and_entries_for_those_who_may_see_all(exchange: Exchange) -> None:
    url = exchange.url("audit")
    assert httpx.get(f"{url}/checkpoint").headers["content-type"] == "text/plain; charset=utf-8"
    size = int(exchange.ask("GET", "audit", "/checkpoint").split("\n")[1])
    index, width = divmod(size, 256)
    path = f"tile/0/{index:03}.p/{width}" if width else f"tile/0/{index - 1:03}"
    tile = httpx.get(f"{url}/{path}")
    assert tile.headers["content-type"] == "application/octet-stream" and len(tile.content) == 32 * (width or 256)
    assert httpx.get(f"{url}/{path.replace('tile/0', 'tile/entries')}").status_code == 401
    for wrong in (
        "tile/0/1",
        "tile/64/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/x999/999",
        "tile/0/../position",
    ):
        assert httpx.get(f"{url}/{wrong}").status_code == 404


# -- whose turn it is --------------------------------------------------------------------------------------------------


@contextmanager
def standby(exchange: Exchange, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A second audit process beside the exchange's own."""
    environment = {**os.environ, **exchange.home.environment(), "TONGSHU_HTTP_PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", "services.audit"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    try:
        eventually(lambda: _is_ready(port), bool, "the standby")
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def test_a_standby_takes_over_and_two_never_both_append(
    tongshu: Tongshu, exchange: Exchange, books: Books, unused_port: int
) -> None:
    told = read_status(exchange.home) or {"parts": []}
    first = next(part["pid"] for part in told["parts"] if part["name"] == "audit")
    books.await_entry(books.happening())
    with standby(exchange, unused_port) as second:
        os.kill(first, signal.SIGSTOP)
        try:
            subject, begun = books.happening(), time.monotonic()
            books.await_entry(subject)
            assert time.monotonic() - begun < TAKE_OVER_SECONDS
        finally:
            # it wakes in the belief that it is its turn still
            os.kill(first, signal.SIGCONT)
        for _ in range(5):
            books.await_entry(books.happening())
        second.kill()
        second.wait()
        subject, begun = books.happening(), time.monotonic()
        books.await_entry(subject)
        assert time.monotonic() - begun < TAKE_OVER_SECONDS
    entries = books.entries()
    assert [one["sequence"] for one in entries] == list(range(len(entries)))
    places = [(one["topic"], one["partition"], one["offset"]) for one in entries]
    assert len(set(places)) == len(places), "a record was sealed twice"
    assert json.loads(tongshu.must("audit", "verify", "--json"))["holds"]
