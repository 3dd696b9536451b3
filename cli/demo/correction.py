"""The end of the demo: a wrong record is objected to, its correction closes the case, the data is rated, figures told.

A clerk at the source has mistyped somebody's sex. The consumer sees that it contradicts the identity number, whose 17th
digit is odd for men, and objects.
"""

from __future__ import annotations

import time
from datetime import date
from typing import Any

from cli.demo.stage import Running, comes_true
from cli.demo.world import DEPARTMENTS, Server
from cli.exchange import Exchange

_PATIENCE_SECONDS = 20.0
FIGURES = {
    "on_demand": "on-demand sharing",
    "minute_level": "minute-level satisfaction",
    "timeliness": "delivered within a minute",
    "answers": "answered in time",
    "quality": "records without fault",
    "use": "grants in use",
    "satisfaction": "satisfaction",
}


class NotClosed(Exception):
    """The correction was not found in time."""


def correct(exchange: Exchange, server: Server, running: Running) -> tuple[dict[str, Any], float]:
    """Make a record wrong, object to it, correct it: the closed case, and the seconds from correction to closing.

    `running` is a grant of people with number and sex in clear. Raises NotClosed.
    """
    number = next(iter(running.received().rows))[0]
    right = "男" if int(number[16]) % 2 else "女"
    wrong = "女" if right == "男" else "男"
    with server.connect(DEPARTMENTS[0]) as source:
        source.execute("update population.person set sex = %s where id_number = %s", (wrong, number))
        _await(lambda: running.received().rows[number,]["sex"] == wrong)
        objection = {
            "grant": running.grant["id"],
            "key": {"id_number": number},
            "items": [{"item": "sex", "says": wrong, "should_say": right}],
            "explanation": "与公民身份号码第十七位不符",
        }
        case = exchange.ask("POST", "demand", "/objections", objection)
        exchange.ask("POST", "demand", f"/objections/{case['id']}/steps", {"action": "accept"})
        source.execute("update population.person set sex = %s where id_number = %s", (right, number))
    begun = time.monotonic()

    def read() -> dict[str, Any]:
        told: dict[str, Any] = exchange.ask("GET", "demand", f"/objections/{case['id']}")
        return told

    _await(lambda: read()["state"] == "closed")
    return read(), time.monotonic() - begun


def rate(exchange: Exchange, grant: str) -> None:
    """Leave feedback on a grant, as its consumer would."""
    given = {"score": 5, "reasons": ["timeliness"], "effect": "婚姻登记现场核验，免提交户口簿复印件"}
    exchange.ask("POST", "demand", f"/grants/{grant}/feedback", given)


def figures(exchange: Exchange, today: date) -> dict[str, Any]:
    """The whole place's figures of the month, once they hold what was just rated."""

    def read() -> dict[str, Any]:
        told: dict[str, Any] = exchange.ask("GET", "demand", f"/assessments/{today:%Y-%m}")["total"]
        return told

    _await(lambda: read()["satisfaction"]["value"] is not None)
    return read()


def _await(holds: Any) -> None:
    if not comes_true(holds, _PATIENCE_SECONDS):
        raise NotClosed("The correction was not found in time: see `./tongshu logs tracking`.")
