"""The demand side's API is what its OpenAPI says: whatever is sent, no 5xx, and no answer but those described."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok

from cli.exchange import Exchange
from tests.road.catalog.office import Place
from tests.road.town import Town, eventually

load_all_checks()
CHECKED = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    )
]  # fmt: skip
EXAMPLES = 12
# these would change the terms for other tests, or end what they use
SPARED = {("PUT", "/norms/{name}"), ("POST", "/departments/{slug}/credentials"), ("DELETE", "/grants/{grant_id}")}


@pytest.fixture(scope="module")
def ground(exchange: Exchange, town: Town) -> dict[str, Any]:
    """A grant and an objection that are there, and tokens of who may deal with them."""
    table = town.table({"id": "text", "name": "text"}, rows=[("1", "甲")])
    granted = town.live_grant(table, ["id", "name"], channels=["topic", "api"], valid_to="2030-01-01T00:00:00Z")
    claim = {"item": "name", "says": "甲", "should_say": "乙"}
    form = {"grant": granted["id"], "key": {"id": "1"}, "items": [claim], "explanation": "有误"}
    objected = exchange.ask("POST", "demand", "/objections", form)
    place = Place(exchange)
    callers = [
        place.caller("administrator"),
        place.caller("consumer", department="civil_affairs"),
        place.caller("provider", department="public_security"),
    ]
    for caller in callers:
        there = caller.at("demand")
        eventually(lambda there=there: there.get("/norms").status_code, lambda status: status == 200, "a token")  # type: ignore[misc]
    return {
        "tokens": [caller.token for caller in callers],
        "grant_id": granted["id"], "objection_id": objected["id"], "period": "2026-11", "name": "weights",
    }  # fmt: skip


def test_whatever_is_sent_is_answered_as_described(exchange: Exchange, ground: dict[str, Any]) -> None:
    base = exchange.url("demand")
    prefix = "/api/demand/v1"
    schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    operations = [one for one in operations if (one.method.upper(), one.path.removeprefix(prefix)) not in SPARED]
    failures: list[str] = []
    answers: set[int] = set()
    for operation in operations:

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy(), data=st.data())
        def send(case: Any, data: st.DataObject) -> None:
            for name in case.path_parameters or {}:
                if name in ground and data.draw(st.booleans()):
                    case.path_parameters[name] = ground[name]
            if isinstance(case.body, dict) and "grant" in case.body and data.draw(st.booleans()):
                case.body["grant"] = ground["grant_id"]
            headers = {"Authorization": f"Bearer {data.draw(st.sampled_from(ground['tokens']))}", "If-Match": "*"}
            answer = case.call(base_url=base.removesuffix(prefix), headers=headers)
            answers.add(answer.status_code)
            case.validate_response(answer, checks=CHECKED)

        try:
            send()
        except Exception as failure:  # noqa: BLE001 - all operations are told of, not the first only
            failures.append(f"{operation.label}: {failure!r} {getattr(failure, 'exceptions', '')}")
    assert not failures, "\n\n".join(failures)
    assert answers >= {200, 201, 403, 404, 409, 422}
