"""Witnesses cosign a log that only grows, remember what they saw, and refuse one that was changed."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.engine import Engine

from services.audit.domain.note import cosign, log_key, sign
from services.audit.events import Publisher
from services.audit.tiles import TileStore
from services.audit.verifier import (
    COSIGNATURE,
    Checkpoint,
    Key,
    NotSigned,
    hashing_of,
    is_consistent,
    leaf_hashes,
    open_note,
)
from services.audit.witness import Witness, Witnesses, parse_witnesses
from services.core.db import sessions

ORIGIN, NAME = "example.org/log", "witness.example/w"
LOG, WITNESS = (Ed25519PrivateKey.from_private_bytes(bytes([one]) * 32) for one in (7, 8))
WITNESS_KEY = Key(NAME, COSIGNATURE, WITNESS.public_key().public_bytes_raw())


class Office:
    """A witness that does what C2SP tlog-witness asks of it."""

    def __init__(self) -> None:
        self.size, self.root = 0, b""
        office = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                status, kind, body = office.add(self.rfile.read(int(self.headers["content-length"])).decode())
                self.send_response(status if self.path == "/w/add-checkpoint" else 404)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def add(self, request: str) -> tuple[int, str, str]:
        head, _, note = request.partition("\n\n")
        old, *proof = head.split("\n")
        try:
            told = open_note(note, log_key(ORIGIN, LOG)).checkpoint
        except NotSigned:
            return 403, "text/plain", ""
        if int(old.removeprefix("old ")) != self.size:
            return 409, "text/x.tlog.size", f"{self.size}\n"
        nodes = [base64.b64decode(one) for one in proof]
        if self.size and not is_consistent(self.size, told.size, self.root, told.root, nodes):
            return 422, "text/plain", "it did not grow"
        self.size, self.root = told.size, told.root
        return 200, "text/plain", cosign(told, NAME, WITNESS, 1_780_000_000)


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def grown(store: TileStore, count: int, story: str = "") -> None:
    entries = [f"{story}{number}".encode() for number in range(store.size, store.size + count)]
    store.append(entries, leaf_hashes(entries))
    store.publish(sign(Checkpoint(ORIGIN, store.size, store.root()), LOG))


def test_a_witness_cosigns_what_grows_and_nothing_else(
    office: Office, publisher: Publisher, engine: Engine, tmp_path: Path
) -> None:
    witness = Witness(WITNESS_KEY, f"http://127.0.0.1:{office.server.server_port}/w")
    assert parse_witnesses(f"{WITNESS_KEY.text()} {witness.url}/") == [witness]
    with pytest.raises(NotSigned):
        parse_witnesses(log_key(ORIGIN, LOG).text() + " http://127.0.0.1")

    def asking(store: TileStore) -> Witnesses:
        return Witnesses(
            [witness], store, log_key(ORIGIN, LOG), sessions(engine), publisher,
            is_mine=lambda: True, every_seconds=1, stop=threading.Event(),
        )  # fmt: skip

    store = TileStore(tmp_path / "log", hashing_of(ORIGIN))
    store.open()
    asker = asking(store)
    for more in (10, 300, 1):
        grown(store, more)
        assert asker.step() == [NAME]
        assert office.size == store.size
        told = open_note(store.cosigned() or "", log_key(ORIGIN, LOG), [WITNESS_KEY])
        assert told.witnesses == {NAME: 1_780_000_000} and told.checkpoint.size == store.size
    # a process that starts anew does not know what the witness has seen, and is told
    grown(store, 5)
    assert asking(store).step() == [NAME]
    forked = TileStore(tmp_path / "forked", hashing_of(ORIGIN))
    forked.open()
    grown(forked, 400, "another story ")
    assert asking(forked).step() == []
    assert forked.cosigned() is None and office.size == 316
