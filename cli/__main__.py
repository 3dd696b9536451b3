"""`./tongshu`: one module a command. Exit 0: fine; 1: the answer is no; 2: wrong use."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperCommand, TyperGroup

from cli import up
from cli.exchange import Refused
from infra.embedded.home import HomeProblem
from infra.embedded.jars import ToolchainProblem
from infra.embedded.parts import PartProblem

_ELSEWHERE = {
    "lag": ("cli.lag", "How far every group on the exchange is behind; with --watch, live."),
    "demo": ("cli.demo.command", "Fill a sample exchange, stream changes and show them arriving."),
    "audit": ("cli.audit.command", "Verify, replay and trace what the audit log holds."),
    "bench": ("cli.bench", "Measure the exchange beside its peers."),
    "test": ("cli.test", "Check format, lint and types, then run the tests on real parts."),
}
"""Commands whose modules are heavy: they are imported when they are called, and told of by these words until then."""


class Commands(TyperGroup):
    """The commands that are here, and those that are elsewhere. (The types of what typer is made of are its own.)"""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *_ELSEWHERE]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in _ELSEWHERE:
            return TyperCommand(cmd_name, help=_ELSEWHERE[cmd_name][1])
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if name in _ELSEWHERE:
            command = typer.main.get_command(import_module(_ELSEWHERE[name][0]).app)
        return name, command, rest


app = typer.Typer(
    name="tongshu",
    cls=Commands,
    help="Tongshu 通数: a real-time government data-sharing exchange.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
up.register(app)


def main() -> None:
    # what a client of the broker says of its connections is not for whoever sits at the terminal
    logging.getLogger("librdkafka").addHandler(logging.NullHandler())
    try:
        app(prog_name="tongshu")
    except (HomeProblem, ToolchainProblem, PartProblem, up.NotUp, Refused) as problem:
        Console(stderr=True, soft_wrap=True).print(str(problem), style="red", markup=False, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
