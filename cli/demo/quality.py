"""Rows that break a rule of their contract: set aside, named to their department, and released by their correction.

At the market supervision's counter a unified social credit code is mistyped, so that its check digit does not fit, and
a capital gets a minus sign. Neither reaches a consumer. The clerk corrects both, and the consumer has what is right.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg

from cli.demo.stage import Running, comes_true
from cli.demo.world import DEPARTMENTS, Generator, Row, Server
from cli.exchange import Exchange

_PATIENCE_SECONDS = 20.0
_COLUMNS = DEPARTMENTS[1].tables["registry.enterprise"]


class NotKept(Exception):
    """Something did not come about in time; the message says what."""


def break_rules(exchange: Exchange, server: Server, running: Running) -> str:
    """Write rows that break a rule and correct them; a line that tells of it. Raises NotKept.

    `running` is a grant of enterprises with code and capital in clear.
    """
    (known,) = min(running.received().rows)
    capital = running.received().rows[known,]["registered_capital"]
    before = {entry["id"] for entry in _entries(exchange)}

    def told(*states: str) -> Callable[[], bool]:
        return lambda: sorted(one["state"] for one in _entries(exchange) if one["id"] not in before) == sorted(states)

    with server.connect(DEPARTMENTS[1]) as source:
        new = _unknown(source) | {"status": "operating"}
        right = new["uscc"]
        wrong = right[:-1] + ("0" if right[-1] != "0" else "1")
        values = ", ".join(f"%({column})s" for column in _COLUMNS)
        statement = f"insert into registry.enterprise ({', '.join(_COLUMNS)}) values ({values})"
        source.execute(statement.encode(), {**new, "uscc": wrong})
        changed = "update registry.enterprise set registered_capital = %s where uscc = %s"
        source.execute(changed.encode(), (-capital - 1, known))
        _await(told("waiting", "waiting"), "two rows that break a rule were not set aside")
        rows = running.received().rows
        if (wrong,) in rows or rows[known,]["registered_capital"] != capital:
            raise NotKept("a row that breaks a rule has reached its consumer")
        begun = time.monotonic()
        source.execute(b"update registry.enterprise set uscc = %s where uscc = %s", (right, wrong))
        source.execute(changed.encode(), (capital + Decimal(1), known))
        _await(
            lambda: (right,) in (rows := running.received().rows) and rows[known,]["registered_capital"] == capital + 1,
            "the corrected rows did not arrive",
        )
    seconds = time.monotonic() - begun
    # the mistyped code is gone with its correction, for it is another key
    _await(told("corrected", "deleted"), "the quarantine does not tell of the correction")
    score = exchange.ask("GET", "sync", "/quality?resource=enterprises&limit=500")["items"][-1]
    return (
        f"2 rows that break a rule were set aside, and released by their correction in {seconds:.1f} s; "
        f"accuracy of the hour {100 * score['accuracy']:.2f} % of {score['judged']:,} rows"
    )


def _unknown(source: psycopg.Connection[Any]) -> Row:
    """An enterprise that the register does not have."""
    generator = Generator(time.time_ns())
    while True:
        row = generator.enterprise()
        known = source.execute(b"select 1 from registry.enterprise where uscc = %s", (row["uscc"],))
        if known.fetchone() is None:
            return row


def _entries(exchange: Exchange) -> list[dict[str, Any]]:
    found, cursor = list[dict[str, Any]](), ""
    while True:
        told = exchange.ask("GET", "sync", f"/quarantine?resource=enterprises&limit=500{cursor}")
        found += told["items"]
        if told["next"] is None:
            return found
        cursor = f"&cursor={told['next']}"


def _await(holds: Callable[[], bool], what: str) -> None:
    if not comes_true(holds, _PATIENCE_SECONDS):
        raise NotKept(f"{what}: see `./tongshu logs sync`")
