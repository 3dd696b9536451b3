"""Searching over HTTP: a resource is found from the moment it is published until it is withdrawn, and only then."""

from __future__ import annotations

import uuid
from typing import Any

from tests.road.catalog.office import Place


def found(place: Place, text: str) -> list[str]:
    """The codes of what a consumer finds."""
    answer: dict[str, Any] = place.operator.must(place.operator.get(f"/search?q={text}"))
    return [hit["code"] for hit in answer["items"]]


def test_a_resource_is_found_while_it_is_in_force_and_by_what_is_in_force(place: Place) -> None:
    office = place.office()
    first, second = uuid.uuid4().hex[:8], uuid.uuid4().hex[:8]
    code = place.published(office, title=f"殡葬服务信息{first}", abstract=f"摘要{first}")
    assert found(place, first) == [code]
    assert code in found(place, "binzang")
    place.revise(office, code, title=f"殡葬服务信息{second}", abstract=f"摘要{second}")
    assert (found(place, first), found(place, second)) == ([code], []), "a draft must not be found"
    place.publish(office, code)
    assert (found(place, first), found(place, second)) == ([], [code])
    office.provider.must(office.provider.step(code, "withdraw", "不再共享"))
    assert found(place, second) == []


def test_related_resources_and_suggestions_are_of_what_is_in_force(place: Place) -> None:
    office = place.office()
    mark = f"测绘成果{uuid.uuid4().hex[:6]}"
    one, other = place.published(office, title=f"{mark}甲"), place.published(office, title=f"{mark}乙")
    related = place.operator.must(place.operator.get(f"/resources/{one}/related?limit=50"))["items"]
    assert all(relation["code"] != one and relation["reasons"] for relation in related)
    assert place.operator.get("/resources/r0000000000/related").status_code == 404
    suggested = place.operator.must(place.operator.get(f"/suggestions?q={mark}"))["items"]
    assert {suggestion["code"] for suggestion in suggested} == {one, other}
