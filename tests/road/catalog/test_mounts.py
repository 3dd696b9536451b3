"""Mounts on real tables: what the wizard tells before, and what becomes of a mount when its source changes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from tests.road.catalog.office import Api, Place
from tests.road.town import OWNER, Town, resource_of

SYSTEM = OWNER.database


@dataclass(frozen=True, slots=True)
class Clerk:
    """A provider of the department that owns the sample tables, and its own session in their database."""

    town: Town
    place: Place
    api: Api
    connection: psycopg.Connection[Any]

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.connection.execute(statement.encode())

    def table(self, columns: str, *more: str) -> str:
        """A new table of the department, with whole rows in its log; {t} is the table in `more`."""
        name = f"m{uuid.uuid4().hex[:10]}"
        self.run(f"create table population.{name} ({columns})", f"alter table population.{name} replica identity full")
        self.run(*(one.replace("{t}", f"population.{name}") for one in more))
        return name

    def draft(self, items: Sequence[dict[str, Any]], **terms: Any) -> str:
        code = f"w{uuid.uuid4().hex[:10]}"
        self.api.must(self.api.post("/resources", resource_of(code, list(items), **terms)), 201)
        return code

    def preview(self, code: str, table: str, **more: Any) -> dict[str, Any]:
        form = {"system": SYSTEM, "schema": "population", "table": table, **more}
        found: dict[str, Any] = self.api.must(self.api.post(f"/resources/{code}/mount/preview", form), 200)
        return found


@pytest.fixture(scope="module")
def clerk(town: Town, place: Place) -> Iterator[Clerk]:
    with town.server.connect(OWNER) as connection:
        yield Clerk(town, place, place.caller("provider", department=OWNER.slug), connection)


def item(name: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"name": name, "title": name, "type": kind, "column": more.pop("column", name), **more}


ID = item("id", key=True, nullable=False)


# -- the wizard ------------------------------------------------------------------------------------------------------


def test_the_tables_of_a_system_are_listed_to_its_department_only(clerk: Clerk, place: Place) -> None:
    table = clerk.table("id text primary key, name text", "comment on table {t} is '测试表'", "analyze {t}")
    clerk.run(f"create view population.v_{table} as select * from population.{table}")
    listed = clerk.api.must(clerk.api.get(f"/systems/{SYSTEM}/tables", schema="population", name=table))
    assert listed == {
        "truncated": False,
        "tables": [
            {"schema": "population", "table": table, "kind": "table", "rows": 0, "key": ["id"],
             "replica_identity": "full", "readable": True, "comment": "测试表"},
            {"schema": "population", "table": f"v_{table}", "kind": "view", "rows": None, "key": [],
             "replica_identity": "nothing", "readable": True, "comment": None},
        ],
    }  # fmt: skip
    whole = clerk.api.must(clerk.api.get(f"/systems/{SYSTEM}/tables"))["tables"]
    assert {one["schema"] for one in whole} == {"population"}
    stranger = place.caller("provider", department="civil_affairs")
    assert stranger.get(f"/systems/{SYSTEM}/tables").status_code == 403


def test_the_wizard_tells_all_at_once_and_shows_nothing_in_clear(clerk: Clerk, place: Place) -> None:
    codes = f"codes {uuid.uuid4().hex[:6]}"
    place.operator.must(place.operator.put(f"/code-lists/{codes}", {"entries": {"1": "男", "2": "女"}}, if_match="*"))
    table = clerk.table(
        "id text primary key, xing_ming text, sex text, marital text, born date, born_on timestamp, pay numeric(9,2),"
        " age text, secret_note text, free text",
        "comment on column {t}.free is '备注：随便写'",
        "insert into {t} select n::text, '张小' || n, case when n > 40 then '9' else '1' end,"
        " case when n <= 3 then null else '7' end, date '1990-05-01' + n, '2020-01-01 08:00:00', n * 100.5, 'x',"
        " 'SECRET' || n, '' from generate_series(1, 50) n",
        "update {t} set born_on = 'infinity' where id = '50'",
    )
    code = clerk.draft(
        [
            ID,
            item("name", title="姓名", sensitivity="personal", column="nowhere"),
            item("sex", code_list=codes),
            item("marital", code_list=codes, nullable=False, sensitivity="personal"),
            item("born", "date", sensitivity="personal"),
            item("born_on", "timestamp", sensitivity="open"),
            item("pay", "decimal", sensitivity="personal"),
            item("age", "integer", nullable=False),
            item("secret_note", sensitivity="secret"),
            item("remark", title="备注", column="elsewhere"),
        ],
        rules=[
            {"id": "sex_known", "kind": "code_list", "items": ["sex"], "parameters": {"list": codes}},
            {"id": "born_late", "kind": "range", "items": ["born"], "parameters": {"min": "1900-01-01"}},
        ],
        sharing_type="conditional",
        sharing_conditions="按职责",
    )
    found = clerk.preview(code, table)
    assert found["kind"] == "table" and found["columns"][0] == {
        "name": "id", "type": "text", "nullable": False, "key": True, "comment": None
    }  # fmt: skip
    proposed = {one["item"]: (one["column"], one["reason"], one["confidence"]) for one in found["proposals"]}
    assert proposed["id"] == ("id", "declared", "certain")
    assert proposed["name"] == ("xing_ming", "pinyin", "likely")
    assert proposed["remark"] == ("free", "comment", "likely")
    defects = {one["pointer"]: one["detail"] for one in found["defects"]}
    assert set(defects) == {"/items/1/column", "/items/3/nullable", "/items/7/type", "/items/9/column"}
    assert "NULL in 3 rows" in defects["/items/3/nullable"] and "text" in defects["/items/7/type"]
    warnings = {one["pointer"]: one["detail"] for one in found["warnings"]}
    assert set(warnings) == {"/items/2/code_list", "/items/3/code_list", "/items/5/type", "/items/7/nullable"}
    assert "1 values in 10 rows" in warnings["/items/2/code_list"] and "'9' (10)" in warnings["/items/2/code_list"]
    assert "47 rows" in warnings["/items/3/code_list"] and "'7'" not in warnings["/items/3/code_list"]
    assert found["sampled"] == 50 and len(found["rows"]) == 10
    assert found["rows"][0] == {
        "id": "1", "sex": "1", "marital": None, "born": "1990", "born_on": "2020-01-01T08:00:00+00:00", "pay": None,
        "age": "***", "secret_note": "***",
    }  # fmt: skip
    assert {one["rule"]: one["broken"] for one in found["rules"]} == {"sex_known": 10, "born_late": 0}
    text = json.dumps(found, ensure_ascii=False)
    assert "SECRET" not in text and "张小" not in text and "100.5" not in text and "1990-05" not in text

    # a column that the draft does not name can be tried under an item, and is masked as that item is
    tried = clerk.preview(code, table, columns={"name": "xing_ming"})
    assert "/items/1/column" not in {one["pointer"] for one in tried["defects"]}
    assert tried["rows"][0]["name"] == "张*1"
    unknown = clerk.api.post(
        f"/resources/{code}/mount/preview",
        {"system": SYSTEM, "schema": "population", "table": table, "columns": {"nobody": "x"}},
    )
    assert unknown.status_code == 422 and unknown.json()["errors"][0]["pointer"] == "/columns/nobody"

    in_chinese = Api(place.exchange, place.exchange.home.secret("operator_token"), "zh-CN")
    form = {"system": SYSTEM, "schema": "population", "table": table}
    told = in_chinese.must(in_chinese.post(f"/resources/{code}/mount/preview", form))
    assert (
        "没有字段“nowhere”" in {one["detail"] for one in told["defects"] if one["pointer"] == "/items/1/column"}.pop()
    )


def test_a_view_or_a_table_without_a_log_is_not_mounted_and_a_missing_one_is_named(clerk: Clerk) -> None:
    code = clerk.draft([ID])
    table = clerk.table("id text primary key")
    clerk.run(f"create view population.v_{table} as select * from population.{table}")
    view = clerk.preview(code, f"v_{table}")
    assert "view" in view["defects"][0]["detail"] and view["kind"] == "view"
    clerk.run(
        f"alter table population.{table} set unlogged", f"alter table population.{table} replica identity default"
    )
    details = " ".join(one["detail"] for one in clerk.preview(code, table)["defects"])
    assert "SET LOGGED" in details and "REPLICA IDENTITY FULL" in details
    form = {"system": SYSTEM, "schema": "population", "table": "nowhere"}
    missing = clerk.api.post(f"/resources/{code}/mount/preview", form)
    assert missing.status_code == 422 and "population.nowhere" in missing.json()["detail"]


def test_of_data_that_is_not_shared_no_row_is_read(clerk: Clerk) -> None:
    table = clerk.table("id text primary key", "insert into {t} values ('1')")
    code = clerk.draft([ID], sharing_type="not_shared", legal_basis="某法第一条")
    found = clerk.preview(code, table)
    assert found["rows"] == [] and found["sampled"] == 0
    assert found["defects"][0]["pointer"] == "/code"


def test_looking_waits_for_nobody_and_holds_nobody_up(clerk: Clerk, town: Town) -> None:
    code = clerk.draft([ID, item("name", nullable=False)])
    table = clerk.table("id text primary key, name text", "insert into {t} values ('1', '甲')")
    with town.server.connect(OWNER) as other, other.transaction():
        other.execute(f"lock table population.{table} in access exclusive mode".encode())
        form = {"system": SYSTEM, "schema": "population", "table": table}
        refused = clerk.api.post(f"/resources/{code}/mount/preview", form)
        assert refused.status_code == 503 and "LockNotAvailable" in refused.json()["detail"]
    assert clerk.preview(code, table)["rows"] == [{"id": "1", "name": "甲"}]
    open_ = clerk.connection.execute(
        "select count(*) from pg_stat_activity where application_name = 'tongshu catalogue' and state <> 'idle'"
    ).fetchone()
    assert open_ == (0,)
