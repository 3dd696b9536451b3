"""`./tongshu audit verify | export | replay | trace`: exit 0: all holds; 1: something does not; 2: wrong use."""

from __future__ import annotations

import json as jsons
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli import up
from cli.audit.export import IncompleteLog
from cli.audit.export import export as lay_out
from cli.audit.reading import Log, open_log
from cli.audit.replay import Span, differences, excerpt, names
from cli.audit.replay import rebuild as work_out
from cli.audit.replay import replay as tell
from cli.audit.trace import NoSuchRecord, Trace
from cli.audit.trace import trace as follow
from cli.audit.verify import Verdict
from cli.audit.verify import verify as check
from cli.exchange import Exchange
from infra.embedded.home import Lock
from services.audit import native
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
    log.exchange.tell("verify", f"{len(verdict.faults)} faults" if verdict.faults else "all holds")
    if json:
        typer.echo(jsons.dumps(verdict.as_json(), ensure_ascii=False))
    else:
        _show(verdict)
    raise typer.Exit(1 if verdict.faults else 0)


def _verify_offline(folder: Path, key: str | None, json: bool) -> None:
    try:
        log, *witnesses = [parse_key(one) for one in ([key] if key else (folder / "key").read_text().split())]
        faults, told = check_folder(folder, log, witnesses, native.hashing_of(log.name))
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


@app.command()
def replay(
    first: Annotated[int, typer.Option("--from", min=0, help="Number of the first entry.")] = 0,
    last: Annotated[int | None, typer.Option("--to", min=0, help="Number of the last entry.")] = None,
    since: Annotated[datetime | None, typer.Option(help="What happened at or after this (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(help="What happened before this (UTC).")] = None,
    thread: Annotated[str | None, typer.Option(help="One thread.")] = None,
    grant: Annotated[str | None, typer.Option(help="One grant: its life and all that was delivered under it.")] = None,
    department: Annotated[str | None, typer.Option(help="One department.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="What happened; a part of the type will do.")] = None,
    record: Annotated[str | None, typer.Option(metavar="TOPIC/PARTITION/OFFSET", help="One record.")] = None,
    bundle: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write an excerpt with proofs, for `verify.py FILE`.")
    ] = None,
    rebuild: Annotated[bool, typer.Option(help="Work out grants and demands from the log, and compare.")] = False,
    as_of: Annotated[datetime | None, typer.Option(help="With --rebuild: the states at this moment (UTC).")] = None,
    key: TrustedKey = None,
    json: Annotated[bool, typer.Option("--json", help="JSON Lines instead of a timeline.")] = False,
) -> None:
    """Tell a span of the log again, from the sealed entries.

    Examples: `./tongshu audit replay --grant 9f2c01d4be7a`, `./tongshu audit replay --rebuild --as-of 2026-06-30`
    """
    log = _opened(key)
    log.exchange.tell("replay", "rebuilt" if rebuild else "shown")
    if rebuild:
        _rebuild(log, _utc(as_of), json)
    span = Span(
        first=first, last=last, since=_utc(since), until=_utc(until), thread=thread, grant=grant,
        department=department, type=kind, record=_place(record),
    )  # fmt: skip
    if bundle is not None:
        found = list(tell(log, span))
        bundle.write_text(jsons.dumps(excerpt(log, found)) + "\n")
        out.print(f"{len(found):,} entries with proofs in {bundle}. Give this key by another way: {log.key.text()}")
        return
    known = names(log)
    for _, told in tell(log, span):
        if json:
            plain = {**told, "digest": told["digest"].hex()}
            typer.echo(jsons.dumps(plain, ensure_ascii=False, default=_plain))
        else:
            out.print(_line(told, known), markup=False)


def _rebuild(log: Log, as_of: datetime | None, json: bool) -> None:
    rebuilt = work_out(log, as_of)
    wrong = differences(log, rebuilt) if as_of is None else []
    if json:
        states = {"states": rebuilt.states, "faults": [str(one) for one in rebuilt.faults], "differences": wrong}
        typer.echo(jsons.dumps(states, ensure_ascii=False, default=_plain))
    else:
        for subject, state in sorted(rebuilt.states.items(), key=lambda one: one[1]["since"]):
            told = " ".join(f"{name}={state[name]}" for name in ("department", "resource") if name in state)
            out.print(f"{_moment(state['since'])}  {state['what']} {subject}  {state['state']}  {told}", markup=False)
        for line in (*map(str, rebuilt.faults), *wrong):
            out.print(f"✗ {line}", style="red", markup=False)
    raise typer.Exit(1 if rebuilt.faults or wrong else 0)


def _line(told: dict[str, Any], known: dict[str, str]) -> str:
    actor = known.get(told["actor"], told["actor"]) or "the exchange"
    kind = told["type"].removeprefix("cn.tongshu.").removesuffix(".v1")
    more = [f"{told['records']:,} records"] if told["records"] else []
    more += [told["outcome"]] if told["outcome"] != "done" else []
    return "  ".join([
        f"{told['sequence']:>8}", _moment(told["occurred_at"]), f"{kind:<32}", f"{actor:<16}",
        f"{told['department']:<16}", told["subject"], *more,
    ])  # fmt: skip


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _utc(at: datetime | None) -> datetime | None:
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)


def _place(record: str | None) -> tuple[str, int, int] | None:
    if record is None:
        return None
    parts = record.rsplit("/", 2)
    if len(parts) != 3 or not (parts[1].isdigit() and parts[2].isdigit()):
        err.print(f"{record!r} is no record: say TOPIC/PARTITION/OFFSET.", style="red", markup=False)
        raise typer.Exit(2)
    return parts[0], int(parts[1]), int(parts[2])


@app.command()
def trace(
    resource: Annotated[str, typer.Option(help="Code of the resource.")],
    record: Annotated[str, typer.Option("--key", help="Its key's value, or a JSON object of its key items.")],
    log_key: Annotated[str | None, typer.Option(metavar="NAME+ID+KEY", help="The log's key, from elsewhere.")] = None,
    json: Json = False,
) -> None:
    """One record: its changes at the source, and each department that it was delivered to, with proofs.

    Example: `./tongshu audit trace --resource population --key 110105194912310020`
    """
    log = _opened(log_key)
    # who asks for a person's record must stand in the log before the answer is there
    log.exchange.tell("trace", resource)
    try:
        found = follow(log, resource, record)
    except NoSuchRecord as error:
        err.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from error
    if json:
        typer.echo(jsons.dumps(found.as_json(), ensure_ascii=False, default=_plain))
    else:
        _show_trace(found)
    doubtful = any(not one.in_log or one.in_manifest is False for one in found.deliveries)
    raise typer.Exit(1 if doubtful else 0)


def _show_trace(found: Trace) -> None:
    for change in found.changes:
        at = _moment(change["committed_at"]) if change["committed_at"] else "no longer kept".ljust(23)
        where = f"{found.topic}/{change['partition']} at {change['offset']}"
        out.print(f"{at}  source     {change['op'] or '':<10} {where}", markup=False)
    for aside in found.quarantined:
        told = f"{aside['reason']}, for {aside['grant'] or 'all'}"
        out.print(f"{_moment(aside['quarantined_at'])}  set aside  {told}", markup=False)
    for one in found.deliveries:
        at = _moment(one.at) if one.at else "no manifest yet".ljust(23)
        proofs = {True: "in its manifest", False: "NOT in its manifest", None: "manifest not whole any more"}
        sealed = f"entry {one.entry} of the log" if one.in_log else "NOT in the log yet"
        told = f"{one.department} under {one.grant} by {', '.join(one.channels)}"
        sealed += f"; trace {one.trace}" if one.trace else ""
        out.print(f"{at}  delivered  {one.op or '':<10} {told}; {proofs[one.in_manifest]}; {sealed}", markup=False)
    for line in found.untraceable:
        out.print(line, style="yellow", markup=False)
    out.print(f"{len(found.changes)} changes, {len(found.deliveries)} deliveries.")


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
