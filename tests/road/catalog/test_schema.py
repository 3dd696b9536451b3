"""The API is what its OpenAPI says: whatever a client sends, no 5xx, and no answer but those described."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import strategies as st

from cli.exchange import Exchange
from tests.road.catalog.office import Place, terms_of
from tests.road.fuzzing import Draw, operations_of, send_to

PREFIX = "/api/catalog/v1"


@dataclass(frozen=True, slots=True)
class Ground:
    """Things that are there to be found and changed, and tokens of an administrator and a provider to do it with."""

    tokens: list[str]
    department: str
    own: dict[str, list[str]]

    def settle(self, case: Any, draw: Draw) -> None:
        """Lead a request to what is there: always when it changes something (that is nobody else's), else at times."""
        things = self.own.get(case.operation.path.removeprefix(PREFIX).split("/")[1])
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
    operations = operations_of(base)
    # a fuzzed clock or calendar would change the terms for all other tests
    operations = [one for one in operations if not ("/place/" in one.path and one.method == "put")]
    assert len(operations) > 50
    assert send_to(base, PREFIX, operations, ground.tokens, ground.settle) >= {200, 201, 403, 404, 409, 422}
