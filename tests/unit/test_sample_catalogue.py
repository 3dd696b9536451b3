"""What the demo catalogues keeps the field's rules, as far as that can be told without a catalogue."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cli.demo.catalogue import FILE, Entry, Form, world
from cli.demo.grants import RESOURCES
from cli.demo.world import DEPARTMENTS
from services.catalog.api.departments import AppointmentForm, DepartmentForm
from services.catalog.api.forms import TermsForm
from services.catalog.domain.category import code_defects
from services.catalog.domain.lists import FORMS, Known, ListKind, check, compared, read
from services.catalog.domain.resource import publication_defects
from services.core.identifiers import check_uscc

BASE_DATABASES = {"101": "population", "102": "legal entities", "103": "geography", "104": "credit", "105": "licences"}
CATEGORIES = Path("services/catalog/data/categories.csv")
ENTRIES = list(world().entries())


def forms() -> Iterator[tuple[Entry, Form]]:
    for entry in ENTRIES:
        yield from ((entry, form) for form in (entry.form, entry.earlier, entry.revision) if form)


def test_the_catalogue_is_of_a_believable_size() -> None:
    assert len(ENTRIES) + len(RESOURCES) >= 60
    assert len(world().providers) >= 12
    covered = {str(entry.form["category"])[:3] for entry in ENTRIES}
    assert BASE_DATABASES.keys() <= covered
    assert any(entry.form["category"] == "304001" for entry in ENTRIES), "the economy at large (宏观经济)"
    assert {entry.state for entry in ENTRIES} == {"published", "in_revision", "in_review", "withdrawn"}
    assert sum(entry.versions == 2 for entry in ENTRIES) >= 2
    # a mounted resource has what its table has, and those of the samples are narrow
    assert all(5 <= len(entry.form["items"]) <= 20 for entry in ENTRIES)
    assert all(len(entry.form["items"]) >= 6 for entry in ENTRIES if not entry.mount)


def test_departments_are_registered_bodies_and_the_samples_are_themselves() -> None:
    providers = {provider.slug: provider for provider in world().providers}
    for provider in providers.values():
        check_uscc(DepartmentForm.model_validate(provider.form).uscc)
        assert provider.form["uscc"].startswith("11"), "a government body's code begins with 11"
        assert {AppointmentForm.model_validate(person).role for person in provider.people} == {"responsible", "handler"}
    assert len({provider.form["uscc"] for provider in providers.values()}) == len(providers)
    for sample in DEPARTMENTS:
        form, people = providers[sample.slug].form, providers[sample.slug].people
        assert (form["uscc"], form["name"], form["name_en"]) == (sample.uscc, sample.name, sample.name_en)
        assert sample.responsible in {person["name"] for person in people}
        assert providers[sample.slug].system["code"] == sample.database


def test_codes_are_given_once() -> None:
    codes = Counter([entry.code for entry in ENTRIES] + list(RESOURCES))
    codes += Counter(f"category {category['code']}" for category in world().categories)
    codes += Counter(f"system {provider.system['code']}" for provider in world().providers)
    assert [code for code, count in codes.items() if count > 1] == []


def test_every_resource_may_be_published_as_it_is_written() -> None:
    for entry, form in forms():
        terms = TermsForm.model_validate(form).terms()
        told = [f"{entry.code}{defect.pointer}: {defect.detail}" for defect in publication_defects(terms)]
        assert told == []


def test_terms_of_sharing_are_said_in_full() -> None:
    kinds = Counter(str(entry.form["sharing_type"]) for entry in ENTRIES)
    assert kinds.keys() == {"unconditional", "conditional", "not_shared"}
    for entry, form in forms():
        said = bool(form.get("sharing_conditions"))
        assert said == (form["sharing_type"] == "conditional"), entry.code
        assert "《" in form["legal_basis"], f"{entry.code} cites no law"
        assert form["scenario"] and form["keywords"], entry.code
        assert any(item["key"] for item in form["items"]), entry.code
        shared = form["sharing_type"] != "not_shared"
        assert any(item["query_key"] for item in form["items"]) == shared, entry.code


def test_what_a_resource_names_is_there() -> None:
    with CATEGORIES.open(encoding="utf-8") as file:
        parents = {row["code"]: row["parent"] for row in csv.DictReader(file)}
    for category in world().categories:
        path = [category["parent"]]
        while parents[path[0]]:
            path.insert(0, parents[path[0]])
        assert code_defects(category["code"], path) == []
        parents[category["code"]] = category["parent"]
    lists = {*world().code_lists, "GB/T 2260"}
    published = {entry.code for entry in ENTRIES if entry.versions and entry.state != "withdrawn"} | set(RESOURCES)
    for provider in world().providers:
        services = {row[0] for row in provider.lists["service-items"]}
        for entry in provider.entries:
            assert entry.form["category"] in parents, entry.code
            assert entry.form["service_item"] in services, entry.code
            assert set(entry.form.get("related", ())) <= published, entry.code
            assert {item["code_list"] for item in entry.form["items"]} - {None} <= lists, entry.code


def test_the_lists_of_a_department_are_without_a_fault() -> None:
    sources: dict[str, tuple[str, str]] = {}
    given: dict[ListKind, dict[str, str]] = {kind: {} for kind in ListKind}
    for provider in world().providers:
        above = {
            ListKind.POWERS: frozenset[str](),
            ListKind.SERVICE_ITEMS: frozenset(row[0] for row in provider.lists["powers"]),
            ListKind.DATA_ITEMS: frozenset(row[0] for row in provider.lists["service-items"]),
        }
        for kind, form in FORMS.items():
            titles = [column.name for column in form.columns][: len(provider.lists[kind][0])]
            lines, faults = read(form, [titles, *provider.lists[kind]])
            faults += check(form, provider.slug, lines, Known(codes=given[kind], above=above[kind], sources=sources))
            assert [(provider.slug, kind, fault.row, str(fault.words)) for fault in faults] == []
            given[kind] |= {str(line.cells["code"]): provider.slug for line in lines}
            if kind is ListKind.DATA_ITEMS:
                made = [str(line.cells["name"]) for line in lines if line.cells["use"] == "makes"]
                sources |= {compared(name): (provider.slug, provider.slug) for name in made}


@pytest.mark.parametrize("section", ["elements", "standards", "checks", "code_listed", "units"])
def test_the_dictionary_holds_what_is_used_and_no_more(section: str) -> None:
    used = {item["name"] for _, form in forms() for item in form["items"]}
    assert yaml.safe_load(FILE.read_text(encoding="utf-8"))[section].keys() <= used
