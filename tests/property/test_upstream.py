"""Upstream APIs: rows come out of JSON as they went in, whatever the pages; and no private address is reached."""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.domain.upstream import (
    NOTHING,
    Paging,
    PagingKind,
    Upstream,
    at,
    next_parameter,
    pointer_to,
    read,
    rows_in,
)
from services.catalog.upstream import UpstreamFailed, checked_address
from services.core.reach import networks_of
from tests.property.test_drop import TERMS, ZONE, rows

names = st.text(max_size=5)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)


@given(values, st.lists(names, max_size=4))
def test_a_pointer_finds_what_lies_along_its_path_and_nothing_else(value: Any, path: list[str]) -> None:
    wanted = value
    for step in path:
        if isinstance(wanted, dict) and step in wanted:
            wanted = wanted[step]
        elif isinstance(wanted, list) and step.isascii() and step.isdecimal() and int(step) < len(wanted):
            wanted = wanted[int(step)]
        else:
            wanted = NOTHING
            break
    assert at(value, pointer_to(*path)) is wanted


def as_json(row: Mapping[str, Any], *, texts: bool) -> dict[str, Any]:
    """A row as an API may send it: numbers as numbers, or all of it as text."""

    def one(value: Any) -> Any:
        if isinstance(value, bool | None):
            return str(value).lower() if texts and value is not None else value
        if isinstance(value, date | datetime):
            return value.isoformat()
        if isinstance(value, Decimal):
            return str(value) if texts else float(value)
        return str(value) if texts else value

    return {"row": {name: one(value) for name, value in row.items()}}


@given(st.lists(rows, max_size=6), st.booleans(), st.booleans())
def test_rows_come_out_as_they_went_in(given: list[Any], texts: bool, may_be_empty: bool) -> None:
    fields = {item.name: pointer_to("row", item.name) for item in TERMS.items}
    upstream = Upstream(url="http://x", rows="/a/0", fields=fields, may_be_empty=may_be_empty)
    body = json.loads(json.dumps({"a": [[as_json(row, texts=texts) for row in given]]}), parse_float=Decimal)
    found, faults = read(TERMS, upstream, rows_in(upstream, body), ZONE)
    assert list(found.values()) == given
    keys = [(row["id"], row["part"]) for row in given]
    clashes = len(keys) - len(set(keys))
    assert len(faults) == clashes + (not given and not may_be_empty)


@given(
    st.sampled_from(["part", "paid", "share", "live", "born", "seen", "name"]), st.sampled_from([[], {}, "?!", "1x"])
)
def test_what_does_not_fit_is_told_and_never_guessed(name: str, value: Any) -> None:
    if name == "name" and isinstance(value, str):
        value = "\ud800"
    row = {"id": "a", "part": 1, "live": True, name: value}
    found, faults = read(TERMS, Upstream(url="http://x"), [row], ZONE)
    assert [(fault.row, fault.column) for fault in faults] == [(1, name)] and found[1][name] is None
    assert str(value) not in faults[0].words or not value


def test_pages_end() -> None:
    numbered = Paging(kind=PagingKind.PAGE, parameter="p", first=0)
    assert [next_parameter(numbered, {}, held, page) for held, page in (([1], 1), ([1], 2), ([], 3))] == [
        "1",
        "2",
        None,
    ]
    cursor = Paging(kind=PagingKind.CURSOR, parameter="c", pointer="/next")
    told = [next_parameter(cursor, body, [1], 1) for body in ({"next": "x"}, {"next": 7}, {"next": None}, {})]
    assert told == ["x", "7", None, None]
    assert next_parameter(Paging(), {"next": "x"}, [1], 1) is None


def leads_to(*addresses: str) -> Any:
    def resolve(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 80)) for one in addresses]

    return resolve


@given(st.ip_addresses(), st.booleans())
def test_only_public_addresses_are_reached_and_those_of_networks_that_are_allowed(found: Any, listed: bool) -> None:
    allowed = networks_of(f"{found}/{found.max_prefixlen}, 192.0.2.0/24") if listed else []
    plain = getattr(found, "ipv4_mapped", None) or found
    fine = (plain.is_global and not plain.is_multicast) or (listed and plain == found)
    url = httpx.URL("http://somewhere.example/")
    if fine:
        assert checked_address(url, allowed, leads_to(str(found))) == plain
    else:
        with pytest.raises(UpstreamFailed):
            checked_address(url, allowed, leads_to(str(found)))
    # one bad address of a name is enough: which of them a client takes is not to be chosen by the name's owner
    with pytest.raises(UpstreamFailed):
        checked_address(url, [], leads_to("8.8.8.8", "127.0.0.1"))
    assert ipaddress.ip_address("8.8.8.8") == checked_address(url, [], leads_to("8.8.8.8"))
