"""Requests that come twice, late, or in between, and the list that everybody reads."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openpyxl

from tests.road.demand.bureau import Bureau, demand_of
from tests.road.town import eventually


def test_a_post_that_comes_twice_is_done_once(bureau: Bureau) -> None:
    form, key = demand_of(resource=bureau.conditional.code), uuid.uuid4().hex
    first = bureau.applicant.api.post("/demands", form, idempotency_key=key)
    again = bureau.applicant.api.post("/demands", form, idempotency_key=key)
    assert first.status_code == again.status_code == 201
    assert first.json()["id"] == again.json()["id"] and again.headers["idempotency-replayed"] == "true"
    step = {"action": "submit"}
    demand, key = first.json()["id"], uuid.uuid4().hex
    answers = [
        bureau.applicant.api.post(f"/demands/{demand}/steps", step, idempotency_key=key, if_match='"1"')
        for _ in range(2)
    ]
    assert [one.status_code for one in answers] == [200, 200]
    steps = bureau.applicant.api.must(bureau.applicant.api.get(f"/demands/{demand}/steps"))
    assert [one["action"] for one in steps] == ["submit"]


def test_a_change_names_the_state_it_changes(bureau: Bureau) -> None:
    demand = bureau.applicant.drafts(resource=bureau.conditional.code)
    form = demand_of(resource=bureau.conditional.code)
    path = f"/demands/{demand['id']}"
    assert bureau.applicant.api.put(path, form).status_code == 428
    assert bureau.applicant.api.put(path, form, if_match='"1"').status_code == 200
    assert bureau.applicant.api.put(path, form, if_match='"1"').status_code == 412


def test_the_matching_list_is_in_the_api_the_topic_and_a_workbook(bureau: Bureau) -> None:
    formula = '=HYPERLINK("https://evil.example","点我")'
    demand = bureau.applicant.submits(resource=bureau.conditional.code, title=formula)
    line = next(
        one
        for one in bureau.auditor.api.must(bureau.auditor.api.get("/matching", clock="accept", limit=500))["items"]
        if one["id"] == demand["id"]
    )
    assert (line["state"], line["clock"], line["supplier"]) == ("submitted", "accept", "public_security")

    def told() -> object:
        kept = {key.decode(): value for key, value, _ in bureau.exchange.read_all("demand.matching")}
        value = kept.get(demand["id"])
        return bureau.exchange.registry.decode(value)[1] if value else None

    published = eventually(told, lambda found: found is not None, "the line in demand.matching")
    assert isinstance(published, dict)
    for name in ("title", "state", "clock", "due_on", "supplier", "resource"):
        assert published[name] == line[name]
    answer = bureau.applicant.api.get("/matching/workbook", department="civil_affairs")
    sheet = openpyxl.load_workbook(io.BytesIO(answer.content)).active
    assert sheet is not None
    cells = {row[0].value: row for row in sheet.iter_rows(min_row=2)}
    title = cells[demand["id"]][1]
    assert title.value == formula and title.data_type == "s" and title.quotePrefix, "text stays text"
    assert cells[demand["id"]][3].value == "市民政局"


def test_a_calendar_edit_moves_what_runs(bureau: Bureau) -> None:
    demand = bureau.applicant.submits(resource=bureau.conditional.code)
    due = demand["due_on"]
    operator = bureau.place.operator
    try:
        operator.must(operator.put(f"/place/calendar/{due}", {"working": False, "name": "临时停工"}, if_match="*"))
        moved = eventually(lambda: bureau.applicant.read(demand["id"])["due_on"], lambda now: now > due, "a later day")
        operator.must(operator.put(f"/place/calendar/{due}", {"working": True}, if_match="*"))
        eventually(lambda: bureau.applicant.read(demand["id"])["due_on"], lambda now: now == due, "the day before")
    finally:
        operator.must(operator.put(f"/place/calendar/{due}", {"working": True}, if_match="*"))
    timeline = bureau.applicant.api.must(bureau.applicant.api.get(f"/demands/{demand['id']}/timeline"))
    marks = [(one["what"], one["due_on"]) for one in timeline if one["clock"] == "accept"]
    assert marks == [("clock_started", due), ("clock_moved", moved), ("clock_moved", due)]


def test_urging_climbs_and_is_told(bureau: Bureau) -> None:
    demand = bureau.applicant.submits(resource=bureau.conditional.code)
    path = f"/demands/{demand['id']}/urging"
    assert bureau.supplier.api.post(path, {}).status_code == 403
    rungs = [bureau.applicant.api.must(bureau.applicant.api.post(path, {}), 201)["urged"] for _ in range(4)]
    assert rungs == ["handler", "responsible", "superior", "superior"]
    bureau.authority.takes(demand, "accept")
    assert bureau.authority.api.must(bureau.authority.api.post(path, {"message": "请尽快"}), 201)["urged"] == "handler"
    notices = bureau.supplier.api.must(bureau.supplier.api.get("/notices", unread=True, limit=500))["items"]
    mine = [one for one in notices if one["demand"] == demand["id"]]
    assert {(one["kind"], one["role"]) for one in mine} == {("demand_forwarded", "handler"), ("clock_urged", "handler")}
    read = bureau.supplier.api.put(f"/notices/{mine[0]['id']}/read", None)
    assert read.status_code == 200 and read.json()["read_at"] is not None
    assert bureau.applicant.api.put(f"/notices/{mine[0]['id']}/read", None).status_code == 404


@contextmanager
def webhook() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """The address of a server, and what was posted to it."""
    posted: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            posted.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", posted
    finally:
        server.shutdown()
        server.server_close()


def test_notices_come_to_a_webhook_signed(bureau: Bureau) -> None:
    api = bureau.applicant.api
    closed = api.post("/subscriptions", {"kind": "webhook", "target": "https://169.254.169.254/latest"})
    assert closed.status_code == 422 and closed.json()["errors"][0]["pointer"] == "/target"
    with webhook() as (url, posted):
        made = api.must(api.post("/subscriptions", {"kind": "webhook", "target": url}), 201)
        demand = bureau.applicant.submits(resource=bureau.unconditional.code)
        kinds = {"demand_approved", "demand_provisioned", "demand_delivering"}

        def told() -> set[str]:
            letters = [json.loads(body) for _, body in posted]
            return {one["kind"] for one in letters if one["demand"] == demand["id"]}

        eventually(told, lambda found: found == kinds, "all notices at the webhook")
        headers, body = posted[0]
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(made["secret"].removeprefix("whsec_"))
        digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{digest}"
        path = f"/subscriptions/{made['id']}"
        assert bureau.supplier.api.request("DELETE", path).status_code == 404
        api.must(api.request("DELETE", path))
        dispatches = api.must(api.get(f"{path}/dispatches", limit=500))["items"]
        assert all(one["delivered_at"] and one["attempts"] == 1 for one in dispatches) and len(dispatches) >= 3
        count = len(posted)
        bureau.applicant.takes(bureau.applicant.awaits(demand, "delivering"), "withdraw")
        assert api.must(api.get(f"{path}/dispatches", limit=500))["items"] == dispatches and len(posted) == count
    assert all("secret" not in one for one in api.must(api.get("/subscriptions")))
