"""An objection to a delivered record closes itself with the delivery that corrects it; feedback and figures follow."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import psycopg
import pytest

from cli.exchange import Exchange
from services.core.calendar import PLACE, today
from services.demand.domain.assessment import DayUse, assess, period_of, total
from services.demand.domain.norms import MinuteLevel, Weights
from services.demand.domain.usage import Granularity, sums_of
from tests.road.catalog.office import Place
from tests.road.town import Table, Town, eventually

Ask = Callable[..., httpx.Response]


def caller(exchange: Exchange, department: str, *roles: str, language: str = "en") -> Ask:
    """Asks the demand side with a token of a department."""
    place = Place(exchange)
    form = {"name": f"{department} {uuid.uuid4().hex[:6]}", "roles": list(roles), "department": department}
    token = place.operator.must(place.operator.post("/tokens", form), 201)["token"]
    client = httpx.Client(
        base_url=exchange.url("demand"),
        headers={"Authorization": f"Bearer {token}", "Accept-Language": language},
        timeout=60,
    )
    # a new token is known to the demand side within moments
    eventually(lambda: client.get("/norms").status_code, lambda status: status == 200, "the token")
    return client.request


@pytest.fixture(scope="module")
def consumer(exchange: Exchange, town: Town) -> Ask:
    return caller(exchange, "civil_affairs", "consumer")


@pytest.fixture(scope="module")
def provider(exchange: Exchange, town: Town) -> Ask:
    return caller(exchange, "public_security", "provider")


@pytest.fixture(scope="module")
def stranger(exchange: Exchange, town: Town) -> Ask:
    return caller(exchange, "medical_insurance", "consumer", "provider")


@pytest.fixture(scope="module")
def table(town: Town) -> Table:
    rows = [("1", "甲", "2001-01-01"), ("2", "乙", None), ("3", "丙", None)]
    return town.table({"id": "text", "name": "text", "born": "date"}, rows=rows)


@pytest.fixture(scope="module")
def granted(town: Town, table: Table) -> dict[str, Any]:
    return town.live_grant(table, ["id", "name", "born"], valid_to="2030-01-01T00:00:00Z")


def events(exchange: Exchange, subject: str) -> list[dict[str, Any]]:
    found = [exchange.registry.decode(value)[1] for _, value, _ in exchange.read_all("demand.events") if value]
    return [event for event in found if event["subject"] == subject]


def kinds(exchange: Exchange, subject: str) -> list[str]:
    return [event["type"].split(".")[3] for event in events(exchange, subject)]


def objection(granted: dict[str, Any], key: str, says: str, should_say: str, **more: Any) -> dict[str, Any]:
    claim = {"item": "name", "says": says, "should_say": should_say}
    return {"grant": granted["id"], "key": {"id": key}, "items": [claim], "explanation": "与户口簿不符", **more}


def test_a_correction_closes_the_case_and_proves_it(
    exchange: Exchange, town: Town, table: Table, granted: dict[str, Any], consumer: Ask, provider: Ask, stranger: Ask
) -> None:
    raised = consumer("POST", "/objections", json=objection(granted, "1", "甲", "贾"))
    assert raised.status_code == 201, raised.text
    case = raised.json()
    assert (case["state"], case["round"], case["provider"], case["overdue"]) == ("open", 1, "public_security", False)
    path = f"/objections/{case['id']}"
    read = provider("GET", path)
    assert read.json()["content"]["key"] == {"id": "1"}
    assert read.json()["content"]["items"] == [{"item": "name", "says": "甲", "should_say": "贾"}]
    assert case["content"] is None, "the answer to a post is kept: it must not hold what the record says"
    assert stranger("GET", path).status_code == 404
    notices = [one for one in provider("GET", "/notices?limit=500").json()["items"] if one["subject"] == case["id"]]
    assert [one["kind"] for one in notices] == ["objection_raised"] and case["due_on"] in notices[0]["words"]
    accepted = provider("POST", f"{path}/steps", json={"action": "accept"}, headers={"If-Match": read.headers["ETag"]})
    assert accepted.json()["state"] == "accepted"

    table.run("update {t} set born = '2002-02-02' where id = '1'")  # of the record, but not what is in question
    table.run("update {t} set name = '贾' where id = '2'")  # another record
    table.run("update {t} set name = '贾' where id = '1'")
    closed = eventually(lambda: consumer("GET", path).json(), lambda one: one["state"] == "closed", "the correction")
    assert closed["outcome"] == "as_asked"
    proof = closed["proof"]
    reader = town.reader(granted)
    try:
        eventually(
            lambda: (reader.poll(), reader.records)[1], lambda got: any(r.offset == proof["offset"] for r in got), "it"
        )
        (record,) = [one for one in reader.records if one.offset == proof["offset"]]
    finally:
        reader.close()
    assert record.key == {"id": "1"} and record.row is not None and record.row["name"] == "贾"
    (manifest,) = [
        exchange.registry.decode(value)[1]
        for _, value, offset in exchange.read_all("sync.deliveries")
        if value and offset == proof["manifest_offset"]
    ]
    assert (manifest["worker"], manifest["sequence"]) == (proof["worker"], proof["sequence"])
    assert manifest["targets"][0]["first"] <= proof["offset"] <= manifest["targets"][0]["last"]
    told = eventually(lambda: kinds(exchange, case["id"]), lambda found: len(found) == 3, "its events")
    assert told == ["objection_raised", "objection_accepted", "objection_closed"]
    assert not any("甲" in str(event) or "贾" in str(event) for event in events(exchange, case["id"]))


def test_repeated_objections_to_a_record_make_a_chain(
    granted: dict[str, Any], table: Table, consumer: Ask, provider: Ask
) -> None:
    first = consumer("POST", "/objections", json=objection(granted, "3", "丙", "炳")).json()
    path = f"/objections/{first['id']}"
    without = provider("POST", f"{path}/steps", json={"action": "refuse"}, headers={"If-Match": "*"})
    assert (without.status_code, without.json()["errors"][0]["pointer"]) == (422, "/reason")
    theirs = consumer("POST", f"{path}/steps", json={"action": "accept"}, headers={"If-Match": "*"})
    assert theirs.status_code == 403
    stale = provider("POST", f"{path}/steps", json={"action": "accept"}, headers={"If-Match": '"99"'})
    assert stale.status_code == 412
    refused = provider(
        "POST", f"{path}/steps", json={"action": "refuse", "reason": "与证件一致"}, headers={"If-Match": "*"}
    ).json()
    assert (refused["state"], refused["reason"]) == ("refused", "与证件一致")
    second = consumer("POST", "/objections", json=objection(granted, "3", "丙", "炳")).json()
    assert (second["round"], second["chain"]) == (2, [first["id"], second["id"]])
    table.run("delete from {t} where id = '3'")
    closed = eventually(
        lambda: consumer("GET", f"/objections/{second['id']}").json(), lambda one: one["state"] == "closed", "its end"
    )
    assert closed["outcome"] == "removed"
    assert consumer("GET", path).json()["state"] == "refused"


def test_an_objection_that_does_not_fit_is_refused_by_field(granted: dict[str, Any], consumer: Ask) -> None:
    wrong = objection(granted, "1", "x", "x") | {"key": {"name": "1"}}
    told = consumer("POST", "/objections", json=wrong).json()
    assert {error["pointer"] for error in told["errors"]} == {"/key", "/items/0/should_say"}
    far = objection(granted, "1", "x", "y", position={"partition": 0, "offset": 10**9})
    assert consumer("POST", "/objections", json=far).json()["errors"][0]["pointer"] == "/position/offset"


def test_feedback_stays_and_opens_the_way_to_renewal(
    exchange: Exchange, granted: dict[str, Any], consumer: Ask, provider: Ask, stranger: Ask
) -> None:
    renewal = {"valid_to": "2031-01-01T00:00:00Z"}
    before = provider("POST", f"/grants/{granted['id']}/renewals", json=renewal)
    assert (before.status_code, before.json()["type"]) == (409, "urn:tongshu:problem:feedback-missing")
    form: dict[str, Any] = {"score": 2, "reasons": [], "effect": "婚姻登记核验"}
    path = f"/grants/{granted['id']}/feedback"
    assert consumer("POST", path, json=form).json()["errors"][0]["pointer"] == "/reasons"
    form["reasons"] = ["accuracy"]
    assert stranger("POST", path, json=form).status_code == 404
    given = consumer("POST", path, json=form).json()
    assert given["score"] == 2
    here = exchange.settings
    with (
        psycopg.connect(
            host=here.postgres_host, port=here.postgres_port, dbname=here.postgres_database, user="demand",
            password=exchange.home.secret("postgres_demand_password"),
        ) as connection,
        pytest.raises(psycopg.errors.RaiseException, match="never changed"),
    ):  # fmt: skip
        connection.execute("update demand.feedback set score = 5")
    renewed = provider("POST", f"/grants/{granted['id']}/renewals", json=renewal)
    assert renewed.status_code == 201, renewed.text
    assert exchange.ask("GET", "demand", f"/grants/{granted['id']}")["valid_to"].startswith("2031-01-01")
    again = provider("POST", f"/grants/{granted['id']}/renewals", json={"valid_to": "2032-01-01T00:00:00Z"})
    assert again.status_code == 409, "each validity needs feedback of its own"
    told = eventually(lambda: kinds(exchange, granted["id"]), lambda found: "grant_renewed" in found, "its events")
    assert told.count("feedback_given") == 1


def test_feedback_is_asked_for_when_its_time_has_come(
    exchange: Exchange, town: Town, table: Table, consumer: Ask
) -> None:
    norm = exchange.ask("GET", "demand", "/norms/feedback")["value"]
    exchange.ask("PUT", "demand", "/norms/feedback", {"records": 2, "days": 1_000})
    try:
        granted = town.live_grant(table, ["id"])
        asked = eventually(
            lambda: {one["grant"] for one in consumer("GET", "/feedback/requests?limit=500").json()["items"]},
            lambda found: granted["id"] in found,
            "the request",
        )
        assert granted["id"] in asked
        consumer("POST", f"/grants/{granted['id']}/feedback", json={"score": 5, "effect": "核验"})
        left = consumer("GET", "/feedback/requests?limit=500").json()["items"]
        assert granted["id"] not in {one["grant"] for one in left}
    finally:
        exchange.ask("PUT", "demand", "/norms/feedback", norm)


def test_figures_can_be_reckoned_again_from_the_logs_alone(exchange: Exchange, consumer: Ask, provider: Ask) -> None:
    name = f"{today():%Y-%m}"
    period = period_of(name)

    def reckoned() -> Any:
        happened = [exchange.registry.decode(value)[1] for _, value, _ in exchange.read_all("demand.events") if value]
        log = [exchange.registry.decode(value)[1] for _, value, _ in exchange.read_all("sync.deliveries") if value]
        sums = sums_of(log)
        days = [
            DayUse(
                window.grant, sums.parties[window.grant].department, datetime.fromtimestamp(window.start, PLACE),
                one.records, errors(exchange, window), one.timed, one.timely,
            )
            for window, one in sums.windows.items()
            if window.granularity is Granularity.DAY
        ]  # fmt: skip
        firsts = {grant: span.first for grant, span in sums.spans.items()}
        found = assess(happened, days, firsts, period, MinuteLevel())
        return {
            department: {
                **{figure: (rate.part, rate.whole) for figure, rate in one.rates.items()},
                "provided": one.provided, "received": one.received, "score": one.score(Weights()),
            }
            for department, one in {**found, "": total(found)}.items()
        }  # fmt: skip

    def told() -> Any:
        answer = exchange.ask("GET", "demand", f"/assessments/{name}")
        return {
            one["department"]: {
                **{
                    figure: (value["part"], value["whole"])
                    for figure, value in one.items()
                    if isinstance(value, dict)
                },
                "provided": one["provided"], "received": one["received"], "score": one["score"],
            }
            for one in [*answer["departments"], answer["total"]]
        }  # fmt: skip

    both = eventually(lambda: (reckoned(), told()), lambda both: both[0] == both[1], "the same figures", 60)
    mine = both[1]["public_security"]
    assert mine["answers"][1] >= 2 and mine["on_demand"][1] > 0 and mine["satisfaction"][1] > 0
    seen = provider("GET", f"/assessments/{name}").json()
    assert [one["department"] for one in seen["departments"]] == ["public_security"]

    page = consumer("GET", f"/bulletins/{name}", headers={"Accept-Language": "zh-CN"})
    assert page.headers["content-language"] == "zh-CN" and "按需共享率" in page.text and "<svg" in page.text
    assert "http" not in page.text.replace("http://www.w3.org/2000/svg", "")


def errors(exchange: Exchange, window: Any) -> int:
    """What went to quarantine under a grant, as the exchange's own books have it: those are other topics."""
    query = f"/usage?granularity=day&grant={window.grant}"
    return sum(one["errors"] for one in exchange.ask("GET", "demand", query)["items"])
