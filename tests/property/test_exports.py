"""The catalogue for other tools: valid by each standard's own schema, the same bytes for the same content."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import resources as files
from pathlib import Path
from typing import Any

import jsonschema
import openpyxl
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from open_data_contract_standard.model import OpenDataContractStandard
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.generated import (
    column_lineage_dataset,
    documentation_job,
    job_type_job,
    ownership_job,
    schema_dataset,
)
from openlineage.client.serde import Serde
from pyshacl import validate
from rdflib import DCAT, DCTERMS, FOAF, RDF, SKOS, Graph
from rdflib.compare import isomorphic

from services.catalog.domain import resource as domain
from services.catalog.domain.resource import PublishedResource
from services.catalog.exports import asyncapi, contract_yaml, dcat, excel, lineage, odcs
from services.catalog.exports.place import Place, SourceAddress
from services.core.avro import load
from services.core.sheets import MAX_CELL, MAX_ROWS

ROOT = Path(__file__).resolve().parents[2]
SHAPES = ROOT / "tests" / "shapes" / "dcat_ap_3.ttl"
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

PLACE = Place(
    title="通州政务数据目录",
    title_en="Tongzhou data catalogue",
    abstract="各部门共享的数据资源",
    publisher="数据局",
    publisher_en="Data Authority",
    publisher_uscc="11320612MB1234567X",
    address="https://share.example.org",
    kafka="kafka.example.org:9092,kafka2.example.org:9092",
    registry="https://registry.example.org/apis/ccompat/v7",
)
SOURCES = {"hukou": SourceAddress(host="db.example.org", port=5432, database="hukou")}

# what breaks careless writers: formulas, YAML 1.1's idea of values, markup, controls, other planes
NASTY = [
    "=1+1", "@SUM(A1)", "-1", "no", "1e5", "012", "2024-01-01", "~", "", " ", "\x85", "\u2028", "a\0b", "\r\n", "'=1",
    "<b>&", '"', "\\", "\ufeff", "\ufffe", "𠀀", "0o7", "1_000", "1:30", "a: b # c", "- x", "null", "<<", "%",
]  # fmt: skip
TEXT = st.one_of(st.text(max_size=12), st.sampled_from(NASTY))
SLUG = st.text("abcdefgh_0123456789", max_size=6).map(lambda rest: "r" + rest)
SOME = st.one_of(st.none(), TEXT)
MOMENT = st.datetimes(timezones=st.just(UTC), min_value=datetime(1000, 1, 1), max_value=datetime(9999, 1, 1))  # noqa: DTZ001
COUNT = st.one_of(st.none(), st.integers(0, 2**31 - 1))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def rules(draw: st.DrawFn, items: Sequence[str]) -> domain.Rule:
    kind = draw(st.sampled_from(list(domain.RuleKind)))
    about = draw(st.lists(st.sampled_from(items), min_size=1, max_size=2, unique=True))
    values = st.fixed_dictionaries({"values": st.lists(JSON, max_size=3)})
    parameters = draw(st.one_of(st.just({}), values, st.dictionaries(TEXT, JSON, max_size=3)))
    return domain.Rule(
        id=draw(TEXT), kind=kind, items=tuple(about), severity=draw(st.sampled_from(list(domain.Severity))),
        parameters=json.dumps(parameters, ensure_ascii=False, sort_keys=True), message=draw(TEXT),
    )  # fmt: skip


@st.composite
def published(draw: st.DrawFn, code: str | None = None) -> PublishedResource:
    """A resource as anybody might publish one, with any text in it."""
    names = draw(st.lists(SLUG, min_size=1, max_size=3, unique=True))
    items = tuple(
        domain.Item(
            name=name, title=draw(TEXT), type=draw(st.sampled_from(list(domain.ItemType))), column=draw(TEXT),
            key=draw(st.booleans()), nullable=draw(st.booleans()), description=draw(SOME), length=draw(COUNT),
            sensitivity=draw(st.sampled_from(list(domain.Sensitivity))), scale=draw(COUNT), standard=draw(SOME),
            code_list=draw(SOME), unit=draw(SOME), query_key=draw(st.booleans()),
        )
        for name in names
    )  # fmt: skip
    mounts = st.builds(
        domain.Mount, kind=st.sampled_from(list(domain.MountKind)), system=st.just("hukou"), schema=SLUG, table=SLUG,
        topic=st.just("cdc.hukou.a.b"), connector=st.just("mount.r"),
    )  # fmt: skip
    return domain.PublishedResource(
        code=code or draw(SLUG), catalogue_code=draw(TEXT), title=draw(TEXT), abstract=draw(TEXT),
        department=draw(SLUG), department_uscc=draw(TEXT), department_name=draw(TEXT), department_name_en=draw(TEXT),
        division=draw(st.sampled_from([None, "320612"])), version=draw(st.integers(1, 9)), contract_version="1.2.3",
        sharing_type=draw(st.sampled_from(list(domain.SharingType))), sharing_conditions=draw(SOME),
        sharing_channels=tuple(draw(st.lists(st.sampled_from(list(domain.Channel)), max_size=3))),
        legal_basis=draw(SOME), grade=draw(st.sampled_from(list(domain.Grade))), grade_level=draw(COUNT),
        data_class=draw(SOME), regraded_at=None, update_cycle=draw(st.sampled_from(list(domain.UpdateCycle))),
        category=tuple(domain.CategoryStep(code=str(n), name=draw(TEXT)) for n in range(draw(st.integers(0, 5)))),
        format=domain.Format(kind=draw(st.sampled_from(list(domain.FormatKind))), detail=draw(SOME)),
        openness=domain.Openness(open=draw(st.booleans()), conditions=draw(SOME)),
        related=tuple(draw(st.lists(TEXT, max_size=2))), scenario=draw(SOME), provision_channel=draw(SOME),
        service_item=draw(st.one_of(st.none(), st.builds(domain.ServiceItem, code=TEXT, name=TEXT, power_code=TEXT,
                                                         power_name=TEXT))),
        keywords=tuple(draw(st.lists(TEXT, max_size=3))), items=items,
        rules=tuple(draw(st.lists(rules(names), max_size=4))),
        service_level=domain.ServiceLevel(max_delay_seconds=draw(COUNT), availability_percent=draw(SOME),
                                          retention_days=draw(COUNT)),
        contract=None, mount=draw(st.one_of(st.none(), mounts)), first_published_at=draw(MOMENT),
        published_at=draw(MOMENT), updated_at=draw(MOMENT),
    )  # fmt: skip


CATALOGUE = st.lists(SLUG, max_size=3, unique=True).flatmap(
    lambda codes: st.tuples(*(published(code) for code in codes)).map(list)
)


def sample() -> PublishedResource:
    item = domain.Item
    personal, secret = domain.Sensitivity.PERSONAL, domain.Sensitivity.SECRET
    return domain.PublishedResource(
        code="population", catalogue_code="101001/000001", title="人口基本信息", abstract="户籍人口的基本信息",
        department="public_security", department_uscc="11320612014222222P", department_name="公安局",
        department_name_en="Public Security Bureau", division="320612", version=3, contract_version="2.0.1",
        sharing_type=domain.SharingType.CONDITIONAL, sharing_conditions="仅用于办理事项",
        sharing_channels=(domain.Channel.TOPIC, domain.Channel.API), legal_basis="居民身份证法第十九条",
        grade=domain.Grade.IMPORTANT, grade_level=3, data_class="个人信息", regraded_at=None,
        update_cycle=domain.UpdateCycle.REAL_TIME,
        category=(domain.CategoryStep(code="1", name="基础信息资源"), domain.CategoryStep(code="101", name="人口")),
        format=domain.Format(kind=domain.FormatKind.DATABASE, detail="PostgreSQL"),
        openness=domain.Openness(open=False), related=("legal_entities",), scenario="入学报名核验",
        provision_channel="政务外网", keywords=("人口", "户籍"),
        service_item=domain.ServiceItem(code="S1", name="户口登记", power_code="P1", power_name="户籍管理"),
        items=(
            item(name="id_number", title="公民身份号码", type=domain.ItemType.STRING, column="sfzh", key=True,
                 nullable=False, sensitivity=personal, length=18, standard="DE00001", query_key=True),
            item(name="income", title="收入", type=domain.ItemType.DECIMAL, column="sr", length=12, scale=2, unit="元",
                 sensitivity=secret),
            item(name="sex", title="性别", type=domain.ItemType.STRING, column="xb", code_list="GB/T 2261.1"),
        ),
        rules=(
            domain.Rule(id="sex_known", kind=domain.RuleKind.ENUMERATION, items=("sex",),
                        parameters='{"values": ["1", "2"]}', message="性别代码有误"),
            domain.Rule(id="one", kind=domain.RuleKind.UNIQUE, items=("id_number",)),
            domain.Rule(id="digits", kind=domain.RuleKind.CHECK_DIGIT, items=("id_number",),
                        parameters='{"scheme": "citizen_id"}', severity=domain.Severity.WARNING),
            domain.Rule(id="there", kind=domain.RuleKind.REQUIRED, items=("id_number",)),
        ),
        service_level=domain.ServiceLevel(max_delay_seconds=60, availability_percent="99.9", retention_days=365),
        contract=None,
        mount=domain.Mount(system="hukou", schema="public", table="person", topic="cdc.hukou.public.person",
                           connector="mount.population"),
        first_published_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        published_at=datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC),
        updated_at=datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC),
    )  # fmt: skip


def grant(**other: Any) -> dict[str, Any]:
    return {
        "id": "g1", "thread": "t1", "state": "active", "resource": "population", "contract_version": "2.0.1",
        "department": "education",
        "items": [
            {"name": "id_number", "mask": '{"kind": "keep", "first": 6, "last": 4}'},
            {"name": "sex", "mask": None},
        ],
        "row_filter": "sex = \"1\"", "channels": ["topic"], "purpose": "入学报名核验",
        "valid_from": datetime(2026, 6, 1, tzinfo=UTC), "valid_to": None, "topic": "share.education.g1",
        "granted_by": "operator", "updated_at": datetime(2026, 6, 1, tzinfo=UTC),
        **other,
    }  # fmt: skip


SCHEMAS = {"catalog.resources-value": load("catalog.resources"), "cdc.hukou.public.person-value": load("demand.grants")}


def everything(resources: Sequence[PublishedResource], grants: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    return {
        "jsonld": dcat.json_ld(PLACE, resources),
        "turtle": dcat.turtle(PLACE, resources),
        "xlsx": excel.workbook(PLACE, resources),
        "asyncapi": asyncapi.document(PLACE, resources, grants, SCHEMAS),
        "openlineage": lineage.lines(PLACE, resources, grants, SOURCES),
        **{f"odcs {one.code}": odcs.export(one) for one in resources},
    }


def reversed_names(value: Any) -> Any:
    """The same value with the entries of every mapping put in the other way round."""
    if isinstance(value, dict):
        return {name: reversed_names(value[name]) for name in reversed(value)}
    return [reversed_names(one) for one in value] if isinstance(value, list | tuple) else value


# ── the same bytes ────────────────────────────────────────────────────────────────────────────────────────────────


@given(CATALOGUE)
@settings(suppress_health_check=SLOW, deadline=None, max_examples=10)
def test_the_same_content_in_any_order_gives_the_same_bytes(resources: list[PublishedResource]) -> None:
    again = [PublishedResource.from_record(reversed_names(one.record())) for one in reversed(resources)]
    resources, again = [*resources, sample()], [sample(), *again]
    grants = [grant(), grant(id="g2", topic="share.education.g2", state="revoked")]
    assert everything(resources, grants) == everything(again, [reversed_names(one) for one in reversed(grants)])


def test_another_run_at_another_time_gives_the_same_bytes() -> None:
    digests = set()
    for seed in ("1", "2"):
        script = "import test_exports as t; print(t.digest())"
        path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
        run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        digests.add(run.stdout)
    assert len(digests) == 1


def digest() -> str:
    whole = everything([sample()], [grant(state="revoked")])
    return hashlib.sha256(b"".join(whole[name] for name in sorted(whole))).hexdigest()


# ── DCAT-AP ───────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def shapes() -> Graph:
    return Graph().parse(SHAPES)


def violations(graph: Graph) -> str | None:
    conforms, _, words = validate(graph, shacl_graph=shapes())
    return None if conforms else words


@given(CATALOGUE)
@settings(suppress_health_check=SLOW, deadline=None, max_examples=8)
def test_the_catalogue_is_dcat_ap(resources: list[PublishedResource]) -> None:
    graph = Graph().parse(data=dcat.json_ld(PLACE, resources), format="json-ld")
    assert violations(graph) is None
    assert len(list(graph.subjects(RDF.type, DCAT.Dataset))) == len(resources)
    for one in resources:
        assert {str(title) for title in graph.objects(None, DCTERMS.title)} >= {one.title}


@given(CATALOGUE)
@settings(suppress_health_check=SLOW, deadline=None, max_examples=6)
def test_turtle_and_json_ld_say_the_same(resources: list[PublishedResource]) -> None:
    turtle = Graph().parse(data=dcat.turtle(PLACE, resources), format="turtle")
    assert isomorphic(turtle, Graph().parse(data=dcat.json_ld(PLACE, resources), format="json-ld"))


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        (DCAT.Catalog, DCTERMS.title),
        (DCAT.Catalog, DCTERMS.description),
        (DCAT.Catalog, DCTERMS.publisher),
        (DCAT.Dataset, DCTERMS.title),
        (DCAT.Dataset, DCTERMS.description),
        (DCAT.Distribution, DCAT.accessURL),
        (FOAF.Agent, FOAF.name),
        (SKOS.Concept, SKOS.prefLabel),
        (SKOS.ConceptScheme, DCTERMS.title),
    ],
)
def test_the_shapes_miss_no_mandatory_property(kind: Any, needed: Any) -> None:
    graph = Graph().parse(data=dcat.json_ld(PLACE, [sample()]), format="json-ld")
    assert violations(graph) is None
    holders = list(graph.subjects(RDF.type, kind))
    assert holders
    graph.remove((holders[0], needed, None))
    assert violations(graph) is not None


# ── ODCS ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def odcs_schema() -> Any:
    schema = json.loads((files.files("open_data_contract_standard") / "schema.json").read_text())
    assert "v3.1.0" in schema["properties"]["apiVersion"]["enum"]
    return jsonschema.Draft201909Validator(schema)


@given(published())
@settings(suppress_health_check=SLOW, deadline=None, max_examples=40)
def test_terms_survive_the_way_to_odcs_and_back(resource: PublishedResource) -> None:
    document = odcs.export(resource)
    odcs_schema().validate(contract_yaml.load(document))
    imported = odcs.read(document)
    assert imported.terms == odcs.terms_in_force(resource)
    assert imported.left_out == []


def test_other_readers_see_the_contract() -> None:
    contract = OpenDataContractStandard.from_string(odcs.export(sample()).decode())
    assert contract.schema_ is not None and contract.schema_[0].properties is not None
    assert [one.name for one in contract.schema_[0].properties] == ["id_number", "income", "sex"]
    custom = {one.property: one.value for one in contract.customProperties or ()}
    assert custom["sharingType"] == "conditional"
    assert custom["legalBasis"] == "居民身份证法第十九条"
    assert custom["code"] == "population"


@given(published())
@settings(suppress_health_check=SLOW, deadline=None, max_examples=15)
def test_a_reader_of_yaml_1_1_sees_the_same_values(resource: PublishedResource) -> None:
    document = odcs.export(resource)
    assert yaml.safe_load(document) == contract_yaml.load(document)


def refused(document: Any) -> dict[str, str]:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(odcs.ContractRefused) as caught:
        odcs.read(data)
    return {defect.pointer: defect.detail for defect in caught.value.defects}


def test_all_that_is_wrong_with_a_contract_is_told_at_once() -> None:
    document = contract_yaml.load(odcs.export(sample()))
    document["apiVersion"] = "v2.2.2"
    del document["description"]["purpose"]
    document["schema"][0]["properties"][0]["logicalType"] = "array"
    document["schema"][0]["properties"][2]["required"] = "yes"
    document["tags"] = ["a", 1]
    document["customProperties"] = [
        {"property": "grade", "value": "top"},
        {"property": "updateCycle", "value": "daily"},
        {"property": "updateCycle", "value": "weekly"},
    ]
    assert set(refused(document)) == {
        "/apiVersion",
        "/description/purpose",
        "/schema/0/properties/0/logicalType",
        "/schema/0/properties/2/required",
        "/tags/1",
        "/customProperties",
        "/customProperties/0/value",
        "/customProperties/2",
    }


def test_what_a_catalogue_has_no_place_for_is_named() -> None:
    document = contract_yaml.load(odcs.export(sample()))
    document["team"] = {"name": "数据组"}
    document["customProperties"].append({"property": "colour", "value": "red"})
    document["schema"][0]["quality"].append({"type": "sql", "query": "select 1", "mustBe": 1})
    imported = odcs.read(json.dumps(document).encode())
    assert imported.terms == odcs.terms_in_force(sample())
    added = len(document["customProperties"]) - 1
    checks = len(document["schema"][0]["quality"]) - 1
    assert {left.pointer for left in imported.left_out} == {
        "/team", f"/customProperties/{added}", f"/schema/0/quality/{checks}"
    }  # fmt: skip


def test_an_outsiders_contract_is_read_by_the_standards_own_fields() -> None:
    imported = odcs.read(
        b"""
apiVersion: v3.0.2
kind: DataContract
id: 53581432-6c55-4ba2-a65f-72344a91553a
version: 1.0.0
status: active
name: Orders
tenant: market
description: {purpose: Orders of the market}
schema:
- name: orders
  properties:
  - {name: order_id, logicalType: string, physicalType: varchar(20), primaryKey: true, required: true, unique: false}
  - {name: amount, logicalType: number, physicalType: "numeric(12,2)", quality: [{metric: nullValues, mustBe: 0}]}
  - {name: rate, logicalType: number, physicalType: double precision}
customProperties:
- {property: sharingType, value: unconditional}
- {property: grade, value: general}
- {property: updateCycle, value: daily}
"""
    )
    terms = imported.terms
    assert (terms.code, terms.department, terms.abstract) == ("orders", "market", "Orders of the market")
    found = [(item.name, item.type.value, item.length, item.scale, item.column, item.key) for item in terms.items]
    assert found == [
        ("order_id", "string", 20, None, "order_id", True),
        ("amount", "decimal", 12, 2, "amount", False),
        ("rate", "double", None, None, "rate", False),
    ]
    assert [(rule.kind.value, rule.items) for rule in terms.rules] == [("required", ("amount",))]
    assert {left.pointer for left in imported.left_out} == {"/schema/0/properties/0/unique"}


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe",
        "名称: 人口".encode("gbk"),
        b"a: [",
        b"a: &x [1]\nb: *x",
        b"a: 1\na: 2",
        b"? [1]\n: 2",
        b"a: !!python/object/apply:os.system [ls]",
        b"a: !!timestamp 2024-01-01",
        b"a: 1e999",
        b'a: "\\ud800"',
        b"[" * 100_000,
        b"a" * (contract_yaml.MAX_BYTES + 1),
        b"",
        b"- 1",
        b"\0",
    ],
    ids=lambda data: repr(data[:20]),
)
def test_what_is_no_contract_is_refused_in_words(data: bytes) -> None:
    assert all(refused(data).values())


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    for name in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield node, name
        yield from places(node[name])


@cache
def sample_document() -> Any:
    return contract_yaml.load(odcs.export(sample()))


@given(st.data(), JSON)
@settings(suppress_health_check=SLOW, deadline=None, max_examples=60)
def test_a_contract_with_anything_in_any_place_is_read_or_refused(data: st.DataObject, value: Any) -> None:
    document = copy.deepcopy(sample_document())
    everywhere = list(places(document))
    node, name = everywhere[data.draw(st.integers(0, len(everywhere) - 1))]
    node[name] = value
    try:
        imported = odcs.read(json.dumps(document).encode())
    except odcs.ContractRefused as error:
        assert error.defects
    else:
        # what is read can be kept
        assert domain.terms_of(json.loads(json.dumps(dataclasses.asdict(imported.terms)))) == imported.terms


# ── AsyncAPI ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def asyncapi_schema(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """AsyncAPI's own JSON schema, from its npm package at the version of the lock file."""
    folder = tmp_path_factory.mktemp("asyncapi")
    for name in ("package.json", "package-lock.json"):
        (folder / name).write_bytes((ROOT / "tests" / "asyncapi" / name).read_bytes())
    npm = Path(sys.executable).parent / "npm"
    command = [str(npm) if npm.exists() else "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    found = folder / "node_modules" / "@asyncapi" / "specs" / "schemas" / f"{asyncapi.VERSION}-without-$id.json"
    return jsonschema.Draft7Validator(json.loads(found.read_text()))


def test_the_topics_are_asyncapi(asyncapi_schema: Any) -> None:
    grants = [grant(), grant(id="g2", topic="share.education.g2", state="revoked"), grant(id="g3", resource="gone")]
    document = json.loads(asyncapi.document(PLACE, [sample()], grants, SCHEMAS))
    asyncapi_schema.validate(document)
    assert {name: channel["address"] for name, channel in document["channels"].items()} == {
        "catalog.resources": "catalog.resources",
        "catalog.events": "catalog.events",
        "change.population": "cdc.hukou.public.person",
        "share.g1": "share.education.g1",
    }
    assert {name: operation["action"] for name, operation in document["operations"].items()} == {
        "catalog.resources": "send", "catalog.events": "send", "change.population": "receive", "share.g1": "send",
    }  # fmt: skip
    payload = document["channels"]["catalog.resources"]["messages"]["record"]["payload"]
    assert payload["schema"] == load("catalog.resources")
    document["channels"]["share.g1"]["bindings"]["kafka"]["topic"] = 1
    assert not asyncapi_schema.is_valid(document)


@given(CATALOGUE)
@settings(suppress_health_check=[*SLOW, HealthCheck.function_scoped_fixture], deadline=None, max_examples=5)
def test_any_catalogue_is_asyncapi(asyncapi_schema: Any, resources: list[PublishedResource]) -> None:
    asyncapi_schema.validate(json.loads(asyncapi.document(PLACE, resources, [], {})))


# ── OpenLineage ───────────────────────────────────────────────────────────────────────────────────────────────────


def official(event: Mapping[str, Any]) -> RunEvent:
    """The event in OpenLineage's own classes, which check times and ids and give the addresses of schemas."""

    def dataset(found: Mapping[str, Any]) -> dict[str, Any]:
        facets: dict[str, Any] = {}
        for name, facet in found["facets"].items():
            content = {key: value for key, value in facet.items() if not key.startswith("_")}
            if name == "schema":
                fields = [schema_dataset.SchemaDatasetFacetFields(**one, fields=None) for one in content["fields"]]
                facets[name] = schema_dataset.SchemaDatasetFacet(fields=fields, producer=facet["_producer"])
            else:
                assert name == "columnLineage"

                def inputs(given: list[dict[str, Any]]) -> list[column_lineage_dataset.InputField]:
                    return [
                        column_lineage_dataset.InputField(
                            **{**one, "transformations": [
                                column_lineage_dataset.Transformation(**how) for how in one["transformations"]
                            ]}
                        )
                        for one in given
                    ]  # fmt: skip

                facets[name] = column_lineage_dataset.ColumnLineageDatasetFacet(
                    fields={
                        field: column_lineage_dataset.Fields(inputFields=inputs(one["inputFields"]))
                        for field, one in content["fields"].items()
                    },
                    dataset=inputs(content["dataset"]) if "dataset" in content else None,
                    producer=facet["_producer"],
                )
        return {**found, "facets": facets}

    facets = event["job"]["facets"]
    kind = {key: value for key, value in facets["jobType"].items() if not key.startswith("_")}
    job = Job(
        namespace=event["job"]["namespace"],
        name=event["job"]["name"],
        facets={
            "jobType": job_type_job.JobTypeJobFacet(**kind, producer=event["producer"]),
            "documentation": documentation_job.DocumentationJobFacet(
                description=facets["documentation"]["description"], producer=event["producer"]
            ),
            "ownership": ownership_job.OwnershipJobFacet(
                owners=[ownership_job.Owner(**one) for one in facets["ownership"]["owners"]],
                producer=event["producer"],
            ),
        },
    )
    return RunEvent(
        eventTime=event["eventTime"],
        producer=event["producer"],
        run=Run(runId=event["run"]["runId"]),
        job=job,
        eventType=RunState(event["eventType"]),
        inputs=[InputDataset(**dataset(one)) for one in event["inputs"]],
        outputs=[OutputDataset(**dataset(one)) for one in event["outputs"]],
    )


def without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_empty(one) for name, one in value.items() if one not in ({}, [], None)}
    return [without_empty(one) for one in value] if isinstance(value, list) else value


def test_events_are_openlineage_by_its_own_client() -> None:
    told = lineage.events(
        PLACE, [sample()], [grant(state="revoked", updated_at=datetime(2026, 7, 1, tzinfo=UTC))], SOURCES
    )
    assert [event["eventType"] for event in told] == ["START", "START", "COMPLETE"]
    for event in told:
        assert without_empty(Serde.to_dict(official(event))) == without_empty(event)


def test_lineage_leads_from_the_source_table_to_the_consumer() -> None:
    mounted, shared = lineage.events(PLACE, [sample()], [grant()], SOURCES)
    names = [[(one["namespace"], one["name"]) for one in event[side]]
             for event in (mounted, shared) for side in ("inputs", "outputs")]  # fmt: skip
    assert names == [
        [("postgres://db.example.org:5432", "hukou.public.person")],
        [("kafka://kafka.example.org:9092", "cdc.hukou.public.person")],
        [("kafka://kafka.example.org:9092", "cdc.hukou.public.person")],
        [("kafka://kafka.example.org:9092", "share.education.g1")],
    ]
    columns = shared["outputs"][0]["facets"]["columnLineage"]
    masked = {
        name: (one["inputFields"][0]["field"], one["inputFields"][0]["transformations"][0]["masking"])
        for name, one in columns["fields"].items()
    }
    assert masked == {"id_number": ("sfzh", True), "sex": ("xb", False)}
    assert [one["field"] for one in columns["dataset"]] == ["xb"]
    # an item that was not granted is nowhere in what is delivered
    assert "income" not in json.dumps(shared["outputs"])


# ── Excel ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def as_xml_holds(text: str) -> str:
    """`text` with a sign for each character that XML 1.0 cannot hold (its section 2.2), and its one line end."""
    ends = text.replace("\r\n", "\n").replace("\r", "\n")
    legal = (character in "\t\n" or " " <= character <= "\ud7ff" or "\ue000" <= character <= "\ufffd"
             or character > "\uffff" for character in ends)  # fmt: skip
    return "".join(character if fine else "\ufffd" for character, fine in zip(ends, legal, strict=True))


@given(CATALOGUE)
@settings(suppress_health_check=SLOW, deadline=None, max_examples=12)
def test_a_workbook_holds_text_and_nothing_that_runs(resources: list[PublishedResource]) -> None:
    book = openpyxl.load_workbook(io.BytesIO(excel.workbook(PLACE, resources)))
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.value is None or cell.data_type == "s", (cell.coordinate, cell.value)
                if str(cell.value).startswith(("=", "+", "-", "@")):
                    assert cell.quotePrefix
    core = list(book.worksheets[0].iter_rows(min_row=3, values_only=True))
    expected = [(one, item) for one in sorted(resources, key=lambda one: one.code) for item in one.items]
    assert len(core) == len(expected)
    for row, (one, item) in zip(core, expected, strict=True):
        assert [text or "" for text in (row[4], row[11])] == [as_xml_holds(one.title), as_xml_holds(item.title)]


def test_the_form_has_the_13_elements() -> None:
    book = openpyxl.load_workbook(io.BytesIO(excel.workbook(PLACE, [sample()])))
    sheet = book.worksheets[0]
    head = [cell.value for cell in sheet[1] if cell.value]
    assert [text.split(". ")[1] for text in head] == [
        "信息资源分类", "信息资源名称", "信息资源代码", "信息资源提供方", "信息资源提供方代码", "信息资源摘要",
        "信息资源格式", "信息项信息", "共享属性", "开放属性", "更新周期", "发布日期", "关联资源代码",
    ]  # fmt: skip
    assert [cell.value for cell in sheet[4]] == [
        "基础信息资源", "人口", None, None, "人口基本信息", "101001/000001", "公安局", "11320612014222222P",
        "户籍人口的基本信息", "数据库", "PostgreSQL", "收入", "N(12,2)", "有条件共享", "仅用于办理事项",
        "消息推送、接口调用", "否", None, "实时", "2026-05-06", "legal_entities",
    ]  # fmt: skip
    assert "A1:D1" in {str(span) for span in sheet.merged_cells.ranges}


def test_more_than_a_sheet_holds_is_refused() -> None:
    many = dataclasses.replace(sample(), items=sample().items[:1] * MAX_ROWS)
    with pytest.raises(excel.SheetFull):
        excel.workbook(PLACE, [many])


def test_a_text_longer_than_a_cell_ends_with_a_sign() -> None:
    long = dataclasses.replace(sample(), abstract="长" * 40_000)
    book = openpyxl.load_workbook(io.BytesIO(excel.workbook(PLACE, [long])))
    value = book.worksheets[0]["I3"].value
    assert len(value) == MAX_CELL and value.endswith("（已截断）")
