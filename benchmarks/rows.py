"""Look-ups of single rows over HTTP, beside two peers: a part of `./tongshu bench sync`.

The peers answer the same bytes of JSON.

One is a plain FastAPI route (SQLAlchemy session, pydantic models, a key that is looked up in memory) over a table that
holds the grant's rows; the other is the same server, Uvicorn with httptools and uvloop, with one fixed body. Each is
loaded by wrk from another process where there is one, else by a small client of ours; the answers must be the same. The
time that a look-up takes is measured at half the rate that ours reached, from the moment at which it was due.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg import sql

from benchmarks.report import Report
from cli.demo.stage import catalogue, percentile, server_of
from cli.demo.world import create
from cli.exchange import Exchange

_SEED = 809
_CONNECTIONS = 32
_SECONDS = 6.0
_CALM_SECONDS = 5.0
_PATIENCE_SECONDS = 120.0
_ITEMS = ("id_number", "name", "sex", "birth_date", "region", "status", "phone", "address")
_MASKS = {"name": {"kind": "keep", "first": 1}, "phone": {"kind": "keep", "first": 3, "last": 4}}
_LUA = """
local paths = {}
for line in io.lines("%s") do paths[#paths + 1] = line end
local at = 0
request = function()
    at = at + 1
    return wrk.format("GET", paths[at %% #paths + 1], {["Authorization"] = "Bearer %s"})
end
"""


def run(report: Report, exchange: Exchange, *, rounds: int) -> None:
    """Measure on a running exchange with samples, on which nothing else happens."""
    server = server_of(exchange)
    create(server, _SEED)
    catalogue(exchange, server)
    asked = {
        "resource": "population", "department": "civil_affairs", "items": list(_ITEMS), "masks": _MASKS,
        "purpose": "核验", "channels": ["api"],
    }  # fmt: skip
    grant = exchange.ask("POST", "demand", "/grants", asked)
    key = exchange.ask("POST", "demand", f"/grants/{grant['id']}/api-keys", {})["api_key"]
    with server.connect_admin("public_security") as source:
        keys = [row[0] for row in source.execute("select id_number from population.person order by 1")]
    paths = [f"/api/sync/v1/resources/population/rows?id_number={one}" for one in keys]
    random.Random(_SEED).shuffle(paths)
    ours = exchange.home.ports["rows"]
    rows = _await_rows(ours, key, paths[:200])
    dsn = _fill_peer(exchange, keys, ours, key)
    with _peer("fastapi", key, dsn) as fastapi, _peer("bare", key, json.dumps(rows[0])) as bare:
        _require_same(fastapi, key, paths[:200], rows)
        spreads: dict[str, list[float]] = {"ours": [], "bare": [], "fastapi": []}
        ports = {"ours": ours, "bare": bare, "fastapi": fastapi}
        for port in ports.values():
            _load(port, key, paths, 1.0)
        for _ in range(rounds):
            for name, port in ports.items():
                spreads[name].append(_load(port, key, paths, _SECONDS))
    rates = {name: statistics.median(spread) for name, spread in spreads.items()}
    for _ in range(2):  # what compiles itself while it runs has seen the load by the second time
        latencies = _paced(ours, key, paths, rates["ours"] / 2)
    _require_same(ours, key, paths[:200], rows)
    report.add("loaded by", 1.0, "wrk" if shutil.which("wrk") else "a client in Python")
    report.add("row API", rates["ours"], "1/s")
    report.add("the server alone, one fixed body", rates["bare"], "1/s")
    report.add("FastAPI, SQLAlchemy, pydantic", rates["fastapi"], "1/s")
    for share in (0.5, 0.95, 0.99):
        report.add(f"row API at half its rate, p{share * 100:.0f}", percentile(latencies, share) * 1_000, "ms")
    report.compare("rows_over_fastapi", rates["ours"], rates["fastapi"])
    report.compare("rows_over_bare", rates["ours"], rates["bare"])


def _ask(port: int, key: str, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {key}"}, timeout=10)


def _await_rows(port: int, key: str, paths: Sequence[str]) -> list[Any]:
    """The answers to `paths`, once all of them hold a row."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        answers = [_ask(port, key, path) for path in paths]
        if all(answer.status_code == 200 and answer.json()["items"] for answer in answers):
            return [answer.json() for answer in answers]
        time.sleep(0.5)
    raise AssertionError(f"the rows do not come: {answers[0].text}")


def _require_same(port: int, key: str, paths: Sequence[str], rows: Sequence[Any]) -> None:
    for path, row in zip(paths, rows, strict=True):
        if _ask(port, key, path).json() != row:
            raise AssertionError("the answers differ")


# -- load ------------------------------------------------------------------------------------------------------------


def _load(port: int, key: str, paths: Sequence[str], seconds: float) -> float:
    """Answers a second, all connections asking again as soon as they are answered."""
    if not shutil.which("wrk"):
        return len(_client(port, key, paths, seconds, None)) / seconds
    with tempfile.TemporaryDirectory(prefix="tongshu-bench-") as folder:
        listed, script = Path(folder) / "paths", Path(folder) / "ask.lua"
        listed.write_text("\n".join(paths) + "\n")
        script.write_text(_LUA % (listed, key))
        command = [
            "wrk",
            "-t1",
            f"-c{_CONNECTIONS}",
            f"-d{seconds:.0f}s",
            "-s",
            str(script),
            f"http://127.0.0.1:{port}",
        ]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise AssertionError(f"not every look-up was answered: {told}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    if found is None:
        raise AssertionError(f"wrk tells no rate: {told}")
    return float(found[1])


def _paced(port: int, key: str, paths: Sequence[str], rate: float) -> list[float]:
    """Seconds from the moment at which each look-up was due to its answer, in ascending order."""
    # the accounts of what was looked up before are sealed and counted first
    time.sleep(_CALM_SECONDS)
    return sorted(_client(port, key, paths, _SECONDS, rate))


def _client(port: int, key: str, paths: Sequence[str], seconds: float, rate: float | None) -> list[float]:
    """Latencies of a client in a process of its own; with `rate` look-ups are due at fixed moments."""
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_run_client, args=(there, port, key, list(paths[:5_000]), seconds, rate))
    process.start()
    there.close()
    latencies: list[float] = here.recv()
    process.join(10)
    return latencies


def _run_client(parent: Connection, port: int, key: str, paths: list[str], seconds: float, rate: float | None) -> None:
    import uvloop

    parent.send(uvloop.run(_ask_all(port, key, paths, seconds, rate)))


async def _ask_all(port: int, key: str, paths: list[str], seconds: float, rate: float | None) -> list[float]:
    latencies: list[float] = []
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(_CONNECTIONS)]
    begun = time.perf_counter()

    async def ask(first: int) -> None:
        (reader, writer), number = opened[first], first
        while time.perf_counter() - begun < seconds:
            due = time.perf_counter() if rate is None else begun + number / rate
            if (pause := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            path = paths[number % len(paths)]
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            if not head.startswith(b"HTTP/1.1 200"):
                raise AssertionError(f"not every look-up was answered: {head.decode()}")
            latencies.append(time.perf_counter() - due)
            number += _CONNECTIONS
        writer.close()

    await asyncio.gather(*(ask(number) for number in range(_CONNECTIONS)))
    return latencies


# -- the peers -------------------------------------------------------------------------------------------------------


def _fill_peer(exchange: Exchange, keys: Sequence[str], port: int, key: str) -> str:
    """A table with the grant's rows, as the row API shows them; how it is reached."""
    server = server_of(exchange)
    with server.connect_admin() as admin:
        admin.execute("create database bench_rows")
    dsn = f"postgresql://sources_admin:{server.admin_password}@127.0.0.1:{server.port}/bench_rows"
    with psycopg.connect(dsn) as connection, httpx.Client(headers={"Authorization": f"Bearer {key}"}) as client:
        columns = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(name)) for name in _ITEMS)
        connection.execute(sql.SQL("create table people ({}, primary key (id_number))").format(columns))
        with connection.cursor() as cursor, cursor.copy("copy people from stdin") as into:
            for first in range(0, len(keys), 500):
                asked = {"item": "id_number", "values": list(keys[first : first + 500])}
                answer = client.post(f"http://127.0.0.1:{port}/api/sync/v1/resources/population/rows", json=asked)
                for one in answer.raise_for_status().json()["items"]:
                    for row in one["rows"]:
                        into.write_row([row[name] for name in _ITEMS])
        connection.commit()
        connection.execute("analyze people")
    return dsn


@contextmanager
def _peer(kind: str, key: str, what: str) -> Iterator[int]:
    """A peer in a process of its own; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.peers.row_routes", kind, str(port), key, what])
    try:
        until = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/")
                break
            except httpx.TransportError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(20)
