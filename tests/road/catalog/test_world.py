"""The catalogue that the demo fills: believable, found, exported; and filled once however often it is asked for."""

from __future__ import annotations

import io
from collections import Counter
from typing import Any

import openpyxl
import rdflib
from rdflib.namespace import DCAT, RDF

from cli.demo.catalogue import fill, world
from cli.demo.grants import RESOURCES
from cli.demo.stage import server_of
from cli.exchange import Exchange
from tests.road.catalog.office import Place
from tests.road.catalog.test_exports import export
from tests.road.town import Town


def found(exchange: Exchange, **query: str) -> list[str]:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return [hit["code"] for hit in exchange.ask("GET", "catalog", f"/search?{asked}")["items"]]


def test_the_demo_fills_a_catalogue_that_is_found_and_exported(exchange: Exchange, town: Town, place: Place) -> None:
    entries = {entry.code: entry for entry in world().entries()}
    counts = fill(exchange, server_of(exchange))
    assert counts == (len(entries) + len(RESOURCES), len(world().providers))
    first = {code: exchange.ask("GET", "catalog", f"/resources/{code}") for code in entries}
    assert fill(exchange, server_of(exchange)) == counts
    again = {code: exchange.ask("GET", "catalog", f"/resources/{code}") for code in entries}
    assert again == first, "the second time changes nothing"

    lives = {code: (one["state"], one["version"]) for code, one in first.items()}
    assert lives == {code: (one.state, one.versions) for code, one in entries.items()}
    assert Counter(one["catalogue_code"] for one in first.values()).most_common(1)[0][1] == 1
    assert {code for code, one in first.items() if one["mount"]} == {code for code, one in entries.items() if one.mount}
    for code, one in first.items():
        if one["draft"]:  # nothing was published but through the same check
            assert exchange.ask("GET", "catalog", f"/resources/{code}/check")["defects"] == [], code
    for code, entry in entries.items():
        if entry.versions == 2:
            told = exchange.ask("GET", "catalog", f"/resources/{code}/differences?before=1&after=2")
            assert any("update_cycle" in one["pointer"] and one["words"] for one in told), code

    assert "marriage" in found(exchange, q="hunyindengji")
    assert "residence_registration" in found(exchange, q="jzdj")
    assert "real_estate_title" in found(exchange, q="房产证")
    assert "household_income" not in found(exchange, q="居民收入支出统计")

    in_force = {code for code, one in first.items() if one["published"]} | set(RESOURCES)
    graph = rdflib.Graph().parse(data=export(exchange, "dcat.ttl").text, format="turtle")
    described = {str(subject).rpartition("/")[2] for subject in graph.subjects(RDF.type, DCAT.Dataset)}
    assert in_force <= described and "credit_evaluation" not in described
    book = openpyxl.load_workbook(io.BytesIO(export(exchange, "catalogue.xlsx").content), read_only=True)
    cells: set[Any] = {cell for sheet in book for row in sheet.iter_rows(values_only=True) for cell in row}
    assert {one["published"]["title"] for one in first.values() if one["published"]} <= cells
