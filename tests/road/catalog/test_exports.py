"""Exports and imports over HTTP: what is in force goes out in the formats of other tools, and comes back as a draft."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx
import openpyxl
import rdflib
import yaml

from cli.exchange import Exchange
from services.catalog.exports.contract_yaml import MAX_BYTES
from tests.road.catalog.office import Api, Place, item, key_item
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


RICH: dict[str, Any] = {
    "title": "不动产权证信息",
    "sharing_type": "conditional",
    "sharing_conditions": "用于入学、落户核验",
    "sharing_channels": ["api", "topic"],
    "legal_basis": "《不动产登记暂行条例》第二十五条",
    "grade": "important",
    "grade_level": 1,
    "scenario": "核验房产",
    "keywords": ["房产证", "不动产"],
    "openness": {"open": False},
    "provision_channel": "政务外网",
    "service_level": {"max_delay_seconds": 60, "availability_percent": "99.9", "retention_days": 365},
    "items": [
        {**key_item("holder_id"), "length": 18, "sensitivity": "personal", "standard": "GB 11643", "query_key": True},
        item("area", "decimal", length=16, scale=2, unit="平方米", description="证载面积"),
        item("region", code_list="GB/T 2260"),
    ],
    "rules": [
        {"id": "holder_valid", "kind": "check_digit", "items": ["holder_id"], "parameters": {"scheme": "citizen_id"}},
        {"id": "area_given", "kind": "required", "items": ["area"], "severity": "warning", "message": "缺少面积"},
    ],
}  # fmt: skip


def send_contract(caller: Api, document: bytes, query: str = "", **headers: str) -> httpx.Response:
    return caller.send(f"/resources/imports/odcs{query}", document, "application/yaml", **headers)


def test_an_exported_contract_comes_back_as_the_draft_of_another_resource(exchange: Exchange, place: Place) -> None:
    office = place.office()
    code = place.published(office, **RICH)
    document = export(exchange, f"odcs/{code}").content
    made = send_contract(office.provider, document, f"?code=x{code}")
    answer = office.provider.must(made, 201)
    assert answer["resource"]["state"] == "draft" and answer["left_out"] == []
    assert made.headers["location"] == f"/api/catalog/v1/resources/x{code}"
    place.publish(office, f"x{code}")
    before, after = (place.operator.get(f"/resources/{one}").json()["published"] for one in (code, f"x{code}"))
    assert after == {**before, "code": f"x{code}"}
    again = export(exchange, f"odcs/x{code}").content
    assert again.replace(f"x{code}".encode(), code.encode()) == document


def test_a_contract_of_a_resource_that_is_there_becomes_its_revision(exchange: Exchange, place: Place) -> None:
    office = place.office()
    code = place.published(office, **RICH)
    changed = export(exchange, f"odcs/{code}").content.replace("证载面积".encode(), "登记面积".encode())
    assert send_contract(office.provider, changed).status_code == 428
    assert send_contract(office.provider, changed, if_match='"1"').status_code == 412
    read = office.provider.get(f"/resources/{code}").headers["ETag"]
    revised = office.provider.must(send_contract(office.provider, changed, if_match=read), 200)["resource"]
    assert revised["state"] == "in_revision" and revised["draft"]["items"][1]["description"] == "登记面积"
    assert revised["published"]["items"][1]["description"] == "证载面积", (
        "what is in force stays so until it is reviewed"
    )
    office.provider.must(send_contract(office.provider, changed, if_match="*"), 200)
    office.provider.must(office.provider.step(code, "submit"))
    assert send_contract(office.provider, changed, if_match="*").json()["type"].endswith(":not-editable")


def test_a_contract_with_anything_wrong_changes_nothing_and_is_told_in_both_languages(
    exchange: Exchange, place: Place
) -> None:
    office, other = place.office(), place.office()
    code = place.published(office, **RICH)
    good = yaml.safe_load(export(exchange, f"odcs/{code}").content)
    before = office.provider.get(f"/resources/{code}")

    def refused(**changes: Any) -> tuple[int, set[str]]:
        document = yaml.safe_dump({**good, **changes}).encode()
        answer = send_contract(office.provider, document, if_match="*")
        assert answer.headers["content-type"].startswith("application/problem+json")
        return answer.status_code, {error["pointer"] for error in answer.json().get("errors", ())}

    assert refused(apiVersion="v2.2.2", kind="DataProduct") == (422, {"/apiVersion", "/kind"})
    assert refused(name="长" * 201, tags=["", "好"]) == (422, {"/title", "/keywords/0"})
    custom = [one for one in good["customProperties"] if one["property"] != "grade"]
    assert refused(customProperties=[*custom, {"property": "grade", "value": "core"}]) == (422, {"/grade"})
    assert refused(customProperties=custom) == (422, {"/customProperties"})
    chinese = place.caller("provider", department=office.slug, language="zh-CN")
    told = send_contract(chinese, b"apiVersion: v2.2.2", if_match="*").json()
    assert told["title"] == "合约无法导入" and "不支持 v2.2.2" in told["detail"]
    assert send_contract(office.provider, b"a: &a [*a]").status_code == 422
    assert send_contract(office.provider, b"x" * (MAX_BYTES + 1)).status_code == 413
    # neither a document of another department, nor one's own under another's code
    document = yaml.safe_dump(good).encode()
    assert send_contract(other.provider, document, "?code=taken_over").status_code == 403
    named = {one["property"]: one for one in good["customProperties"]}
    named["department"]["value"] = other.slug
    clash = send_contract(other.provider, yaml.safe_dump(good).encode(), if_match="*")
    assert clash.status_code == 409 and clash.json()["type"].endswith(":resource-exists")
    after = office.provider.get(f"/resources/{code}")
    assert (after.json(), after.headers["ETag"]) == (before.json(), before.headers["ETag"])
