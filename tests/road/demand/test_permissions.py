"""Default deny at the demand side: every route says who may call it, and that is who can."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from services.core.identity import OF_A_DEPARTMENT, Role
from tests.road.demand.bureau import APPLICANT, Bureau, demand_of

# What each route says today. A route that is added or changes its mind changes this table too, on purpose.
EVERYONE = frozenset(Role)
ALONE = frozenset({Role.ADMINISTRATOR})
PARTICIPANTS = frozenset({Role.ADMINISTRATOR, Role.PROVIDER, Role.CONSUMER})
ONLOOKERS = PARTICIPANTS | {Role.AUDITOR}
APPLICANTS = frozenset({Role.ADMINISTRATOR, Role.CONSUMER})
WHO: dict[str, frozenset[Role]] = {
    "POST /demands": APPLICANTS,
    "GET /demands": ONLOOKERS,
    "GET /demands/{demand_id}": ONLOOKERS,
    "PUT /demands/{demand_id}": APPLICANTS,
    "POST /demands/{demand_id}/steps": PARTICIPANTS,
    "GET /demands/{demand_id}/steps": ONLOOKERS,
    "GET /demands/{demand_id}/timeline": ONLOOKERS,
    "POST /demands/{demand_id}/urging": PARTICIPANTS,
    "GET /matching": EVERYONE,
    "GET /matching/workbook": EVERYONE,
    "GET /place/clocks": EVERYONE,
    "GET /place/clocks/{clock}": EVERYONE,
    "PUT /place/clocks/{clock}": ALONE,
    "GET /clocks": ONLOOKERS,
    "GET /notices": PARTICIPANTS,
    "PUT /notices/{notice_id}/read": PARTICIPANTS,
    "POST /subscriptions": PARTICIPANTS,
    "GET /subscriptions": PARTICIPANTS,
    "DELETE /subscriptions/{subscription_id}": PARTICIPANTS,
    "GET /subscriptions/{subscription_id}/dispatches": PARTICIPANTS,
    "POST /departments/{slug}/credentials": APPLICANTS,
    "POST /grants": ALONE,
    "GET /grants": EVERYONE,
    "GET /grants/{grant_id}": EVERYONE,
    "DELETE /grants/{grant_id}": ALONE,
    "POST /returns": frozenset({Role.ADMINISTRATOR, Role.PROVIDER}),
    "GET /returns": EVERYONE,
    "GET /returns/{order}": EVERYONE,
    "POST /returns/{order}/end": frozenset({Role.ADMINISTRATOR, Role.PROVIDER}),
    "POST /grants/{grant_id}/api-keys": APPLICANTS,
    "DELETE /grants/{grant_id}/api-keys": APPLICANTS,
    "POST /grants/{grant_id}/feedback": APPLICANTS,
    "POST /grants/{grant_id}/renewals": frozenset({Role.ADMINISTRATOR, Role.PROVIDER}),
    "GET /feedback": EVERYONE,
    "GET /feedback/requests": EVERYONE,
    "GET /usage": EVERYONE,
    "GET /usage/totals": EVERYONE,
    "GET /usage/grants": EVERYONE,
    "POST /objections": APPLICANTS,
    "GET /objections": EVERYONE,
    "GET /objections/{objection_id}": EVERYONE,
    "POST /objections/{objection_id}/steps": PARTICIPANTS,
    "GET /assessments/{period}": EVERYONE,
    "GET /bulletins/{period}": EVERYONE,
    "GET /norms": EVERYONE,
    "GET /norms/{name}": EVERYONE,
    "PUT /norms/{name}": ALONE,
}
_PREFIX = "/api/demand/v1"


@pytest.fixture(scope="module")
def described(bureau: Bureau) -> dict[str, Any]:
    found: dict[str, Any] = bureau.authority.api.must(bureau.authority.api.get("/openapi.json"))
    return found


def test_every_operation_is_in_the_table_and_says_the_same(described: dict[str, Any]) -> None:
    said = {
        f"{method.upper()} {path.removeprefix(_PREFIX)}": frozenset(Role(role) for role in operation["x-roles"])
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }
    assert said == WHO


def test_every_role_meets_what_every_operation_says(bureau: Bureau) -> None:
    callers = {role: bureau.person(role.value, APPLICANT if role in OF_A_DEPARTMENT else None).api for role in Role}
    for (name, allowed), (role, caller) in itertools.product(WHO.items(), callers.items()):
        method, path = name.split(" ")
        # an address of nothing: who may call gets as far as being told so, who may not is refused before
        answer = caller.request(method, re.sub(r"\{\w+\}", "nothing", path), json={})
        refused = answer.status_code == 403
        assert refused == (role not in allowed), f"{role} {name}: {answer.status_code} {answer.text}"
        assert answer.status_code < 500, f"{role} {name}: {answer.text}"


def test_a_department_sees_what_it_has_a_part_in_and_nothing_else(bureau: Bureau) -> None:
    demand = bureau.applicant.drafts(resource=bureau.conditional.code)
    stranger, other = bureau.person("consumer", "medical_insurance"), bureau.person("provider", "market_supervision")
    for person in (stranger, other, bureau.supplier, bureau.authority, bureau.auditor):
        assert person.api.get(f"/demands/{demand['id']}").status_code == 404, "a draft is its department's alone"
    assert bureau.colleague.read(demand["id"])["actions"] == ["submit", "withdraw"]
    submitted = bureau.applicant.takes(demand, "submit")
    for person in (bureau.supplier, bureau.authority, bureau.auditor):
        assert person.read(demand["id"])["state"] == "submitted"
    for person in (stranger, other):
        assert person.api.get(f"/demands/{demand['id']}").status_code == 404
        assert person.step(demand, "withdraw").status_code in (403, 404)
        listed = person.api.must(person.api.get("/demands", limit=500))["items"]
        assert demand["id"] not in {one["id"] for one in listed}
    (line,) = [
        one
        for one in stranger.api.must(stranger.api.get("/matching", department=APPLICANT, limit=500))["items"]
        if one["id"] == demand["id"]
    ]
    assert line["state"] == "submitted" and "purpose" not in line, "the list is published, the purpose is not"
    assert bureau.auditor.step(submitted, "accept").status_code == 403
    nobody = bureau.authority.api.post("/demands", demand_of(resource=bureau.conditional.code))
    assert nobody.status_code == 403, "the data authority applies for nobody"


def test_a_refused_attempt_is_told(bureau: Bureau) -> None:
    path = f"PUT {_PREFIX}/place/clocks/reply"
    form = {"working_days": 1, "source": "我说的"}
    assert bureau.applicant.api.put("/place/clocks/reply", form, if_match="*").status_code == 403
    name = bureau.applicant.api.at("catalog").get("/me").json()["name"]
    assert any(event["actor"] == name for event in bureau.await_events(path))
