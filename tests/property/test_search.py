"""Searching the catalogue, on a real Postgres: what is published is found in all the ways people look for things.

Every example is rolled back, so that each begins with an empty index.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pypinyin import lazy_pinyin
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session, sessionmaker

from infra.embedded.scratch import scratch_database
from services.catalog import store
from services.catalog.domain.lineage import NodeKind, lineage, where_used
from services.catalog.domain.resource import (
    CategoryStep,
    Channel,
    Format,
    FormatKind,
    Grade,
    Item,
    ItemType,
    Mount,
    Openness,
    PublishedResource,
    ServiceLevel,
    SharingType,
    Terms,
    UpdateCycle,
)
from services.catalog.publication import make_findable, record_of
from services.catalog.search import add_words, in_use, index, is_word, rebuild, related, remove, search, suggest, used
from services.catalog.search.api import router
from services.catalog.search.store import SearchResource
from services.core import settings as core_settings
from services.core.http import application, include

AT = datetime(2026, 6, 30, tzinfo=UTC)
WORDS = (
    "人口", "婚姻", "企业", "登记", "信用", "医疗", "保险", "公积金", "驾驶证", "学籍", "残疾人", "建设", "许可",
    "处罚", "排污", "机动车", "食品", "律师", "图书馆", "天气", "水质", "燃气", "发票", "粮食",
)  # fmt: skip
DEPARTMENTS = {"police": "市公安局", "civil": "市民政局", "market": "市市场监督管理局"}

titles = st.lists(st.sampled_from(WORDS), min_size=2, max_size=3, unique=True).map("".join)
resources = st.builds(
    lambda title, department, kind, grade, cycle, channels, items: published(
        title=title,
        department=department,
        sharing_type=kind,
        grade=grade,
        update_cycle=cycle,
        sharing_channels=tuple(channels),
        items=items,
    ),
    titles,
    st.sampled_from(sorted(DEPARTMENTS)),
    st.sampled_from(list(SharingType)),
    st.sampled_from([Grade.GENERAL, Grade.IMPORTANT]),
    st.sampled_from(list(UpdateCycle)),
    st.sets(st.sampled_from(list(Channel)), min_size=1),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True),
)
catalogues = st.lists(resources, min_size=1, max_size=6).map(
    lambda several: [replace(one, code=f"r{number}") for number, one in enumerate(several)]
)
some = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


def published(
    code: str = "r", title: str = "人口信息", items: list[str] | None = None, department: str = "police", **more: object
) -> PublishedResource:
    facts: dict[str, object] = {
        "catalogue_code": "",
        "abstract": "由本部门履职产生",
        "department_uscc": "11110000000000123P",
        "department_name": DEPARTMENTS[department],
        "department_name_en": department,
        "division": None,
        "version": 1,
        "contract_version": "1.0.0",
        "sharing_type": SharingType.UNCONDITIONAL,
        "sharing_conditions": None,
        "sharing_channels": (Channel.TOPIC,),
        "legal_basis": None,
        "grade": Grade.GENERAL,
        "grade_level": None,
        "data_class": None,
        "regraded_at": None,
        "update_cycle": UpdateCycle.DAILY,
        "category": (CategoryStep(code="1", name="基础"),),
        "format": Format(kind=FormatKind.DATABASE),
        "openness": Openness(),
        "related": (),
        "scenario": None,
        "provision_channel": None,
        "service_item": None,
        "keywords": (),
        "rules": (),
        "service_level": ServiceLevel(),
        "contract": None,
        "mount": None,
        "first_published_at": AT,
        "published_at": AT,
        "updated_at": AT,
    }
    made = tuple(
        Item(name=f"item_{place}", title=title_, type=ItemType.STRING, column=f"c{place}")
        for place, title_ in enumerate(items or ["姓名"])
    )
    return PublishedResource(code=code, title=title, department=department, items=made, **{**facts, **more})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with scratch_database("catalog") as made:
        yield made


@contextmanager
def empty(engine: Engine) -> Iterator[Session]:
    """A session whose changes nobody ever sees."""
    with Session(engine) as session:
        yield session
        session.rollback()


def codes(session: Session, text: str, **more: object) -> list[str]:
    return [hit.code for hit in search(session, text, limit=100, **more).hits]  # type: ignore[arg-type]


@some
@given(catalogues, st.data())
def test_what_is_published_is_found_by_word_pinyin_and_initials(
    engine: Engine, catalogue: list[PublishedResource], data: st.DataObject
) -> None:
    one = data.draw(st.sampled_from(catalogue))
    word = data.draw(st.sampled_from([word for word in WORDS if word in one.title]))
    with empty(engine) as session:
        for each in catalogue:
            index(session, each)
        sounds = lazy_pinyin(one.title)
        assert one.code in codes(session, word)
        assert one.code in codes(session, one.title)
        assert one.code in codes(session, "".join(lazy_pinyin(word)))
        assert one.code in codes(session, "".join(sounds))
        assert one.code in codes(session, "".join(sound[0] for sound in sounds))
        assert one.code in codes(session, data.draw(st.sampled_from([item.title for item in one.items])))
        assert one.code in codes(session, f"{word} {DEPARTMENTS[one.department]}")
        # a word matches only where it is: no other resource of the catalogue may come with it
        held = [each.code for each in catalogue if word in each.title or word in (item.title for item in each.items)]
        assert sorted(codes(session, word)) == sorted(held)


@some
@given(titles, st.data())
def test_one_slip_is_forgiven(engine: Engine, title: str, data: st.DataObject) -> None:
    word = data.draw(st.sampled_from([word for word in WORDS if word in title]))
    sound = "".join(lazy_pinyin(word))
    place = data.draw(st.integers(1, len(sound) - 2))
    wrong = data.draw(st.sampled_from("qxzkw"))
    slip = data.draw(
        st.sampled_from([
            sound[:place] + sound[place + 1 :],  # a letter too few
            sound[:place] + wrong + sound[place:],  # one too many
            sound[:place] + wrong + sound[place + 1 :],  # a wrong one
            sound[:place] + sound[place + 1] + sound[place] + sound[place + 2 :],  # two in the wrong order
            word[:-1] + "龘",  # a wrong sign
        ])
    )  # fmt: skip
    assume(slip not in WORDS)
    with empty(engine) as session:
        index(session, published(title=title))
        assert codes(session, slip) == ["r"]


@some
@given(catalogues, st.data())
def test_what_was_withdrawn_or_said_before_is_not_found(
    engine: Engine, catalogue: list[PublishedResource], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(catalogue))
    changed = data.draw(st.sampled_from(catalogue))
    with empty(engine) as session:
        for each in catalogue:
            index(session, each)
        search(session, "")
        index(
            session, replace(changed, title="地震监测", items=published().items, sharing_type=SharingType.CONDITIONAL)
        )
        remove(session, gone.code)
        left = {each.code: each for each in catalogue if each.code not in (gone.code, changed.code)}
        for word in data.draw(st.sets(st.sampled_from(WORDS), min_size=4, max_size=4)):
            held = {
                code for code, each in left.items() if word in each.title or word in [item.title for item in each.items]
            }
            if held:
                assert set(codes(session, word)) == held
            assert gone.code not in codes(session, word)
        still = [] if changed.code == gone.code else [changed.code]
        assert codes(session, "地震监测") == still
        assert sorted(codes(session, "")) == sorted([*left, *still])


@some
@given(catalogues, st.sampled_from(WORDS), st.data())
def test_facets_add_up(engine: Engine, catalogue: list[PublishedResource], word: str, data: st.DataObject) -> None:
    department = data.draw(st.sampled_from(catalogue)).department
    grades = data.draw(st.sets(st.sampled_from(["general", "important"]), min_size=1))
    text = data.draw(st.sampled_from(["", catalogue[0].title[:2]]))
    with empty(engine) as session:
        for each in catalogue:
            index(session, each)
        filters = {"department": [department], "grade": sorted(grades)}
        all_of_it = set(codes(session, text))
        found = search(session, text, filters=filters, limit=100)
        by_code = {each.code: each for each in catalogue}
        expected = {
            code for code in all_of_it if by_code[code].department == department and by_code[code].grade in grades
        }
        assert {hit.code for hit in found.hits} == expected
        assert found.total == len(expected)
        counts = {name: {one.value: one.count for one in values} for name, values in found.facets.items()}
        for name in ("sharing_type", "update_cycle"):
            assert sum(counts[name].values()) == found.total
        # a facet is counted without its own filter, so that another choice can be made
        of_grade = [code for code in all_of_it if by_code[code].grade in grades]
        assert sum(counts["department"].values()) == len(of_grade)
        assert counts["department"].get(department, 0) == found.total
        for channel in Channel:
            held = [code for code in expected if channel in by_code[code].sharing_channels]
            assert counts["channel"].get(channel.value, 0) == len(held)
        assert all(one.label == DEPARTMENTS[one.value] for one in found.facets["department"])


@some
@given(st.lists(st.integers(0, 500), min_size=2, max_size=6), st.integers(1, 3))
def test_more_use_comes_first_and_pages_miss_nothing(engine: Engine, uses: list[int], size: int) -> None:
    with empty(engine) as session:
        for number, count in enumerate(uses):
            index(session, published(code=f"r{number}"))
            used(session, {f"r{number}": count})
        seen, cursor = [], None
        while True:
            page = search(session, "人口", limit=size, cursor=cursor)
            seen += [hit.code for hit in page.hits]
            assert page.total == len(uses)
            cursor = page.next
            if cursor is None:
                break
        assert seen == [f"r{n}" for n in sorted(range(len(uses)), key=lambda n: (-uses[n].bit_length(), n))]


def test_a_title_comes_before_an_item_however_much_that_is_used(engine: Engine) -> None:
    with empty(engine) as session:
        index(session, published(code="item", title="企业信息", items=["人口"]))
        index(session, published(code="part", title="人口基础信息"))
        index(session, published(code="whole", title="人口"))
        used(session, {"item": 1_000, "nobody_knows": 3})
        assert codes(session, "人口") == ["whole", "part", "item"] and in_use(session) == {"item"}


def test_matches_are_marked_where_they_stand(engine: Engine) -> None:
    with empty(engine) as session:
        index(
            session,
            published(
                title="市级Ａ类人口信息", items=["身份证件号码", "姓名"], abstract="说明" * 100 + "人口" + "尾" * 200
            ),
        )
        (hit,) = search(session, "人口").hits
        assert [hit.title.text[a:b] for a, b in hit.title.ranges] == ["人口"]
        assert [hit.abstract.text[a:b] for a, b in hit.abstract.ranges] == ["人口"] and len(hit.abstract.text) <= 120
        assert hit.items == ()
        (hit,) = search(session, "rkxx").hits
        assert [hit.title.text[a:b] for a, b in hit.title.ranges] == ["人口信息"]
        (hit,) = search(session, "号码").hits
        assert [(name, title.text) for name, title in hit.items] == [("item_0", "身份证件号码")]


def test_words_are_cut_as_people_read_them_and_a_place_adds_its_own(engine: Engine) -> None:
    with empty(engine) as session:
        index(session, published(code="bridge", title="南京市长江大桥"))
        index(session, published(code="app", title="苏服办注册用户"))
        assert codes(session, "市长") == []
        assert codes(session, "长江") == ["bridge"]
        assert "苏服办" not in _words(session)
        add_words(session, ["苏服办"])
        assert "苏服办" in _words(session)
        assert codes(session, "苏服办") == ["app"] == codes(session, "sufuban")
        assert not any(map(is_word, ("a b", "人", "人口、户籍", "")))


def _words(session: Session) -> set[str]:
    return {term[2:] for one in session.query(SearchResource) for term in one.terms if term.startswith("t:")}


@some
@given(catalogues)
def test_an_index_made_anew_answers_the_same(engine: Engine, catalogue: list[PublishedResource]) -> None:
    with empty(engine) as session:
        for each in catalogue:
            index(session, each)
        used(session, {catalogue[-1].code: 9})
        asked = ["", *WORDS[:4], "renkou", "dj", "医疗保嫌"]
        before = [codes(session, text) for text in asked]
        facets = search(session, "").facets
        rebuild(session, catalogue)
        assert [codes(session, text) for text in asked] == before
        assert search(session, "").facets == facets
        index(session, published(code="later", title="地震"))
        assert codes(session, "地震") == ["later"]


def test_nothing_is_found_before_the_commit_nor_after_a_rollback(engine: Engine) -> None:
    with Session(engine) as writer, Session(engine) as reader:
        index(writer, published(code="draft", title="地震"))
        assert codes(writer, "地震") == ["draft"] and codes(reader, "地震") == []
        reader.rollback()
        writer.rollback()
        assert codes(reader, "地震") == [] and codes(reader, "") == []
        reader.rollback()
        index(writer, published(code="kept", title="地震"))
        writer.commit()
        try:
            assert codes(reader, "地震") == ["kept"] and search(reader, "").facets["department"][0].count == 1
        finally:
            reader.rollback()
            remove(writer, "kept")
            writer.commit()
        assert codes(reader, "") == [] and search(reader, "").facets["department"] == []


def test_what_was_published_before_there_was_a_search_is_filled_in_once() -> None:
    terms = Terms(
        code="old", title="殡葬服务", abstract="摘要", department="civil", sharing_type=SharingType.UNCONDITIONAL,
        grade=Grade.GENERAL, update_cycle=UpdateCycle.DAILY,
        items=(Item(name="id", title="号", type=ItemType.STRING, column="id"),),
    )  # fmt: skip
    with scratch_database("catalog") as before:
        sessions = sessionmaker(before)
        with sessions() as session, session.begin():
            session.add(store.Department(slug="civil", uscc="11110000000000123P", name="市民政局", name_en="Civil"))
            session.flush()
            session.add(
                store.Resource(
                    code="old", catalogue_code="1", department="civil", state="published", version=1,
                    published=record_of(terms), published_at=AT, updated_at=AT,
                )
            )  # fmt: skip
        make_findable(sessions)
        with sessions() as session, session.begin():
            assert codes(session, "binzang") == ["old"]
            remove(session, "old")
        make_findable(sessions)
        with sessions() as session:
            assert codes(session, "") == []


@some
@given(st.text(max_size=60))
def test_any_text_may_be_asked(engine: Engine, text: str) -> None:
    with empty(engine) as session:
        index(session, published())
        found = search(session, text)
        assert found.total == len(found.hits) <= 1
        suggest(session, text)


printable = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=200)


@some
@given(printable, printable, printable)
def test_any_names_may_be_published_and_changed(engine: Engine, title: str, department: str, later: str) -> None:
    with empty(engine) as session:
        for name in (department, later):
            index(session, published(title=title, department_name=name))
        assert codes(session, "") == ["r"]
        assert search(session, "").facets["department"][0].label == later


def test_a_number_is_not_taken_for_the_one_beside_it(engine: Engine) -> None:
    with empty(engine) as session:
        index(session, published(title="热线12345工单"))
        assert codes(session, "12345") == ["r"]
        assert codes(session, "12346") == []


def test_suggestions_grow_with_what_is_typed(engine: Engine) -> None:
    with empty(engine) as session:
        index(session, published(code="people", title="人口基础信息"))
        index(session, published(code="wedding", title="婚姻登记信息"))
        for typed in ("人", "人口", "人口基", "r", "rk", "rkj", "ren", "renko", "renkouji", "基础"):
            assert [one.title.text for one in suggest(session, typed)] == ["人口基础信息"], typed
        assert suggest(session, "") == []


def test_related_resources_come_with_their_reasons(engine: Engine) -> None:
    far = (CategoryStep(code="3", name="部门"),)
    with empty(engine) as session:
        index(session, published(code="people", title="人口信息", items=["姓名", "证件号码"], related=("address",)))
        index(session, published(code="address", title="门牌", items=["道路"], category=far))
        index(session, published(code="naming", title="楼宇", items=["高度"], category=far, related=("people",)))
        index(session, published(code="alike", title="人口迁移", items=["姓名", "证件号码"], category=far))
        index(
            session,
            published(
                code="stranger", title="水质", items=["浊度"], category=far, department="market", abstract="监测"
            ),
        )
        found = related(session, "people") or []
        reasons = {one.code: one.reasons for one in found}
        assert {one.code for one in found[:2]} == {"address", "naming"}
        assert "declared" in reasons["address"] and "declared" in reasons["naming"]
        assert "items" in reasons["alike"] and "declared" not in reasons["alike"]
        assert "stranger" not in reasons and "people" not in reasons
        assert related(session, "nobody") is None


def test_over_http(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "operator_token").write_text("open sesame")
    monkeypatch.setenv("TONGSHU_SECRETS", str(tmp_path))
    core_settings.settings.cache_clear()
    sessions = sessionmaker(engine)
    with sessions() as session, session.begin():
        index(session, published(code="people", title="人口信息"))
        index(session, published(code="wedding", title="婚姻信息", related=("people",)))
    app = application("catalog", {})
    include(app, router(sessions), "/api/catalog/v1")
    try:
        client = TestClient(app, raise_server_exceptions=False)
        assert client.get("/api/catalog/v1/search").status_code == 401
        client.headers["Authorization"] = "Bearer open sesame"
        answer = client.get("/api/catalog/v1/search", params={"q": "xinxi", "limit": 1, "grade": "general"}).json()
        assert answer["total"] == 2 and answer["items"][0]["title"] == {"text": "人口信息", "ranges": [[2, 4]]}
        assert answer["facets"]["grade"] == [{"value": "general", "label": "general", "count": 2}]
        zh = client.get("/api/catalog/v1/search", headers={"Accept-Language": "zh-CN"}).json()["facets"]
        assert zh["grade"][0]["label"] == "一般" and zh["department"][0]["label"] == "市公安局"
        more = {"q": "xinxi", "limit": 1, "grade": "general", "cursor": answer["next"]}
        assert [one["code"] for one in client.get("/api/catalog/v1/search", params=more).json()["items"]] == ["wedding"]
        broken = client.get("/api/catalog/v1/search", params={"cursor": "bm8"})
        assert broken.status_code == 422 and broken.json()["errors"][0]["pointer"] == "/cursor"
        assert client.get("/api/catalog/v1/search", params={"q": "\0", "department": "\0"}).json()["total"] == 0
        typed = client.get("/api/catalog/v1/suggestions", params={"q": "hun"}).json()["items"]
        assert [one["code"] for one in typed] == ["wedding"]
        near = client.get("/api/catalog/v1/resources/people/related").json()["items"]
        assert near[0]["code"] == "wedding" and "declared" in near[0]["reasons"]
        assert client.get("/api/catalog/v1/resources/nobody/related").status_code == 404
    finally:
        core_settings.settings.cache_clear()
        with sessions() as session, session.begin():
            remove(session, "people")
            remove(session, "wedding")


def _grant(code: str, department: str, **more: object) -> dict[str, object]:
    return {
        "id": code, "state": "active", "resource": "people", "department": department, "purpose": "低保核查",
        "items": [{"name": "item_0", "mask": None}], "channels": ["topic"], "valid_from": AT, "valid_to": None,
        "topic": f"share.{department}.{code}", **more,
    }  # fmt: skip


def test_lineage_leads_from_the_table_to_each_consumer_and_no_further() -> None:
    mount = Mount(system="hr", schema="population", table="person", topic="cdc.hr.population.person", connector="c")
    grants = [
        _grant("g1", "civil", channels=["topic", "table"]),
        _grant("g2", "market", state="revoked"),
        _grant("g3", "market", valid_to=AT + timedelta(days=1)),
        _grant("g4", "tax", resource="other"),
    ]
    now, later = AT + timedelta(hours=1), AT + timedelta(days=2)
    found = lineage(published(code="people", mount=mount), grants, now)
    names = {node.id: node.name for node in found.nodes}
    reached = {"system:hr"}
    for _ in found.nodes:
        reached |= {end for start, end in found.edges if start in reached}
    assert reached == set(names)
    assert [node.kind for node in found.nodes][:4] == [
        NodeKind.SYSTEM, NodeKind.SOURCE, NodeKind.MOUNT, NodeKind.CHANGES,
    ]  # fmt: skip
    assert {"population.person", "cdc.hr.population.person", "share.civil.g1", "table"} <= set(names.values())
    assert {node.name for node in found.nodes if node.kind is NodeKind.DEPARTMENT} == {"civil", "market"}
    assert [use.grant for use in where_used("people", grants, now)] == ["g1", "g3"]
    assert [use.grant for use in where_used("people", grants, later)] == ["g1"]
    alone = lineage(published(code="people"), [], now)
    assert [node.kind for node in alone.nodes] == [NodeKind.RESOURCE, NodeKind.CONTRACT] and len(alone.edges) == 1
