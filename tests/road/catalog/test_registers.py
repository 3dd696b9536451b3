"""The registers: departments, divisions with their history, the category tree, code lists, clocks and the calendar."""

from __future__ import annotations

import uuid

import pytest

from tests.road.catalog.office import Office, Place, government_code, item, key_item, terms_of


@pytest.mark.parametrize("code", ["91350100M000100Y4Z", "11110000000000123", "1111000000000012OP", ""])
def test_a_department_has_a_valid_code(place: Place, code: str) -> None:
    form = {"slug": f"d{uuid.uuid4().hex[:8]}", "uscc": code, "name": "某局", "name_en": "Some Bureau"}
    refused = place.operator.post("/departments", form)
    assert refused.status_code == 422 and refused.json()["errors"][0]["pointer"] == "/uscc"


def test_a_department_is_registered_once(place: Place, office: Office) -> None:
    for form in (
        {"slug": office.slug, "uscc": government_code(), "name": "甲", "name_en": "A"},
        {"slug": "d" + uuid.uuid4().hex[:8], "uscc": office.uscc, "name": "乙", "name_en": "B"},
    ):
        answer = place.operator.post("/departments", form)
        assert answer.status_code == 409 and answer.json()["type"].endswith(":department-exists")


def test_a_division_is_what_it_was_on_a_day_and_leads_to_what_it_is_now(place: Place) -> None:
    api = place.operator
    before = {one["code"] for one in api.must(api.get("/divisions", parent="320600", at="2019-01-01"))["items"]}
    after = {one["code"] for one in api.must(api.get("/divisions", parent="320600", at="2021-01-01"))["items"]}
    assert {"320602", "320611", "320684"} <= before and before.isdisjoint({"320613", "320614"})
    assert {"320613", "320614"} <= after and after.isdisjoint({"320602", "320611", "320684"})
    assert api.must(api.get("/divisions/320611/current"))["code"] == "320613"
    assert api.must(api.get("/divisions/320683/current", at="2015-01-01"))["code"] == "320612"
    assert api.get("/divisions/999999/current").status_code == 404


def test_divisions_are_entered_whole_or_not_at_all(place: Place) -> None:
    good = {"code": "990000", "name": "测试省", "valid_from": "2000-01-01"}
    bad = [
        {"code": "990100", "name": "甲市", "parent": "990200", "valid_from": "2000-01-01"},
        {"code": "990101", "name": "乙区", "parent": "990000", "valid_from": "2000-01-01", "valid_to": "1999-01-01"},
        {"code": "990000", "name": "又一个", "valid_from": "2005-01-01"},
    ]
    refused = place.operator.post("/divisions", {"divisions": [good, *bad]})
    pointers = {error["pointer"] for error in refused.json()["errors"]}
    assert refused.status_code == 422
    assert pointers >= {"/divisions/1/parent", "/divisions/2/valid_to", "/divisions/3/valid_from"}
    assert place.operator.get("/divisions/990000").status_code == 404


def test_the_category_tree_has_no_circles_and_four_levels(place: Place) -> None:
    api = place.operator
    for code, parent in (("9", None), ("901", "9"), ("901001", "901"), ("9010011", "901001")):
        api.post("/categories", {"code": code, "parent": parent, "name": f"分类 {code}"})
    deeper = api.post("/categories", {"code": "90100111", "parent": "9010011", "name": "太深"})
    assert deeper.status_code == 422
    for parent in ("9", "901", "9010011"):
        circle = api.put("/categories/9", {"parent": parent, "name": "九"}, if_match="*")
        assert circle.status_code == 422 and circle.json()["type"].endswith(":category-cycle")
    assert api.post("/categories", {"code": "9023", "parent": "9", "name": "宽度不对"}).status_code == 422
    used = api.request("DELETE", "/categories/901", headers={"If-Match": "*"})
    assert used.status_code == 409


def test_codes_follow_the_scheme_of_the_place_and_never_come_twice(place: Place) -> None:
    office = place.office()
    codes = []
    for scheme in ("national", "national", "departmental"):
        place.operator.must(place.operator.put("/place/code-scheme", {"value": scheme}, if_match="*"))
        made = office.provider.must(office.provider.post("/resources", terms_of(office)), 201)
        codes.append(made["catalogue_code"])
    place.operator.must(place.operator.put("/place/code-scheme", {"value": "national"}, if_match="*"))
    numbers = [int(code.split("/")[1]) for code in codes]
    assert codes[0].startswith("101/") and numbers[1] > numbers[0] and codes[2] == f"{office.uscc}/000001"


def test_the_calendar_of_the_place_moves_open_clocks(place: Place) -> None:
    office = place.office()
    terms = terms_of(office)
    office.provider.must(office.provider.post("/resources", terms), 201)
    (task,) = office.provider.must(office.provider.step(terms["code"], "submit"))["tasks"]
    due = task["due_on"]
    try:
        place.operator.must(
            place.operator.put(f"/place/calendar/{due}", {"working": False, "name": "停工"}, if_match="*")
        )
        (moved,) = office.provider.must(office.provider.get("/tasks"))
        assert moved["due_on"] > due
    finally:
        place.operator.must(place.operator.put(f"/place/calendar/{due}", {"working": True}, if_match="*"))
    (back,) = office.provider.must(office.provider.get("/tasks"))
    assert back["due_on"] == due


def test_a_code_list_bounds_what_an_item_may_be(place: Place, office: Office) -> None:
    name = f"list {uuid.uuid4().hex[:6]}"
    place.operator.must(place.operator.put(f"/code-lists/{name}", {"entries": {"1": "男性", "2": "女性"}}))
    assert place.operator.put(f"/code-lists/{name}", {"entries": {"1": "男"}}).status_code == 428
    rules = [
        {"id": "sex", "kind": "code_list", "items": ["sex"], "parameters": {"list": name}},
        {"id": "region", "kind": "code_list", "items": ["region"], "parameters": {"list": "GB/T 2260"}},
    ]
    items = [key_item(), item("sex", code_list=name), item("region")]
    code = place.published(office, items=items, rules=rules)
    rows = [{"id": "1", "sex": "1", "region": "320612"}, {"id": "2", "sex": "3", "region": "320611"}]
    tried = office.provider.must(office.provider.post(f"/resources/{code}/trial", {"rows": rows}))
    assert {(one["row"], one["rule"]) for one in tried["broken"]} == {(1, "sex"), (1, "region")}
    form = terms_of(office, items=[key_item(), item("sex", code_list="nothing like it")])
    office.provider.must(office.provider.post("/resources", form), 201)
    assert office.provider.step(form["code"], "submit").json()["errors"][0]["pointer"] == "/items/1/code_list"
