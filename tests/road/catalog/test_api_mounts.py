"""A resource filled from an upstream API: consumers hold what it answers, and half an answer changes nothing."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cli.demo.stage import publish
from tests.road.catalog.office import Api, Place
from tests.road.town import OWNER, Table, Town, eventually, resource_of

SYSTEM = "upstream_only"
ITEMS: list[dict[str, Any]] = [
    {"name": "id", "title": "编号", "type": "string", "key": True, "nullable": False},
    {"name": "name", "title": "姓名", "type": "string", "sensitivity": "personal"},
    {"name": "paid", "title": "缴费", "type": "decimal", "length": 12, "scale": 2},
    {"name": "born", "title": "出生日期", "type": "date"},
]
SECRET = "Bearer s3cret-of-the-upstream"
PAGE = 2


@dataclass(slots=True)
class Upstream:
    """Somebody else's API: rows in pages of two, over a cursor; a test changes what it answers."""

    rows: list[dict[str, Any]]
    fails_at: int | None = None
    redirect: str | None = None
    statuses: list[int] = field(default_factory=list)
    port: int = 0

    def url(self, path: str = "/persons") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def answer(self, path: str, headers: Any) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(path)
        if headers.get("Authorization") != SECRET:
            return 401, {}, b"{}"
        if self.redirect is not None:
            return 302, {"Location": self.redirect}, b""
        start = int(parse_qs(parts.query).get("cursor", ["0"])[0])
        if self.fails_at == start:
            return 500, {}, b"{}"
        end = start + PAGE if parts.path == "/persons" else len(self.rows)
        following = str(end) if end < len(self.rows) else None
        body = json.dumps({"data": {"list": self.rows[start:end], "next": following}}, ensure_ascii=False).encode()
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if headers.get("If-None-Match") == tag:
            return 304, {"ETag": tag}, b""
        return 200, {"ETag": tag}, body


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    api = Upstream([row("a", "王小明", 12.5, "1990-05-01"), row("b", "李四", "3", None), row("c", None, 0, None)])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, body = api.answer(self.path, self.headers)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            api.statuses.append(status)

        def log_message(self, *_: Any) -> None:
            """A test's output is the tests'."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield api
    server.shutdown()
    server.server_close()


def row(key: str, name: str | None, paid: Any, born: str | None) -> dict[str, Any]:
    return {"no": key, "person": {"xm": name}, "paid": paid, "born": born, "internal": "SECRET"}


def form(upstream: Upstream, path: str = "/persons", **more: Any) -> dict[str, Any]:
    return {
        "url": upstream.url(path),
        "rows": "/data/list",
        "paging": {"kind": "cursor", "parameter": "cursor", "pointer": "/data/next"},
        "fields": {"id": "/no", "name": "/person/xm"},
        "secret": SECRET,
        "every_seconds": 1,
        **more,
    }


@dataclass(frozen=True, slots=True)
class Clerk:
    """A provider of the owning department, and a resource that is not mounted yet."""

    api: Api
    table: Table

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = self.api.must(self.api.get(f"/resources/{self.table.code}/mount"))
        return told

    def mount(self, described: dict[str, Any]) -> dict[str, Any]:
        body = {"kind": "api", "system": SYSTEM, "upstream": described}
        answer = self.api.put(f"/resources/{self.table.code}/mount", body, if_match="*")
        told: dict[str, Any] = self.api.must(answer, 200)
        return told

    def await_findings(self, wanted: list[str]) -> dict[str, Any]:
        return eventually(
            self.status, lambda told: [one["kind"] for one in told["findings"]] == wanted, "the findings"
        )  # fmt: skip


@pytest.fixture
def clerk(town: Town, place: Place) -> Clerk:
    code = f"u{uuid.uuid4().hex[:10]}"
    if SYSTEM not in {one["code"] for one in place.operator.get("/systems", limit=500).json()["items"]}:
        form = {"code": SYSTEM, "department": OWNER.slug, "name": "没有数据库的系统"}
        place.operator.must(place.operator.post("/systems", form), 201)
    town.exchange.ask("POST", "catalog", "/resources", resource_of(code, ITEMS))
    publish(town.exchange, code)
    topic = f"cdc.{SYSTEM}.{code}"
    return Clerk(place.caller("provider", department=OWNER.slug), Table(town.exchange, None, code, "", topic))  # type: ignore[arg-type]


def test_consumers_hold_what_an_api_answers(town: Town, clerk: Clerk, upstream: Upstream) -> None:
    mounted = clerk.mount(form(upstream))
    assert mounted["mount"]["endpoint"] == upstream.url() and SECRET not in json.dumps(mounted)
    reader = town.reader(town.live_grant(clerk.table, [one["name"] for one in ITEMS]))
    a = {"id": "a", "name": "王小明", "paid": Decimal("12.50"), "born": date(1990, 5, 1)}
    b = {"id": "b", "name": "李四", "paid": Decimal("3.00"), "born": None}
    c = {"id": "c", "name": None, "paid": Decimal("0.00"), "born": None}
    reader.await_state({"a": a, "b": b, "c": c})
    upstream.rows = [row("a", "王大明", 12.5, "1990-05-01"), *upstream.rows[2:], row("d", "赵六", "1", None)]
    d = {"id": "d", "name": "赵六", "paid": Decimal("1.00"), "born": None}
    wanted = {"a": {**a, "name": "王大明"}, "c": c, "d": d}
    reader.await_state(wanted)
    held = len(reader.records)

    # an API that fails between two pages has said nothing: what its first page lacks is not deleted
    upstream.rows, upstream.fails_at = [row("a", "谁", 1, None), row("x", "谁", 1, None), row("y", "谁", 1, None)], 2
    told = clerk.await_findings(["upstream_failed"])
    assert told["condition"] == "warn" and "500" in told["findings"][0]["detail"] and told["upstream"]["failures"] > 0
    # neither has one that sends what is no decimal, or a key twice
    upstream.fails_at, upstream.rows = None, [row("a", "谁", True, None), row("a", "谁", "多", None)]
    told = clerk.await_findings(["rows_unfit"])
    assert "3 faults" in told["findings"][0]["detail"] and "/2/paid" in told["findings"][0]["detail"]
    assert "谁" not in told["findings"][0]["detail"] and "多" not in told["findings"][0]["detail"]
    upstream.rows = []
    eventually(clerk.status, lambda told: "no row came" in json.dumps(told["findings"]), "no rows")
    reader.poll(0.5)
    assert len(reader.records) == held

    upstream.rows = [row("a", "王大明", 12.5, "1990-05-01"), row("d", "赵六", 1, None)]
    reader.await_state({"a": wanted["a"], "d": d})
    told = clerk.await_findings([])
    assert told["condition"] == "ok" and told["upstream"]["rows"] == 2 and told["upstream"]["failures"] == 0
    assert [one.op for one in reader.records[held:]] == ["d", "tombstone"]
    assert town.quarantined(clerk.table) == []
    reader.close()


def test_an_api_is_asked_only_whether_something_has_changed_and_ends_with_its_mount(
    town: Town, clerk: Clerk, upstream: Upstream
) -> None:
    clerk.mount(form(upstream, "/all"))
    reader = town.reader(town.live_grant(clerk.table, ["id", "name"]))
    reader.await_state({key: {"id": key, "name": name} for key, name in (("a", "王小明"), ("b", "李四"), ("c", None))})
    eventually(lambda: upstream.statuses.count(304), lambda count: count > 1, "answers without a body")
    assert upstream.statuses.count(200) == 2  # the wizard's and the first
    assert clerk.status()["findings"] == []
    upstream.rows = upstream.rows[:1]
    reader.await_state({"a": {"id": "a", "name": "王小明"}})
    path = f"/resources/{clerk.table.code}/mount"
    clerk.api.must(clerk.api.request("DELETE", path, headers={"If-Match": "*"}))
    asked = len(upstream.statuses)
    upstream.rows = []
    reader.poll(1.5)
    assert len(upstream.statuses) - asked <= 1 and reader.state() == {"a": {"id": "a", "name": "王小明"}}
    reader.close()


def test_the_wizard_tells_all_of_an_api_at_once_and_shows_nothing_in_clear(clerk: Clerk, upstream: Upstream) -> None:
    upstream.rows = [row("a", "王小明", 1, "1990-13-01"), row("b", "李四", "x", None), row("a", None, 1, None)]
    path = f"/resources/{clerk.table.code}/mount/upstream/preview"
    described = form(upstream, fields={"id": "/no", "nobody": "/x"})
    found = clerk.api.must(clerk.api.post(path, {"upstream": described}))
    assert {one["pointer"] for one in found["defects"]} == {
        "/upstream/fields/nobody", "/items/1/column", "/items/2/rows", "/items/3/rows", "/upstream/rows",
    }  # fmt: skip
    assert {one["item"]: one["column"] for one in found["proposals"]} == {
        "id": "/no", "name": None, "paid": "/paid", "born": "/born",
    }  # fmt: skip
    assert {one["pointer"] for one in found["fields"]} >= {"/no", "/person/xm", "/paid", "/born"}
    assert (found["sampled"], found["pages"], found["whole"]) == (3, 2, True)
    found = clerk.api.must(clerk.api.post(path, {"upstream": form(upstream)}))
    assert found["rows"][0]["name"] == "王*明" and "王小明" not in json.dumps(found, ensure_ascii=False)
    assert "SECRET" not in json.dumps(found)
    body = {"kind": "api", "system": SYSTEM, "upstream": described}
    refused = clerk.api.put(f"/resources/{clerk.table.code}/mount", body, if_match="*")
    assert refused.status_code == 422 and len(refused.json()["errors"]) == 5
    wrong = form(upstream, url="ftp://127.0.0.1/", paging={"kind": "cursor"}, header="Host")
    refused = clerk.api.post(path, {"upstream": wrong})
    assert [one["pointer"] for one in refused.json()["errors"]] == [
        "/upstream/url", "/upstream/header", "/upstream/paging/parameter", "/upstream/paging/pointer",
    ]  # fmt: skip


def test_a_system_without_a_database_mounts_all_but_tables(clerk: Clerk, place: Place) -> None:
    told = clerk.api.must(clerk.api.get(f"/systems/{SYSTEM}"))
    assert (told["host"], told["port"], told["database"]) == (None, None, None)
    path = f"/resources/{clerk.table.code}/mount"
    table = {"system": SYSTEM, "schema": "population", "table": "person"}
    for answer in (
        clerk.api.put(path, table, if_match="*"),
        clerk.api.post(f"{path}/preview", table),
        clerk.api.get(f"/systems/{SYSTEM}/tables"),
    ):
        assert answer.status_code == 422 and answer.json()["type"].endswith("database-missing")
    for kind in ("file", "topic"):
        clerk.api.must(clerk.api.put(path, {"kind": kind, "system": SYSTEM}, if_match="*"))
        clerk.api.must(clerk.api.request("DELETE", path, headers={"If-Match": "*"}))
    half = {"code": "half", "department": OWNER.slug, "name": "半个", "host": "127.0.0.1", "username": "x"}
    refused = clerk.api.post("/systems", half)
    assert refused.status_code == 422
    assert [one["pointer"] for one in refused.json()["errors"]] == ["/port", "/database", "/password"]


def test_an_api_is_no_way_into_other_networks(clerk: Clerk, upstream: Upstream) -> None:
    path = f"/resources/{clerk.table.code}/mount/upstream/preview"

    def refused(**more: Any) -> str:
        answer = clerk.api.post(path, {"upstream": form(upstream, **more)})
        assert answer.status_code == 502 and answer.json()["type"].endswith("upstream-failed"), answer.text
        return str(answer.json()["detail"])

    for address in ("169.254.169.254", "10.0.0.1", "[::ffff:192.168.1.1]", "0.0.0.0", "[fe80::1]"):
        assert "not allowed to reach" in refused(url=f"http://{address}/latest/meta-data")
    upstream.redirect = "http://127.0.0.2:1/"
    assert "another server, 127.0.0.2" in refused()
    upstream.redirect = f"//127.0.0.1:{upstream.port + 1}/"
    assert "another server" in refused()
    upstream.redirect = upstream.url()
    assert "too often" in refused()
    upstream.redirect = None
    assert "401" in refused(secret="wrong") and "no list" in refused(rows="/data")
