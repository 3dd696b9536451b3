"""A resource that is filled from files: consumers hold what the last file says, and a bad one changes nothing."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import openpyxl
import pytest

from cli.demo.stage import publish
from tests.road.catalog.office import Api, Place
from tests.road.town import OWNER, Table, Town, eventually, resource_of

SYSTEM = OWNER.database
ITEMS: list[dict[str, Any]] = [
    {"name": "id", "title": "编号", "type": "string", "key": True, "nullable": False},
    {"name": "name", "title": "姓名", "type": "string", "column": "列名"},
    {"name": "paid", "title": "缴费", "type": "decimal", "length": 12, "scale": 2},
    {"name": "born", "title": "出生日期", "type": "date"},
    {"name": "seen", "title": "时间", "type": "timestamp"},
]
RULES = [
    {"id": "paid_range", "kind": "range", "items": ["paid"], "parameters": {"min": "0"}, "severity": "error"},
    {"id": "name_there", "kind": "required", "items": ["name"], "severity": "warning"},
]
HEADER = "编号,姓名,paid,出生日期,时间"
FIRST = f"""{HEADER}
a,王小明,12.5,1990-05-01,2026-01-02 08:00:00
b,李四,3,,
c,,0.10,1991-06-02,
"""
SECOND = f"""{HEADER}
c,,0.10,1991-06-02,
d,赵六,7,,
a,王大明,12.50,1990/05/01,2026-01-02T00:00:00Z
"""
AT = datetime(2026, 1, 2, tzinfo=UTC)
A = {"id": "a", "name": "王小明", "paid": Decimal("12.50"), "born": date(1990, 5, 1), "seen": AT}
B = {"id": "b", "name": "李四", "paid": Decimal("3.00"), "born": None, "seen": None}
C = {"id": "c", "name": None, "paid": Decimal("0.10"), "born": date(1991, 6, 2), "seen": None}
D = {"id": "d", "name": "赵六", "paid": Decimal("7.00"), "born": None, "seen": None}


@dataclass(frozen=True, slots=True)
class Clerk:
    """A provider of the owning department, and a resource that is filled from its files."""

    api: Api
    table: Table

    def send(self, data: str | bytes, mode: str = "full", **headers: str) -> Any:
        body = data.encode() if isinstance(data, str) else data
        return self.api.send(f"/resources/{self.table.code}/mount/files?mode={mode}", body, **headers)


@pytest.fixture
def clerk(town: Town, place: Place) -> Iterator[Clerk]:
    code = f"x{uuid.uuid4().hex[:10]}"
    town.exchange.ask("POST", "catalog", "/resources", resource_of(code, ITEMS, rules=RULES))
    publish(town.exchange, code)
    mount = town.exchange.ask("PUT", "catalog", f"/resources/{code}/mount", {"kind": "file", "system": SYSTEM})
    assert mount["credentials"] is None
    assert mount["mount"] | {"halted_items": []} == {
        "kind": "file", "system": SYSTEM, "schema": "", "table": "", "topic": f"cdc.{SYSTEM}.{code}", "connector": "",
        "endpoint": f"/api/catalog/v1/resources/{code}/mount/files", "inputs": [], "halted": None, "halted_items": [],
    }  # fmt: skip
    api = place.caller("provider", department=OWNER.slug)
    yield Clerk(api, Table(town.exchange, None, code, "", mount["mount"]["topic"]))  # type: ignore[arg-type]


def told(answer: Any) -> tuple[int, int, int, int]:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["created"], body["updated"], body["deleted"], body["unchanged"]


def test_consumers_hold_what_the_last_file_says(town: Town, clerk: Clerk) -> None:
    reader = town.reader(town.live_grant(clerk.table, [item["name"] for item in ITEMS]))
    answer = clerk.send(FIRST.encode("gbk"))
    assert told(answer) == (3, 0, 0, 0) and answer.json()["warnings"] == {"name_there": 1}
    reader.await_state({"a": A, "b": B, "c": C})
    assert told(clerk.send(FIRST)) == (0, 0, 0, 3)
    assert told(clerk.send(SECOND)) == (1, 1, 1, 1)
    reader.await_state({"a": {**A, "name": "王大明"}, "c": C, "d": D})
    assert sorted(one.op for one in reader.records) == ["c", "c", "c", "c", "d", "tombstone", "u"]

    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["id", "name", "paid", "born", "seen"])
    book.active.append(["b", "李四", 3, None, None])
    book.active.append(["d", "赵七", 7, None, "2026-01-02 08:00"])
    data = io.BytesIO()
    book.save(data)
    assert told(clerk.send(data.getvalue(), "changes")) == (1, 1, 0, 0)
    wanted = {"a": {**A, "name": "王大明"}, "b": B, "c": C, "d": {**D, "name": "赵七", "seen": AT}}
    reader.await_state(wanted)
    assert town.quarantined(clerk.table) == []
    positions: dict[str, list[str]] = {}
    for one in reader.records:
        if one.value:
            positions.setdefault(one.key["id"], []).append(one.value["source"]["position"])
    assert all(found == sorted(set(found)) for found in positions.values())
    late = town.reader(town.grant(clerk.table, [item["name"] for item in ITEMS]))
    late.await_state(wanted)
    for one in (reader, late):
        one.close()


def test_a_file_with_faults_tells_them_all_and_changes_nothing(town: Town, clerk: Clerk) -> None:
    assert told(clerk.send(FIRST)) == (3, 0, 0, 0)
    end = [town.end_offset(clerk.table.topic)]
    bad = f"{HEADER}\na,x,-1,1990-02-30,\n,x,1.005,,nonsense\nz,ok,1,,\nz,ok,2,,\n"
    answer = clerk.send(bad)
    assert answer.status_code == 422 and answer.json()["type"].endswith("file-invalid")
    pointers = {one["pointer"] for one in answer.json()["errors"]}
    assert pointers == {"/2/paid", "/2/born", "/3/id", "/3/paid", "/3/seen", "/5"}
    zh = clerk.send(bad, accept_language="zh")
    assert "文件有 6 处错误" in zh.json()["detail"] and "必填" in zh.text
    for header in ("编号,别的\na,b\n", f"{HEADER}\n", ""):
        assert clerk.send(header).status_code == 422
    mixed = f"{HEADER}\na,王小明,1,,\n".encode() + "b,李四,1,,\n".encode("gbk")
    answer = clerk.send(mixed)
    assert answer.json()["type"].endswith("file-unreadable")
    assert [one["pointer"] for one in answer.json()["errors"]] == ["/3"]
    assert [town.end_offset(clerk.table.topic)] == end
    assert told(clerk.send(FIRST)) == (0, 0, 0, 3)


def test_only_what_is_mounted_so_takes_files_and_only_from_its_department(
    town: Town, clerk: Clerk, place: Place
) -> None:
    path = f"/resources/{clerk.table.code}/mount"
    stranger = place.caller("provider", department="civil_affairs")
    assert stranger.send(f"{path}/files", FIRST.encode()).status_code == 403
    table = town.table({"id": "text"})
    answer = clerk.api.send(f"/resources/{table.code}/mount/files", b"id\na\n")
    assert answer.status_code == 409 and answer.json()["type"].endswith("mount-kind")
    assert clerk.api.post(f"{path}/credentials").status_code == 409
    answer = eventually(
        lambda: clerk.api.get(path).json(), lambda status: status["checked_at"] is not None, "a look"
    )  # fmt: skip
    assert answer["findings"] == []
    first = clerk.send(FIRST, idempotency_key=f"k-{uuid.uuid4().hex}")
    assert told(first) == (3, 0, 0, 0)
    tag = clerk.api.get(f"/resources/{clerk.table.code}").headers["ETag"]
    assert clerk.api.request("DELETE", path, headers={"If-Match": tag}).status_code == 200
    assert clerk.send(FIRST).status_code == 404
    town.exchange.ask("PUT", "catalog", path, {"kind": "file", "system": SYSTEM})
    assert told(clerk.send(SECOND)) == (1, 1, 1, 1)


def test_after_a_contract_that_breaks_readers_a_file_still_deletes_what_it_does_not_hold(
    town: Town, clerk: Clerk, place: Place
) -> None:
    assert told(clerk.send(FIRST)) == (3, 0, 0, 0)
    grant = town.live_grant(clerk.table, ["id", "name"])
    reader = town.reader(grant)
    names = {"a": "王小明", "b": "李四", "c": None}
    reader.await_state({key: {"id": key, "name": name} for key, name in names.items()})
    code = clerk.table.code
    clerk.api.must(clerk.api.step(code, "revise"))
    read = clerk.api.get(f"/resources/{code}")
    items = [{**one, "type": "string", "length": None, "scale": None} if one["name"] == "paid" else one
             for one in read.json()["draft"]["items"]]  # fmt: skip
    draft = {**read.json()["draft"], "items": items, "rules": []}
    clerk.api.must(clerk.api.put(f"/resources/{code}/draft", draft, if_match=read.headers["ETag"]))
    clerk.api.must(clerk.api.step(code, "submit"))
    (notice,) = clerk.api.must(clerk.api.get("/notices", resource=code))
    ready = {"department": grant["department"]}
    place.operator.must(place.operator.post(f"/notices/{notice['id']}/acknowledgements", ready))
    place.reviewer.must(place.reviewer.step(code, "approve"))

    assert told(clerk.send("编号,姓名,paid,出生日期,时间\na,王小明,十二,,\nd,赵六,7,,\n", "changes")) == (2, 0, 0, 0)
    third = "编号,姓名,paid,出生日期,时间\nc,丙,十二,,\nd,赵六,7,,\n"
    assert told(clerk.send(third)) == (1, 0, 2, 1)
    reader.await_state({"c": {"id": "c", "name": "丙"}, "d": {"id": "d", "name": "赵六"}})
    assert town.quarantined(clerk.table) == []
    assert told(clerk.send(third)) == (0, 0, 0, 2)
    reader.close()
