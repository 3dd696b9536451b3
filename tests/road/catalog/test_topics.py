"""What the catalogue tells the others: all that is published, enough to build the catalogue again, and nothing else."""

from __future__ import annotations

import io
import json
import uuid
from typing import Any

import fastavro

from cli.exchange import Exchange
from services.catalog.domain.resource import PublishedResource
from services.core.avro import load
from tests.road.catalog.office import Api, Office, Place, item, key_item, terms_of
from tests.road.town import eventually


def states(exchange: Exchange, topic: str) -> dict[str, dict[str, Any]]:
    """The last value of each key, as any reader of the topic holds it; read with the topic's newest schema."""
    reader = fastavro.parse_schema(load(topic))
    found: dict[str, dict[str, Any]] = {}
    for key, value, _ in exchange.read_all(topic):
        if value is None:
            found.pop(key.decode(), None)
        else:
            found[key.decode()] = exchange.registry.decode(value, reader)[1]
    return found


def events(exchange: Exchange) -> list[dict[str, Any]]:
    decoded = (exchange.registry.decode(value)[1] for _, value, _ in exchange.read_all("catalog.events") if value)
    return list(decoded)


def every(api: Api, path: str) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    found, cursor = [], None
    while True:
        page = api.must(api.get(path, limit=200, **({"cursor": cursor} if cursor else {})))
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found


class Rebuilt:
    """A catalogue built from the topics alone."""

    def __init__(self, exchange: Exchange) -> None:
        self.departments: dict[str, dict[str, str]] = {}
        self.systems: dict[str, dict[str, str]] = {}
        self.categories: dict[str, dict[str, str]] = {}
        registers = {"department": self.departments, "system": self.systems, "category": self.categories}
        for event in events(exchange):
            what, _, done = event["type"].removeprefix("cn.tongshu.catalog.").removesuffix(".v1").partition("_")
            if what in registers and done == "removed":
                registers[what].pop(event["subject"], None)
            elif what in registers:
                registers[what].setdefault(event["subject"], {}).update(event["data"])
        self.lists = states(exchange, "catalog.lists")
        self.resources = {
            code: PublishedResource.from_record(record)
            for code, record in states(exchange, "catalog.resources").items()
        }


def test_the_catalogue_can_be_built_again_from_its_topics(place: Place, exchange: Exchange) -> None:
    office = place.office()
    code = place.published(
        office,
        sharing_type="conditional",
        sharing_conditions="按职责使用",
        openness={"open": False},
        scenario="核验",
        keywords=["婚姻"],
        items=[key_item(), item("fee", "decimal", length=10, scale=2, unit="元", query_key=True)],
        rules=[{"id": "fee", "kind": "range", "items": ["fee"], "parameters": {"min": "0"}}],
        service_level={"max_delay_seconds": 60, "availability_percent": "99.9"},
    )
    other = place.published(office, related=[code])
    gone = place.published(office)
    place.reviewer.must(place.reviewer.step(gone, "withdraw", "重复"))
    _import_lists(office)
    digits = f"3{uuid.uuid4().int % 90 + 10}"
    place.operator.request("DELETE", f"/categories/{digits}", headers={"If-Match": "*"})
    place.operator.must(place.operator.post("/categories", {"code": digits, "parent": "3", "name": "某部门"}), 201)
    place.operator.must(
        place.operator.put(f"/departments/{office.slug}", {"name": "改名局", "name_en": "Renamed"}, if_match="*")
    )

    rebuilt = eventually(
        lambda: Rebuilt(exchange),
        lambda found: (
            other in found.resources
            and found.resources[other].department_name == "改名局"
            and gone not in found.resources
            and digits in found.categories
            and found.lists.get(f"data_items/{office.slug}-d", {}).get("name") == "领证日期"
        ),
        "the topics",
    )
    wanted = {one["code"]: one for one in every(place.caller("auditor"), "/resources") if one["published"]}
    assert set(rebuilt.resources) == set(wanted)
    for name, resource in rebuilt.resources.items():
        shown = wanted[name]
        terms = json.loads(json.dumps(shown["published"]))
        assert (resource.version, resource.contract_version) == (shown["version"], shown["contract_version"])
        assert resource.catalogue_code == shown["catalogue_code"]
        assert (resource.mount is None) == (shown["mount"] is None)
        for field in ("title", "abstract", "department", "sharing_type", "sharing_conditions", "grade", "update_cycle",
                      "scenario", "keywords", "related", "sharing_channels", "legal_basis"):  # fmt: skip
            seen = getattr(resource, field)
            assert (list(seen) if isinstance(seen, tuple) else seen) == terms[field], f"{name}.{field}"
        for mine, theirs in zip(resource.items, terms["items"], strict=True):
            assert {key: getattr(mine, key) for key in theirs} == theirs
        for rule, told in zip(resource.rules, terms["rules"], strict=True):
            assert (rule.id, rule.kind, json.loads(rule.parameters)) == (told["id"], told["kind"], told["parameters"])
    assert [step.code for step in rebuilt.resources[code].category] == ["1", "101"]
    contract = rebuilt.resources[code].contract
    assert contract is not None
    row = {"id": "1", "fee": None}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(contract.schema)), row)

    known = {one["slug"]: one for one in every(place.operator, "/departments")}
    for slug, facts in rebuilt.departments.items():
        assert {key: known[slug][key] or "" for key in facts} == facts
    assert set(known) == set(rebuilt.departments)
    _lists_are_those_of(place, rebuilt.lists)
    systems = {one["code"]: one for one in every(place.operator, "/systems")}
    assert set(systems) == set(rebuilt.systems)


def _import_lists(office: Office) -> None:
    """A power, a service item under it and two data items, one of which is then imported again under another name."""
    slug = office.slug
    files = [
        ("powers", f"编码,权力名称,权力类型,设定依据\n{slug}-p,婚姻登记,行政确认,婚姻登记条例\n"),
        ("service-items", f"编码,事项名称,所属权力编码\n{slug}-s,结婚登记,{slug}-p\n"),
        ("data-items", f"编码,数据项名称,所属事项编码,产生或需要\n{slug}-d,登记日期{slug},{slug}-s,产生\n"
                       f"{slug}-n,户籍所在地,{slug}-s,需要\n"),
        ("data-items", f"编码,数据项名称,所属事项编码,产生或需要\n{slug}-d,领证日期,{slug}-s,需要\n"),
    ]  # fmt: skip
    for kind, text in files:
        answer = office.provider.send(f"/departments/{slug}/lists/{kind}/imports", text.encode())
        office.provider.must(answer, 201)


def _lists_are_those_of(place: Place, lists: dict[str, dict[str, Any]]) -> None:
    """The topic holds every line that the API shows, and nothing else."""
    told = {}
    for kind, renamed in (("powers", {"power_kind": "kind"}), ("service-items", {}), ("data-items", {})):
        for line in every(place.operator, f"/lists/{kind}"):
            mine = lists[f"{kind.replace('-', '_')}/{line['code']}"]
            told[f"{mine['list']}/{mine['code']}"] = mine
            shown = {renamed.get(name, name): value for name, value in mine.items()}
            assert {name: shown[name] for name in line} == line
    assert told == lists


def test_nothing_of_a_draft_is_in_any_topic_until_it_is_published(place: Place, exchange: Exchange) -> None:
    office = place.office()
    secret = f"未公开{uuid.uuid4().hex}"
    form = terms_of(office, title=secret, abstract=secret, items=[{**key_item(), "title": secret}])
    office.provider.must(office.provider.post("/resources", form), 201)
    office.provider.must(office.provider.step(form["code"], "submit"))
    place.reviewer.must(place.reviewer.step(form["code"], "return", f"{secret}：请修改"))
    office.provider.must(office.provider.step(form["code"], "submit"))
    place.reviewer.must(place.reviewer.step(form["code"], "approve"))
    hidden = f"修订{uuid.uuid4().hex}"
    place.revise(office, form["code"], title=hidden, items=[{**key_item(), "title": hidden}])
    office.provider.must(office.provider.step(form["code"], "submit"))

    def told() -> list[str]:
        return [event["type"].split(".")[3] for event in events(exchange) if event["subject"] == form["code"]]

    wanted = ["resource_drafted", "resource_submitted", "resource_returned", "resource_submitted",
              "resource_published", "revision_begun", "resource_submitted"]  # fmt: skip
    eventually(told, lambda found: found == wanted, "the events")
    assert states(exchange, "catalog.resources")[form["code"]]["title"] == secret
    for topic in ("catalog.resources", "catalog.events"):
        held = b"".join((key or b"") + (value or b"") for key, value, _ in exchange.read_all(topic))
        assert hidden.encode() not in held
        if topic == "catalog.events":
            assert secret.encode() not in held
    outsider = place.office().consumer
    for path in (f"/resources/{form['code']}", f"/resources/{form['code']}/versions/1", "/resources?limit=500"):
        assert hidden not in outsider.get(path).text


def test_who_may_call_is_told_to_the_other_services_without_the_secret(place: Place, exchange: Exchange) -> None:
    office: Office = place.office()
    form = {"name": "某系统", "department": office.slug, "roles": ["consumer"]}
    made = place.operator.must(place.operator.post("/tokens", form), 201)
    eventually(lambda: states(exchange, "catalog.identities"), lambda found: made["id"] in found, "the identity")
    place.operator.must(place.operator.request("DELETE", f"/tokens/{made['id']}"))
    told = eventually(
        lambda: states(exchange, "catalog.identities")[made["id"]], lambda state: state["revoked"], "the end of it"
    )
    assert (told["department"], told["roles"]) == (office.slug, ["consumer"])
    secret = made["token"].split("_", 2)[2].encode()
    for topic in ("catalog.identities", "catalog.events"):
        assert all(secret not in (value or b"") for _, value, _ in exchange.read_all(topic))
