"""`./tongshu lag`: how far every group on the exchange is behind, those of departments' own clients included.

Exit 0: every group does its work, maybe slowly (WARN); 1: one stands (STALL, STOP) or cannot be judged (ERR).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.exchange import Exchange, Refused
from cli.up import require_up
from services.core.avro import Codec
from services.core.identity import Viewer
from services.watch.api.shapes import GroupsOut, group_out, time_of
from services.watch.broker import Broker
from services.watch.domain.book import Book
from services.watch.domain.lag import Rules, Status
from services.watch.domain.places import Places, places
from services.watch.picture import Picture
from services.watch.room import Sight
from services.watch.unread import FirstRecords, reader

STANDING = frozenset({Status.STALL, Status.STOP, Status.ERR})
_STYLES = {
    Status.OK: "green", Status.WARN: "yellow", Status.STALL: "red", Status.STOP: "red", Status.ERR: "bold red",
}  # fmt: skip
_TRENDS = {"growing": "↑ growing", "shrinking": "↓ shrinking", "steady": "→ steady"}
_LOOKS, _PAUSE_SECONDS, _READING_SECONDS = 3, 1.0, 2.0
_WIDE, _PATIENCE_SECONDS = 220, 5.0

app = typer.Typer()
err = Console(stderr=True, soft_wrap=True)


@app.command(name="lag")
def command(
    group: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this group, or all that begin with NAME* .")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on, and draw anew with every sample.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs; with --watch a line for each sample.")] = False,
) -> None:
    """How far every group is behind, worst first: in records and in seconds, where it tends and when it is over.

    Exit 0: all groups work, maybe slowly; 1: one stands (STALL, STOP) or cannot be judged (ERR).
    Examples: `./tongshu lag`, `./tongshu lag --watch --group 'civil_affairs.*'`, `./tongshu lag --json`
    """
    exchange = Exchange(require_up())
    with closing(_Lag(exchange, group or [])) as lag:
        told = lag.look()
        if not watch:
            _print(told, as_json)
            raise typer.Exit(1 if any(one["status"] in STANDING for one in told["items"]) else 0)
        _follow(lag.look, told, as_json)


class _Lag:
    """The groups as the watch tells them; measured from here while it is away, and said so."""

    def __init__(self, exchange: Exchange, names: list[str]) -> None:
        self._exchange, self._names = exchange, names
        self._own: _OwnLook | None = None

    def look(self) -> dict[str, Any]:
        told = self._told()
        told["items"] = [one for one in told["items"] if self._wanted(one["group"])]
        return told

    def close(self) -> None:
        if self._own:
            self._own.close()

    def _told(self) -> dict[str, Any]:
        try:
            return {"from": "watch", **self._exchange.ask("GET", "watch", "/lag", timeout=_PATIENCE_SECONDS)}
        except (httpx.HTTPError, Refused, KeyError, ValueError):
            if self._own is None:
                err.print("The watch does not answer: measuring from here, over a few seconds only.", style="yellow")
                self._own = _OwnLook(self._exchange)
            return {"from": "measured", **self._own.look().model_dump(mode="json")}

    def _wanted(self, group: str) -> bool:
        return not self._names or any(
            group.startswith(name[:-1]) if name.endswith("*") else group == name for name in self._names
        )


class _OwnLook:
    """Measures as the watch does, as the broker's administrator; at first over a few seconds."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        here = exchange.settings
        self._rules = Rules(window_seconds=here.watch_window_seconds, fresh_seconds=here.watch_fresh_seconds)
        self._broker = Broker(exchange.admin())
        self._firsts: FirstRecords[None] = FirstRecords(reader(here, "admin"))
        self._book = Book(self._rules)
        self._places = self._read_places()
        self._looks = 0

    def look(self) -> GroupsOut:
        picture = self._sample()
        while self._looks < _LOOKS:
            time.sleep(_PAUSE_SECONDS)
            picture = self._sample()
        sight = Sight(picture, Viewer("operator"))
        return GroupsOut(
            measured_at=time_of(picture.at),
            sample_seconds=_PAUSE_SECONDS,
            window_seconds=self._rules.window_seconds,
            complete=picture.complete,
            items=[group_out(sight, one) for one in sight.standings()],
        )

    def close(self) -> None:
        self._firsts.close()

    def _sample(self) -> Picture:
        self._looks += 1
        look = self._broker.look()
        standings = self._book.enter(look, self._firsts.look(look.places(), look.ends, _READING_SECONDS))
        return Picture(
            number=self._looks, at=look.at, complete=self._book.complete(look.at), standings=standings, topics=(),
            rows={}, latencies={}, connectors={}, connect_reachable=False, last_committed={}, places=self._places,
        )  # fmt: skip

    def _read_places(self) -> Places:
        states = {}
        for topic in ("catalog.resources", "demand.grants"):
            decode = Codec(self._exchange.registry, topic).decode
            latest = {key: value for key, value, _ in self._exchange.read_all(topic)}
            states[topic] = [decode(value) for value in latest.values() if value is not None]
        return places(states["catalog.resources"], states["demand.grants"])


# -- showing ---------------------------------------------------------------------------------------------------------


def _print(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=2))
        return
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    console.print(_drawn(told))


def _follow(look: Callable[[], dict[str, Any]], told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        for one in _samples(look, told):
            print(json.dumps(one, ensure_ascii=False), flush=True)
        return
    with Live(_drawn(told), auto_refresh=False, screen=sys.stdout.isatty()) as live:
        for one in _samples(look, told):
            live.update(_drawn(one), refresh=True)


def _samples(look: Callable[[], dict[str, Any]], told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """`told`, and then each new sample."""
    shown = None
    while True:
        if told["measured_at"] != shown:
            shown = told["measured_at"]
            yield told
        time.sleep(min(1.0, told["sample_seconds"] / 2))
        told = look()


def _drawn(told: dict[str, Any]) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("group", "status"):
        table.add_column(column, no_wrap=True)
    for column in ("records", "seconds", "in/s", "read/s", "clear in"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("trend", no_wrap=True)
    table.add_column("")
    for one in told["items"]:
        style = _STYLES[Status(one["status"])]
        table.add_row(
            Text(one["group"]),
            Text(one["status"], style=style),
            f"{one['records']:,}",
            ("" if one["exact"] else "≈") + _spell(one["seconds"]),
            f"{one['produced_rate']:,.1f}",
            f"{one['consumed_rate']:,.1f}",
            _clear_in(one),
            _TRENDS[one["trend"]],
            Text(one["reason"]["en"], style="" if one["status"] == Status.OK else style),
        )
    if not told["items"]:
        return Text("No group has read anything yet.")
    lines: list[RenderableType] = [table]
    if not told["complete"]:
        seconds = f"{told['window_seconds']:.0f} s"
        lines.append(Text(f"Watched for less than {seconds}: what stands may not be told yet.", style="dim"))
    return Group(*lines)


def _clear_in(one: dict[str, Any]) -> str:
    if one["records"] == 0:
        return ""
    return "never, so" if one["eta_seconds"] is None else _spell(one["eta_seconds"])


def _spell(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds else "0 s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"
