"""Contracts: every version is in the registry, and nothing breaks for consumers who were not told in time."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from cli.exchange import Exchange
from tests.road.catalog.office import Office, Place, item, key_item
from tests.road.town import OWNER, Town, eventually


def registered(exchange: Exchange, subject: str) -> dict[str, Any]:
    """The newest schema of a subject, by the registry's own word."""
    answer = httpx.get(f"{exchange.registry_url}/subjects/{subject}/versions/latest")
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def test_a_published_version_is_a_documented_schema_in_the_registry(
    place: Place, office: Office, exchange: Exchange
) -> None:
    items = [
        key_item(),
        item("amount", "decimal", length=12, scale=2, description="以元计"),
        item("since", "date"),
        item("seen_at", "timestamp", nullable=False),
    ]
    code = place.published(office, items=items)
    contract = office.consumer.must(office.consumer.get(f"/resources/{code}/contract"))
    kept = registered(exchange, f"contract.{code}.v1-value")
    assert contract["subject"] == f"contract.{code}.v1-value" and contract["schema_id"] == kept["id"]
    fields = {field["name"]: field for field in json.loads(kept["schema"])["fields"]}
    assert contract["row"]["fields"] == list(fields.values())
    assert all(field["doc"] for field in fields.values()) and fields["amount"]["doc"] == "项 amount：以元计"
    assert fields["amount"]["type"] == [
        "null",
        {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2},
    ]
    config = httpx.get(f"{exchange.registry_url}/config/contract.{code}.v1-value").json()
    assert config["compatibilityLevel"] == "FULL"


@pytest.mark.parametrize(
    ("items", "version", "change"),
    [
        ([key_item(), item("name", description="更清楚的说明")], "1.0.1", "patch"),
        ([key_item(), item("name"), item("more")], "1.1.0", "minor"),
        ([key_item(), item("name", nullable=False)], "2.0.0", "major"),
        ([key_item()], "2.0.0", "major"),
        ([key_item(), item("name", "integer")], "2.0.0", "major"),
    ],
    ids=["words", "an item more", "must be there", "an item less", "another type"],
)
def test_what_changes_says_how_far_the_version_moves(
    place: Place, office: Office, items: list[dict[str, Any]], version: str, change: str
) -> None:
    code = place.published(office)
    place.revise(office, code, items=items)
    check = office.provider.must(office.provider.get(f"/resources/{code}/check"))
    assert check["defects"] == [] and check["change"] == change and bool(check["reasons"]) == (change != "patch")
    place.publish(office, code)
    assert office.consumer.get(f"/resources/{code}").json()["contract_version"] == version


def test_a_withdrawn_resource_comes_back_under_its_old_numbers(place: Place, office: Office) -> None:
    code = place.published(office)
    place.reviewer.must(place.reviewer.step(code, "withdraw", "整顿"))
    assert office.consumer.get(f"/resources/{code}").status_code == 404
    office.provider.must(office.provider.step(code, "reopen", "整顿完成"))
    place.write(office, code, items=[key_item()])
    place.publish(office, code)
    back = office.consumer.get(f"/resources/{code}").json()
    assert (back["version"], back["contract_version"]) == (2, "2.0.0")


def test_a_breaking_change_waits_for_those_who_use_it(place: Place, town: Town) -> None:
    table = town.table({"id": "text", "name": "text", "phone": "text"})
    town.grant(table, ["id", "name"])
    provider = place.caller("provider", department=OWNER.slug)
    consumer = place.caller("consumer", department="civil_affairs", language="zh-CN")
    bystander = place.caller("consumer", department="medical_insurance")

    def draft(items: list[str]) -> None:
        read = provider.get(f"/resources/{table.code}")
        terms = read.json()["draft"]
        terms["items"] = [one for one in terms["items"] if one["name"] in items]
        provider.must(provider.put(f"/resources/{table.code}/draft", terms, if_match=read.headers["ETag"]))

    # what the demand side granted is known to the catalogue by its topic, a moment later
    provider.must(provider.step(table.code, "revise"))
    draft(["id", "name"])

    def told() -> list[dict[str, Any]]:
        provider.must(provider.step(table.code, "submit"))
        found: list[dict[str, Any]] = consumer.must(consumer.get("/notices", resource=table.code))
        if not found:
            provider.must(provider.step(table.code, "recall"))
        return found

    (notice,) = eventually(told, lambda found: len(found) == 1, "the notice")
    assert notice["open"] and (notice["from_version"], notice["to_version"]) == ("1.0.0", "2.0.0")
    assert notice["reasons"] == ["信息项“phone”被删除"]
    assert bystander.must(bystander.get("/notices", resource=table.code)) == []
    refused = place.reviewer.step(table.code, "approve")
    assert refused.status_code == 409 and refused.json()["waiting_for"] == ["civil_affairs"]
    path = f"/notices/{notice['id']}/acknowledgements"
    assert bystander.post(path, {"department": "civil_affairs"}).status_code == 404
    assert bystander.post(path, {"department": "medical_insurance"}).status_code == 404
    consumer.must(consumer.post(path, {"department": "civil_affairs"}))
    place.reviewer.must(place.reviewer.step(table.code, "approve"))
    assert consumer.get(f"/resources/{table.code}").json()["contract_version"] == "2.0.0"
    (closed,) = consumer.must(consumer.get("/notices", resource=table.code))
    assert not closed["open"]


def test_rules_are_tried_on_sample_rows_before_they_hold(place: Place, office: Office) -> None:
    items = [key_item("id_number"), item("name"), item("begun", "date"), item("ended", "date"), item("fee", "decimal")]
    rules = [
        {"id": "valid", "kind": "check_digit", "items": ["id_number"], "parameters": {"scheme": "citizen_id"}},
        {"id": "order", "kind": "compare", "items": ["begun", "ended"], "parameters": {"operator": "<="}},
        {"id": "fee", "kind": "range", "items": ["fee"], "parameters": {"min": "0"}, "severity": "warning"},
        {"id": "once", "kind": "unique", "items": ["id_number"]},
        {
            "id": "named",
            "kind": "required",
            "items": ["name"],
            "parameters": {"when": "fee > 100"},
            "message": "大额须有姓名",
        },
    ]
    code = place.published(office, items=items, rules=rules)
    rows = [
        {"id_number": "11010519491231002X", "name": "王", "begun": "2026-01-01", "ended": "2026-01-02", "fee": "1.50"},
        {"id_number": "440524188001010014", "begun": "2026-02-01", "ended": "2026-01-02", "fee": 101},
        {"id_number": "440524188001010014", "fee": "-1"},
        {"id_number": "110105194912310021", "fee": "much", "colour": "red"},
    ]
    tried = office.provider.must(office.provider.post(f"/resources/{code}/trial", {"rows": rows}))
    assert tried["good"] == 1
    assert {(one["row"], one["rule"]) for one in tried["broken"]} == {
        (1, "order"), (1, "named"), (2, "fee"), (2, "once"), (3, "valid"), (3, "type"),
    }  # fmt: skip
    assert {one["detail"] for one in tried["broken"] if one["rule"] == "named"} == {"大额须有姓名"}
    wrong = {
        "rows": rows,
        "rules": [{"id": "x", "kind": "pattern", "items": ["name"], "parameters": {"pattern": "(?<=a)"}}],
    }
    refused = office.provider.post(f"/resources/{code}/trial", wrong)
    assert refused.status_code == 422 and refused.json()["errors"][0]["pointer"] == "/rules/0"


def test_what_is_withdrawn_is_delivered_no_longer_and_its_connector_is_gone(place: Place, town: Town) -> None:
    table = town.table({"id": "text", "name": "text"}, rows=[("1", "甲")])
    grant = town.grant(table, ["id", "name"])
    reader = town.reader(grant)
    reader.await_state({"1": {"id": "1", "name": "甲"}})
    withdrawn = place.reviewer.must(place.reviewer.step(table.code, "withdraw", "不再采集"))
    assert (withdrawn["state"], withdrawn["mount"], withdrawn["published"]) == ("withdrawn", None, None)
    eventually(
        lambda: [key for key, value, _ in place.exchange.read_all("catalog.resources") if value is None],
        lambda gone: table.code.encode() in gone,
        "the tombstone",
    )
    table.run("insert into {t} values ('2', '乙')")
    reader.poll(3)
    assert reader.state() == {"1": {"id": "1", "name": "甲"}}
    reader.close()
