"""Whatever is sent to an API: no 5xx, and no answer but those that its OpenAPI describes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok

load_all_checks()
_NAMES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
_CHECKED = [CHECKS.get_one(name) for name in _NAMES]
_EXAMPLES = 15

Draw = Callable[[st.SearchStrategy[Any]], Any]


def operations_of(base: str) -> list[Any]:
    """The operations that the API at `base` describes."""
    schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
    return [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]


def send_to(
    base: str, prefix: str, operations: Sequence[Any], tokens: Sequence[str], settle: Callable[[Any, Draw], None]
) -> set[int]:
    """Send requests to all `operations` under some of `tokens`; the statuses of the answers.

    `settle` leads a request to things that are there. Fails with all operations that answer otherwise than described.
    """
    failures: list[str] = []
    answers: set[int] = set()
    for operation in operations:

        @settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy(), data=st.data())
        def send(case: Any, data: st.DataObject) -> None:
            settle(case, data.draw)
            headers = {"Authorization": f"Bearer {data.draw(st.sampled_from(tokens))}", "If-Match": "*"}
            answer = case.call(base_url=base.removesuffix(prefix), headers=headers)
            answers.add(answer.status_code)
            case.validate_response(answer, checks=_CHECKED)

        try:
            send()
        except Exception as failure:  # noqa: BLE001 - all operations are told of, not the first only
            failures.append(f"{operation.label}: {failure!r} {getattr(failure, 'exceptions', '')}")
    assert not failures, "\n\n".join(failures)
    return answers
