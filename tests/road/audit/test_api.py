"""The auditors' API: searched, followed, proved; findings go to departments and come back; reads leave traces too."""

from __future__ import annotations

import base64
import json
import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from cli.exchange import Exchange
from services.audit.verifier import leaf_hashes, open_note, parse_key, root_from_inclusion
from tests.road.audit.conftest import Books
from tests.road.catalog.office import Office, Place
from tests.road.town import eventually


class Caller:
    """The audit's API with one token."""

    def __init__(self, exchange: Exchange, token: str) -> None:
        self.http = httpx.Client(
            base_url=exchange.url("audit"), headers={"Authorization": f"Bearer {token}"}, timeout=30
        )

    def must(self, method: str, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.http.request(method, path, json=body, headers=named)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def search(self, **wanted: Any) -> list[dict[str, Any]]:
        answer = self.http.get("/entries", params=wanted)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found


def caller(exchange: Exchange, place: Place, role: str, department: str | None = None) -> Caller:
    form = {"name": f"{role} {uuid.uuid4().hex[:8]}", "roles": [role], "department": department}
    made = Caller(exchange, place.operator.must(place.operator.post("/tokens", form), 201)["token"])
    eventually(lambda: made.http.get("/matters").status_code, lambda code: code == 200, "the token")
    return made


@pytest.fixture(scope="module")
def auditor(exchange: Exchange, place: Place) -> Caller:
    return caller(exchange, place, "auditor")


@pytest.fixture(scope="module")
def department(place: Place) -> Office:
    return place.office()


def indexed(auditor: Caller, subject: str) -> dict[str, Any]:
    return eventually(lambda: auditor.search(subject=subject), bool, f"{subject} in the index")[0]


def test_an_entry_is_found_by_who_whom_what_and_when_and_proved(auditor: Caller, books: Books) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    subject = books.happening()
    found = indexed(auditor, subject)
    told = {"actor": "operator", "department": subject, "type": found["type"], "since": before.isoformat()}
    assert [one["sequence"] for one in auditor.search(**told)] == [found["sequence"]]
    assert auditor.search(subject=subject, until=before.isoformat()) == []
    assert auditor.must("GET", f"/actors/{found['actor']}")["name"] == "operator"
    proved = auditor.must("GET", f"/entries/{found['sequence']}")
    signed = open_note(proved["checkpoint"], parse_key(proved["key"])).checkpoint
    leaf = leaf_hashes([base64.b64decode(proved["raw"])])
    proof = [base64.b64decode(one) for one in proved["proof"]]
    assert root_from_inclusion(found["sequence"], signed.size, leaf, proof) == signed.root
    assert auditor.must("GET", "/entries/99999999", status=404)["type"].endswith("entry-unknown")
    first = auditor.http.get("/entries", params={"limit": 2}).json()
    second = auditor.http.get("/entries", params={"limit": 2, "cursor": first["next"]}).json()
    assert [one["sequence"] for one in first["items"] + second["items"]] == [0, 1, 2, 3]


def test_whoever_looks_stands_in_the_log_too(auditor: Caller, books: Books) -> None:
    subject = books.happening()
    auditor.search(subject=subject)
    read = books.await_entry("/api/audit/v1/entries", type="cn.tongshu.audit.log_read.v1")
    assert read["actor"].startswith("a")


def test_the_tail_shows_entries_as_they_are_sealed(auditor: Caller, books: Books) -> None:
    seen: list[dict[str, Any]] = []
    subject = f"c{uuid.uuid4().hex[:10]}"

    def follow() -> None:
        with auditor.http.stream("GET", "/tail", params={"outcome": "done"}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    seen.append(json.loads(line[6:]))
                    if seen[-1]["department"] == subject:
                        return

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    eventually(lambda: books.of("/api/audit/v1/tail"), bool, "the tail being followed")
    books.happening(subject)
    follower.join(20)
    assert not follower.is_alive() and seen[-1]["subject"] == subject
    assert [one["sequence"] for one in seen] == sorted(one["sequence"] for one in seen)


def test_a_finding_goes_to_the_department_and_comes_back(
    auditor: Caller, exchange: Exchange, place: Place, department: Office, books: Books
) -> None:
    theirs = caller(exchange, place, "provider", department.slug)
    others = caller(exchange, place, "provider", place.office().slug)
    number = indexed(auditor, books.happening())["sequence"]
    form = {"title": "用途不符", "text": "请说明。", "department": department.slug, "entries": [number],
            "due": "2020-01-01"}  # fmt: skip
    made = auditor.must("POST", "/findings", form, 201, Idempotency_Key="once")
    assert auditor.must("POST", "/findings", form, 201, Idempotency_Key="once")["id"] == made["id"]
    assert made["overdue"] and made["actions"] == []
    path = f"/matters/{made['id']}"
    assert theirs.must("GET", path)["actions"] == ["answer"]
    assert others.must("GET", path, status=404)["type"].endswith("matter-unknown")
    answer = {"action": "answer", "text": "已整改。"}
    assert theirs.must("POST", f"{path}/steps", answer, 428)["status"] == 428
    assert auditor.must("POST", f"{path}/steps", answer, 403, If_Match='"1"')["type"].endswith("not-allowed")
    assert theirs.must("POST", f"{path}/steps", answer, If_Match='"1"')["state"] == "answered"
    assert theirs.must("POST", f"{path}/steps", answer, 412, If_Match='"1"')["status"] == 412
    back = auditor.must("POST", f"{path}/steps", {"action": "return", "text": "证据不足。"}, If_Match='"2"')
    assert back["state"] == "open" and [one["action"] for one in back["steps"]] == ["answer", "return"]
    theirs.must("POST", f"{path}/steps", answer, If_Match='"3"')
    closed = auditor.must("POST", f"{path}/steps", {"action": "close", "text": "通过。"}, If_Match='"4"')
    assert closed["state"] == "closed" and closed["actions"] == []
    assert auditor.must("POST", f"{path}/steps", {"action": "close", "text": "again"}, 409, If_Match="*")
    assert books.await_entry(f"matter/{made['id']}", type="cn.tongshu.audit.finding_closed.v1")
    wrong = {**form, "entries": [10**12]}
    assert auditor.must("POST", "/findings", wrong, 422)["type"].endswith("entries-unknown")


def test_an_erased_actor_is_nobody_and_the_log_stays_whole(
    exchange: Exchange, place: Place, auditor: Caller, books: Books
) -> None:
    form = {"name": f"someone {uuid.uuid4().hex[:8]}", "roles": ["administrator"]}
    token = place.operator.must(place.operator.post("/tokens", form), 201)["token"]
    someone = Caller(exchange, token)
    eventually(lambda: someone.http.get("/matters").status_code, lambda code: code == 200, "the token")
    reference = eventually(lambda: auditor.search(actor=form["name"]), bool, "the reads of someone")[0]["actor"]
    operator = Caller(exchange, exchange.home.secret("operator_token"))
    assert operator.must("DELETE", f"/actors/{reference}")["name"] is None
    assert auditor.must("GET", f"/actors/{reference}")["erased_at"] is not None
    assert auditor.search(actor=form["name"]) == [] and auditor.search(actor=reference) != []
