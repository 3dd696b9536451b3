"""The exports over HTTP: what is in force is in them, in the formats that other tools read."""

from __future__ import annotations

import io
import json

import httpx
import openpyxl
import rdflib
import yaml

from cli.exchange import Exchange
from tests.road.catalog.office import Place
from tests.road.town import Town


def export(exchange: Exchange, name: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {exchange.home.secret('operator_token')}"}
    answer = httpx.get(f"{exchange.url('catalog')}/exports/{name}", headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"]
    return answer


def test_what_is_in_force_is_in_every_export(exchange: Exchange, town: Town) -> None:
    table = town.table({"id": "text", "name": "text"})
    grant = town.live_grant(table, ["id"])
    catalogue = rdflib.Graph().parse(data=export(exchange, "dcat.ttl").text, format="turtle")
    assert any(str(subject).endswith(f"/resources/{table.code}") for subject in catalogue.subjects())
    linked = rdflib.Graph().parse(data=export(exchange, "dcat.jsonld").text, format="json-ld")
    assert len(linked) == len(catalogue)
    cells = {
        str(cell)
        for sheet in openpyxl.load_workbook(io.BytesIO(export(exchange, "catalogue.xlsx").content)).worksheets
        for row in sheet.iter_rows(values_only=True)
        for cell in row
    }
    assert f"测试资源 {table.code}" in cells
    topics = json.loads(export(exchange, "asyncapi").text)["channels"]
    assert {table.topic, grant["topic"]} <= {channel["address"] for channel in topics.values()}
    events = [json.loads(line) for line in export(exchange, "openlineage").text.splitlines()]
    assert any(output["name"] == grant["topic"] for event in events for output in event["outputs"])
    contract = yaml.safe_load(export(exchange, f"odcs/{table.code}").text)
    assert [item["name"] for item in contract["schema"][0]["properties"]] == ["id", "name"]


def test_a_department_sees_its_own_share_topics_only(exchange: Exchange, town: Town, place: Place) -> None:
    table = town.table({"id": "text"})
    grant = town.live_grant(table, ["id"], "civil_affairs")
    stranger = place.caller("consumer", department="medical_insurance")
    told = stranger.get("/exports/asyncapi").text
    assert grant["topic"] not in told and table.topic in told
    assert stranger.get("/exports/openlineage").status_code == 403
