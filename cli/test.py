"""`./tongshu test`: format, lint, types, then all tests on real parts; closes with pytest's own last line."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated

import psutil
import typer
from rich.console import Console

from infra.embedded.home import ROOT
from infra.embedded.toolchain import prepare

app = typer.Typer()
err = Console(stderr=True, soft_wrap=True)

# as many as there are exchanges among the groups of tests (tests/conftest.py)
_MOST_WORKERS = 3
_BYTES_A_WORKER = 4 * 1024**3
# an exchange that starts keeps two busy, and tests have no more patience than people
_CORES_A_WORKER = 2
_CHECKS = {
    "format": ["ruff", "format", "--check", "--quiet", "."],
    "lint": ["ruff", "check", "--quiet", "."],
    "types": ["mypy"],
}


@app.command(name="test")
def command(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[PYTEST ARGUMENTS]", help="E.g. `-- -k relay`.")
    ] = None,
) -> None:
    """Check format, lint and types, then run the tests on real parts; exit 1 if anything fails."""
    prepare(err)
    failed = [name for name, words in _CHECKS.items() if _run(words)]
    for name in failed:
        err.print(f"[red]✗ {name}[/]")
    tests = _run(["pytest", *(arguments or _at_once())])
    raise typer.Exit(1 if failed or tests else 0)


def _at_once() -> list[str]:
    """Words that have pytest run as many groups of tests at a time as this machine can carry exchanges for them."""
    memory, cores = psutil.virtual_memory().total, os.cpu_count() or 1
    workers = min(_MOST_WORKERS, memory // _BYTES_A_WORKER, cores // _CORES_A_WORKER)
    return ["-n", str(workers), "--no-loadscope-reorder"] if workers > 1 else []


def _run(words: list[str]) -> int:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-m", *words], cwd=ROOT, env=environment, check=False).returncode
