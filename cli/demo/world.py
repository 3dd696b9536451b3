"""The sample world: four departments with databases of their own, filled by a seeded generator.

People, companies and addresses are invented; what has a check digit has a valid one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql

from services.core.identifiers import citizen_id_check_digit, uscc_check_digit

TODAY = date(2026, 6, 30)
REGIONS = {
    "320602": "崇川区",
    "320612": "通州区",
    "320614": "海门区",
    "320623": "如东县",
    "320681": "启东市",
    "320682": "如皋市",
    "320685": "海安市",
    "320102": "玄武区",
    "320106": "鼓楼区",
    "320505": "虎丘区",
    "320902": "亭湖区",
}
_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
_GIVEN = "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂文辉玲建国华红玉梅志海燕鹏飞宇浩晨欣怡梓涵子轩雨桐"
_STREETS = ("人民路", "青年路", "工农路", "通沪大道", "世纪大道", "江海大道", "建设路", "新华街", "和平巷", "濠河路")
_TRADES = ("纺织", "机械", "电子", "建材", "食品", "物流", "医药", "软件", "化工", "船舶配件", "农业科技", "新能源")
_FORMS = ("有限公司", "有限责任公司", "股份有限公司", "合伙企业（有限合伙）", "个体工商户")
_MARITAL = ("未婚", "已婚", "离异", "丧偶")
_ETHNICITIES = ("汉族",) * 40 + ("回族", "满族", "苗族", "壮族", "土家族")
_LARGE_NOTE = 9_000


@dataclass(frozen=True, slots=True)
class Department:
    """A sample department; `database` is its system's, owned by a role of the same name."""

    slug: str
    name: str
    name_en: str
    uscc: str
    database: str
    system_name: str
    responsible: str
    tables: Mapping[str, Sequence[str]]


def _government_code(serial: int) -> str:
    first = f"1132060001{serial:07d}"
    return first + uscc_check_digit(first)


DEPARTMENTS = (
    Department(
        "public_security", "市公安局", "Public Security Bureau", _government_code(2001), "public_security",
        "人口信息管理系统", "周建国", {"population.person": (
            "id_number", "name", "sex", "birth_date", "ethnicity", "region", "address", "phone", "marital_status",
            "status", "household_no", "photo_note", "registered_at",
        )},
    ),
    Department(
        "market_supervision", "市市场监督管理局", "Administration for Market Regulation", _government_code(2002),
        "market_supervision", "企业登记系统", "沈文华", {"registry.enterprise": (
            "uscc", "name", "legal_representative", "enterprise_type", "industry", "region", "registered_capital",
            "established_on", "status", "business_scope",
        )},
    ),
    Department(
        "civil_affairs", "市民政局", "Civil Affairs Bureau", _government_code(2003), "civil_affairs",
        "婚姻登记系统", "陆晓燕", {"marriage.registration": (
            "certificate_no", "husband", "wife", "region", "registered_on",
        )},
    ),
    Department(
        "medical_insurance", "市医疗保障局", "Healthcare Security Administration", _government_code(2004),
        "medical_insurance", "医疗保障系统", "吴志强", {"insurance.insured": (
            "insurance_no", "name", "scheme", "region", "insured_from", "balance",
        )},
    ),
)  # fmt: skip

_SCHEMA = {
    "public_security": """
        create schema population;
        create table population.person (
            id_number char(18) primary key, name text not null, sex text not null, birth_date date not null,
            ethnicity text, region char(6) not null, address text, phone text, marital_status text,
            status text not null, household_no text, photo_note text,
            registered_at timestamptz not null, updated_at timestamptz not null default now());
        alter table population.person replica identity full;
        alter table population.person alter column photo_note set storage external""",
    "market_supervision": """
        create schema registry;
        create table registry.enterprise (
            uscc char(18) primary key, name text not null, legal_representative text, enterprise_type text,
            industry text, region char(6) not null, registered_capital numeric(18,2), established_on date,
            status text not null, business_scope text, updated_at timestamptz not null default now());
        alter table registry.enterprise replica identity full""",
    "civil_affairs": """
        create schema marriage;
        create table marriage.registration (
            certificate_no text primary key, husband text, wife text, region char(6), registered_on date);
        alter table marriage.registration replica identity full""",
    "medical_insurance": """
        create schema insurance;
        create table insurance.insured (
            insurance_no text primary key, name text, scheme text, region char(6), insured_from date,
            balance numeric(12,2));
        alter table insurance.insured replica identity full""",
}
_ROWS = {"public_security": 12_000, "market_supervision": 6_000, "civil_affairs": 2_000, "medical_insurance": 2_000}

Row = dict[str, Any]


class Generator:
    """Invents rows; the same seed invents the same ones. No key comes twice from one generator."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._serial = 0
        self._offset = self.random.randrange(1_000)

    def citizen_id(self, born: date, sex: str, region: str) -> str:
        """A citizen ID number that was not given before (GB 11643-1999)."""
        self._serial += 1
        # 499 sequence numbers a sex, region and day: the serial walks through them and moves the day when they are out
        place = (self._serial + self._offset) % 499
        sequence = place * 2 + (1 if sex == "男" else 2)
        first = f"{region}{born:%Y%m%d}{sequence:03d}"
        return first + citizen_id_check_digit(first)

    def company_code(self, region: str) -> str:
        """A company's unified social credit code that was not given before (GB 32100-2015)."""
        self._serial += 1
        first = f"91{region}MA{self._serial + self._offset * 1_000:07d}"
        return first + uscc_check_digit(first)

    def name(self) -> str:
        return self.random.choice(_SURNAMES) + "".join(self.random.choices(_GIVEN, k=self.random.choice((1, 2, 2))))

    def region(self) -> str:
        return self.random.choice(list(REGIONS))

    def day(self, first: date, last: date) -> date:
        return first + timedelta(days=self.random.randrange((last - first).days + 1))

    def note(self) -> str | None:
        """Mostly nothing; sometimes so large that Postgres keeps it out of the row (TOAST)."""
        chance = self.random.random()
        if chance < 0.9:
            return None
        return "已采集" if chance < 0.98 else "".join(self.random.choices("甲乙丙丁戊己庚辛壬癸", k=_LARGE_NOTE // 3))

    def person(self) -> Row:
        random_ = self.random
        sex, region, born = random_.choice("男女"), self.region(), self.day(date(1935, 1, 1), TODAY)
        return {
            "id_number": self.citizen_id(born, sex, region),
            "name": self.name(),
            "sex": sex,
            "birth_date": born,
            "ethnicity": random_.choice(_ETHNICITIES),
            "region": region,
            "address": f"{REGIONS[region]}{random_.choice(_STREETS)}{random_.randrange(1, 400)}号",
            "phone": f"1{random_.choice('3578')}{random_.randrange(10**9):09d}",
            "marital_status": random_.choice(_MARITAL),
            "status": random_.choices(("alive", "deceased", "moved_out"), (90, 4, 6))[0],
            "household_no": f"H{random_.randrange(10**8):08d}",
            "photo_note": self.note(),
            "registered_at": datetime(2010, 1, 1, tzinfo=UTC) + timedelta(seconds=random_.randrange(500_000_000)),
        }

    def enterprise(self) -> Row:
        random_, region = self.random, self.region()
        trade, form = random_.choice(_TRADES), random_.choice(_FORMS)
        return {
            "uscc": self.company_code(region),
            "name": f"南通{self.name()[1:]}{trade}{form}",
            "legal_representative": self.name(),
            "enterprise_type": form,
            "industry": trade,
            "region": region,
            "registered_capital": Decimal(random_.randrange(10, 500_000)) * 100 + Decimal("0.50"),
            "established_on": self.day(date(1995, 1, 1), TODAY),
            "status": random_.choices(("operating", "revoked", "cancelled"), (85, 5, 10))[0],
            "business_scope": f"{trade}产品的研发、生产、销售；{random_.choice(_TRADES)}技术服务。",
        }

    def registration(self) -> Row:
        self._serial += 1
        return {
            "certificate_no": f"J320600-2025-{self._serial:06d}",
            "husband": self.name(),
            "wife": self.name(),
            "region": self.region(),
            "registered_on": self.day(date(2000, 1, 1), TODAY),
        }

    def insured(self) -> Row:
        self._serial += 1
        return {
            "insurance_no": f"YB{self._serial:010d}",
            "name": self.name(),
            "scheme": self.random.choice(("职工", "居民")),
            "region": self.region(),
            "insured_from": self.day(date(2005, 1, 1), TODAY),
            "balance": Decimal(self.random.randrange(0, 2_000_000)) / 100,
        }

    def rows(self, department: str, count: int) -> Iterator[Row]:
        make = {
            "public_security": self.person,
            "market_supervision": self.enterprise,
            "civil_affairs": self.registration,
            "medical_insurance": self.insured,
        }[department]
        key = "id_number" if department == "public_security" else None
        given: set[str] = set()
        while count:
            row = make()
            if key:  # a birthday can have more people than sequence numbers
                if row[key] in given:
                    continue
                given.add(row[key])
            count -= 1
            yield row


@dataclass(frozen=True, slots=True)
class Server:
    """The server of the sample departments' databases."""

    port: int
    admin_password: str
    owner_password: str
    host: str = "127.0.0.1"

    def connect_admin(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host=self.host, port=self.port, user="sources_admin", password=self.admin_password, dbname=database,
            autocommit=True,
        )  # fmt: skip

    def connect(self, department: Department) -> psycopg.Connection[tuple[Any, ...]]:
        """As the owner of the department's database."""
        return psycopg.connect(
            host=self.host, port=self.port, user=department.database, password=self.owner_password,
            dbname=department.database, autocommit=True,
        )  # fmt: skip


def create(server: Server, seed: int, scale: float = 1.0) -> int:
    """Make and fill the departments' databases; what is there is left as it is. How many rows were made."""
    made = 0
    with server.connect_admin() as admin:
        for department in DEPARTMENTS:
            role, password = sql.Identifier(department.database), sql.Literal(server.owner_password)
            # Debezium reads a replication slot and makes its publication: the owner may do both
            if admin.execute("select 1 from pg_roles where rolname = %s", (department.database,)).fetchone() is None:
                admin.execute(sql.SQL("create role {} login replication").format(role))
            admin.execute(sql.SQL("alter role {} password {}").format(role, password))
            known = admin.execute("select 1 from pg_database where datname = %s", (department.database,)).fetchone()
            if known is None:
                admin.execute(sql.SQL("create database {} owner {}").format(role, role))
    for department in DEPARTMENTS:
        made += _fill(server, department, Generator(seed), round(_ROWS[department.slug] * scale))
    return made


def _fill(server: Server, department: Department, generator: Generator, count: int) -> int:
    (name, columns) = next(iter(department.tables.items()))
    schema, table = name.split(".")
    with server.connect(department) as connection, connection.transaction():
        if connection.execute("select to_regclass(%s)", (name,)).fetchone() != (None,):
            return 0
        for statement in _SCHEMA[department.slug].split(";"):
            connection.execute(statement.encode())
        copy = sql.SQL("copy {} ({}) from stdin").format(
            sql.Identifier(schema, table), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with connection.cursor() as cursor, cursor.copy(copy) as into:
            for row in generator.rows(department.slug, count):
                into.write_row([row[column] for column in columns])
    return count
