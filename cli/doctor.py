"""doctor: what is wrong with this machine or this exchange, and what to do about it, in plain words."""

from __future__ import annotations

import json
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated

import psutil
import typer
from rich.console import Console
from rich.table import Table

from infra.embedded import home as homes
from infra.embedded.home import Home, HomeProblem, Lock
from infra.embedded.jars import ToolchainProblem
from infra.embedded.supervisor import read_status
from infra.embedded.toolchain import locate

_MEMORY_BYTES = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `advice` says what to do where it is not well."""

    what: str
    well: bool
    found: str
    advice: str = ""


def command(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Find what is wrong and say what to do about it. Exit 1 if anything is."""
    findings = list(examine())
    if as_json:
        print(json.dumps([asdict(one) for one in findings], indent=2, ensure_ascii=False))
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for one in findings:
            mark = "[green]well[/]" if one.well else "[red]not well[/]"
            table.add_row(one.what, mark, one.found + (f"\n[bold]→ {one.advice}[/]" if one.advice else ""))
        Console().print(table)
    raise typer.Exit(0 if all(one.well for one in findings) else 1)


def examine() -> Iterator[Finding]:
    """Machine first, then the exchange, if there is one."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", sys.version_info >= (3, 11), version)
    memory = psutil.virtual_memory().available
    yield _judge(
        "memory",
        memory >= _MEMORY_BYTES,
        f"{memory // 1024**2} MiB available",
        "End something: the exchange wants 4 GiB.",
    )
    try:
        locate()
        yield Finding("tools", True, "all here")
    except ToolchainProblem as problem:
        yield Finding("tools", False, str(problem), "Run `./tongshu up`: it brings what is missing.")
    try:
        home = homes.find()
    except HomeProblem as problem:
        yield Finding("state folder", False, str(problem), "Do as it says; no other file was touched.")
        return
    if home is None:
        yield Finding("state folder", True, f"none yet; `./tongshu up` makes it in {homes.home_path()}")
        return
    yield from _folder(home)
    yield from _processes(home)


def _folder(home: Home) -> Iterator[Finding]:
    free = shutil.disk_usage(home.path).free
    yield _judge(
        "disk",
        free >= homes.LEAST_FREE_BYTES,
        f"{free // 1024**2} MiB free where {home.path} is",
        f"Make room: at least {homes.LEAST_FREE_BYTES // 1024**2} MiB.",
    )
    open_ones = [path.name for path in home.secrets.iterdir() if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if stat.S_IMODE(home.secrets.stat().st_mode) & 0o077:
        open_ones.append("the folder itself")
    yield _judge(
        "secrets",
        not open_ones,
        f"readable by others: {', '.join(sorted(open_ones))}" if open_ones else "readable by their owner only",
        f"Run `chmod -R go= {home.secrets}`.",
    )


def _processes(home: Home) -> Iterator[Finding]:
    if Lock(home).holder() is None:
        left = homes.leftovers(home)
        yield _judge(
            "processes",
            not left,
            f"{len(left)} left of an exchange that was cut off" if left else "none: the exchange does not run",
            "Run `./tongshu up` to go on, or `./tongshu down` to end them.",
        )
        try:
            home.check_ports()
            yield Finding("ports", True, "all free")
        except HomeProblem as problem:
            yield Finding("ports", False, str(problem), "Do as it says.")
        return
    told = read_status(home) or {"parts": []}
    for part in told["parts"]:
        well = part["state"] in ("healthy", "done")
        restarts = f", restarted {part['restarts']} times" if part["restarts"] else ""
        yield _judge(
            part["name"],
            well,
            f"{part['state']}{restarts}{': ' + part['reason'] if part['reason'] else ''}",
            f"Look at `./tongshu logs {part['name']}`; it is started again by itself.",
        )


def _judge(what: str, well: bool, found: str, advice: str) -> Finding:
    return Finding(what, well, found, "" if well else advice)
