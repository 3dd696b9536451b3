"""`./tongshu test`: format, lint, types, then all tests on real parts; closes with pytest's own last line."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated

import typer
from rich.console import Console

from infra.embedded.home import ROOT
from infra.embedded.toolchain import prepare

app = typer.Typer()
err = Console(stderr=True, soft_wrap=True)

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
    tests = _run(["pytest", *(arguments or [])])
    raise typer.Exit(1 if failed or tests else 0)


def _run(words: list[str]) -> int:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-m", *words], cwd=ROOT, env=environment, check=False).returncode
