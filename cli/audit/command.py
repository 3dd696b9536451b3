"""`./tongshu audit verify | export`: exit 0: all holds; 1: something does not; 2: wrong use."""

from __future__ import annotations

import json as jsons
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli import up
from cli.audit.export import IncompleteLog
from cli.audit.export import export as lay_out
from cli.audit.reading import Log, open_log
from cli.audit.verify import Verdict
from cli.audit.verify import verify as check
from cli.exchange import Exchange
from infra.embedded.home import Lock
from services.audit.verifier import NotSigned, check_folder, parse_key

app = typer.Typer(no_args_is_help=True, help="Verify, replay and trace what the audit log holds.")
out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True)

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
TrustedKey = Annotated[
    str | None,
    typer.Option("--key", metavar="NAME+ID+KEY", help="The log's key, from elsewhere; else the exchange is believed."),
]


@app.command()
def verify(
    offline: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="An exported log, instead of the running exchange.")
    ] = None,
    key: TrustedKey = None,
    json: Json = False,
) -> None:
    """Recompute every leaf, root and signature, and hold entries against records, manifests and database.

    Examples: `./tongshu audit verify`, `./tongshu audit verify --offline FOLDER --key …`
    """
    if offline is not None:
        _verify_offline(offline, key, json)
    log = _opened(key)
    with Progress(
        TextColumn("Verifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=err, transient=True
    ) as bar:
        task = bar.add_task("", total=None)
        verdict = check(log, lambda done, total: bar.update(task, completed=done, total=total))
    if json:
        typer.echo(jsons.dumps(verdict.as_json(), ensure_ascii=False))
    else:
        _show(verdict)
    raise typer.Exit(1 if verdict.faults else 0)


def _verify_offline(folder: Path, key: str | None, json: bool) -> None:
    try:
        log, *witnesses = [parse_key(one) for one in ([key] if key else (folder / "key").read_text().split())]
        faults, told = check_folder(folder, log, witnesses)
    except (OSError, ValueError, NotSigned) as error:
        err.print(f"{folder} cannot be verified: {error}", style="red", markup=False)
        raise typer.Exit(2) from error
    if key is None:
        err.print("No --key was given: the key in the export is believed.", style="yellow")
    if json:
        listed = [{"kind": one.kind, "where": one.where, "detail": one.detail} for one in faults]
        typer.echo(jsons.dumps({"holds": not faults, "checked": told, "faults": listed}, ensure_ascii=False))
    else:
        for fault in faults:
            out.print(f"✗ {fault}", style="red", markup=False)
        out.print(f"{told}: {f'{len(faults)} faults' if faults else 'all holds'}", markup=False)
    raise typer.Exit(1 if faults else 0)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new or empty folder.")], key: TrustedKey = None
) -> None:
    """Lay the log out in a folder with a verifier that needs nothing of ours: `python3 FOLDER/verify.py FOLDER`."""
    log = _opened(key)
    try:
        files = lay_out(log, folder)
    except (IncompleteLog, OSError) as error:
        err.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from error
    out.print(
        f"{log.head.checkpoint.size:,} entries in {files:,} files. Give this key by another way: {log.key.text()}"
    )


def _opened(key: str | None) -> Log:
    home = up.require()
    if not Lock(home).holder():
        raise up.NotUp(f"The exchange in {home.path} does not run; `./tongshu up` starts it.")
    try:
        return open_log(Exchange(home), key)
    except NotSigned as error:
        err.print(f"The log is not signed by the key that is trusted: {error}", style="red", markup=False)
        raise typer.Exit(1) from error


def _show(verdict: Verdict) -> None:
    for fault in verdict.faults:
        out.print(f"✗ {fault}", style="red", markup=False)
    out.print(
        f"{verdict.entries:,} entries under {verdict.checkpoints:,} checkpoints ({verdict.cosigned:,} cosigned):"
        f" {verdict.records:,} records held against them, {verdict.records_gone:,} no longer kept;"
        f" {verdict.manifests:,} manifests over {verdict.delivered:,} kept records"
        f" ({verdict.manifests_compacted:,} not whole any more); {verdict.rows:,} rows of the database."
    )
    out.print(f"{len(verdict.faults)} faults." if verdict.faults else "All holds.")
