"""The demand side's API is what its OpenAPI says: whatever is sent, no 5xx, and no answer but those described."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.road.demand.bureau import APPLICANT, Bureau
from tests.road.fuzzing import Draw, operations_of, send_to

PREFIX = "/api/demand/v1"

# fuzzed clocks and norms would change the terms for other tests, new credentials would end those that they read with
_LEFT_OUT = {
    ("put", "/place/clocks/{clock}"),
    ("put", "/norms/{name}"),
    ("post", "/departments/{slug}/credentials"),
}


def test_whatever_is_sent_is_answered_as_described(bureau: Bureau) -> None:
    base = bureau.exchange.url("demand")
    own = [bureau.applicant.submits(resource=bureau.conditional.code)["id"] for _ in range(2)]
    own.append(bureau.applicant.drafts(resource=bureau.conditional.code)["id"])
    granted = bureau.town.grant(bureau.conditional, ["id", "name"], APPLICANT, channels=["topic", "api"])
    claim = {"item": "name", "says": "甲", "should_say": "乙"}
    form = {"grant": granted["id"], "key": {"id": "1"}, "items": [claim], "explanation": "有误"}
    there = {
        "grant_id": granted["id"],
        "objection_id": bureau.exchange.ask("POST", "demand", "/objections", form)["id"],
        "period": "2026-11",
        "name": "weights",
    }
    tokens = [person.api.token for person in (bureau.applicant, bureau.supplier, bureau.authority)]
    operations = operations_of(base)
    operations = [one for one in operations if (one.method, one.path.removeprefix(PREFIX)) not in _LEFT_OUT]
    assert len(operations) > 20

    def settle(case: Any, draw: Draw) -> None:
        if "demand_id" in (case.path_parameters or {}) and draw(st.booleans()):
            case.path_parameters["demand_id"] = draw(st.sampled_from(own))
        for name in (case.path_parameters or {}).keys() & there.keys():
            if draw(st.booleans()):
                case.path_parameters[name] = there[name]
        if isinstance(case.body, dict) and "grant" in case.body and draw(st.booleans()):
            case.body["grant"] = granted["id"]
        if isinstance(case.body, dict) and "resource" in case.body and draw(st.booleans()):
            case.body["resource"] = bureau.conditional.code

    assert send_to(base, PREFIX, operations, tokens, settle) >= {200, 201, 403, 404, 409, 422}
