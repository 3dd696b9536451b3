"""Rows go back to the level they concern: by the division in force, through moves and reorganisations."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from services.core.calendar import today
from tests.road.catalog.office import government_code
from tests.road.demand.bureau import Bureau
from tests.road.town import Reader, Table, eventually


class Province:
    """A province of this test's own, with what it is divided into, and departments of counties."""

    def __init__(self, bureau: Bureau) -> None:
        self.bureau = bureau
        self.prefix = str(random.randrange(66, 100))
        self.enter(("0000", None), ("0100", "0000"), ("0200", "0000"))
        self.enter(("0101", "0100"), ("0102", "0100"), ("0201", "0200"), ("0199", "0100", "0101"))
        self.departments = {county: self._register(county) for county in ("0101", "0102", "0201")}

    def code(self, place: str) -> str:
        return self.prefix + place

    def enter(self, *divisions: tuple[str, str | None] | tuple[str, str | None, str]) -> None:
        """Enter divisions with what they lie in; one with a successor is no more from today on."""
        spans = []
        for place, parent, *successor in divisions:
            span: dict[str, Any] = {"code": self.code(place), "name": place, "valid_from": "2000-01-01"}
            span["parent"] = self.code(parent) if parent else None
            if successor:
                span |= {"valid_to": today().isoformat(), "successor": self.code(successor[0])}
            spans.append(span)
        self.bureau.exchange.ask("POST", "catalog", "/divisions", {"divisions": spans})

    def _register(self, county: str) -> str:
        slug = f"county_{self.code(county)}"
        form = {"slug": slug, "uscc": government_code(), "name": slug, "name_en": slug, "division": self.code(county)}
        self.bureau.exchange.ask("POST", "catalog", "/departments", form)
        return slug


@pytest.fixture(scope="module")
def province(bureau: Bureau) -> Province:
    return Province(bureau)


@pytest.fixture
def table(bureau: Bureau, province: Province) -> Iterator[Table]:
    homes = {"a": "0101", "b": "0102", "c": "0201", "d": "0199"}
    rows = [(key, f"居民{key}", province.code(home)) for key, home in homes.items()]
    made = bureau.town.table({"id": "text", "name": "text", "region": "text"}, rows=rows)
    yield made
    made.connection.close()


def order_of(table: Table, **form: Any) -> dict[str, Any]:
    order = {"resource": table.code, "division_item": "region", "level": "county", "purpose": "属地回流"}
    return {**order, "items": ["id", "name"], **form}


def test_rows_follow_their_division(bureau: Bureau, province: Province, table: Table) -> None:
    departments = province.departments
    form = order_of(table, departments=list(departments.values()))
    order = bureau.supplier.api.must(bureau.supplier.api.post("/returns", form), 201)

    def served(states: set[tuple[str, str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
        """The grants of the order once they are of these departments, divisions and states."""
        found = eventually(
            lambda: bureau.supplier.api.must(bureau.supplier.api.get(f"/returns/{order['id']}"))["served"],
            lambda all_: {(one["department"], one["division"], one["state"]) for one in all_} == states,
            "those who are served",
        )
        grants = {(one["department"], one["division"]): one["grant"] for one in found}
        return {place: bureau.exchange.ask("GET", "demand", f"/grants/{grant}") for place, grant in grants.items()}

    first = {(slug, province.code(county), "active") for county, slug in departments.items()}
    grants = served(first)
    with ExitStack() as stack:

        def reader(county: str, slug: str) -> Reader:
            made = bureau.town.reader(grants[slug, province.code(county)])
            stack.callback(made.close)
            return made

        readers = {county: reader(county, slug) for county, slug in departments.items()}

        def hold(county: str, *keys: str) -> None:
            readers[county].await_state({key: {"id": key, "name": f"居民{key}"} for key in keys})

        # a code that is no more is followed to what took its place
        hold("0101", "a", "d")
        hold("0102", "b")
        hold("0201", "c")
        table.run("update {t} set region = %s where id = 'a'", province.code("0102"))
        hold("0101", "d")
        hold("0102", "a", "b")
        moved = [one.records[-1] for one in (readers["0101"], readers["0102"])]
        gone = next(one for one in readers["0101"].records if one.op == "d")
        assert moved[1].op == "c" and gone.value and moved[1].value
        assert gone.value["source"] == moved[1].value["source"], "one change took it from here to there"

        # a county is merged into its neighbour: its rows, and its department, go along
        province.enter(("0102", "0100", "0101"))
        hold("0101", "a", "b", "d")
        merged = departments["0102"]
        grants = served(
            (first - {(merged, province.code("0102"), "active")})
            | {(merged, province.code("0102"), "revoked"), (merged, province.code("0101"), "active")}
        )
        readers["0102"] = reader("0101", merged)
        hold("0102", "a", "b", "d")
        table.run("insert into {t} values ('e', '居民e', %s)", province.code("0102"))
        for county in ("0101", "0102"):
            hold(county, "a", "b", "d", "e")
        hold("0201", "c")
        assert {one.key["id"] for one in readers["0201"].records} == {"c"}

    bureau.supplier.api.must(bureau.supplier.api.post(f"/returns/{order['id']}/end", {"reason": "不再需要"}))
    served({(slug, division, "revoked") for slug, division in grants})


def test_a_county_that_moves_takes_its_rows_out_of_sight(bureau: Bureau, province: Province, table: Table) -> None:
    grant = bureau.town.live_grant(table, ["id"], row_filter=f'region within "{province.code("0200")}"')
    assert grant["row_filter_in_words"]["zh"] == f"region现属行政区划“{province.code('0200')}”"
    reader = bureau.town.reader(grant)
    try:
        reader.await_state({"c": {"id": "c"}})
        province.enter(("0201", "0100"))
        reader.await_state({})
        table.run("update {t} set name = '居民' where id = 'c'")
        province.enter(("0201", "0200"))
        reader.await_state({"c": {"id": "c"}})
        assert {one.key["id"] for one in reader.records} == {"c"}, "of no other row was told that it is gone"
    finally:
        reader.close()


def test_what_cannot_be_returned_is_refused_with_its_reasons(bureau: Bureau, province: Province, table: Table) -> None:
    def pointers(**form: Any) -> list[str]:
        answer = bureau.supplier.api.post("/returns", order_of(table, **form))
        assert answer.status_code == 422, answer.text
        return [one["pointer"] for one in answer.json()["errors"]]

    assert pointers(division_item="address") == ["/division_item"]
    assert pointers(departments=["nobody", "medical_insurance"]) == ["/departments/0", "/departments/1"]
    assert pointers(items=["id", "income"]) == ["/items/1"]
    other = bureau.person("provider", "market_supervision")
    assert other.api.post("/returns", order_of(table)).status_code == 404
    asked = {"resource": table.code, "department": "civil_affairs", "items": ["id"], "purpose": "核验"}
    answer = bureau.authority.api.post("/grants", {**asked, "row_filter": 'region within "000001"'})
    assert [one["pointer"] for one in answer.json()["errors"]] == ["/row_filter"]
    assert "000001" in answer.json()["errors"][0]["detail"]
