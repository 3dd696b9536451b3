"""The other two ways in which a department receives: a table of its own database, and look-ups by API key."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cli.demo.grants import GRANTS, RESOURCES, SampleGrant, differences, expected
from cli.demo.world import DEPARTMENTS, Department, Server
from cli.exchange import Exchange
from infra.files import write_atomically

_PATIENCE_SECONDS = 30.0
_SECRET = "civil_affairs_dsn"
_SCHEMA, _TABLE = "received", "enterprises"
_BY_TABLE, _BY_API = GRANTS[2], GRANTS[0]


class NotShown(Exception):
    """A channel did not bring what it must; the message says what."""


def by_table(exchange: Exchange, server: Server) -> str:
    """Have a grant's rows in a table of the department's own database; what there is to say of it. Raises NotShown."""
    owner, receiver = _owner(_BY_TABLE), _department("civil_affairs")
    dsn = f"postgresql://{receiver.database}:{server.owner_password}@{server.host}:{server.port}/{receiver.database}"
    write_atomically(exchange.home.secrets / _SECRET, dsn)
    with server.connect(receiver) as database:
        # a table belongs to one grant, and this run has one of its own
        database.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(_SCHEMA)))
        database.execute(sql.SQL("create schema {}").format(sql.Identifier(_SCHEMA)))
        with server.connect(owner) as source:
            wanted = expected(_BY_TABLE, source, str)
        target = {"dsn_secret": _SECRET, "schema": _SCHEMA, "table": _TABLE}
        with _granted(exchange, _BY_TABLE, channels=["table"], table_target=target):
            begun = time.monotonic()
            while left := differences(wanted, _held(database, _BY_TABLE)):
                if time.monotonic() - begun > _PATIENCE_SECONDS:
                    raise NotShown(f"{_SCHEMA}.{_TABLE} of {receiver.database}: {len(left)} differences, {left[0]}")
                time.sleep(0.1)
            seconds = time.monotonic() - begun
    return f"{len(wanted):,} rows in {receiver.slug}'s own database, table {_SCHEMA}.{_TABLE}, in {seconds:.1f} s"


def by_api(exchange: Exchange, server: Server) -> str:
    """Look a row up by API key; what there is to say of it. Raises NotShown."""
    with server.connect(_owner(_BY_API)) as source:
        (key,), row = next(iter(expected(_BY_API, source, str).items()))
    with _granted(exchange, _BY_API, channels=["api"]) as grant:
        api_key = exchange.ask("POST", "demand", f"/grants/{grant['id']}/api-keys", {})["api_key"]
        path = f"{exchange.url('rows')}/resources/{grant['resource']}/rows?id_number={quote(key)}"
        with httpx.Client(headers={"Authorization": f"Bearer {api_key}"}) as client:
            begun = time.monotonic()
            while (answer := client.get(path)).status_code != httpx.codes.OK or not answer.json()["items"]:
                if time.monotonic() - begun > _PATIENCE_SECONDS:
                    raise NotShown(f"a look-up by API key is answered with {answer.status_code}: {answer.text}")
                time.sleep(0.1)
            asked = time.monotonic()
            (found,) = client.get(path).json()["items"]
            milliseconds = (time.monotonic() - asked) * 1_000
    if found != row:
        raise NotShown("a look-up by API key shows another row than the source")
    return f"A row looked up over HTTP by API key, cut and masked as delivered, in {milliseconds:.1f} ms"


@contextmanager
def _granted(exchange: Exchange, sample: SampleGrant, **more: Any) -> Iterator[dict[str, Any]]:
    """A grant like a sample's, delivered otherwise; revoked in the end."""
    grant = exchange.ask("POST", "demand", "/grants", {**sample.request, **more})
    try:
        yield grant
    finally:
        exchange.ask("DELETE", "demand", f"/grants/{grant['id']}")


def _held(database: psycopg.Connection[Any], sample: SampleGrant) -> dict[Any, dict[str, Any]]:
    items = list(sample.request["items"])
    query = sql.SQL("select {} from {}").format(
        sql.SQL(", ").join(map(sql.Identifier, items)), sql.Identifier(_SCHEMA, _TABLE)
    )
    try:
        with database.cursor(row_factory=dict_row) as cursor:
            return {(row[items[0]],): row for row in cursor.execute(query)}
    except psycopg.errors.UndefinedTable:
        return {}


def _owner(sample: SampleGrant) -> Department:
    return _department(RESOURCES[sample.request["resource"]]["department"])


def _department(slug: str) -> Department:
    return next(one for one in DEPARTMENTS if one.slug == slug)
