"""Searching over HTTP: a resource is found from the moment it is published until it is withdrawn, and only then."""

from __future__ import annotations

import importlib
import random
import uuid
from typing import Any

import pytest
from pypinyin import lazy_pinyin

from cli.exchange import Exchange
from services.catalog import search
from services.core import db
from tests.road.catalog.office import Api, Place
from tests.road.town import OWNER, Town, eventually


def hits(api: Api, text: str, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.must(api.get("/search", q=text, **more))["items"]
    return found


def codes(api: Api, text: str) -> list[str]:
    return [hit["code"] for hit in hits(api, text)]


def test_a_resource_is_found_while_it_is_in_force_and_by_what_is_in_force(place: Place) -> None:
    office = place.office()
    first, second = uuid.uuid4().hex[:8], uuid.uuid4().hex[:8]
    code = place.published(office, title=f"殡葬服务信息{first}", abstract=f"摘要{first}")
    assert codes(office.consumer, first) == [code]
    place.revise(office, code, title=f"殡葬服务信息{second}", abstract=f"摘要{second}")
    assert (codes(office.provider, first), codes(office.provider, second)) == ([code], []), "a draft must not be found"
    place.publish(office, code)
    assert (codes(office.consumer, first), codes(office.consumer, second)) == ([], [code])
    office.provider.must(office.provider.step(code, "withdraw", "不再共享"))
    assert codes(office.consumer, second) == []


def test_a_process_that_is_warm_has_its_dictionary(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    index = importlib.import_module("services.catalog.search.index")  # the package gives that name to a function
    monkeypatch.setattr(index, "_cutters", {})
    here = db.sessions(db.engine(exchange.settings, "catalog"))
    with here() as session:
        search.warm(session)
        with monkeypatch.context() as patch:
            patch.setattr(index, "Cutter", None)  # whoever loads it again fails
            search.search(session, "婚姻登记")


def test_what_changes_around_a_resource_is_found_too(place: Place) -> None:
    office = place.office()
    code = place.published(office)
    mark = f"殡仪馆{uuid.uuid4().hex[:8]}"
    form = {"name": mark, "name_en": "Funeral home", "division": None}
    place.operator.must(place.operator.put(f"/departments/{office.slug}", form, if_match="*"))
    (hit,) = hits(office.consumer, mark)
    assert (hit["code"], hit["department_name"]) == (code, mark)


def test_a_place_adds_words_of_its_own(place: Place) -> None:
    office = place.office()
    # no dictionary has two of these beside one another
    word = "".join(random.sample("鑫淼焱垚犇骉羴猋鱻毳", 4))
    code = place.published(office, title=f"申请{word}用户")
    assert place.operator.post("/place/words", {"words": [word, "a b"]}).json()["errors"][0]["pointer"] == "/words/1"
    assert word in place.operator.must(place.operator.post("/place/words", {"words": [word]}))["items"]
    assert word in office.consumer.must(office.consumer.get("/place/words"))["items"]
    sound = "".join(lazy_pinyin(word))
    assert [codes(office.consumer, text) for text in (word, sound)] == [[code], [code]]


def test_related_resources_and_suggestions_are_of_what_is_in_force(place: Place) -> None:
    office = place.office()
    mark = f"测绘成果{uuid.uuid4().hex[:6]}"
    one, other = place.published(office, title=f"{mark}甲"), place.published(office, title=f"{mark}乙")
    draft = place.published(office, title=f"{mark}丙")
    office.provider.must(office.provider.step(draft, "withdraw", "不再共享"))
    related = place.operator.must(place.operator.get(f"/resources/{one}/related", limit=50))["items"]
    assert all(relation["code"] not in (one, draft) and relation["reasons"] for relation in related)
    assert place.operator.get("/resources/r0000000000/related").status_code == 404
    suggested = place.operator.must(place.operator.get("/suggestions", q=mark))["items"]
    assert {suggestion["code"] for suggestion in suggested} == {one, other}


def test_a_grant_counts_as_a_use_and_shows_in_the_lineage_of_those_who_may_know(place: Place, town: Town) -> None:
    table = town.table({"id": "text", "name": "text"})
    provider = place.caller("provider", department=OWNER.slug)
    bystander = place.caller("consumer", department="medical_insurance")
    consumer = place.caller("consumer", department="civil_affairs")
    assert provider.must(provider.get(f"/resources/{table.code}/uses"))["items"] == []
    grant = town.grant(table, ["id"], "civil_affairs")

    def uses(api: Api) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = api.must(api.get(f"/resources/{table.code}/uses"))["items"]
        return found

    def reached(api: Api, kind: str) -> list[str]:
        nodes = api.must(api.get(f"/resources/{table.code}/lineage"))["nodes"]
        return [node["name"] for node in nodes if node["kind"] == kind]

    (use,) = eventually(lambda: uses(provider), bool, "the use")
    assert (use["grant"], use["department"], use["items"]) == (grant["id"], "civil_affairs", ["id"])
    assert uses(consumer) == [use] and uses(bystander) == []
    assert reached(provider, "changes") == reached(bystander, "changes") == [table.topic]
    assert reached(provider, "delivery") == reached(consumer, "delivery") == [grant["topic"]]
    assert reached(bystander, "delivery") == reached(bystander, "department") == []
    assert bystander.get("/resources/r0000000000/lineage").status_code == 404

    def counted() -> list[int]:
        return [hit["uses"] for hit in hits(bystander, table.code) if hit["code"] == table.code]

    eventually(counted, lambda found: found == [1], "the count of uses")
    town.exchange.ask("DELETE", "demand", f"/grants/{grant['id']}")
    eventually(counted, lambda found: found == [0], "the end of the use")
    assert uses(provider) == []
