"""`./tongshu bench search`: searching a catalogue of 100,000 resources with 2,000,000 items.

A mix of what people type (words, several words, pinyin, initials, slips, filters, nothing at all), each answered with
hits, all facets and the total. The peers answer a word from plain tables: ILIKE '%…%', and the database's own full text
(tsvector, GIN) over the words that we cut. Then publishing into that catalogue: the transaction of the last step, whose
peer is a plain INSERT of the same JSON. On a Postgres of its own with the settings of the embedded exchange, but for
fsync, which neither we nor the peers wait for; the schema registry, which is another process, answers at once.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from confluent_kafka.admin import AdminClient
from cryptography.fernet import Fernet
from sqlalchemy import text
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from benchmarks.clock import cpu_of
from benchmarks.report import Report
from cli.demo.stage import percentile
from infra.embedded.scratch import scratch_database
from services.catalog import store
from services.catalog.catalogue import Catalogue
from services.catalog.domain.lifecycle import Action, State
from services.catalog.domain.resource import (
    CategoryStep,
    Channel,
    Format,
    FormatKind,
    Grade,
    Item,
    ItemType,
    Openness,
    PublishedResource,
    ServiceLevel,
    SharingType,
    Terms,
    UpdateCycle,
)
from services.catalog.events import Publisher
from services.catalog.exports.odcs import terms_in_force
from services.catalog.publication import new_code, record_of, state_of, take
from services.catalog.search import rebuild, search, suggest
from services.catalog.search.words import Cutter
from services.catalog.seed import plant
from services.catalog.writers import Writers
from services.core import telemetry
from services.core.avro import Registry
from services.core.connect import Connect
from services.core.db import sessions
from services.core.identity import Role, Viewer
from services.core.kafka import StateView
from services.core.settings import Settings

_SEED = 809
_AT = datetime(2026, 6, 30, tzinfo=UTC)
_PLACES = (
    "市级", "崇川区", "通州区", "海门区", "如东县", "启东市", "如皋市", "海安市", "玄武区", "鼓楼区", "虎丘区",
    "亭湖区",
)  # fmt: skip
_SUBJECTS = (
    "户籍人口", "常住人口", "流动人口", "出生医学", "死亡医学", "婚姻登记", "收养登记", "社会组织", "企业法人",
    "个体工商户", "营业执照", "行政许可", "行政处罚", "经营异常", "食品经营", "药品生产", "医疗机构", "执业医师",
    "护士注册", "疫苗接种", "基本医疗保险", "养老保险", "失业保险", "工伤保险", "生育保险", "住房公积金",
    "不动产权", "房屋租赁", "建设用地", "施工许可", "竣工验收", "建筑市场主体", "排污许可", "空气质量",
    "水质监测", "污染源", "危险化学品", "道路运输", "机动车", "驾驶证", "公交线路", "停车场", "学籍", "学历学位",
    "教师资格", "高校毕业生", "残疾人", "低保对象", "特困人员", "退役军人", "农村土地承包", "粮食补贴",
    "农业机械", "林权", "水利工程", "气象预警", "地震监测", "文物保护单位", "旅游景区", "体育场馆", "图书馆",
    "律师执业", "公证", "法律援助", "信用评价", "纳税", "发票", "用电", "用水", "燃气", "消防验收", "安全生产",
    "知识产权", "科技项目", "高新技术企业", "外商投资", "进出口", "电子证照", "社会信用",
)  # fmt: skip
_FORMS = (
    "基本信息", "登记信息", "变更信息", "注销信息", "名单", "统计", "明细", "监管信息", "证书信息", "办理结果",
    "年度报告", "台账",
)  # fmt: skip
_ATTRIBUTES = (
    "姓名", "证件号码", "证件类型", "统一社会信用代码", "名称", "地址", "联系电话", "登记日期", "有效期止",
    "状态", "发证机关", "行政区划", "法定代表人", "经营范围", "注册资本", "面积", "金额", "数量", "等级", "备注",
    "办理时间", "审批结果", "经度", "纬度", "年度", "性别", "出生日期", "民族", "文化程度", "单位名称",
)  # fmt: skip
_OFFICES = (
    "公安局", "民政局", "市场监督管理局", "医疗保障局", "人力资源和社会保障局", "教育局", "卫生健康委员会",
    "交通运输局", "自然资源和规划局", "生态环境局",
)  # fmt: skip

_COMMON = ("信息", "名称", "登记")
_SLIPS = ("婚因登记", "机动东", "营业执找", "养老保嫌", "hunyindenji", "xingzhengxukke")


def resources(count: int, items: int, seed: int) -> Iterator[PublishedResource]:
    """Believable resources; the same seed gives the same ones."""
    choose = random.Random(seed)
    departments = [(f"d{number}", f"{place}{office}") for number, (place, office) in enumerate(
        (place, office) for place in _PLACES for office in _OFFICES
    )]  # fmt: skip
    for number in range(count):
        slug, department = choose.choice(departments)
        subject, form = choose.choice(_SUBJECTS), choose.choice(_FORMS)
        kind, entry = choose.randrange(1, 4), choose.randrange(20)
        title = f"{department[:3]}{subject}{form}"
        if number % 3 == 0:
            title += f"（{choose.choice(_SUBJECTS)}{choose.choice(('专项', '核查', '共享', '历史'))}）"
        conditional = choose.random() < 0.5
        yield PublishedResource(
            code=f"r{number}",
            catalogue_code=f"{kind}{entry:02d}001/{number:06d}",
            title=title,
            abstract=f"{department}办理{subject}产生的{form}，含{'、'.join(choose.sample(_ATTRIBUTES, 4))}等。",
            department=slug,
            department_uscc="11110000000000123P",
            department_name=department,
            department_name_en=slug,
            division=None,
            version=1,
            contract_version="1.0.0",
            sharing_type=SharingType.CONDITIONAL if conditional else SharingType.UNCONDITIONAL,
            sharing_conditions="依职责使用" if conditional else None,
            sharing_channels=tuple(choose.sample(list(Channel), choose.randrange(1, 4))),
            legal_basis=None,
            grade=choose.choice((Grade.GENERAL, Grade.GENERAL, Grade.IMPORTANT)),
            grade_level=None,
            data_class=None,
            regraded_at=None,
            update_cycle=choose.choice(list(UpdateCycle)),
            category=(
                CategoryStep(code=str(kind), name=("基础", "主题", "部门")[kind - 1]),
                CategoryStep(code=f"{kind}{entry:02d}", name=f"{_SUBJECTS[entry * 3]}类"),
            ),
            format=Format(kind=FormatKind.DATABASE),
            openness=Openness(),
            related=(),
            scenario=None,
            provision_channel=None,
            service_item=None,
            keywords=(subject,),
            items=tuple(
                Item(
                    name=f"c{place}",
                    title=(choose.choice(_SUBJECTS) if place % 4 == 0 else "") + choose.choice(_ATTRIBUTES),
                    type=ItemType.STRING,
                    column=f"c{place}",
                )
                for place in range(items)
            ),
            rules=(),
            service_level=ServiceLevel(),
            contract=None,
            mount=None,
            first_published_at=_AT,
            published_at=_AT,
            updated_at=_AT,
        )


def run(*, count: int = 100_000, items: int = 20, rounds: int = 30, peer_rounds: int = 5) -> Report:
    """Fill, then measure; `rounds` is how often each kind of question is asked."""
    report = Report("search")
    choose = random.Random(_SEED)
    with scratch_database("catalog") as engine:
        uses = {f"r{number}": int(choose.paretovariate(0.7)) for number in choose.sample(range(count), count // 4)}
        begun = time.monotonic()
        with Session(engine) as session, session.begin():
            rebuild(session, resources(count, items, _SEED), uses)
        report.add("resources", count, "")
        report.add("items", count * items, "")
        report.add("making the index", time.monotonic() - begun, "s")
        _fill_peers(engine)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("vacuum analyze"))
            size = (
                "select sum(pg_total_relation_size(oid)) from pg_class where relname like 'search\\_%' and relkind='r'"
            )
            report.add("index on disk", float(connection.execute(text(size)).scalar_one()) / 1024**2, "MiB")
        _measure(report, engine, choose, rounds)
        _peers(report, engine, choose, peer_rounds)
        _publish(report, engine, count, items, rounds)
    return report


# -- ours ------------------------------------------------------------------------------------------------------------

Ask = Callable[[Session], Any]


def _questions(choose: random.Random) -> dict[str, Callable[[], Ask]]:
    def asking(words: str, **more: Any) -> Ask:
        return lambda session: search(session, words, **more)

    def subject() -> str:
        return choose.choice(_SUBJECTS)

    def beginning(session: Session) -> Any:
        return suggest(session, subject()[: choose.randrange(1, 4)])

    return {
        "nothing (browse)": lambda: asking(""),
        "a word nearly all hold": lambda: asking(choose.choice(_COMMON)),
        "a word": lambda: asking(subject()),
        "three words": lambda: asking(f"{choose.choice(_PLACES)} {subject()} {choose.choice(_FORMS)}"),
        "pinyin": lambda: asking(choose.choice(("hukou", "hunyindengji", "yanglaobaoxian", "jidongche", "renkou"))),
        "initials": lambda: asking(choose.choice(("hydj", "ylbx", "jdc", "hjrk", "yyzz"))),
        "a slip": lambda: asking(choose.choice(_SLIPS)),
        "a word and two filters": lambda: asking(
            subject(), filters={"grade": ["general"], "sharing_type": ["conditional"]}
        ),
        "suggestions": lambda: beginning,
    }


def _measure(report: Report, engine: Engine, choose: random.Random, rounds: int) -> None:
    kinds = _questions(choose)
    for make in kinds.values():
        _timed(engine, make())
    spreads: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, make in kinds.items():
            spreads[kind].append(_timed(engine, make()))
    _cpu(report, engine, kinds, rounds)
    every = sorted(second for spread in spreads.values() for second in spread)
    for share in (0.5, 0.95, 0.99):
        report.add(f"search, p{share * 100:.0f}", percentile(every, share) * 1_000, "ms")
    for kind, spread in spreads.items():
        for share in (0.5, 0.95):
            report.add(f"{kind}, p{share * 100:.0f}", percentile(sorted(spread), share) * 1_000, "ms")


def _cpu(report: Report, engine: Engine, kinds: dict[str, Callable[[], Ask]], rounds: int) -> None:
    """What a search costs both sides in CPU time, which others on the machine disturb least."""
    with Session(engine) as session:
        backend = int(session.execute(text("select pg_backend_pid()")).scalar_one())
        for kind, make in kinds.items():
            theirs, ours = cpu_of(backend), time.process_time()
            for _ in range(rounds):
                make()(session)
                session.rollback()
            spent = time.process_time() - ours + cpu_of(backend) - theirs
            report.add(f"CPU a search, {kind}", spent / rounds * 1_000, "ms")


def _timed(engine: Engine, ask: Ask) -> float:
    begun = time.perf_counter()
    with Session(engine) as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        ask(session)
    return time.perf_counter() - begun


def _publishable(terms: Terms, code: str) -> Terms:
    """The terms without what the catalogue refuses and the search does not mind."""
    key, *others = terms.items
    items = (replace(key, key=True, nullable=False), *others)
    return replace(terms, code=code, category="101", grade=Grade.GENERAL, items=items)


class _NoConnect(Connect):
    """Publishing asks nothing of Connect."""

    def __init__(self) -> None:
        pass


class _Registry(Registry):
    """Gives ids by itself and at once."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1")

    def register(self, subject: str, schema: Mapping[str, Any], compatibility: str | None = None) -> int:
        made = len(self._raw) + 1
        self._raw[made] = dict(schema)
        return made


def _publish(report: Report, engine: Engine, count: int, items: int, rounds: int) -> None:
    """The transaction that publishes, a plain INSERT of the same JSON, and the first search after it."""
    telemetry.start("bench", Settings(log_level="WARNING"))
    registry = _Registry()
    catalogue = Catalogue(
        settings=Settings(),
        session=sessions(engine),
        publisher=Publisher(registry),
        registry=registry,
        connect=_NoConnect(),
        make_topic=lambda topic: None,
        has_topic=lambda name: False,
        writers=Writers(AdminClient({})),
        vault=Fernet(Fernet.generate_key()),
        grants=StateView(lambda wait: None, "demand.grants", lambda data: {}),  # type: ignore[arg-type, return-value]
    )
    _fill_catalogue(engine)
    spreads: dict[str, list[float]] = {"publication": [], "plain INSERT": [], "first search": []}
    for number, resource in enumerate(resources(rounds, items, _SEED + 1)):
        code = f"r{count + number}"
        draft = _publishable(terms_in_force(resource), code)
        with catalogue.session() as session, session.begin():
            department = session.get_one(store.Department, draft.department)
            given = new_code(session, department, draft.category)
            session.add(
                store.Resource(
                    code=code, catalogue_code=given, department=draft.department, state=State.DRAFT.value,
                    draft=record_of(draft), version=0, revision=1, updated_at=_AT,
                )
            )  # fmt: skip
            session.flush()
            take(catalogue, session, _WRITER, session.get_one(store.Resource, code), Action.SUBMIT)
        begun = time.perf_counter()
        with catalogue.session() as session, session.begin():
            kept = session.get_one(store.Resource, code, with_for_update=True)
            take(catalogue, session, _REVIEWER, kept, Action.APPROVE)
        spreads["publication"].append(time.perf_counter() - begun)
        spreads["first search"].append(_timed(engine, lambda session: search(session, "人口")))
        with catalogue.session() as session:
            said = json.dumps(state_of(session, session.get_one(store.Resource, code)).record(), default=str)
        begun = time.perf_counter()
        with engine.begin() as connection:
            connection.execute(_INSERT, {"code": code, "said": said})
        spreads["plain INSERT"].append(time.perf_counter() - begun)
    for what, spread in spreads.items():
        for share in (0.5, 0.95):
            report.add(f"{what}, p{share * 100:.0f}", percentile(sorted(spread), share) * 1_000, "ms")
    ours, theirs = (percentile(sorted(spreads[what]), 0.5) for what in ("publication", "plain INSERT"))
    report.compare("publication_over_insert", ours, theirs)


_WRITER = Viewer("writer", frozenset({Role.PROVIDER, Role.ADMINISTRATOR}))
_REVIEWER = Viewer("reviewer", frozenset({Role.ADMINISTRATOR}))
# as many rows beside ours and the peer's as there are resources to search
_FILL_CATALOGUE = """
    insert into catalog.departments (slug, uscc, name, name_en, revision)
        select 'd' || n, lpad(n::text, 18, '0'), 'd' || n, 'd' || n, 1 from generate_series(0, 119) n;
    insert into catalog.appointments (id, department, role, name, since)
        select gen_random_uuid(), slug, 'responsible', slug, date '2026-01-01' from catalog.departments;
    insert into catalog.resources (code, catalogue_code, department, state, published, version, revision, updated_at)
        select code, code, document->>'department', 'published', document, 1, 1, now() from catalog.search_resources;
    create table peer.publications as select code, document from catalog.search_resources;
    alter table peer.publications add primary key (code);
"""

_INSERT = text("insert into peer.publications values (:code, cast(:said as jsonb))")


def _fill_catalogue(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        plant(session)
    with engine.begin() as connection:
        connection.exec_driver_sql(_FILL_CATALOGUE)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("analyze"))


# -- the peers -------------------------------------------------------------------------------------------------------

# the same texts in plain tables; for the database's own full text, the words as we cut them
_FILL = """
    create schema peer;
    create table peer.resources as
        select code, document->>'title' as title, document->>'abstract' as abstract,
            document->>'department' as department, document#>>'{category,-1,code}' as category,
            document->>'sharing_type' as sharing_type, document->>'grade' as grade,
            document->>'update_cycle' as update_cycle, uses,
            array_to_tsvector(array(select substr(term, 3) from unnest(terms) term where term ^@ 'w:')) as words
        from catalog.search_resources;
    create table peer.items as
        select code as resource, item->>'title' as title
        from catalog.search_resources, jsonb_array_elements(document->'items') item;
    create index on peer.items (resource);
    create index on peer.resources using gin (words);
"""
_ILIKE = """
    r.title ilike %(like)s or r.abstract ilike %(like)s
    or exists (select from peer.items i where i.resource = r.code and i.title ilike %(like)s)
"""
_FULL_TEXT = "r.words @@ %(words)s::tsquery"
_FACETS = ("department", "category", "sharing_type", "grade", "update_cycle")


def _fill_peers(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(_FILL)


def _peers(report: Report, engine: Engine, choose: random.Random, rounds: int) -> None:
    """One word, page and total and facets, by each; our totals may not be smaller than theirs."""
    cutter = Cutter()
    for kind, words in (("a word", _SUBJECTS), ("a word nearly all hold", _COMMON)):
        spreads: dict[str, list[float]] = {"ILIKE": [], "tsvector": [], "ours": []}
        for _ in range(rounds):
            word = choose.choice(words)
            parameters = {"like": f"%{word}%", "words": " & ".join(f"'{part}'" for part in cutter.words(word))}
            for name, matching in (("ILIKE", _ILIKE), ("tsvector", _FULL_TEXT)):
                begun = time.perf_counter()
                total = _ask_peer(engine, matching, parameters)
                spreads[name].append(time.perf_counter() - begun)
                with Session(engine) as session:
                    found = search(session, word).total
                if found < total:
                    raise AssertionError(f"{word}: {found} found, {total} hold it by {name}")
            spreads["ours"].append(_timed(engine, lambda session, word=word: search(session, word)))  # type: ignore[misc]
        ours = percentile(sorted(spreads.pop("ours")), 0.5)
        for name, spread in spreads.items():
            theirs = percentile(sorted(spread), 0.5)
            report.add(f"{kind}, by {name}, p50", theirs * 1_000, "ms")
            report.compare(f"search_over_{name.lower()}, {kind}", ours, theirs)


def _ask_peer(engine: Engine, matching: str, parameters: dict[str, str]) -> int:
    """The total; the page and the facets are fetched as well."""
    sets = ", ".join(f"({column})" for column in _FACETS)
    matched = f"from peer.resources r where {matching}"
    with engine.connect() as connection:
        connection.exec_driver_sql(f"select r.* {matched} order by r.uses desc limit 20", parameters).all()
        counts = f"select {', '.join(_FACETS)}, count(*) {matched} group by grouping sets ((), {sets})"
        return max(int(row[-1]) for row in connection.exec_driver_sql(counts, parameters))
