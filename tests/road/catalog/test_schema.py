"""The API is what its OpenAPI says: whatever a client sends, no 5xx, and no answer but those described."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok

from cli.exchange import Exchange
from tests.road.catalog.office import Place, terms_of

load_all_checks()
NAMES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
CHECKED = [CHECKS.get_one(name) for name in NAMES]
EXAMPLES = 15


@dataclass(frozen=True, slots=True)
class Ground:
    """Things that are there to be found and changed, and tokens of an administrator and a provider to do it with."""

    tokens: list[str]
    department: str
    own: dict[str, list[str]]

    def settle(self, case: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        """Lead a request to what is there: always when it changes something (that is nobody else's), else at times."""
        things = self.own.get(case.operation.path.removeprefix("/api/catalog/v1").split("/")[1])
        if case.path_parameters and (case.operation.method != "get" or draw(st.booleans())):
            for name in case.path_parameters:
                if name in ("slug", "code", "name", "token_id", "notice_id") and things:
                    case.path_parameters[name] = draw(st.sampled_from(things))
                elif name == "version":
                    case.path_parameters[name] = draw(st.sampled_from([1, 2, 2**31 - 1]))
        if isinstance(case.body, dict) and "department" in case.body and draw(st.booleans()):
            case.body["department"] = self.department


@pytest.fixture(scope="module")
def ground(place: Place) -> Ground:
    office = place.office()
    published = place.published(office)
    draft = terms_of(office)
    office.provider.must(office.provider.post("/resources", draft), 201)
    place.operator.post("/categories", {"code": "8", "name": "试验"})
    place.operator.put("/code-lists/fuzzing", {"entries": {"1": "一"}}, if_match="*")
    administrator = {"name": "fuzzing administrator", "roles": ["administrator"]}
    provider = {"name": "fuzzing provider", "roles": ["provider", "consumer"], "department": office.slug}
    tokens = [place.operator.must(place.operator.post("/tokens", one), 201) for one in (administrator, provider)]
    spare = place.operator.must(place.operator.post("/tokens", {"name": "spare", "roles": ["ops"]}), 201)
    own = {
        "departments": [office.slug],
        "resources": [published, draft["code"]],
        "categories": ["8"],
        "code-lists": ["fuzzing"],
        "tokens": [spare["id"]],
    }
    return Ground([one["token"] for one in tokens], office.slug, own)


def test_whatever_is_sent_is_answered_as_described(exchange: Exchange, ground: Ground) -> None:
    base = exchange.url("catalog")
    schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    # a fuzzed clock or calendar would change the terms for all other tests
    operations = [one for one in operations if not ("/place/" in one.path and one.method == "put")]
    assert len(operations) > 50
    failures: list[str] = []
    answers: set[int] = set()
    for operation in operations:

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy(), data=st.data())
        def send(case: Any, data: st.DataObject) -> None:
            ground.settle(case, data.draw)
            headers = {"Authorization": f"Bearer {data.draw(st.sampled_from(ground.tokens))}", "If-Match": "*"}
            answer = case.call(base_url=base.removesuffix("/api/catalog/v1"), headers=headers)
            answers.add(answer.status_code)
            case.validate_response(answer, checks=CHECKED)

        try:
            send()
        except Exception as failure:  # noqa: BLE001 - all operations are told of, not the first only
            failures.append(f"{operation.label}: {failure!r} {getattr(failure, 'exceptions', '')}")
    assert not failures, "\n\n".join(failures)
    assert answers >= {200, 201, 403, 404, 409, 422}
