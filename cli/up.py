"""up, down, status, logs: the exchange as whoever runs it sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Annotated, Any

import httpx
import psutil
import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from cli import doctor
from cli.exchange import Exchange, Refused
from infra.embedded import home as homes
from infra.embedded.home import Home, HomeProblem, Lock
from infra.embedded.supervisor import end_leftovers, last_lines, read_status
from infra.embedded.toolchain import prepare

_UP_SECONDS = 240.0
_STYLES = {"healthy": "green", "done": "green", "starting": "yellow", "waiting": "dim", "failing": "red"}
# a part that fails this often on the way up will not come up by being waited for
_FAILURES_UNTIL_GIVEN_UP = 4

err = Console(stderr=True, soft_wrap=True)


class NotUp(Exception):
    """The exchange is not there, or does not come up; one sentence that says why."""


def register(app: typer.Typer) -> None:
    app.command(help="Start the exchange and wait until all of it is well.")(up)
    app.command(help="Stop the exchange, in order; nothing of it is left running.")(down)
    app.command(help="What runs, how it is and what it takes. Exit 1 unless all is well.")(status)
    app.command(help="What a part has logged.")(logs)
    app.command(name="doctor", help="Find what is wrong and say what to do about it.")(doctor.command)


def up(
    samples: Annotated[bool, typer.Option(help="With the sample departments' databases.")] = False,
    port: Annotated[
        list[str] | None, typer.Option(metavar="PART=NUMBER", help="Fix a port, e.g. --port kafka=9092.")
    ] = None,
    new_ports: Annotated[bool, typer.Option(help="Choose all ports anew.")] = False,
) -> None:
    """Start the exchange and wait until all of it is well."""
    Exchange(start(samples=samples, ports=_parsed_ports(port or []), new_ports=new_ports)).tell("up", "well")


def start(*, samples: bool = False, ports: dict[str, int] | None = None, new_ports: bool = False) -> Home:
    """Bring the exchange up; raises NotUp, HomeProblem or ToolchainProblem, each in one sentence."""
    prepare(err)
    known = homes.find()
    if known and Lock(known).holder():
        raise NotUp(f"The exchange in {known.path} runs already; `./tongshu status` shows it.")
    home = homes.prepare(samples=samples, ports=ports, new_ports=new_ports)
    home.check_disk()
    if ended := end_leftovers(home):
        err.print(f"Ended {ended} processes that an exchange which was cut off had left running.", style="yellow")
    home.check_ports()
    (home.path / "run" / "status.json").unlink(missing_ok=True)
    with home.log("supervisor").open("ab") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "infra.embedded.supervisor"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TONGSHU_HOME": str(home.path), "PYTHONPATH": str(homes.ROOT)},
            cwd=home.path,
            start_new_session=True,
        )
    _wait_until_up(home, daemon)
    return home


def _wait_until_up(home: Home, daemon: subprocess.Popen[bytes]) -> None:
    begun = time.monotonic()
    with Live(console=err, refresh_per_second=8, transient=True) as live:
        while True:
            told = read_status(home) or {"parts": []}
            if err.is_terminal:
                live.update(_table(told, home, brief=True))
            if told["parts"] and all(part["state"] in ("healthy", "done") for part in told["parts"]):
                break
            if daemon.poll() is not None:
                raise NotUp(f"The supervisor ended: {' '.join(last_lines(home, 'supervisor', 1)) or 'without a word'}")
            lost = next((one for one in told["parts"] if one["restarts"] >= _FAILURES_UNTIL_GIVEN_UP), None)
            if lost or time.monotonic() - begun > _UP_SECONDS:
                ill = lost or next(one for one in told["parts"] if one["state"] not in ("healthy", "done"))
                stop(home)
                raise NotUp(
                    f"{ill['name']} does not come up: {ill['reason'] or ill['state']}"
                    f" (`./tongshu logs {ill['name']}` shows more; all parts were stopped again)."
                )
            time.sleep(0.1)
    slowest = ", ".join(
        f"{part['name']} {part['seconds_to_start']:.1f} s"
        for part in sorted(told["parts"], key=lambda part: -(part["seconds_to_start"] or 0))[:3]
    )
    err.print(f"[green]The exchange is up[/] after {time.monotonic() - begun:.1f} s (slowest: {slowest}).")
    err.print(console_words(home))


def console_words(home: Home) -> str:
    """Where the console is, and how one signs in first."""
    first = home.secrets / "console_admin_password"
    return f"The console is at http://127.0.0.1:{home.ports['console']} (`admin`, whose first password is in {first})."


def down() -> None:
    """Stop the exchange, in order; nothing of it is left running."""
    home = require()
    if Lock(home).holder():
        # what cannot be told any more must not keep it from being stopped
        with suppress(httpx.HTTPError, Refused):
            Exchange(home).tell("down", "asked for")
    if stop(home):
        err.print("The exchange is down.")
    else:
        err.print("The exchange was not running.")


def stop(home: Home) -> bool:
    """Stop the exchange and whatever is left of it; whether there was anything to stop."""
    holder = Lock(home).holder()
    if holder:
        try:
            os.kill(holder, signal.SIGTERM)
            psutil.wait_procs([psutil.Process(holder)], 300)
        except (ProcessLookupError, psutil.NoSuchProcess):
            pass
        while Lock(home).holder():
            time.sleep(0.05)
    return bool(end_leftovers(home)) or holder is not None


def require() -> Home:
    """The exchange in the state folder; raises NotUp where there is none."""
    home = homes.find()
    if home is None:
        raise NotUp(f"There is no exchange in {homes.home_path()} yet; `./tongshu up` makes one.")
    return home


def require_up() -> Home:
    """The running exchange; raises NotUp when it does not run."""
    home = require()
    if not Lock(home).holder():
        raise NotUp(f"The exchange in {home.path} does not run; `./tongshu up` starts it.")
    return home


def status(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """What runs, how it is and what it takes. Exit 1 unless all is well."""
    home = require()
    runs = Lock(home).holder() is not None
    told = (read_status(home) if runs else None) or {"parts": []}
    for part in told["parts"]:
        part["resident_bytes"] = _resident(part["pid"])
    well = runs and bool(told["parts"]) and all(part["state"] in ("healthy", "done") for part in told["parts"])
    if as_json:
        print(json.dumps({"home": str(home.path), "running": runs, "well": well, "parts": told["parts"]}, indent=2))
    elif not runs:
        left = homes.leftovers(home)
        more = f", but {len(left)} of its processes are left: `./tongshu up` or `down` ends them" if left else ""
        Console().print(f"The exchange in {home.path} does not run{more}.")
    else:
        Console().print(_table(told, home, brief=False))
    raise typer.Exit(0 if well else 1)


def logs(
    part: Annotated[str, typer.Argument(help="A part, or `supervisor`.")] = "supervisor",
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many lines.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as more comes.")] = False,
) -> None:
    """What a part has logged."""
    home = require()
    known = sorted(path.stem for path in (home.path / "logs").glob("*.log"))
    if part not in known:
        raise NotUp(f"There is no log of {part!r}; there are {', '.join(known) or 'none yet'}.")
    for line in last_lines(home, part, lines):
        print(line)
    if follow:
        with home.log(part).open(errors="replace") as file:
            file.seek(0, os.SEEK_END)
            while True:
                line = file.readline()
                if line:
                    print(line, end="", flush=True)
                else:
                    time.sleep(0.2)


def _parsed_ports(words: list[str]) -> dict[str, int]:
    found = {}
    for word in words:
        part, sign, number = word.partition("=")
        if not sign or not number.isdigit():
            raise HomeProblem(f"--port wants PART=NUMBER, not {word!r}.")
        found[part] = int(number)
    return found


def _resident(pid: int | None) -> int:
    """Resident memory of a process and its children, shared pages counted once."""
    if pid is None:
        return 0
    try:
        process = psutil.Process(pid)
        total: int = process.memory_info().rss
        for child in process.children(recursive=True):
            info = child.memory_info()
            total += info.rss - info.shared
    except psutil.Error:
        return 0
    return total


def _table(told: dict[str, Any], home: Home, *, brief: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("part", "state", "to start"):
        table.add_column(column)
    if not brief:
        for column in ("pid", "port", "for", "restarts", "memory"):
            table.add_column(column, justify="right")
    table.add_column("")
    for part in told["parts"]:
        style = _STYLES.get(part["state"], "")
        seconds = part["seconds_to_start"]
        row = [part["name"], f"[{style}]{part['state']}[/]" if style else part["state"]]
        row.append(f"{seconds:.1f} s" if seconds is not None else "")
        if not brief:
            memory = part["resident_bytes"]
            row += [
                str(part["pid"] or ""),
                str(part["port"] or ""),
                _spell(time.time() - part["since"]),
                str(part["restarts"] or ""),
                f"{memory / 1024**2:.0f} MiB" if memory else "",
            ]
        row.append(str(part["reason"] or "")[:120])
        table.add_row(*row)
    if not brief:
        total = sum(part["resident_bytes"] for part in told["parts"])
        table.add_section()
        table.add_row("", "", "", "", "", "", "", f"{total / 1024**2:.0f} MiB", f"in {home.path}")
    return table


def _spell(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.0f} h"
