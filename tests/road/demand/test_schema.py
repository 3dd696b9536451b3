"""The demand side's API is what its OpenAPI says: whatever is sent, no 5xx, and no answer but those described."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok

from tests.road.demand.bureau import APPLICANT, Bureau

load_all_checks()
NAMES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
CHECKED = [CHECKS.get_one(name) for name in NAMES]
EXAMPLES = 15
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
    schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    operations = [one for one in operations if (one.method, one.path.removeprefix("/api/demand/v1")) not in _LEFT_OUT]
    assert len(operations) > 20
    failures: list[str] = []
    answers: set[int] = set()
    for operation in operations:

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy(), data=st.data())
        def send(case: Any, data: st.DataObject) -> None:
            if "demand_id" in (case.path_parameters or {}) and data.draw(st.booleans()):
                case.path_parameters["demand_id"] = data.draw(st.sampled_from(own))
            for name in (case.path_parameters or {}).keys() & there.keys():
                if data.draw(st.booleans()):
                    case.path_parameters[name] = there[name]
            if isinstance(case.body, dict) and "grant" in case.body and data.draw(st.booleans()):
                case.body["grant"] = granted["id"]
            if isinstance(case.body, dict) and "resource" in case.body and data.draw(st.booleans()):
                case.body["resource"] = bureau.conditional.code
            headers = {"Authorization": f"Bearer {data.draw(st.sampled_from(tokens))}", "If-Match": "*"}
            answer = case.call(base_url=base.removesuffix("/api/demand/v1"), headers=headers)
            answers.add(answer.status_code)
            case.validate_response(answer, checks=CHECKED)

        try:
            send()
        except Exception as failure:  # noqa: BLE001 - all operations are told of, not the first only
            failures.append(f"{operation.label}: {failure!r} {getattr(failure, 'exceptions', '')}")
    assert not failures, "\n\n".join(failures)
    assert answers >= {200, 201, 403, 404, 409, 422}
