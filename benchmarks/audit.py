"""`./tongshu bench audit`: sealing, proving and verifying, each beside its peer.

Without an exchange: hashing beside bare SHA-256 over the same messages; a log on disk, waited for batch by batch, and
Tessera's POSIX log (a small Go program, where there is Go); verification of that log; proofs in a tree of ten million
entries whose tiles are in memory; a key looked up among ten million deliveries. With one: events and manifests in bulk
through Kafka, and how long an event waits for the checkpoint that covers it.
"""

from __future__ import annotations

import io
import os
import random
import resource
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import Consumer, Producer, TopicPartition
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks.clock import cpu_of
from benchmarks.report import Report
from benchmarks.road import process_of
from cli.demo.stage import percentile
from cli.exchange import Exchange
from infra.embedded.scratch import scratch_database
from services.audit import native
from services.audit.domain.entry import varint
from services.audit.domain.note import log_key, sign
from services.audit.domain.proof import Prover
from services.audit.keys import hash_of, places_of
from services.audit.tiles import TileStore
from services.audit.topics import CHECKPOINTS, LOG
from services.audit.verifier import (
    WIDTH,
    Checkpoint,
    Edge,
    Hashing,
    Walk,
    file_reader,
    hashing_of,
    root_from_inclusion,
)
from services.core.avro import Codec, load
from services.core.kafka import client_config

_ENTRY_BYTES = 220
_ROUNDS = 5
_ORIGIN = "example.org/bench"
# what an exchange hashes with here, and what auditors carry away
_OURS, _ALONE = native.hashing_of(_ORIGIN), hashing_of(_ORIGIN)
_TESSERA = Path(__file__).parent / "tessera"
_BULK = 20_000
_RECORDS_OF_A_MANIFEST = 2_000


def run(report: Report, *, entries: int, tree: int, deliveries: int) -> None:
    """What needs no exchange."""
    made = [_entry(number) for number in range(entries)]
    _hashing(report, made)
    folder = Path(tempfile.mkdtemp(prefix="tongshu-bench-"))
    try:
        _sealing(report, made, folder)
        _tessera(report, entries, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    del made
    _proofs(report, tree)
    _lookups(report, deliveries)


def _entry(number: int) -> bytes:
    head = b"\x00\x00\x00\x00\x07" + varint(number)
    return head + os.urandom(_ENTRY_BYTES - len(head))


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


# -- without an exchange -----------------------------------------------------------------------------------------------


def _hashing(report: Report, entries: list[bytes]) -> None:
    """Leaves and nodes of a tree, beside SHA-256 alone over the very messages that the tree hashes."""
    messages = [b"\x00" + entry for entry in entries]
    level = [sha256(message).digest() for message in messages]
    while len(level) > 1:
        pairs = [b"\x01" + a + b for a, b in zip(level[::2], level[1::2], strict=False)]
        messages += pairs
        level = [sha256(pair).digest() for pair in pairs] + level[len(pairs) * 2 :]

    def tree(hashing: Hashing) -> None:
        edge = Edge(hashing)
        for _ in edge.append(hashing.leaves(entries)):
            pass
        edge.root()

    def bare() -> None:
        for message in messages:
            sha256(message).digest()

    whole = b"".join(messages)
    ways: dict[str, Callable[[], object]] = {
        "hashing into the tree": lambda: tree(_OURS),
        "hashing into the tree, by the reference": lambda: tree(_ALONE),
        "bare SHA-256, a call for each of the same messages": bare,
        "bare SHA-256, one call over all of their bytes": lambda: sha256(whole).digest(),
    }
    took = {name: list[float]() for name in ways}
    for _ in range(_ROUNDS):
        for name, way in ways.items():
            took[name].append(_timed(way))
    ours_s, alone_s, calls_s, run_s = (statistics.median(took[name]) for name in ways)
    for name, seconds in zip(ways, (ours_s, alone_s, calls_s, run_s), strict=True):
        report.add(name, len(entries) / seconds, "entries/s")
    report.compare("hashing_over_bare_sha256", calls_s, ours_s)
    report.compare("hashing_over_bare_sha256_in_one_call", run_s, ours_s)
    report.compare("hashing_by_the_reference_over_bare_sha256", calls_s, alone_s)


def _sealing(report: Report, entries: list[bytes], folder: Path) -> None:
    """A log on disk, in bulk; each batch is waited for. Then all of it is verified."""
    store = TileStore(folder / "ours", _OURS)
    store.open()
    begun, spent = time.perf_counter(), time.process_time()
    for first in range(0, len(entries), _BULK):
        batch = entries[first : first + _BULK]
        store.append(batch, _OURS.leaves(batch))
        store.settle(first + len(batch))
    seconds, spent = time.perf_counter() - begun, time.process_time() - spent
    report.add("sealed on disk, batches of 20,000", len(entries) / seconds, "entries/s")
    report.add("CPU of sealing on disk", spent / len(entries) * 1e6, "µs/entry")
    key = Ed25519PrivateKey.generate()
    notes = [sign(Checkpoint(_ORIGIN, store.size, store.root()), key)]
    for what, hashing in (("verified from disk", _OURS), ("verified by the file that stands alone", _ALONE)):
        walk = Walk(file_reader(folder / "ours"), log_key(_ORIGIN, key), notes, hashing=hashing)
        begun, spent = time.perf_counter(), time.process_time()
        done = max(walk.run())
        seconds, spent = time.perf_counter() - begun, time.process_time() - spent
        if walk.faults:
            raise RuntimeError(f"the log does not hold: {walk.faults[0]}")
        report.add(what, done / seconds, "entries/s")
        report.add(f"{what}, by CPU time", done / spent, "entries/s")


def _tessera(report: Report, entries: int, folder: Path) -> None:
    go = shutil.which("go")
    if go is None:
        print("There is no Go here: Tessera is left out.")
        return
    binary = folder / "tessera-bench"
    subprocess.run([go, "build", "-o", str(binary), "."], cwd=_TESSERA, check=True, capture_output=True)
    best = 0.0
    bulk = next(one.value for one in report.figures if one.what.startswith("sealed on disk"))
    for batch in (1, 256, 4_096):
        count = min(entries, max(200, batch * 20))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [str(binary), str(folder / f"tessera-{batch}"), str(count), str(_ENTRY_BYTES), str(batch)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        rate = count / float(done.stdout)
        best = max(best, rate)
        report.add(f"Tessera (POSIX), {batch:,} callers at once", rate, "entries/s")
        report.add(f"Tessera's CPU, {batch:,} callers", spent / count * 1e6, "µs/entry")
        ours, of_ours = _in_batches(folder / f"ours-{batch}", count, batch)
        report.add(f"ours, batches of {batch:,}", ours, "entries/s")
        report.add(f"our CPU, batches of {batch:,}", of_ours, "µs/entry")
        report.compare(f"sealing_over_tessera_batch_{batch}", ours, rate)
        if batch == 1:
            report.compare("sealing_in_bulk_over_tessera_one_by_one", bulk, rate)
    report.compare("sealing_in_bulk_over_tessera", bulk, best)


def _in_batches(folder: Path, count: int, batch: int) -> tuple[float, float]:
    """Entries a second, and µs of CPU an entry."""
    entries = [_entry(number) for number in range(count)]
    store = TileStore(folder, _OURS)
    store.open()
    begun, spent = time.perf_counter(), time.process_time()
    for first in range(0, count, batch):
        part = entries[first : first + batch]
        store.append(part, _OURS.leaves(part))
        store.settle(first + len(part))
    return count / (time.perf_counter() - begun), (time.process_time() - spent) / count * 1e6


def _proofs(report: Report, size: int) -> None:
    """Proofs in a tree of `size` entries, its tiles in memory."""
    edge, tiles = Edge(_OURS), dict[tuple[int, int], bytes]()
    for first in range(0, size, WIDTH * 256):
        leaves = [sha256(b"\x00%d" % number).digest() for number in range(first, min(size, first + WIDTH * 256))]
        tiles |= {(level, index): tile for level, index, tile in edge.append(b"".join(leaves))}
    tiles |= {(level, index): tile for level, index, tile in edge.partial()}
    root, prover = edge.root(), Prover(lambda level, index: tiles[level, index], _OURS)
    choose = random.Random(809)
    numbers = [choose.randrange(size) for _ in range(2_500)]
    spreads: dict[str, list[float]] = {name: [] for name in ("made", "made, by CPU time", "checked")}
    for at, number in enumerate(numbers):
        leaf = sha256(b"\x00%d" % number).digest()
        begun, spent = time.perf_counter(), time.thread_time()
        proof = prover.inclusion(number, size)
        middle, of_making = time.perf_counter(), time.thread_time() - spent
        found = root_from_inclusion(number, size, leaf, proof)
        ended = time.perf_counter()
        if found != root:
            raise RuntimeError(f"the proof of entry {number} does not hold")
        if at >= 500:  # by then the tiles above are remembered
            spreads["made"].append((middle - begun) * 1e6)
            spreads["made, by CPU time"].append(of_making * 1e6)
            spreads["checked"].append((ended - middle) * 1e6)
    report.add("entries in the tree", size, "")
    for what, spread in spreads.items():
        for share in (0.5, 0.95):
            report.add(f"a proof {what}, p{share * 100:.0f}", percentile(sorted(spread), share), "µs")


def _lookups(report: Report, deliveries: int) -> None:
    """A key among `deliveries`: what `audit trace` asks the index."""
    secret, topic = b"s" * 32, "share.a.b"
    with scratch_database("audit") as engine:
        with engine.begin() as connection:
            connection.execute(text("alter table audit.key_places drop constraint pk_key_places"))
            fill = (
                "insert into audit.key_places select hashtextextended(n::text, 0), 0, n from generate_series(1, :n) n"
            )
            report.add("filling the key index", _timed(lambda: connection.execute(text(fill), {"n": deliveries})), "s")
            begun = time.perf_counter()
            connection.execute(text('alter table audit.key_places add primary key (hash, "partition", "offset")'))
            report.add("ordering it", time.perf_counter() - begun, "s")
            keys = [b"\x00\x00\x00\x00\x01%d" % number for number in range(500)]
            rows = [{"h": hash_of(secret, topic, key), "o": deliveries + at} for at, key in enumerate(keys)]
            connection.execute(text("insert into audit.key_places values (:h, 0, :o)"), rows)
        spread = []
        with Session(engine) as session:
            for key in keys:
                begun = time.perf_counter()
                if len(places_of(session, secret, topic, key)) != 1:
                    raise RuntimeError("a key was not found where it is")
                spread.append((time.perf_counter() - begun) * 1e3)
    report.add("deliveries in the key index", deliveries, "")
    for share in (0.5, 0.99):
        report.add(f"a key looked up, p{share * 100:.0f}", percentile(sorted(spread), share), "ms")


# -- with an exchange --------------------------------------------------------------------------------------------------


def run_on(report: Report, exchange: Exchange, *, events: int, manifests: int, seconds: float) -> None:
    """What needs a running exchange, on which nothing else happens."""
    exchange.tell("up", "measured")
    _wait(lambda: (exchange.settings.audit_folder / "checkpoint").exists(), "the first checkpoint", 60)
    _latency(report, exchange, seconds)
    _bulk(report, exchange, "events", "demand.events", _event, events, per_entry=1)
    _bulk(report, exchange, "manifests", "sync.deliveries", _manifest, manifests, per_entry=_RECORDS_OF_A_MANIFEST)


def _event(number: int) -> dict[str, Any]:
    return {
        "type": "cn.tongshu.demand.measured.v1", "subject": f"{number:012x}", "actor": "bench", "department": "bench",
        "thread": "0d9d6f0e-1c5b-4b58-9f2e-6a4f7e1f2b11", "occurred_at": datetime.now(UTC),
        "data": {"resource": "bench", "state": "active"},
    }  # fmt: skip


def _manifest(number: int) -> dict[str, Any]:
    first, topic = number * _RECORDS_OF_A_MANIFEST, "share.bench.000000000000"
    where = {"topic": topic, "partition": 0, "first": first, "last": first + _RECORDS_OF_A_MANIFEST - 1}
    where["records"] = _RECORDS_OF_A_MANIFEST
    return {
        "grant": "000000000000", "thread": "0d9d6f0e-1c5b-4b58-9f2e-6a4f7e1f2b11", "resource": "bench",
        "department": "bench", "worker": "bench", "sequence": number + 1, "sources": [where], "targets": [where],
        "records": _RECORDS_OF_A_MANIFEST,
        "counts": {"create": _RECORDS_OF_A_MANIFEST, "update": 0, "delete": 0, "read": 0, "tombstone": 0},
        "latency_min_us": 1, "latency_max_us": 2, "root": b"r" * 32, "delivered_at": datetime.now(UTC),
    }  # fmt: skip


def _producer(exchange: Exchange) -> Producer:
    return Producer(client_config(exchange.settings, "admin", linger_ms=5, queue_buffering_max_messages=1_000_000))


def _encoder(exchange: Exchange, topic: str) -> Callable[[dict[str, Any]], bytes]:
    schema_id = exchange.registry.register(f"{topic}-value", load(topic))
    schema, head = fastavro.parse_schema(load(topic)), b"\x00" + schema_id.to_bytes(4, "big")

    def encode(value: dict[str, Any]) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, value)
        return head + out.getvalue()

    return encode


def _bulk(
    report: Report, exchange: Exchange, what: str, topic: str, make: Callable[[int], dict[str, Any]], count: int, *,
    per_entry: int,
) -> None:  # fmt: skip
    """Events that come faster than they can be sealed; from the first checkpoint that covers some to the last."""
    encode, sender = _encoder(exchange, topic), _producer(exchange)
    values = [encode(make(number)) for number in range(count)]
    audit = process_of(exchange, "audit")
    with _checkpoints(exchange) as seen:
        begin = _size(exchange)
        spent = cpu_of(audit)
        for number, value in enumerate(values):
            sender.produce(topic, value, b"%d" % number)
            if number % 10_000 == 0:
                sender.poll(0)
        sender.flush(120)
        _wait(lambda: bool(seen) and seen[-1][0] >= begin + count, "all of it sealed", 300)
        spent = cpu_of(audit) - spent
        (first, first_at), (last, last_at) = seen[0], seen[-1]
    rate = (last - first) / max(last_at - first_at, 1e-9)
    report.add(f"{what} sealed through Kafka, in bulk", rate, "entries/s")
    report.add("CPU of the sequencer's process for that", spent / count * 1e6, "µs/entry")
    if per_entry > 1:
        report.add("delivered records covered by manifests", rate * per_entry, "records/s")


def _latency(report: Report, exchange: Exchange, seconds: float) -> None:
    """From an event's being produced to a reader's having the checkpoint that covers it."""
    encode, sender = _encoder(exchange, "demand.events"), _producer(exchange)
    marks: dict[str, float] = {}
    with _checkpoints(exchange) as seen:
        begin, until = _size(exchange), time.monotonic() + seconds
        while time.monotonic() < until:
            number = random.getrandbits(40)
            marks[f"{number:012x}"] = time.time()
            sender.produce("demand.events", encode(_event(number)), b"x")
            sender.flush(10)
            time.sleep(0.05)
        _wait(lambda: bool(seen) and seen[-1][0] >= begin + len(marks), "the last checkpoint", 60)
        time.sleep(1)
        known = list(seen)
    codec, spread = Codec(exchange.registry, LOG.name), []
    for number, value in _log(exchange, begin):
        mark = marks.get(codec.decode(value)["subject"])
        if mark is not None:
            spread.append((next(at for size, at in known if size > number) - mark) * 1e3)
    if len(spread) != len(marks):
        raise RuntimeError(f"{len(marks)} events were produced, {len(spread)} are in the log")
    for share in (0.5, 0.99):
        report.add(f"an event until its checkpoint, p{share * 100:.0f}", percentile(sorted(spread), share), "ms")


@contextmanager
def _checkpoints(exchange: Exchange) -> Iterator[list[tuple[int, float]]]:
    """`(size, when it was seen)` of each checkpoint from now on."""
    seen: list[tuple[int, float]] = []
    stop = threading.Event()
    reader = exchange.consumer(fetch_wait_max_ms=10)
    _, high = reader.get_watermark_offsets(TopicPartition(CHECKPOINTS.name, 0), 10)
    reader.assign([TopicPartition(CHECKPOINTS.name, 0, high)])

    def follow(source: Consumer) -> None:
        while not stop.is_set():
            message = source.poll(0.1)
            if message is not None and message.error() is None:
                seen.append((int(message.key() or b"0"), time.time()))

    follower = threading.Thread(target=follow, args=(reader,), daemon=True)
    follower.start()
    try:
        yield seen
    finally:
        stop.set()
        follower.join(5)
        reader.close()


def _log(exchange: Exchange, first: int) -> Iterator[tuple[int, bytes]]:
    for key, value, _ in exchange.read_all(LOG.name):
        if int(key) >= first and value is not None:
            yield int(key), value


def _size(exchange: Exchange) -> int:
    return int(exchange.ask("GET", "audit", "/checkpoint").split("\n")[1])


def _wait(holds: Callable[[], bool], what: str, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise RuntimeError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.05)
