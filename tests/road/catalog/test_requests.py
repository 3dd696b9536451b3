"""How the API keeps changes from being lost or done twice, and how it hands out long lists."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

from tests.road.catalog.office import Office, Place, government_code, terms_of


def test_of_two_who_change_the_same_state_one_is_told(place: Place, office: Office) -> None:
    form = terms_of(office)
    office.provider.must(office.provider.post("/resources", form), 201)
    path = f"/resources/{form['code']}/draft"
    tag = office.provider.get(f"/resources/{form['code']}").headers["ETag"]
    both = threading.Barrier(2)

    def write(title: str) -> int:
        both.wait()
        return office.provider.put(path, {**form, "title": title}, if_match=tag).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(write, ("甲", "乙"))) == [200, 412]
    assert office.provider.put(path, form).status_code == 428


def test_every_change_of_a_thing_asks_for_its_state(place: Place, office: Office) -> None:
    code = place.published(office)
    changes = [
        ("PUT", f"/departments/{office.slug}", {"name": "新名", "name_en": "New"}),
        ("PUT", f"/resources/{code}/draft", terms_of(office, code=code)),
        ("POST", f"/resources/{code}/steps", {"action": "revise"}),
        ("POST", f"/resources/{code}/grade", {"grade": "general", "reason": "复核"}),
        ("PUT", "/place/clocks/review", {"working_days": 2, "source": "条例"}),
        ("PUT", "/place/code-scheme", {"value": "national"}),
        ("PUT", "/categories/3", {"name": "部门信息资源"}),
        ("DELETE", "/categories/3", None),
    ]
    for method, path, body in changes:
        answer = place.operator.request(method, path, json=body)
        assert answer.status_code == 428, f"{method} {path}: {answer.status_code} {answer.text}"
        stale = place.operator.request(method, path, json=body, headers={"If-Match": '"99999"'})
        assert stale.status_code == 412 and stale.headers["ETag"], f"{method} {path}: {stale.text}"


def test_a_post_that_is_repeated_is_done_once(place: Place, office: Office) -> None:
    form, key = terms_of(office), uuid.uuid4().hex
    first = office.provider.post("/resources", form, idempotency_key=key)
    again = office.provider.post("/resources", form, idempotency_key=key)
    assert first.status_code == again.status_code == 201
    assert again.content == first.content and again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Idempotency-Replayed"] == "true" and "Idempotency-Replayed" not in first.headers
    other = office.provider.post("/resources", terms_of(office), idempotency_key=key)
    assert other.status_code == 422 and other.json()["type"].endswith(":idempotency-key-reused")


def test_posts_at_once_with_one_key_are_one(place: Place) -> None:
    form = {"slug": f"d{uuid.uuid4().hex[:10]}", "uscc": government_code(), "name": "并发局", "name_en": "Concurrency"}
    key, together = uuid.uuid4().hex, threading.Barrier(6)

    def post(_: int) -> tuple[int, bytes]:
        together.wait()
        answer = place.operator.post("/departments", form, idempotency_key=key)
        return answer.status_code, answer.content

    with ThreadPoolExecutor(6) as pool:
        answers = set(pool.map(post, range(6)))
    assert len(answers) == 1 and {status for status, _ in answers} == {201}


def test_a_post_that_was_refused_may_be_mended_under_the_same_key(place: Place) -> None:
    key, slug = uuid.uuid4().hex, f"d{uuid.uuid4().hex[:10]}"
    form = {"slug": slug, "uscc": "11110000000000123X", "name": "某局", "name_en": "Some"}
    assert place.operator.post("/departments", form, idempotency_key=key).status_code == 422
    assert (
        place.operator.post("/departments", {**form, "uscc": government_code()}, idempotency_key=key).status_code == 201
    )


def test_pages_hold_everything_once_whatever_is_added_meanwhile(place: Place) -> None:
    office = place.office()
    codes = [f"p{number}_{uuid.uuid4().hex[:6]}" for number in range(5)]
    for code in codes:
        office.provider.must(office.provider.post("/resources", terms_of(office, code=code)), 201)
    seen: list[str] = []
    cursor = None
    while True:
        query = {"department": office.slug, "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = office.provider.must(office.provider.get("/resources", **query))
        seen += [one["code"] for one in page["items"]]
        if len(seen) == 2:
            office.provider.must(office.provider.post("/resources", terms_of(office, code="a" + codes[0])), 201)
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == codes
    assert place.operator.get("/resources", cursor="W10").status_code == 422


def test_what_no_text_holds_is_refused_and_never_a_fault(place: Place, office: Office) -> None:
    for title in ("a\x00b", "\x1b[31m", "x" * 1_000_000, ""):
        answer = office.provider.post("/resources", terms_of(office, title=title))
        assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/title"
    raw = office.provider.request("POST", "/resources", content=b'{"title": "\\ud800"}')
    assert raw.status_code == 422
    assert place.operator.request("GET", "/resources/%00").status_code in (404, 422)
    assert place.operator.request("GET", "/departments/%F0%9F%98%80").status_code == 404
