"""What the demo catalogues and grants, and what each grant must show of its source - the latter written in SQL.

The SQL says the same as the grant's items, masks and filter, in the words of another system: it is the judge of what
consumers hold, so it shares nothing with the relay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from cli.demo.world import DEPARTMENTS, Department

Key = tuple[Any, ...]
Rows = dict[Key, dict[str, Any]]

_TITLES = {
    "id_number": "公民身份号码", "name": "姓名", "sex": "性别", "birth_date": "出生日期", "ethnicity": "民族",
    "region": "所在县区", "address": "住址", "phone": "联系电话", "marital_status": "婚姻状况", "status": "状态",
    "household_no": "户号", "photo_note": "照片备注", "registered_at": "登记时间", "uscc": "统一社会信用代码",
    "legal_representative": "法定代表人", "enterprise_type": "企业类型", "industry": "行业",
    "registered_capital": "注册资本", "established_on": "成立日期", "business_scope": "经营范围",
}  # fmt: skip
_TYPES = {
    "birth_date": "date", "established_on": "date", "registered_at": "timestamp", "registered_capital": "decimal",
}  # fmt: skip
_PERSONAL = {"id_number", "name", "phone", "address", "household_no", "legal_representative"}


def _items(department: Department) -> list[dict[str, Any]]:
    columns = next(iter(department.tables.values()))
    return [
        {
            "name": column,
            "title": _TITLES[column],
            "type": _TYPES.get(column, "string"),
            "column": column,
            "key": place == 0,
            "nullable": place != 0,
            "sensitivity": "personal" if column in _PERSONAL else "internal",
            "query_key": place == 0,
        }
        for place, column in enumerate(columns)
    ]


RESOURCES: dict[str, dict[str, Any]] = {
    "population": {
        "code": "population",
        "title": "人口基本信息",
        "abstract": "户籍人口的基本登记信息，来自人口信息管理系统。",
        "department": "public_security",
        "sharing_type": "conditional",
        "sharing_conditions": "用于本部门法定职责内的业务办理，按最小必要授权。",
        "grade": "general",
        "update_cycle": "real_time",
        "items": _items(DEPARTMENTS[0]),
    },
    "enterprises": {
        "code": "enterprises",
        "title": "企业登记信息",
        "abstract": "市场主体登记信息，来自企业登记系统。",
        "department": "market_supervision",
        "sharing_type": "unconditional",
        "grade": "general",
        "update_cycle": "real_time",
        "items": _items(DEPARTMENTS[1]),
        "rules": [
            {
                "id": "uscc",
                "kind": "check_digit",
                "items": ["uscc"],
                "parameters": {"scheme": "uscc"},
                "severity": "error",
            },
            {
                "id": "capital",
                "kind": "range",
                "items": ["registered_capital"],
                "parameters": {"min": 0},
                "severity": "error",
            },
            {
                "id": "representative",
                "kind": "required",
                "items": ["legal_representative"],
                "parameters": {},
                "severity": "warning",
            },
        ],
    },
}
MOUNTS = {"population": ("population", "person"), "enterprises": ("registry", "enterprise")}


@dataclass(frozen=True, slots=True)
class SampleGrant:
    """A grant as it is asked for, and the query that says what it shows: key columns first, then the row's items."""

    name: str
    request: Mapping[str, Any]
    query: str
    key_is_pseudonym: bool = False


GRANTS = (
    SampleGrant(
        "civil_affairs ← population",
        {
            "resource": "population",
            "department": "civil_affairs",
            "items": ["id_number", "name", "sex", "birth_date", "region", "status", "phone", "photo_note"],
            "masks": {
                "name": {"kind": "keep", "first": 1},
                "birth_date": {"kind": "date_to", "unit": "month"},
                "phone": {"kind": "keep", "first": 3, "last": 4},
            },
            "row_filter": 'region starts with "3206"',
            "purpose": "婚姻登记与社会救助核验",
        },
        """select id_number, id_number, case when char_length(name) > 1
               then left(name, 1) || repeat('*', char_length(name) - 1) else repeat('*', char_length(name)) end as name,
               sex, to_char(birth_date, 'YYYY-MM') as birth_date, region, status,
               left(phone, 3) || repeat('*', char_length(phone) - 7) || right(phone, 4) as phone, photo_note
           from population.person where region like '3206%'""",
    ),
    SampleGrant(
        "medical_insurance ← population",
        {
            "resource": "population",
            "department": "medical_insurance",
            "items": ["id_number", "name", "birth_date", "region", "status"],
            "masks": {
                "id_number": {"kind": "keep", "first": 6, "last": 4},
                "region": {"kind": "region_to", "level": "prefecture"},
            },
            "row_filter": 'status = "alive" and birth_date < date "2015-01-01"',
            "purpose": "参保资格核验",
        },
        """select id_number as key, left(id_number, 6) || '********' || right(id_number, 4) as id_number, name,
               birth_date, left(region, 4) || '00' as region, status
           from population.person where status = 'alive' and birth_date < date '2015-01-01'""",
        key_is_pseudonym=True,
    ),
    SampleGrant(
        "civil_affairs ← enterprises",
        {
            "resource": "enterprises",
            "department": "civil_affairs",
            "items": [
                "uscc", "name", "legal_representative", "region", "registered_capital", "established_on", "status",
            ],
            "masks": {"legal_representative": {"kind": "keep", "first": 1}},
            "row_filter": 'status in ("operating", "revoked")',
            "purpose": "社会救助家庭经济状况核对",
        },
        """select uscc, uscc, name, case when char_length(legal_representative) > 1
               then left(legal_representative, 1) || repeat('*', char_length(legal_representative) - 1)
               else repeat('*', char_length(legal_representative)) end as legal_representative,
               region, registered_capital, established_on, status
           from registry.enterprise where status in ('operating', 'revoked')""",
    ),
)  # fmt: skip


def expected(grant: SampleGrant, source: psycopg.Connection[Any], pseudonym_of: Callable[[str], str]) -> Rows:
    """What the grant must show of the source as it is now, by key."""
    cursor = source.execute(grant.query.encode())
    names = [column.name for column in cursor.description or ()][1:]
    rows = {}
    for key, *values in cursor:
        rows[(pseudonym_of(key) if grant.key_is_pseudonym else key,)] = dict(zip(names, values, strict=True))
    return rows


def differences(wanted: Rows, held: Rows) -> list[str]:
    """Where what a consumer holds is not what it must be, a line each; empty when it is the same row by row."""
    found = [f"missing: {key}" for key in wanted.keys() - held.keys()]
    found += [f"should not be there: {key}" for key in held.keys() - wanted.keys()]
    for key in wanted.keys() & held.keys():
        if wanted[key] != held[key]:
            items = [name for name in wanted[key] if wanted[key][name] != held[key].get(name)]
            extra = sorted(set(held[key]) - set(wanted[key]))
            found.append(f"differs: {key} in {', '.join([*items, *extra])}")
    return found
