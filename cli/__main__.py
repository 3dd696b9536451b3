"""`./tongshu`: one module a command. Exit 0: fine; 1: the answer is no; 2: wrong use."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from cli import bench, lag, test, up
from cli.audit import command as audit
from cli.demo import command as demo
from cli.exchange import Refused
from infra.embedded.home import HomeProblem
from infra.embedded.jars import ToolchainProblem
from infra.embedded.parts import PartProblem

app = typer.Typer(
    name="tongshu",
    help="Tongshu 通数: a real-time government data-sharing exchange.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
up.register(app)
app.command(name="lag", help=lag.command.__doc__)(lag.command)
app.command(name="test", help=test.command.__doc__)(test.command)
app.add_typer(audit.app, name="audit")
app.add_typer(bench.app, name="bench")
app.command(name="demo", help=demo.command.__doc__)(demo.command)


def main() -> None:
    try:
        app()
    except (HomeProblem, ToolchainProblem, PartProblem, up.NotUp, Refused) as problem:
        Console(stderr=True, soft_wrap=True).print(str(problem), style="red", markup=False, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
