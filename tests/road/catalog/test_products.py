"""Data products: what consumers hold is what the view says of what its department was granted, and never more."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from cli.demo.stage import publish
from cli.exchange import Refused
from services.core import workroom
from services.core.settings import Settings
from tests.road.catalog.office import Api, Place
from tests.road.town import Table, Town, eventually, resource_of

MAKER, CONSUMER, OTHER = "civil_affairs", "medical_insurance", "market_supervision"
OFFERED = {"sharing_channels": ["topic", "product"]}
VIEW = """
WITH paying AS (SELECT house, count(*) AS payers FROM person WHERE paid > 0 GROUP BY house)
SELECT h.id, h.region,
       count(p.id) AS people,
       coalesce(sum(p.paid), 0) AS paid,
       max(k.payers) AS payers,
       min(p.name) AS first_name
FROM house h
LEFT JOIN person p ON p.house = h.id
LEFT JOIN paying k ON k.house = h.id
GROUP BY h.id, h.region
"""
ITEMS: list[dict[str, Any]] = [
    {"name": "id", "title": "户号", "type": "string", "key": True, "nullable": False},
    {"name": "region", "title": "区划", "type": "string"},
    {"name": "people", "title": "人数", "type": "integer", "nullable": False},
    {"name": "paid", "title": "缴费合计", "type": "decimal", "length": 18, "scale": 2, "nullable": False},
    {"name": "payers", "title": "缴费人数", "type": "integer"},
    {"name": "name", "title": "姓名", "type": "string", "column": "first_name"},
]


@dataclass(frozen=True, slots=True)
class Homes:
    """Two tables of the owning department, and grants of both for products of another one."""

    town: Town
    persons: Table
    houses: Table
    grants: dict[str, dict[str, Any]]

    @property
    def inputs(self) -> dict[str, str]:
        return {name: grant["id"] for name, grant in self.grants.items()}

    def product(self, sql: str = VIEW, **inputs: str) -> dict[str, Any]:
        return {"sql": sql, "inputs": inputs or self.inputs}

    def rows(self, table: Table) -> list[tuple[Any, ...]]:
        return table.connection.execute(f"select * from {table.name}".encode()).fetchall()

    def expected(self) -> dict[str, dict[str, Any]]:
        """The view, evaluated in plain Python over what the tables hold."""
        persons = self.rows(self.persons)
        found = {}
        for key, region in self.rows(self.houses):
            living = [(name, paid) for _, name, house, paid in persons if house == key]
            paying = sum(1 for _, paid in living if paid is not None and paid > 0)
            names = [name for name, _ in living if name is not None]
            found[key] = {
                "id": key,
                "region": region,
                "people": len(living),
                "paid": sum((paid for _, paid in living if paid is not None), Decimal("0.00")),
                "payers": paying or None,
                "name": min(names) if names else None,
            }
        return found


@pytest.fixture(scope="module")
def homes(town: Town) -> Homes:
    persons = town.table(
        {"id": "text", "name": "text", "house": "text", "paid": "numeric(18,2)"},
        rows=[("p1", "wang", "h1", Decimal("1.50")), ("p2", "li", "h1", None), ("p3", "zhao", "h2", Decimal(0))],
        **OFFERED,
    )
    houses = town.table({"id": "text", "region": "text"}, rows=[("h1", "320612"), ("h2", "320602")], **OFFERED)
    grants = {
        "person": town.live_grant(persons, ["id", "name", "house", "paid"], MAKER, channels=["product"]),
        "house": town.live_grant(houses, ["id", "region"], MAKER, channels=["product"]),
    }
    return Homes(town, persons, houses, grants)


@dataclass(frozen=True, slots=True)
class Maker:
    """A provider of the department that makes products, and a resource that is to be one."""

    api: Api
    table: Table

    def path(self, rest: str = "") -> str:
        return f"/resources/{self.table.code}/mount{rest}"

    def preview(self, product: Mapping[str, Any]) -> Any:
        return self.api.must(self.api.post(self.path("/product/preview"), {"product": product}))

    def sound(self, product: Mapping[str, Any]) -> Any:
        """What the wizard shows once all that the view reads has come."""
        return eventually(lambda: self.preview(product), lambda told: told["defects"] == [], "a sound preview")

    def mount(self, product: Mapping[str, Any]) -> Any:
        form = {"kind": "product", "system": MAKER, "product": product}
        return self.api.must(self.api.put(self.path(), form, if_match="*"))

    def status(self) -> Any:
        return self.api.must(self.api.get(self.path()))

    def await_kinds(self, kinds: list[str]) -> Any:
        def found() -> Any:
            return self.status()

        return eventually(found, lambda told: [one["kind"] for one in told["findings"]] == kinds, f"{kinds}")


def make(town: Town, place: Place, items: list[dict[str, Any]] = ITEMS, **terms: Any) -> Maker:
    code = f"v{uuid.uuid4().hex[:10]}"
    town.exchange.ask("POST", "catalog", "/resources", resource_of(code, items, department=MAKER, **terms))
    publish(town.exchange, code)
    table = Table(town.exchange, None, code, "", f"cdc.{MAKER}.{code}")  # type: ignore[arg-type]
    return Maker(place.caller("provider", department=MAKER), table)


@pytest.fixture
def maker(town: Town, place: Place) -> Iterator[Maker]:
    made = make(town, place)
    yield made
    made.api.request("DELETE", made.path(), headers={"If-Match": "*"})


def test_consumers_hold_what_the_view_says_whatever_becomes_of_its_inputs(
    town: Town, homes: Homes, maker: Maker
) -> None:
    maker.sound(homes.product())
    mounted = maker.mount(homes.product())
    assert mounted["mount"]["inputs"] == sorted([homes.persons.code, homes.houses.code])
    reader = town.reader(town.live_grant(maker.table, [one["name"] for one in ITEMS], CONSUMER))
    reader.await_state(homes.expected())
    chance = random.Random(809)
    for _ in range(6):
        for _ in range(chance.randrange(1, 6)):
            key, house = f"p{chance.randrange(8)}", f"h{chance.randrange(4)}"
            name = chance.choice(["sun", "zhou", None])
            paid = chance.choice([None, Decimal(0), Decimal("7.25"), Decimal("-1.00")])
            match chance.randrange(6):
                case 0:
                    homes.persons.run("delete from {t} where id = %s", key)
                case 1:
                    homes.houses.run("delete from {t} where id = %s", house)
                case 2:
                    homes.houses.run(
                        "insert into {t} values (%s, %s) on conflict (id) do update set region = excluded.region",
                        house, chance.choice(["320612", "320602"]),
                    )  # fmt: skip
                case _:
                    homes.persons.run(
                        "insert into {t} values (%s, %s, %s, %s) on conflict (id) do update set name = excluded.name,"
                        " house = excluded.house, paid = excluded.paid",
                        key, name, house, paid,
                    )  # fmt: skip
        reader.await_state(homes.expected())
    assert town.quarantined(maker.table) == []
    # a row is told anew only where it differs
    counted = len(reader.records)
    homes.persons.run("insert into {t} values ('q', 'x', 'nowhere', 5)")
    homes.houses.run("insert into {t} values ('h9', '320612') on conflict (id) do nothing")
    reader.await_state(homes.expected())
    assert [one.key["id"] for one in reader.records[counted:]] == ["h9"]
    # whoever comes later holds the same
    late = town.reader(town.grant(maker.table, [one["name"] for one in ITEMS], OTHER))
    late.await_state(homes.expected())
    told = maker.await_kinds([])
    assert told["product"]["rows"] == len(homes.expected()) and told["product"]["inputs"] == homes.inputs
    lineage = maker.api.must(maker.api.get(f"/resources/{maker.table.code}/lineage"))
    assert [f"resource:{homes.persons.code}", f"system:{MAKER}"] in lineage["edges"]
    for one in (reader, late):
        one.close()


def test_the_wizard_tells_all_defects_at_once_and_shows_nothing_in_clear(
    town: Town, homes: Homes, place: Place, maker: Maker
) -> None:
    found = maker.sound(homes.product())
    assert found["rows"] and {one["name"]: one["type"] for one in found["columns"]}["paid"] == "numeric"
    origins = {one["name"]: [(o["input"], o["item"]) for o in one["origins"]] for one in found["columns"]}
    assert origins["paid"] == [("person", "paid")] and origins["people"] == [("person", "id")]
    assert origins["payers"] == [] and origins["region"] == [("house", "region")]

    # what is more sensitive, and of a higher grade, than the product says
    guarded = town.table(
        {"id": "text", "phone": "text", "cause": "text"}, rows=[("g1", "13900001111", "SECRET-CAUSE")],
        grade="important", sharing_type="conditional", sharing_conditions="仅用于测试", **OFFERED,
    )  # fmt: skip
    revise(town, guarded.code, items=with_sensitivity(town, guarded.code, phone="personal"))
    masked = {"phone": {"kind": "keep", "first": 3, "last": 4}}
    grant = town.grant(guarded, ["id", "phone"], MAKER, channels=["product"], masks=masked)
    topic_only = town.grant(homes.houses, ["id"], MAKER)
    others = town.grant(homes.houses, ["id"], OTHER, channels=["product"])
    sql = "SELECT g.id, g.cause AS region, g.phone AS first_name, pg_sleep(1) AS people FROM g JOIN t ON t.id = g.phone"

    def told() -> dict[str, list[str]]:
        answer = maker.preview({"sql": sql, "inputs": {"g": grant["id"], "t": topic_only["id"], "o": others["id"]}})
        assert answer["rows"] == []
        by_pointer: dict[str, list[str]] = {}
        for one in answer["defects"]:
            by_pointer.setdefault(one["pointer"], []).append(one["detail"])
        return by_pointer

    found = eventually(told, lambda seen: "channel product" in str(seen.get("/product/inputs/t")), "the grants")
    assert found["/product/inputs/o"] == ["the department holds no such grant"]
    joined = "; ".join(found["/product/sql"])
    for wrong in ("g.cause is not granted; there are: id, phone", "PG_SLEEP", "g.phone is masked by its grant"):
        assert wrong in joined

    view = "SELECT g.id, g.phone AS first_name, 'one' AS people, 'x' AS region, g.id AS extra FROM g"
    form = {"sql": view, "inputs": {"g": grant["id"]}}
    answer = eventually(lambda: maker.preview(form), lambda seen: seen["rows"] != [], "rows of the guarded table")
    assert {one["pointer"] for one in answer["defects"]} == {
        "/grade", "/sharing_type", "/items/2/type", "/items/3/column", "/items/4/column", "/items/5/sensitivity",
        "/product/sql",
    }  # fmt: skip
    assert "important" in str(answer["defects"]) and "g.phone" in str(answer["defects"])
    assert "13900001111" not in json.dumps(answer) and "SECRET" not in json.dumps(answer)
    chinese = place.caller("provider", department=MAKER, language="zh-CN")
    answer = chinese.must(chinese.post(maker.path("/product/preview"), {"product": {**form, "sql": "DELETE FROM g"}}))
    assert [one["detail"] for one in answer["defects"]] == ["须为一条 SELECT 语句"]
    # mounting says the same
    refused = maker.api.put(maker.path(), {"kind": "product", "system": MAKER, "product": form}, if_match="*")
    assert refused.status_code == 422 and len(refused.json()["errors"]) == 7
    # a grant for products is not given of what its provider does not offer for them
    with pytest.raises(Refused, match="does not offer"):
        town.grant(maker.table, ["id"], CONSUMER, channels=["product"])


def test_a_product_halts_when_an_input_is_no_longer_granted_or_becomes_stricter(
    town: Town, homes: Homes, place: Place
) -> None:
    source = town.table({"id": "text", "note": "text"}, rows=[("a", "one")], **OFFERED)
    grant = town.live_grant(source, ["id", "note"], MAKER, channels=["product"])
    items = [{**ITEMS[0]}, {"name": "note", "title": "备注", "type": "string"}]
    maker = make(town, place, items)
    product = {"sql": "SELECT id, upper(note) AS note FROM s", "inputs": {"s": grant["id"]}}
    maker.sound(product)
    maker.mount(product)
    reader = town.reader(town.live_grant(maker.table, ["id", "note"], CONSUMER))
    reader.await_state({"a": {"id": "a", "note": "ONE"}})
    # what it comes from may no longer be handled so: nothing more flows, until the product is handled so, too
    revise(town, source.code, items=with_sensitivity(town, source.code, note="personal"))
    told = maker.await_kinds(["input_stricter"])
    assert told["condition"] == "stopped" and "s.note" in told["findings"][0]["detail"]
    source.run("insert into {t} values ('b', 'two')")
    with pytest.raises(Refused, match=r"s\.note"):
        revise(town, maker.table.code, title="另一个名称")
    reader.poll(0.5)
    assert reader.state() == {"a": {"id": "a", "note": "ONE"}}
    draft = town.exchange.ask("GET", "catalog", f"/resources/{maker.table.code}")["draft"]
    graver = [{**one, "sensitivity": "personal"} for one in draft["items"]]
    town.exchange.ask("PUT", "catalog", f"/resources/{maker.table.code}/draft", {**draft, "items": graver})
    publish(town.exchange, maker.table.code)
    reader.await_state({"a": {"id": "a", "note": "ONE"}, "b": {"id": "b", "note": "TWO"}})
    maker.await_kinds([])

    town.exchange.ask("DELETE", "demand", f"/grants/{grant['id']}")
    source.run("insert into {t} values ('c', 'three')")
    told = maker.await_kinds(["input_ended"])
    assert told["condition"] == "stopped" and "not in force (revoked)" in told["findings"][0]["detail"]
    assert "not in force" in told["mount"]["halted"]
    with pytest.raises(Refused, match="halted"):
        town.grant(maker.table, ["id"], OTHER)
    reader.poll(0.5)
    assert len(reader.state()) == 2
    reader.close()
    # and what it has left in the workroom is gone
    here = Settings(postgres_port=town.exchange.home.ports["postgres"], secrets=town.exchange.home.secrets)
    with closing(psycopg.connect(workroom.address(here, workroom.KEEPER), autocommit=True)) as keeper:
        name = f"{workroom.schema_of(MAKER)}.{workroom.table_of(grant['id'])}"
        eventually(
            lambda: keeper.execute("select to_regclass(%s) is null", (name,)).fetchone(),
            lambda gone: gone == (True,),
            "the grant's table dropped",
        )
    maker.api.must(maker.api.request("DELETE", maker.path(), headers={"If-Match": "*"}))


def revise(town: Town, code: str, **terms: Any) -> None:
    """Publish the resource with other terms."""
    town.exchange.ask("POST", "catalog", f"/resources/{code}/steps", {"action": "revise"})
    draft = town.exchange.ask("GET", "catalog", f"/resources/{code}")["draft"]
    town.exchange.ask("PUT", "catalog", f"/resources/{code}/draft", {**draft, **terms})
    publish(town.exchange, code)


def with_sensitivity(town: Town, code: str, **sensitivities: str) -> list[dict[str, Any]]:
    """The items of a resource, these as sensitive as that."""
    items = town.exchange.ask("GET", "catalog", f"/resources/{code}")["published"]["items"]
    return [{**one, "sensitivity": sensitivities.get(one["name"], one["sensitivity"])} for one in items]
