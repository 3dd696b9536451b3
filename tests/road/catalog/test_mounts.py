"""Mounts on real tables: what the wizard tells before, and what becomes of a mount when its source changes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from services.core.connect import Connect
from tests.road.catalog.office import Api, Place
from tests.road.town import OWNER, Table, Town, eventually, resource_of

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
        "name": "id", "type": "text", "item_type": "string", "nullable": False, "key": True, "comment": None
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


# -- drift -----------------------------------------------------------------------------------------------------------

WITHIN_SECONDS = 60.0


def status(clerk: Clerk, code: str) -> dict[str, Any]:
    found: dict[str, Any] = clerk.api.must(clerk.api.get(f"/resources/{code}/mount"))
    return found


def findings(told: dict[str, Any]) -> dict[str, str]:
    """The kinds of a mount's findings and what each weighs."""
    return {one["kind"]: one["weight"] for one in told["findings"]}


def await_findings(clerk: Clerk, table: Table, wanted: dict[str, str], condition: str) -> dict[str, Any]:
    return eventually(
        lambda: status(clerk, table.code),
        lambda told: (findings(told), told["condition"]) == (wanted, condition),
        f"the drift of {table.name}",
        WITHIN_SECONDS,
    )


def events_of(clerk: Clerk, code: str) -> list[tuple[str, dict[str, str]]]:
    decode = clerk.place.exchange.registry.decode
    told = [decode(value)[1] for key, value, _ in clerk.place.exchange.read_all("catalog.events") if value]
    return [(one["type"].split(".")[3], one["data"]) for one in told if one["subject"] == code]


def connector_state(clerk: Clerk, code: str) -> str | None:
    connect = Connect(clerk.place.exchange.settings)
    found = connect.statuses().get(f"mount.{code}")
    return found.state if found else None


@pytest.fixture(scope="module")
def mounted(clerk: Clerk) -> Table:
    """A mount that drifts and is mended, over and over."""
    columns = {"id": "text", "name": "text", "amount": "numeric(18,2)"}
    table = clerk.town.table(columns, rows=[("1", "甲", 1)])
    table.run("alter table {t} add column extra text")
    return table


def test_what_touches_no_item_is_noted_and_a_log_without_whole_rows_stops(clerk: Clerk, mounted: Table) -> None:
    reader = clerk.town.reader(clerk.town.live_grant(mounted, ["id", "name"]))
    reader.await_state({"1": {"id": "1", "name": "甲"}})
    told = await_findings(clerk, mounted, {"column_new": "note"}, "ok")
    (note,) = told["findings"]
    assert note["object"] == f"{mounted.name}.extra" and note["items"] == [] and note["since"] <= note["last_seen"]
    mounted.run("alter table {t} add column other int")
    mounted.run("alter table {t} drop column other")
    mounted.run("alter table {t} replica identity default")
    told = await_findings(clerk, mounted, {"column_new": "note", "identity_not_full": "stop"}, "stopped")
    assert told["mount"]["halted_items"] == ["amount", "id", "name"] and "REPLICA IDENTITY" in told["mount"]["halted"]
    eventually(lambda: connector_state(clerk, mounted.code), lambda state: state == "STOPPED", "the stop")
    mounted.run("insert into {t} (id, name, amount) values ('2', '乙', 2)")
    mounted.run("update {t} set name = '甲甲' where id = '1'")
    chinese = clerk.place.caller("provider", department=OWNER.slug, language="zh-CN")
    words = chinese.must(chinese.get(f"/resources/{mounted.code}/mount"))["findings"]
    assert any("请表的属主执行" in one["detail"] for one in words)
    mounted.run("alter table {t} replica identity full")
    await_findings(clerk, mounted, {"column_new": "note"}, "ok")
    reader.await_state({"1": {"id": "1", "name": "甲甲"}, "2": {"id": "2", "name": "乙"}}, 90)
    reader.close()
    assert status(clerk, mounted.code)["mount"]["halted"] is None
    ops = clerk.place.caller("ops")
    listed = ops.must(ops.get("/mounts", limit=500))["items"]
    assert next(one for one in listed if one["resource"] == mounted.code)["condition"] == "ok"
    told_types = [name for name, _ in events_of(clerk, mounted.code) if name.startswith("mount_")]
    assert told_types == ["mount_drifted", "mount_drifted", "mount_restored"]


def test_a_column_that_is_gone_stops_the_mount_and_nothing_is_lost(clerk: Clerk, town: Town) -> None:
    table = town.table({"id": "text", "name": "text", "pay": "text"}, rows=[("1", "甲", "5")])
    bystander = town.table({"id": "text", "name": "text"}, rows=[("1", "子")])
    grant = town.live_grant(table, ["id", "name"])
    reader = town.reader(grant)
    reader.await_state({"1": {"id": "1", "name": "甲"}})
    table.run("alter table {t} rename column name to full_name")
    told = await_findings(clerk, table, {"column_renamed": "stop"}, "stopped")
    assert told["findings"][0]["items"] == ["name"] and "full_name" in told["findings"][0]["detail"]
    assert told["mount"]["halted_items"] == ["name"] and "full_name" in told["mount"]["halted"]
    eventually(lambda: connector_state(clerk, table.code), lambda state: state == "STOPPED", "the stop")
    assert status(clerk, bystander.code)["condition"] == "ok"
    refused = clerk.api.post(f"/resources/{table.code}/mount/resnapshot", {})
    assert refused.status_code == 409 and "full_name" in refused.json()["detail"]
    # written while it is stopped, with a column that the contract does not know
    table.run("insert into {t} values ('2', '乙', '6')")
    table.run("update {t} set full_name = '甲甲' where id = '1'")
    table.run("alter table {t} rename column full_name to name")
    await_findings(clerk, table, {}, "ok")
    table.run("insert into {t} values ('3', '丙', '7')")
    rows = {"1": {"id": "1", "name": "甲甲"}, "2": {"id": "2", "name": "乙"}, "3": {"id": "3", "name": "丙"}}
    reader.await_state(rows, 90)
    assert status(clerk, table.code)["mount"]["halted"] is None
    told_types = [name for name, _ in events_of(clerk, table.code) if name.startswith("mount_")]
    assert told_types == ["mount_drifted", "mount_restored"]
    reader.close()


def test_another_type_another_key_and_no_table_stop_the_mount(clerk: Clerk, town: Town) -> None:
    columns = {"id": "text", "n": "bigint"}
    retyped, rekeyed, dropped, unpublished = (town.table(columns, rows=[("1", 1)]) for _ in range(4))
    retyped.run("alter table {t} alter column n type text")
    rekeyed.run("alter table {t} drop constraint " + rekeyed.code + "_pkey, add primary key (id, n)")
    dropped.run("drop table {t}")
    eventually(lambda: status(clerk, unpublished.code)["checked_at"], lambda at: at is not None, "a first look")
    unpublished.run(f"drop publication tongshu_{unpublished.code}")
    await_findings(clerk, retyped, {"column_retyped": "stop"}, "stopped")
    await_findings(clerk, rekeyed, {"key_changed": "stop"}, "stopped")
    told = await_findings(clerk, dropped, {"table_gone": "stop"}, "stopped")
    assert dropped.name in told["findings"][0]["detail"] and told["findings"][0]["object"] == dropped.name
    # a publication is made again by itself, and what was written without it is read again
    unpublished.run("insert into {t} values ('2', 2)")
    grant = town.grant(unpublished, ["id", "n"])
    reader = town.reader(grant)
    reader.await_state({"1": {"id": "1", "n": 1}, "2": {"id": "2", "n": 2}}, 90)
    reader.close()
    told_types = [name for name, _ in events_of(clerk, unpublished.code) if name.startswith("mount_")]
    assert told_types == ["mount_drifted", "mount_restored"]
    # a table that comes back is delivered again
    grant = town.grant(dropped, ["id", "n"])
    reader = town.reader(grant)
    reader.await_state({"1": {"id": "1", "n": 1}})
    dropped.run("create table {t} (id text primary key, n bigint)")
    dropped.run("alter table {t} replica identity full")
    dropped.run("insert into {t} values ('9', 9)")
    await_findings(clerk, dropped, {}, "ok")
    reader.await_state({"9": {"id": "9", "n": 9}}, 90)
    reader.close()


def test_a_publication_made_again_between_two_looks_is_noticed_and_what_was_missed_is_made_good(
    clerk: Clerk, town: Town
) -> None:
    rows = [("1", 1), ("gone", 7), ("hidden", -7)]
    table = town.table({"id": "text", "n": "bigint"}, rows=rows)
    reader = town.reader(town.live_grant(table, ["id", "n"], row_filter="n > 0"))
    reader.await_state({"1": {"id": "1", "n": 1}, "gone": {"id": "gone", "n": 7}})
    eventually(lambda: status(clerk, table.code)["checked_at"], lambda at: at is not None, "a first look")
    name = f"tongshu_{table.code}"
    with table.connection.transaction():  # nobody sees the moment without it, and neither does the watch
        table.run(f"drop publication {name}")
        table.run("insert into {t} values ('2', 2)")
        table.run("delete from {t} where id in ('gone', 'hidden')")
        table.run(f"create publication {name} for table " + table.name)
    reader.await_state({"1": {"id": "1", "n": 1}, "2": {"id": "2", "n": 2}}, 90)
    await_findings(clerk, table, {}, "ok")
    made_good = eventually(
        lambda: [facts for kind, facts in events_of(clerk, table.code) if kind == "rows_reconciled"], bool, "its end"
    )  # fmt: skip
    assert made_good == [{"deleted": "2"}]
    # a row that comes back stays, and so does the order of its positions
    table.run("insert into {t} values ('gone', 8)")
    reader.await_state({"1": {"id": "1", "n": 1}, "2": {"id": "2", "n": 2}, "gone": {"id": "gone", "n": 8}}, 60)
    told_of = [one for one in reader.records if one.key["id"] == "gone"]
    assert [one.op for one in told_of] == ["r", "d", "tombstone", "c"]
    positions = [one.value["source"]["position"] for one in told_of if one.value]
    assert positions == sorted(set(positions)) and town.quarantined(table) == []
    counted = table.connection.execute("select total_txns from pg_stat_replication_slots where slot_name = %s", (name,))
    assert (counted.fetchone() or (0,))[0] > 0  # by which a slot that was made again is noticed
    told = [data for kind, data in events_of(clerk, table.code) if kind == "mount_drifted"]
    assert any(key.startswith("publication_remade") for key in told[0])
    reader.close()


def test_a_running_connector_that_fails_is_told_and_goes_on_when_it_can(clerk: Clerk, town: Town) -> None:
    name = f"f{uuid.uuid4().hex[:8]}"
    where = clerk.table("id text primary key, n bigint", "insert into {t} values ('1', 1)")
    with town.server.connect_admin(OWNER.database) as admin:
        admin.execute(f"create role {name} login replication password 'p' in role {OWNER.database}".encode())
        form = {"code": name, "department": OWNER.slug, "name": name, "host": town.server.host,
                "port": town.server.port, "database": OWNER.database, "username": name, "password": "p"}  # fmt: skip
        clerk.api.must(clerk.api.post("/systems", form), 201)
        code = clerk.draft([ID, item("n", "integer")])
        clerk.place.operator.must(clerk.api.step(code, "submit"))
        clerk.place.reviewer.must(clerk.place.reviewer.step(code, "approve"))
        mount = {"system": name, "schema": "population", "table": where}
        topic = clerk.api.must(clerk.api.put(f"/resources/{code}/mount", mount, if_match="*"))["mount"]["topic"]
        table = Table(town.exchange, clerk.connection, code, f"population.{where}", topic)
        reader = town.reader(town.live_grant(table, ["id", "n"]))
        reader.await_state({"1": {"id": "1", "n": 1}})
        admin.execute(f"alter role {name} noreplication".encode())
        admin.execute(b"select pg_terminate_backend(pid) from pg_stat_activity"
                      b" where backend_type = 'walsender' and usename = %s", (name,))  # fmt: skip
        table.run("insert into {t} values ('2', 2)")
        told = await_findings(clerk, table, {"connector_failed": "warn"}, "warn")
        assert f"mount.{code}" in told["findings"][0]["detail"] and told["mount"]["halted"] is None
        admin.execute(f"alter role {name} replication".encode())
    reader.await_state({"1": {"id": "1", "n": 1}, "2": {"id": "2", "n": 2}}, 90)
    await_findings(clerk, table, {}, "ok")
    told_types = [kind for kind, _ in events_of(clerk, code) if kind.startswith("mount_")]
    assert told_types == ["mount_drifted", "mount_restored"]
    reader.close()


# -- the end of a mount ----------------------------------------------------------------------------------------------


def left_in_source(town: Town, code: str) -> tuple[int, int]:
    """Slots and publications of a resource in its source."""
    with town.server.connect_admin(OWNER.database) as admin:
        slots = admin.execute("select count(*) from pg_replication_slots where slot_name = %s", (f"tongshu_{code}",))
        (slot_count,) = slots.fetchone() or (0,)
        found = admin.execute("select count(*) from pg_publication where pubname = %s", (f"tongshu_{code}",))
        (publication_count,) = found.fetchone() or (0,)
    return int(slot_count), int(publication_count)


def test_what_is_unmounted_leaves_nothing_and_can_be_mounted_again(clerk: Clerk, town: Town) -> None:
    table = town.table({"id": "text", "name": "text"}, rows=[("1", "甲")])
    grant = town.live_grant(table, ["id", "name"])
    reader = town.reader(grant)
    reader.await_state({"1": {"id": "1", "name": "甲"}})
    assert left_in_source(town, table.code) == (1, 1)
    bare = clerk.api.request("DELETE", f"/resources/{table.code}/mount")
    assert bare.status_code == 428
    tag = clerk.api.get(f"/resources/{table.code}").headers["ETag"]
    done = clerk.api.must(clerk.api.request("DELETE", f"/resources/{table.code}/mount", headers={"If-Match": tag}))
    assert done["mount"] is None and done["state"] == "published"
    assert left_in_source(town, table.code) == (0, 0) and connector_state(clerk, table.code) is None
    assert clerk.api.get(f"/resources/{table.code}/mount").status_code == 404
    again = clerk.api.request("DELETE", f"/resources/{table.code}/mount", headers={"If-Match": "*"})
    assert again.status_code == 404
    assert "resource_unmounted" in [name for name, _ in events_of(clerk, table.code)]
    # nothing flows, and the relay goes on with the others
    table.run("insert into {t} values ('2', '乙')")
    other = town.table({"id": "text"}, rows=[("1",)])
    other_reader = town.reader(town.grant(other, ["id"]))
    other_reader.await_state({"1": {"id": "1"}})
    other_reader.close()
    reader.poll(1)
    assert reader.state() == {"1": {"id": "1", "name": "甲"}}
    table.run("delete from {t} where id = '1'")
    form = {"system": SYSTEM, "schema": "population", "table": table.code}
    clerk.api.must(clerk.api.put(f"/resources/{table.code}/mount", form, if_match="*"))
    table.run("insert into {t} values ('3', '丙')")
    reader.await_state({"2": {"id": "2", "name": "乙"}, "3": {"id": "3", "name": "丙"}}, 90)
    reader.close()


def test_a_withdrawn_resource_leaves_nothing_in_its_source(clerk: Clerk, town: Town) -> None:
    table = town.table({"id": "text"})
    clerk.api.must(clerk.api.step(table.code, "withdraw", "停止采集"))
    assert left_in_source(town, table.code) == (0, 0)


def test_a_source_that_does_not_answer_is_told_and_cleared_when_it_does(clerk: Clerk, town: Town) -> None:
    table, kept = town.table({"id": "text"}), town.table({"id": "text"})
    with town.server.connect_admin("postgres") as admin:
        admin.execute(f"alter role {OWNER.database} nologin".encode())
        try:
            told = await_findings(clerk, kept, {"source_unreachable": "warn"}, "warn")
            assert told["findings"][0]["object"] == SYSTEM
            deleted = clerk.api.request("DELETE", f"/resources/{table.code}/mount", headers={"If-Match": "*"})
            assert clerk.api.must(deleted)["mount"] is None
            assert connector_state(clerk, table.code) is None
            assert left_in_source(town, table.code) == (1, 1)
            left = clerk.place.operator.must(clerk.place.operator.get("/clearances"))
            (mine,) = [one for one in left if one["resource"] == table.code]
            assert mine["system"] == SYSTEM and mine["connector_deleted"] and "log in" in mine["error"]
            form = {"system": SYSTEM, "schema": "population", "table": table.code}
            refused = clerk.api.put(f"/resources/{table.code}/mount", form, if_match="*")
            assert refused.status_code == 503
        finally:
            admin.execute(f"alter role {OWNER.database} login".encode())
    eventually(lambda: left_in_source(town, table.code), lambda left: left == (0, 0), "the clearance", 90)
    await_findings(clerk, kept, {}, "ok")


def test_a_connector_that_fails_is_told_by_name_and_leaves_nothing(clerk: Clerk, town: Town) -> None:
    """A mount that cannot come up: the user owns the table but may not replicate."""
    name = f"s{uuid.uuid4().hex[:8]}"
    table = clerk.table("id text primary key")
    with town.server.connect_admin(OWNER.database) as admin:
        admin.execute(f"create role {name} login password 'p' in role {OWNER.database}".encode())
        form = {"code": name, "department": OWNER.slug, "name": name, "host": town.server.host,
                "port": town.server.port, "database": OWNER.database, "username": name, "password": "p"}  # fmt: skip
        clerk.api.must(clerk.api.post("/systems", form), 201)
        code = clerk.draft([ID])
        clerk.place.operator.must(clerk.api.step(code, "submit"))
        clerk.place.reviewer.must(clerk.place.reviewer.step(code, "approve"))
        mount = {"system": name, "schema": "population", "table": table}
        warned = clerk.api.must(clerk.api.post(f"/resources/{code}/mount/preview", mount))["warnings"]
        assert "REPLICATION" in warned[0]["detail"]
        failed = clerk.api.put(f"/resources/{code}/mount", mount, if_match="*")
        assert failed.status_code == 502 and f"mount.{code}" in failed.json()["detail"]
        assert clerk.api.get(f"/resources/{code}").json()["mount"] is None
        assert connector_state(clerk, code) is None and left_in_source(town, code) == (0, 0)
        assert code not in {one["resource"] for one in clerk.place.operator.get("/clearances").json()}


def test_a_connector_that_the_exchange_stopped_and_forgot_goes_on(clerk: Clerk, town: Town) -> None:
    """As after a power cut between the stop and the word of it in the database."""
    table = town.table({"id": "text"}, rows=[("1",)])
    reader = town.reader(town.live_grant(table, ["id"]))
    Connect(clerk.place.exchange.settings).stop(f"mount.{table.code}")
    eventually(lambda: connector_state(clerk, table.code), lambda state: state == "STOPPED", "the stop")
    table.run("insert into {t} values ('2')")
    reader.await_state({"1": {"id": "1"}, "2": {"id": "2"}}, 60)
    assert status(clerk, table.code)["reread"] is None
    reader.close()


# -- reading rows again ----------------------------------------------------------------------------------------------


def test_rows_that_change_while_they_are_read_again_end_as_they_are(clerk: Clerk, town: Town) -> None:
    table = town.table({"id": "text", "name": "text"})
    table.run("insert into {t} select lpad(n::text, 4, '0'), '0' from generate_series(1, 1000) n")
    # wide, so that taking them in takes a while, too
    table.run(
        "alter table {t} " + ", ".join(f"add n{n} numeric(38,10) default 12345678901234.56789" for n in range(200))
    )
    # whoever reads all rows needs seconds
    table.run("create policy slow on {t} using (pg_sleep(0.002) is not null)")
    table.run("alter table {t} enable row level security, force row level security")
    reader = town.reader(town.live_grant(table, ["id", "name"]))
    reader.await_records(1000, 60)
    with town.server.connect_admin(OWNER.database) as admin:

        def is_read() -> bool:
            active = (
                "select count(*) from pg_stat_activity where state = 'active' and query ~ %s and query ~ 'ORDER BY'"
            )
            return admin.execute(active, (f'FROM.*"{table.code}"',)).fetchone() != (0,)

        clerk.api.must(clerk.api.post(f"/resources/{table.code}/mount/resnapshot", {}), 202)
        eventually(is_read, lambda read: read, "the reading")
        for n in range(1, 1000, 25):
            admin.execute(f"update {table.name} set name = '1' where id = '{n:04}'".encode())
            admin.execute(f"delete from {table.name} where id = '{n + 1:04}'".encode())
        assert is_read(), "the changes came too late to show anything"
        rows = admin.execute(f"select id, name from {table.name}".encode()).fetchall()
    eventually(lambda: status(clerk, table.code)["reread"]["state"], lambda told: told == "done", "its end", 60)

    def reads() -> int:
        reader.poll()
        return sum(one.op == "r" for one in reader.records)

    eventually(reads, lambda count: count > 900, "all the rows")
    reader.await_state({key: {"id": key, "name": name} for key, name in rows}, 30)
    reader.close()


def test_some_rows_are_read_again_by_their_keys(clerk: Clerk, town: Town) -> None:
    rows = [(f"{n:02}", f"名{n}") for n in range(1, 21)]
    table = town.table({"id": "text", "name": "text"}, rows=rows)
    reader = town.reader(town.live_grant(table, ["id", "name"]))
    reader.await_state({key: {"id": key, "name": name} for key, name in rows})
    count = len(reader.records)

    def ask(**form: Any) -> Any:
        return clerk.api.post(f"/resources/{table.code}/mount/resnapshot", form)

    wrong = ask(filter='name = "甲"')
    assert wrong.status_code == 422 and wrong.json()["errors"][0]["pointer"] == "/filter"
    assert ask(filter="id = 1").status_code == 422 and ask(filter="1 = 1); drop table x").status_code == 422
    asked = clerk.api.must(ask(filter='id in ("03", "04") or id = "it\'s?"'), 202)
    assert asked["filter"] == 'id in ("03", "04") or id = "it\'s?"'
    reader.await_records(count + 2, 60)
    assert sorted((one.op, one.key["id"]) for one in reader.records[count:]) == [("r", "03"), ("r", "04")]
    table.run("insert into {t} values ('99', '新')")
    reader.await_records(count + 3)
    clerk.api.must(ask(), 202)
    reader.await_records(count + 3 + 21, 60)
    assert {one.op for one in reader.records[count + 3 :]} == {"r"}
    told = eventually(
        lambda: status(clerk, table.code)["reread"], lambda reread: reread["state"] == "done", "the end of it"
    )  # fmt: skip
    assert (told["rows"], told["some"], told["missed"]) == (21, False, False) and told["since"] <= told["since"]
    with town.server.connect_admin(OWNER.database) as admin:
        signals = admin.execute("select count(*) from pg_class where relname like '%signal%'").fetchone()
    assert signals == (0,)
    reader.close()
