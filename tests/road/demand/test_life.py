"""The life of demands on real parts: from the application to the first delivered change, and every way to end."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.road.databases import OwnDatabase
from tests.road.demand.bureau import APPLICANT, Bureau
from tests.road.town import eventually


def problem(answer: Any) -> str:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return str(answer.json()["type"]).rpartition(":")[2]


def test_unconditional_data_is_granted_in_the_same_second(bureau: Bureau) -> None:
    table = bureau.unconditional
    demand = bureau.applicant.submits(resource=table.code)
    assert (demand["state"], demand["path"], demand["clock"]) == ("approved", "rule", "provide")
    delivering = bureau.applicant.awaits(demand, "delivering")
    steps = bureau.applicant.api.must(bureau.applicant.api.get(f"/demands/{demand['id']}/steps"))
    assert [(one["action"], one["party"]) for one in steps] == [
        ("submit", "applicant"), ("grant_by_rule", "rule"), ("provision", "rule"), ("deliver", "rule"),
    ]  # fmt: skip
    assert delivering["clock"] is None
    grant = bureau.exchange.ask("GET", "demand", f"/grants/{delivering['grant']}")
    assert (grant["thread"], grant["department"]) == (demand["thread"], demand["department"])
    reader = bureau.town.reader(grant)
    try:
        reader.await_state({"1": {"id": "1", "name": "甲"}, "2": {"id": "2", "name": "乙"}})
    finally:
        reader.close()


def test_the_supplier_decides_what_is_conditional(bureau: Bureau) -> None:
    table = bureau.conditional
    demand = bureau.applicant.submits(resource=table.code, row_filter='name = "甲"')
    assert (demand["state"], demand["path"], demand["clock"]) == ("submitted", "decision", "accept")
    assert bureau.supplier.step(demand, "accept").status_code == 403
    accepted = bureau.authority.takes(demand, "accept")
    assert (accepted["state"], accepted["clock"]) == ("in_review", "reply")
    assert bureau.applicant.step(demand, "approve").status_code == 403
    assert bureau.authority.step(demand, "approve").status_code == 403, "one approval is the supplier's"
    approved = bureau.supplier.takes(demand, "approve")
    assert approved["state"] == "approved"
    bureau.applicant.awaits(demand, "delivering")
    evaluated = bureau.applicant.takes(demand, "evaluate", rating=5, reason="及时")
    assert evaluated["state"] == "evaluated"
    closed = bureau.applicant.takes(demand, "close")
    assert closed["state"] == "closed" and closed["actions"] == []
    assert bureau.exchange.ask("GET", "demand", f"/grants/{closed['grant']}")["state"] == "revoked"


def test_important_data_takes_two_persons(bureau: Bureau) -> None:
    table = bureau.table(grade="important")
    demand = bureau.applicant.submits(resource=table.code)
    bureau.authority.takes(demand, "accept")
    assert bureau.authority.step(demand, "approve").status_code == 403, "the first approval is the supplier's"
    first = bureau.supplier.takes(demand, "approve")
    assert (first["state"], first["approvals"], first["needed"]) == ("in_review", 1, 2)
    again = bureau.supplier.step(demand, "approve")
    assert (again.status_code, problem(again)) == (403, "same-person")
    assert bureau.authority.takes(demand, "approve")["state"] == "approved"
    bureau.applicant.awaits(demand, "delivering")


def test_what_is_wrong_is_told_at_once_and_the_clock_waits(bureau: Bureau) -> None:
    table = bureau.conditional
    demand = bureau.applicant.submits(resource=table.code)
    bureau.authority.takes(demand, "accept")
    without = bureau.supplier.step(demand, "return")
    assert (without.status_code, problem(without)) == (422, "step-incomplete")
    defects = [{"pointer": "/purpose", "detail": "请写明业务事项"}, {"pointer": "/items/1", "detail": "姓名须脱敏"}]
    returned = bureau.supplier.takes(demand, "return", defects=defects)
    clocks = {one["clock"]: one["due_on"] for one in returned["clocks"]}
    assert returned["state"] == "returned" and clocks["reply"] is None and clocks["supplement"] is not None
    form = {name: demand[name] for name in ("title", "resource", "items", "legal_basis")}
    mended = {**form, "purpose": "办理婚姻登记", "masks": {"name": {"kind": "keep", "first": 1}}}
    written = bureau.applicant.api.put(f"/demands/{demand['id']}", mended, if_match="*")
    assert written.status_code == 200
    supplemented = bureau.applicant.takes(demand, "supplement")
    assert (supplemented["state"], supplemented["clock"]) == ("in_review", "reply")
    twice = bureau.supplier.step(demand, "return", defects=defects)
    assert (twice.status_code, problem(twice)) == (409, "step-impossible"), "a demand is returned once"


def test_a_refusal_gives_its_reasons_and_may_be_disputed_up_to_the_government(bureau: Bureau) -> None:
    table = bureau.conditional
    demand = bureau.applicant.submits(resource=table.code)
    bureau.authority.takes(demand, "accept")
    bare = bureau.supplier.step(demand, "refuse", reason="不需要")
    assert [one["pointer"] for one in bare.json()["errors"]] == ["/legal_basis"]
    basis = {"reason": "超出职责范围", "legal_basis": "《某法》第二条"}
    assert bureau.supplier.takes(demand, "refuse", **basis)["state"] == "refused"
    disputed = bureau.applicant.takes(demand, "dispute", reason="属于法定职责")
    assert (disputed["state"], disputed["level"]) == ("disputed", "parties")
    assert bureau.authority.step(demand, "uphold", **basis).status_code == 409, "it is between the parties yet"
    assert bureau.applicant.takes(demand, "escalate", reason="未能协商一致")["level"] == "authority"
    assert bureau.authority.takes(demand, "uphold", **basis)["state"] == "refused"
    assert bureau.applicant.takes(demand, "dispute", reason="提请裁决")["level"] == "government"
    overturned = bureau.authority.takes(demand, "overturn", **basis)
    assert overturned["state"] == "in_review" and "refuse" not in bureau.supplier.read(demand["id"])["actions"]
    assert bureau.supplier.takes(demand, "approve")["state"] == "approved"


def test_data_that_nobody_has_catalogued_is_matched_and_catalogued(bureau: Bureau) -> None:
    wanted = bureau.applicant.submits(kind="uncatalogued", wanted="全市殡葬服务机构名录", items=[])
    accepted = bureau.authority.takes(wanted, "accept")
    assert (accepted["state"], accepted["clock"], accepted["supplier"]) == ("accepted", "match", None)
    nobody = bureau.authority.step(wanted, "match", supplier="nobody_at_all")
    assert (nobody.status_code, problem(nobody)) == (422, "supplier-invalid")
    bureau.authority.takes(wanted, "match", supplier="public_security")
    early = bureau.supplier.step(wanted, "approve")
    assert (early.status_code, problem(early)) == (409, "step-impossible"), "nothing is there to be approved"
    table = bureau.table()
    foreign = bureau.supplier.step(wanted, "catalogue", resource="enterprises")
    assert (foreign.status_code, problem(foreign)) == (422, "resource-invalid")
    named = bureau.supplier.takes(wanted, "catalogue", resource=table.code, items=["id", "name"])
    assert (named["resource"], named["items"]) == (table.code, ["id", "name"])
    bureau.supplier.takes(wanted, "approve")
    bureau.applicant.awaits(wanted, "delivering")


def test_in_an_emergency_data_flows_first_and_the_papers_follow(bureau: Bureau) -> None:
    table = bureau.conditional
    need = {"responsible": "周建国", "reason": "台风救灾"}
    endless = bureau.applicant.step(bureau.applicant.drafts(resource=table.code, emergency=need), "submit")
    assert [one["pointer"] for one in endless.json()["errors"]] == ["/until"]
    until = "2099-01-01T00:00:00Z"
    form = {"resource": table.code, "emergency": need, "until": until, "legal_basis": None}
    demand = bureau.applicant.submits(**form)
    assert (demand["state"], demand["papers"], demand["clock"]) == ("approved", "due", "papers")
    bureau.applicant.awaits(demand, "delivering")
    handed = bureau.applicant.takes(demand, "hand_in", legal_basis="《突发事件应对法》")
    assert (handed["papers"], handed["clock"], handed["state"]) == ("handed_in", "reply", "delivering")
    assert bureau.supplier.takes(demand, "confirm")["papers"] == "settled"
    important = bureau.table(grade="important")
    refused = bureau.applicant.step(bureau.applicant.drafts(**{**form, "resource": important.code}), "submit")
    assert [one["pointer"] for one in refused.json()["errors"]] == ["/emergency"]


def test_rows_to_be_asked_for_are_there_with_the_grant(bureau: Bureau) -> None:
    demand = bureau.applicant.submits(resource=bureau.unconditional.code, channels=["api"])
    delivering = bureau.applicant.awaits(demand, "delivering", 5)
    assert bureau.exchange.ask("GET", "demand", f"/grants/{delivering['grant']}")["channels"] == ["api"]


def test_a_department_asks_for_a_table_of_its_own_database(bureau: Bureau) -> None:
    table = {"schema": "public", "table": "people"}
    form = {"resource": bureau.unconditional.code, "channels": ["table"]}
    nowhere = bureau.applicant.step(bureau.applicant.drafts(**form), "submit")
    assert [one["pointer"] for one in nowhere.json()["errors"]] == ["/table"]
    database = OwnDatabase(bureau.exchange.home.secrets, APPLICANT)
    try:
        demand = bureau.applicant.submits(**form, table=table)
        assert bureau.applicant.awaits(demand, "delivering")["table"] == table
        rows = [{"id": "1", "name": "甲"}, {"id": "2", "name": "乙"}]
        query = "select id, name from people order by id"
        eventually(lambda: database.rows(query), lambda found: found == rows, "the rows in the department's database")
        bureau.applicant.takes(demand, "withdraw")
    finally:
        database.remove()


def test_a_demand_is_over_when_its_time_is(bureau: Bureau) -> None:
    table = bureau.unconditional
    until = datetime.now(UTC) + timedelta(seconds=6)
    demand = bureau.applicant.submits(resource=table.code, until=until.isoformat())
    bureau.applicant.awaits(demand, "delivering", 6)
    expired = bureau.applicant.awaits(demand, "expired", 15)
    assert bureau.exchange.ask("GET", "demand", f"/grants/{expired['grant']}")["state"] == "expired"


def test_withdrawing_a_demand_ends_its_grant_at_the_broker(bureau: Bureau) -> None:
    table = bureau.table(sharing_type="unconditional", sharing_conditions=None)
    demand = bureau.applicant.awaits(bureau.applicant.submits(resource=table.code), "delivering")
    reader = bureau.town.reader(bureau.exchange.ask("GET", "demand", f"/grants/{demand['grant']}"))
    try:
        reader.await_records(2)
        assert bureau.applicant.takes(demand, "withdraw")["state"] == "withdrawn"
        eventually(lambda: [reader.poll()] and reader.refusals, bool, "the broker's refusal")
        table.run("insert into {t} values ('3', '丙', '320612')")
        reader.poll(1)
        assert len(reader.records) == 2
    finally:
        reader.close()


def test_a_resource_that_goes_or_rises_takes_the_demand_back(bureau: Bureau) -> None:
    table, rising = bureau.table(), bureau.table()
    demands = []
    for code in (table.code, rising.code):
        demand = bureau.applicant.submits(resource=code)
        bureau.authority.takes(demand, "accept")
        bureau.supplier.takes(demand, "approve")
        demands.append(bureau.applicant.awaits(demand, "delivering"))
    waiting = bureau.applicant.submits(resource=rising.code)
    bureau.authority.takes(waiting, "accept")
    bureau.exchange.ask(
        "POST", "catalog", f"/resources/{rising.code}/grade", {"grade": "important", "reason": "汇聚后影响重大"}
    )
    reopened = bureau.applicant.awaits(demands[1], "in_review")
    assert (reopened["needed"], reopened["approvals"]) == (2, 0)
    eventually(lambda: bureau.applicant.read(waiting["id"])["needed"], lambda needed: needed == 2, "two approvals")
    assert bureau.exchange.ask("GET", "demand", f"/grants/{reopened['grant']}")["state"] == "reopened"
    bureau.supplier.takes(reopened, "approve")
    bureau.second.takes(reopened, "approve")
    anew = bureau.applicant.awaits(reopened, "delivering")
    assert anew["grant"] != reopened["grant"], "what was decided anew is another grant, within the same demand"
    early = bureau.applicant.submits(resource=table.code)
    bureau.exchange.ask("POST", "catalog", f"/resources/{table.code}/steps", {"action": "withdraw", "reason": "停用"})
    lost = bureau.applicant.awaits(demands[0], "accepted")
    assert (lost["resource"], lost["supplier"], lost["clock"]) == (None, None, "match")
    bureau.authority.takes(early, "accept")
    assert bureau.applicant.awaits(early, "accepted")["resource"] is None, "it was withdrawn before anybody looked"
    late = bureau.applicant.step(bureau.applicant.drafts(resource=table.code), "submit")
    assert [one["pointer"] for one in late.json()["errors"]] == ["/resource"]


def test_of_two_who_decide_at_once_one_is_told(bureau: Bureau) -> None:
    table = bureau.conditional
    demand = bureau.applicant.submits(resource=table.code)
    bureau.authority.takes(demand, "accept")
    tag = bureau.supplier.api.get(f"/demands/{demand['id']}").headers["ETag"]
    answers: list[Any] = []
    persons = (bureau.supplier, bureau.second)
    threads = [
        threading.Thread(target=lambda person=one: answers.append(person.step(demand, "approve", match=tag)))
        for one in persons
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(one.status_code for one in answers) == [200, 412]
    late = bureau.second.step(demand, "approve")
    assert (late.status_code, problem(late)) == (409, "step-impossible")


def test_a_filter_looks_only_at_what_is_asked_for(bureau: Bureau) -> None:
    table = bureau.conditional
    demand = bureau.applicant.drafts(resource=table.code, row_filter='region = "320602"')
    refused = bureau.applicant.step(demand, "submit")
    assert (refused.status_code, problem(refused)) == (422, "demand-invalid")
    assert [one["pointer"] for one in refused.json()["errors"]] == ["/row_filter"]


def test_states_can_be_built_again_from_the_events_alone(bureau: Bureau) -> None:
    table = bureau.unconditional
    bureau.applicant.awaits(bureau.applicant.submits(resource=table.code), "delivering")

    def rebuilt() -> dict[str, Any]:
        built: dict[str, dict[str, str]] = {}
        for _, value, _ in bureau.exchange.read_all("demand.events"):
            event = bureau.exchange.registry.decode(value or b"")[1]
            if "revision" in event["data"]:
                built[event["subject"]] = event["data"]
        return {
            key: (data["state"], data["supplier"] or None, data["resource"] or None, data["grant"] or None,
                  data["level"], data["papers"], int(data["approvals"]), int(data["needed"]))
            for key, data in built.items() if data["state"] != "draft"
        }  # fmt: skip

    def kept() -> dict[str, Any]:
        names = ("state", "supplier", "resource", "grant", "level", "papers", "approvals", "needed")
        found: dict[str, Any] = {}
        cursor = None
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = bureau.auditor.api.must(bureau.auditor.api.get("/demands", limit=500, **more))
            found |= {one["id"]: tuple(one[name] for name in names) for one in page["items"]}
            if not (cursor := page["next"]):
                return found

    eventually(lambda: (rebuilt(), kept()), lambda both: both[0] == both[1], "the same states from the events")
