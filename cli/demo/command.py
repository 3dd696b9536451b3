"""`./tongshu demo`: the main job on real input, from nothing to a verdict.

Four sample departments; two resources catalogued and mounted, three grants with different items, masks and filters; a
stream of changes on the sources; consumers that are plain Kafka clients. At the end each consumer's state is compared,
row by row, with what its source says it must be, and each delivery with its manifest and its place in the audit log.
"""

from __future__ import annotations

import base64
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

from cli import up
from cli.demo.consumer import Access, Received, Receiver
from cli.demo.grants import GRANTS, MOUNTS, RESOURCES, SampleGrant, differences, expected
from cli.demo.workload import Workload
from cli.demo.world import DEPARTMENTS, Server, create
from cli.exchange import Exchange
from infra.embedded import home as homes
from infra.embedded.home import Lock
from services.audit.domain.note import Checkpoint, verify
from services.audit.sequencer import ORIGIN
from services.core import masks, merkle
from services.sync.projection.plan import grant_secret

_SETTLE_SECONDS = 60.0
_SHOWN_DIFFERENCES = 5

out = Console()


@dataclass(slots=True)
class Running:
    """A grant of the demo and its consumer."""

    sample: SampleGrant
    grant: dict[str, Any]
    receiver: Receiver
    operations: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    recent: list[tuple[float, int]] = field(default_factory=list)

    def update(self) -> None:
        """Take in what the consumer has reported."""
        for report in self.receiver.reports():
            self.operations += report.operations
            self.latencies += report.latencies
            self.recent.append((time.monotonic(), report.operations.total()))
        self.recent = [(at, count) for at, count in self.recent if at > time.monotonic() - 5]

    def rate(self) -> float:
        return sum(count for _, count in self.recent) / 5


def command(
    minutes: Annotated[float, typer.Option(min=0.0, max=1_440.0, help="How long changes are streamed.")] = 1.0,
    rate: Annotated[float, typer.Option(min=1.0, max=5_000.0, help="Changes a second on the sources.")] = 100.0,
    keep: Annotated[bool, typer.Option(help="Leave the exchange and the grants as they are at the end.")] = False,
    seed: Annotated[int, typer.Option(help="Another seed invents another world (on a new exchange).")] = 809,
) -> None:
    """Fill a sample exchange, stream changes and show them arriving; exit 1 if any row differs at the end."""
    exchange, ours = _exchange()
    try:
        verdict = run(exchange, minutes=minutes, rate=rate, seed=seed, keep=keep)
    finally:
        if keep:
            where = exchange.url("catalog")
            out.print(f"The exchange goes on: the catalogue's API is at {where}; `./tongshu down` ends it.")
        elif ours:
            up.stop(exchange.home)
    raise typer.Exit(0 if verdict else 1)


def _exchange() -> tuple[Exchange, bool]:
    """The exchange with samples; True when it was started for this."""
    home = homes.find()
    if home and Lock(home).holder():
        if not home.samples:
            raise up.NotUp("The exchange runs without the sample departments: `./tongshu down`, then run this again.")
        return Exchange(home), False
    return Exchange(up.start(samples=True)), True


def server_of(exchange: Exchange) -> Server:
    """The server of the sample departments of this exchange."""
    password = exchange.home.secret("sources_admin_password")
    owner = sha256(f"owner {password}".encode()).hexdigest()[:32]
    return Server(port=exchange.home.ports["sources"], admin_password=password, owner_password=owner)


def catalogue(exchange: Exchange, server: Server) -> None:
    """Register the departments and their systems, publish and mount the two resources; fine if they are there."""
    for department in DEPARTMENTS:
        exchange.ensure(
            "catalog",
            "/departments",
            {"slug": department.slug, "uscc": department.uscc, "name": department.name, "name_en": department.name_en},
        )
        appointments = f"/departments/{department.slug}/appointments"
        if not exchange.ask("GET", "catalog", appointments):
            exchange.ask("POST", "catalog", appointments, {"role": "responsible", "name": department.responsible})
        exchange.ensure(
            "catalog",
            "/systems",
            {
                "code": department.database,
                "department": department.slug,
                "name": department.system_name,
                "host": server.host,
                "port": server.port,
                "database": department.database,
                "username": department.database,
                "password": server.owner_password,
            },
        )
    for code, resource in RESOURCES.items():
        exchange.ensure("catalog", "/resources", resource)
        for step in ("submit", "approve"):
            if step in exchange.ask("GET", "catalog", f"/resources/{code}")["actions"]:
                exchange.ask("POST", "catalog", f"/resources/{code}/steps", {"action": step})
        if exchange.ask("GET", "catalog", f"/resources/{code}")["mount"] is None:
            schema, table = MOUNTS[code]
            mount = {"system": _system_of(resource["department"]), "schema": schema, "table": table}
            exchange.ask("PUT", "catalog", f"/resources/{code}/mount", mount)


def _system_of(slug: str) -> str:
    return next(department.database for department in DEPARTMENTS if department.slug == slug)


def open_grants(exchange: Exchange, samples: Sequence[SampleGrant] = GRANTS) -> list[Running]:
    """Grant the samples, and start a consumer for each with its department's own user."""
    credentials = {
        department: exchange.ask("POST", "demand", f"/departments/{department}/credentials")
        for department in sorted({str(sample.request["department"]) for sample in samples})
    }
    running = []
    for sample in samples:
        grant = exchange.ask("POST", "demand", "/grants", dict(sample.request))
        login = credentials[grant["department"]]
        access = Access(
            bootstrap=exchange.bootstrap,
            registry=exchange.registry_url,
            username=login["username"],
            password=login["password"],
            group=f"{login['group_prefix']}{grant['id']}",
            topic=grant["topic"],
        )
        running.append(Running(sample, grant, Receiver(access)))
    return running


def run(exchange: Exchange, *, minutes: float, rate: float, seed: int, keep: bool) -> bool:
    """The whole demo on a running exchange; whether every row and every proof was right."""
    server = server_of(exchange)
    with out.status("Filling the departments' databases…"):
        made = create(server, seed)
    if made:
        out.print(f"[green]✓[/] {made:,} rows in the databases of {len(DEPARTMENTS)} departments")
    else:
        out.print("[green]✓[/] The departments' databases are there from before")
    with out.status("Cataloguing and mounting…"):
        catalogue(exchange, server)
    out.print(f"[green]✓[/] {len(RESOURCES)} resources catalogued and mounted")
    running = open_grants(exchange)
    out.print(f"[green]✓[/] {len(running)} grants opened, each with a consumer under its department's own user")
    workload = Workload(server, seed + time.time_ns() % 1_000_003)
    try:
        begun = time.monotonic()
        with out.status("Delivering what exists…"):
            left = settle(exchange, server, running)
        existing = sum(one.operations.total() for one in running)
        out.print(f"[green]✓[/] What exists is delivered: {existing:,} records in {time.monotonic() - begun:.1f} s")
        if not left:
            _stream(workload, running, minutes=minutes, rate=rate)
            with out.status("Waiting for the last changes…"):
                left = settle(exchange, server, running)
        return _verdict(exchange, running, left, workload.done)
    finally:
        workload.close()
        for one in running:
            one.receiver.stop()
            if not keep:
                exchange.ask("DELETE", "demand", f"/grants/{one.grant['id']}")


def _stream(workload: Workload, running: list[Running], *, minutes: float, rate: float) -> None:
    stop = threading.Event()
    worker = threading.Thread(target=workload.run, args=(rate, stop), name="workload")
    begun = time.monotonic()
    worker.start()
    try:
        with Live(console=out, refresh_per_second=4, transient=not out.is_terminal) as live:
            while worker.is_alive() and time.monotonic() - begun < minutes * 60:
                for one in running:
                    one.update()
                if out.is_terminal:
                    live.update(_view(workload, running, time.monotonic() - begun, minutes * 60))
                time.sleep(0.25)
    finally:
        stop.set()
        worker.join()
    out.print(_view(workload, running, time.monotonic() - begun, minutes * 60))


def _view(workload: Workload, running: list[Running], elapsed: float, total: float) -> Group:
    table = Table(expand=False, title_justify="left", header_style="bold")
    table.add_column("grant")
    for column in ("records/s", "created", "updated", "deleted", "p50", "p95", "p99", "max"):
        table.add_column(column, justify="right")
    for one in running:
        spread = sorted(one.latencies)
        table.add_row(
            one.sample.name,
            f"{one.rate():.0f}",
            *(f"{one.operations[op]:,}" for op in "cud"),
            *(f"{percentile(spread, share) * 1_000:.0f} ms" if spread else "" for share in (0.5, 0.95, 0.99, 1.0)),
        )
    done = ", ".join(f"{count:,} {kind}s" for kind, count in sorted(workload.done.items()))
    changed = workload.done.total() / elapsed if elapsed else 0.0
    return Group(
        Panel(
            table,
            title="from the source's commit to the consumer's hands",
            subtitle=f"{min(elapsed, total):.0f} of {total:.0f} s · {changed:.0f} changes/s: {done}",
            expand=False,
        )
    )


def percentile(ascending: Sequence[float], share: float) -> float:
    """The value below which `share` of a sorted, non-empty sequence lies."""
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))]


def settle(exchange: Exchange, server: Server, running: list[Running]) -> dict[str, list[str]]:
    """Wait until each consumer holds what it must; what is still different by then, by grant."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        left = {}
        for one in running:
            one.update()
            found = differences(wanted(exchange, server, one), received(one).rows)
            if found:
                left[one.sample.name] = found
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.5)


def received(one: Running) -> Received:
    """All that the consumer of a grant holds now."""
    return one.receiver.received()


def wanted(exchange: Exchange, server: Server, one: Running) -> dict[Any, dict[str, Any]]:
    """What the consumer of a grant must hold, by the source's own word."""
    owner = RESOURCES[one.sample.request["resource"]]["department"]
    secret = grant_secret(bytes.fromhex(exchange.home.secret("pseudonym_key")), one.grant["id"])
    with server.connect(next(found for found in DEPARTMENTS if found.slug == owner)) as source:
        return expected(one.sample, source, lambda value: masks.pseudonym(value, secret))


def _verdict(exchange: Exchange, running: list[Running], left: dict[str, list[str]], done: Counter[str]) -> bool:
    for name, found in left.items():
        out.print(f"[red]✗ {name}: {len(found)} differences[/]")
        for line in found[:_SHOWN_DIFFERENCES]:
            out.print(f"    {line}", markup=False, highlight=False)
    if not left:
        rows = sum(len(received(one).rows) for one in running)
        out.print(f"[green]✓[/] {rows:,} rows at {len(running)} consumers equal what their sources say, row by row")
    faults = [fault for one in running for fault in account(exchange, one)] + check_log(exchange)
    for fault in faults[:_SHOWN_DIFFERENCES]:
        out.print(f"[red]✗[/] {fault}")
    if not faults:
        records = sum(one.operations.total() for one in running)
        out.print(f"[green]✓[/] {records:,} records accounted for: in manifests, by hash, and sealed in the audit log")
    return not left and not faults


def account(exchange: Exchange, one: Running) -> list[str]:
    """What does not fit between the records a consumer holds and the manifests of its grant; empty when all does."""
    records = one.receiver.received().records
    accounted = 0
    faults = []
    for key, value, _ in exchange.read_all("sync.deliveries"):
        if key.decode() != one.grant["id"] or value is None:
            continue
        manifest = exchange.registry.decode(value)[1]
        places = [
            place
            for target in manifest["targets"]
            for place in sorted(records)
            if place[0] == target["partition"] and target["first"] <= place[1] <= target["last"]
        ]
        accounted += len(places)
        if len(places) != manifest["records"]:
            faults.append(
                f"manifest {manifest['sequence']} of {one.sample.name} tells of {manifest['records']} records"
            )
        elif merkle.root([records[place] for place in places]) != manifest["root"]:
            faults.append(f"manifest {manifest['sequence']} of {one.sample.name} has another root than what came")
    if accounted != len(records):
        faults.append(f"{one.sample.name}: {len(records)} records came, manifests tell of {accounted}")
    return faults


def check_log(exchange: Exchange) -> list[str]:
    """What is wrong with the audit log: its numbering, its signed root, a manifest that it does not hold."""
    deliveries = exchange.read_all("sync.deliveries")
    deadline = time.monotonic() + 20
    while True:
        note = exchange.ask("GET", "audit", "/checkpoint")
        entries = exchange.read_all("audit.log")
        public = _public_key(exchange)
        sealed = verify(note, ORIGIN, public)
        digests = {exchange.registry.decode(value)[1]["digest"] for _, value, _ in entries if value is not None}
        missing = [
            offset
            for key, value, offset in deliveries
            if value is not None and sha256(merkle.record_entry(key, value)).digest() not in digests
        ]
        if not missing or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    faults = [f"the manifest at offset {offset} is not in the audit log" for offset in missing]
    leaves = [merkle.leaf_hash(value or b"") for _, value, _ in entries][: sealed.size]
    if sealed != Checkpoint(ORIGIN, len(leaves), merkle.root(leaves)):
        faults.append("the audit log's signed root is not that of its entries")
    return faults


def _public_key(exchange: Exchange) -> bytes:
    key: str = exchange.ask("GET", "audit", "/key")
    return base64.b64decode(key.split("+", 2)[2])[1:]
