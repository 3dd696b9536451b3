"""What the demo proves of its deliveries: each is in a manifest, and each manifest is sealed in the audit log."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from typing import Any

from cli.demo.stage import Running
from cli.exchange import Exchange
from services.audit.verifier import Checkpoint, hashing_of, open_note, parse_key
from services.core import merkle

# a sequencer that was killed is missed after ten seconds, and reads the whole log before it seals
_PATIENCE_SECONDS = 60.0


def account(exchange: Exchange, running: list[Running]) -> list[str]:
    """What does not fit between the records that consumers hold and their grants' manifests; empty when all does.

    A record may be read a moment before its manifest: what another relay has begun holds that back.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        manifests: dict[str, list[dict[str, Any]]] = {}
        for key, value, _ in exchange.read_all("sync.deliveries"):
            if value is not None:
                manifests.setdefault(key.decode(), []).append(exchange.registry.decode(value)[1])
        faults = [fault for one in running for fault in _account_one(one, manifests.get(one.grant["id"], []))]
        if not faults or time.monotonic() > deadline:
            return faults
        time.sleep(0.5)


def _account_one(one: Running, manifests: list[dict[str, Any]]) -> list[str]:
    records = one.received().records
    places = sorted(records)
    accounted = 0
    faults = []
    for manifest in manifests:
        told = f"manifest {manifest['sequence']} of {one.sample.name}"
        covered: list[tuple[int, int]] = []
        for target in manifest["targets"]:
            first = bisect_left(places, (target["partition"], target["first"]))
            covered += places[first : bisect_right(places, (target["partition"], target["last"]))]
        accounted += len(covered)
        if len(covered) != manifest["records"]:
            faults.append(f"{told} tells of {manifest['records']} records, {len(covered)} came")
        elif merkle.root([records[place] for place in covered]) != manifest["root"]:
            faults.append(f"{told} has another root than what came")
    if accounted != len(records):
        faults.append(f"{one.sample.name}: {len(records)} records came, manifests tell of {accounted}")
    return faults


def check_log(exchange: Exchange) -> list[str]:
    """What is wrong with the audit log: its numbering, its signed root, a manifest that it does not hold."""
    deliveries = exchange.read_all("sync.deliveries")
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        note = exchange.ask("GET", "audit", "/checkpoint")
        entries = exchange.read_all("audit.log")
        key = parse_key(exchange.ask("GET", "audit", "/key"))
        sealed, hashing = open_note(note, key).checkpoint, hashing_of(key.name)
        digests = {exchange.registry.decode(value)[1]["digest"] for _, value, _ in entries if value is not None}
        missing = [
            offset
            for record, value, offset in deliveries
            if value is not None and hashing.new(merkle.record_entry(record, value)).digest() not in digests
        ]
        if not missing or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    faults = [f"the manifest at offset {offset} is not in the audit log" for offset in missing]
    leaves = hashing.leaves([value or b"" for _, value, _ in entries[: sealed.size]])
    if not leaves or sealed != Checkpoint(key.name, len(leaves) // 32, hashing.fold(leaves)):
        faults.append("the audit log's signed root is not that of its entries")
    return faults
