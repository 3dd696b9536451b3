"""`./tongshu bench`: benchmarks, each beside a peer that is measured in the same run.

A benchmark gets an exchange of its own in a folder that is thrown away, so that nothing else happens on it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import demands as demand_bench
from benchmarks import road as road_bench
from benchmarks import soak as soak_bench
from benchmarks.report import Report
from cli import up
from cli.exchange import Exchange

app = typer.Typer(no_args_is_help=True, help="Measure the exchange beside its peers.")
out = Console(soft_wrap=True)

Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures to FILE, too.")]


@app.command()
def road(
    rate: Annotated[
        float, typer.Option(min=1.0, max=5_000.0, help="Changes a second while latency is measured.")
    ] = 500,
    seconds: Annotated[float, typer.Option(min=1.0, max=3_600.0, help="How long latency is measured.")] = 30,
    json: Json = None,
) -> None:
    """Commit at the source to the consumers of three grants: latency, throughput, CPU, memory."""
    report = Report("road")
    with own_exchange() as (exchange, seconds_to_start):
        road_bench.run(report, exchange, rate=rate, seconds=seconds)
    report.add("start of the exchange", seconds_to_start, "s")
    finish(report, json)


@app.command()
def search(
    resources: Annotated[int, typer.Option(min=100, max=1_000_000, help="How many resources are searched.")] = 100_000,
    json: Json = None,
) -> None:
    """Search of the catalogue beside ILIKE and the full text of Postgres; filling the tables takes minutes."""
    # the dictionaries of the search would add a second to every other command
    from benchmarks import search as search_bench

    finish(search_bench.run(count=resources), json)


@app.command()
def audit(
    entries: Annotated[
        int, typer.Option(min=1_000, max=5_000_000, help="How many are hashed, sealed, verified.")
    ] = 500_000,
    tree: Annotated[int, typer.Option(min=1_000, help="Entries of the tree in which proofs are made.")] = 10_000_000,
    deliveries: Annotated[int, typer.Option(min=1_000, help="Deliveries in the key index.")] = 10_000_000,
    events: Annotated[int, typer.Option(min=1_000, help="Events sealed in bulk through Kafka.")] = 500_000,
    seconds: Annotated[float, typer.Option(min=1.0, help="How long latency is measured.")] = 20.0,
    core: Annotated[bool, typer.Option(help="Measure what needs no exchange.")] = True,
    exchange: Annotated[bool, typer.Option(help="Measure what needs one.")] = True,
    json: Json = None,
) -> None:
    """Sealing, proofs and verification, beside bare SHA-256 and Tessera's POSIX log; takes minutes."""
    # what it needs of the audit would make every other command start later
    from benchmarks import audit as audit_bench

    report = Report("audit")
    if core:
        audit_bench.run(report, entries=entries, tree=tree, deliveries=deliveries)
    if exchange:
        with own_exchange() as (running, _):
            audit_bench.run_on(report, running, events=events, manifests=events // 10, seconds=seconds)
    finish(report, json)


class Part(StrEnum):
    """What `bench sync` measures."""

    ENGINES = "engines"
    RELAY = "relay"
    CATCH_UP = "catch-up"
    LATENCY = "latency"
    TABLE = "table"
    ROWS = "rows"
    GRANTS = "grants"


@app.command()
def sync(
    records: Annotated[
        int, typer.Option(min=1_000, max=1_000_000, help="Changes, or rows of a table, that are delivered a round.")
    ] = 50_000,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Rounds of tables and of rows; medians are told.")] = 3,
    only: Annotated[list[Part] | None, typer.Option(help="Measure this part only; may be said several times.")] = None,
    json: Json = None,
) -> None:
    """The sync engine beside what else could be picked: engines, relay, catch-up, latency, tables, rows, and how
    soon it serves ten thousand grants; takes three quarters of an hour."""
    # what its parts need would make every other command start later
    from benchmarks import catchup as catchup_bench
    from benchmarks import engines as engines_bench
    from benchmarks import grants as grants_bench
    from benchmarks import latency as latency_bench
    from benchmarks import rows as rows_bench
    from benchmarks import sync as sync_bench
    from benchmarks import table as table_bench

    report, parts = Report("sync"), set(only or Part)
    try:
        if Part.ENGINES in parts:
            engines_bench.run(report)
        if Part.RELAY in parts:
            with own_exchange() as (exchange, _):
                sync_bench.relay(report, exchange, records)
        if Part.CATCH_UP in parts:
            with own_exchange() as (exchange, _):
                catchup_bench.run(report, exchange, records=20 * records, rate=200)
        if Part.LATENCY in parts:
            with own_exchange() as (exchange, _):
                latency_bench.run(report, exchange, rate=1_000, seconds=30)
            with own_exchange() as (exchange, _):
                road_bench.run(report, exchange, rate=1_000, seconds=30)
        if Part.TABLE in parts:
            with own_exchange() as (exchange, _):
                table_bench.run(report, exchange, rows=records, rounds=rounds)
        if Part.ROWS in parts:
            # what is measured is the route, not where it says that it is enough
            os.environ |= {"TONGSHU_ROWS_PER_SECOND": "1000000", "TONGSHU_ROWS_PER_DAY": "1000000000"}
            with own_exchange() as (exchange, _):
                rows_bench.run(report, exchange, rounds=rounds)
        if Part.GRANTS in parts:
            with own_exchange() as (exchange, _):
                grants_bench.start(report, exchange, resources=500, grants=20)
    finally:
        # what was measured counts, whatever came of the rest
        finish(report, json)


@app.command()
def soak(
    minutes: Annotated[float, typer.Option(min=0.5, max=10_000.0, help="How long changes are made.")] = 60,
    rate: Annotated[float, typer.Option(min=1.0, max=5_000.0, help="Changes a second.")] = 200,
    json: Json = None,
) -> None:
    """An hour of steady changes: whether any part's memory grows, and whether all that was delivered is right."""
    report = Report("soak")
    with own_exchange() as (exchange, _):
        soak_bench.run(report, exchange, minutes=minutes, rate=rate)
    finish(report, json)


@app.command()
def demand(
    demands: Annotated[int, typer.Option(min=1_000, max=1_000_000, help="How many demands there are.")] = 50_000,
    grants: Annotated[int, typer.Option(min=1, max=100_000, help="How many grants there are.")] = 5_000,
    json: Json = None,
) -> None:
    """Lists of the demand side beside a plain SELECT, and how soon the broker follows a decision."""
    report = Report("demand")
    demand_bench.lists(report, demands=demands, grants=grants)
    with own_exchange() as (exchange, _):
        demand_bench.broker(report, exchange)
    finish(report, json)


@app.command()
def console(
    rounds: Annotated[int, typer.Option(min=1, max=50, help="How often each view is opened; medians are told.")] = 5,
    json: Json = None,
) -> None:
    """The console in a real Chromium: weight and time of the first view on a cold cache, frames of a long table."""
    # the driver of the browser would make every other command start later
    from benchmarks import console as console_bench

    report = Report("console")
    try:
        with own_exchange() as (exchange, _):
            console_bench.run(report, exchange, rounds=rounds)
    except console_bench.NoBrowser as missing:
        raise typer.BadParameter(str(missing)) from missing
    finish(report, json)


def finish(report: Report, json: Path | None) -> None:
    report.show(out)
    if json:
        report.write(json)


@contextmanager
def own_exchange() -> Iterator[tuple[Exchange, float]]:
    """An exchange with samples that is thrown away afterwards, and the seconds it took to start a second time."""
    folder = Path(tempfile.mkdtemp(prefix="tongshu-bench-"))
    kept = os.environ.get("TONGSHU_HOME")
    os.environ["TONGSHU_HOME"] = str(folder / "home")
    try:
        up.stop(up.start(samples=True))
        begun = time.monotonic()
        home = up.start(samples=True)
        seconds = time.monotonic() - begun
        try:
            yield Exchange(home), seconds
        finally:
            up.stop(home)
    finally:
        if kept is None:
            del os.environ["TONGSHU_HOME"]
        else:
            os.environ["TONGSHU_HOME"] = kept
        shutil.rmtree(folder, ignore_errors=True)
