"""`./tongshu demo`: the main job on real input, from nothing to a verdict.

Four sample departments; two resources catalogued and mounted, in a catalogue that twelve departments fill
(`catalogue.yaml`); three grants with different items, masks and filters; a stream of changes on the sources; consumers
that are plain Kafka clients. At the end each consumer's state is compared, row by row, with what its source says it
must be, and each delivery with its manifest and its place in the audit log. Then rows that break a rule are set aside
until they are corrected, ten demands go through every path, a wrong record is objected to and corrected, and the
figures of the month are told.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from cli import up
from cli.demo import demands
from cli.demo.catalogue import fill
from cli.demo.channels import NotShown, by_api, by_table
from cli.demo.correction import FIGURES, NotClosed, correct, figures
from cli.demo.correction import rate as rate_grant
from cli.demo.grants import RESOURCES
from cli.demo.proof import account, check_log
from cli.demo.quality import NotKept, break_rules
from cli.demo.stage import Running, catalogue, open_grants, percentile, server_of, settle
from cli.demo.workload import Workload
from cli.demo.world import DEPARTMENTS, Server, create
from cli.exchange import Exchange
from infra.embedded import home as homes
from infra.embedded.home import Lock
from services.core.calendar import today

_SHOWN_DIFFERENCES = 5

app = typer.Typer()
out = Console(soft_wrap=True)


@app.command(name="demo")
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
            out.print(f"The exchange goes on; `./tongshu down` ends it. {up.console_words(exchange.home)}")
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
    with out.status("Filling the catalogue…"):
        resources, departments = fill(exchange, server)
    out.print(f"[green]✓[/] {resources} resources of {departments} departments are catalogued")
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
        verdict = _verdict(exchange, running, left)
        return (
            verdict
            and _quality(exchange, server, running[2])
            and _channels(exchange, server)
            and _demands(exchange, keep=keep)
            and _correction(exchange, server, running)
        )
    finally:
        workload.close()
        for one in running:
            one.receiver.stop()
            if not keep:
                exchange.ask("DELETE", "demand", f"/grants/{one.grant['id']}")


def _stream(workload: Workload, running: list[Running], *, minutes: float, rate: float) -> None:
    for one in running:
        one.operations.clear()
    stop = threading.Event()
    worker = threading.Thread(target=workload.run, args=(rate, stop), name="workload")
    begun = time.monotonic()
    worker.start()
    try:
        with Live(console=out, refresh_per_second=4, transient=True) as live:
            while worker.is_alive() and time.monotonic() - begun < minutes * 60:
                for one in running:
                    one.update()
                if out.is_terminal:
                    live.update(_view(workload.done, running, time.monotonic() - begun, minutes * 60))
                time.sleep(0.25)
    finally:
        stop.set()
        worker.join()
    out.print(_view(workload.done, running, time.monotonic() - begun, minutes * 60))


def _view(done: Counter[str], running: list[Running], elapsed: float, total: float) -> Group:
    table = Table(
        box=None, pad_edge=False, header_style="bold", title_justify="left", title_style="",
        title="\nmilliseconds from the source's commit to the consumer's hands",
    )  # fmt: skip
    table.add_column("grant", no_wrap=True)
    for column in ("/s", "create", "update", "delete", "p50", "p95", "p99"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in running:
        spread = sorted(one.latencies)
        table.add_row(
            one.sample.name,
            f"{one.rate():.0f}",
            *(f"{one.operations[op]:,}" for op in "cud"),
            *(f"{percentile(spread, share) * 1_000:.0f}" if spread else "" for share in (0.5, 0.95, 0.99)),
        )
    kinds = ", ".join(f"{count:,} {kind}s" for kind, count in sorted(done.items()))
    changed = done.total() / elapsed if elapsed else 0.0
    return Group(table, f"{min(elapsed, total):.0f} of {total:.0f} s · {changed:.0f} changes/s: {kinds}\n")


def _demands(exchange: Exchange, *, keep: bool) -> bool:
    begun = time.monotonic()
    with out.status("Playing ten demands…"):
        table, wrong = demands.play(exchange, keep=keep)
    out.print(table)
    for line in wrong:
        out.print(f"[red]✗[/] {line}")
    if not wrong:
        out.print(f"[green]✓[/] Each demand is where its path leads to, in {time.monotonic() - begun:.1f} s")
    return not wrong


def _correction(exchange: Exchange, server: Server, running: list[Running]) -> bool:
    """An objection to a wrong record that its correction closes, a rating, and the figures of the month."""
    with out.status("Objecting to a wrong record…"):
        try:
            case, seconds = correct(exchange, server, running[0])
            rate_grant(exchange, running[0].grant["id"])
            month = figures(exchange, today())
        except NotClosed as error:
            out.print(f"[red]✗[/] {error}")
            return False
    proof = case["proof"]
    out.print(
        f"[green]✓[/] An objection to a wrong record was closed by its correction in {seconds:.1f} s:"
        f" {proof['topic']} offset {proof['offset']}, manifest {proof['sequence']}"
    )
    shown = (
        f"{title} {100 * month[name]['value']:.1f} %"
        for name, title in FIGURES.items()
        if month[name]["value"] is not None
    )
    out.print(f"[green]✓[/] The month so far: {', '.join(shown)}; score {month['score']}")
    return True


def _quality(exchange: Exchange, server: Server, running: Running) -> bool:
    """Rows that break a rule of their contract do not arrive before they are corrected."""
    try:
        with out.status("Breaking rules…"):
            told = break_rules(exchange, server, running)
    except NotKept as failure:
        out.print(f"[red]✗[/] {failure}")
        return False
    out.print(f"[green]✓[/] {told}")
    return True


def _channels(exchange: Exchange, server: Server) -> bool:
    """Receive by the other channels too, a line each; whether both brought what they must."""
    for title, receive in (("Filling a department's own table…", by_table), ("Looking a row up…", by_api)):
        try:
            with out.status(title):
                told = receive(exchange, server)
        except NotShown as failure:
            out.print(f"[red]✗[/] {failure}")
            return False
        out.print(f"[green]✓[/] {told}")
    return True


def _verdict(exchange: Exchange, running: list[Running], left: dict[str, list[str]]) -> bool:
    for name, found in left.items():
        out.print(f"[red]✗ {name}: {len(found)} differences[/]")
        for line in found[:_SHOWN_DIFFERENCES]:
            out.print(f"    {line}", markup=False, highlight=False)
    received = [one.received() for one in running]
    if not left:
        rows = sum(len(one.rows) for one in received)
        out.print(f"[green]✓[/] {rows:,} rows at {len(running)} consumers equal what their sources say, row by row")
    faults = account(exchange, running) + check_log(exchange)
    for fault in faults[:_SHOWN_DIFFERENCES]:
        out.print(f"[red]✗[/] {fault}")
    if not faults:
        records = sum(len(one.records) for one in received)
        out.print(f"[green]✓[/] {records:,} records accounted for: in manifests, by hash, and sealed in the audit log")
    return not left and not faults
