"""The life of a resource over the API: the table of transitions is what happens, whoever tries whatever when."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from services.catalog.domain.lifecycle import TRANSITIONS, Action, By, State
from tests.road.catalog.office import Api, Office, Place, item, key_item, terms_of


def test_only_the_steps_of_the_table_happen_and_only_to_those_whose_they_are(place: Place) -> None:
    office, stranger = place.office(), place.office()

    class Life(RuleBasedStateMachine):
        """A resource and what must be true of it: its state, the title in force, and the title being written."""

        @initialize()
        def begin(self) -> None:
            form = terms_of(office, title="第 0 稿")
            self.code: str = office.provider.must(office.provider.post("/resources", form), 201)["code"]
            self.state, self.live, self.draft, self.version, self.titles = State.DRAFT, False, "第 0 稿", 0, 0
            self.submitter: By | None = None
            self.in_force: str | None = None
            self.ever: str | None = None

        @rule(action=st.sampled_from(Action), party=st.sampled_from(By))
        def step(self, action: Action, party: By) -> None:
            caller: Api = office.provider if party is By.PROVIDER else place.reviewer
            answer = caller.step(self.code, action.value, "因故")
            mine = any(party in one.by or party is By.REVIEWER for one in TRANSITIONS.values() if one.action is action)
            known = TRANSITIONS.get((self.state, self.live, action))
            if not mine:
                assert answer.status_code == 403
            elif known is None or (action is Action.REOPEN and self.ever is None):
                assert answer.status_code == 409, answer.text
            elif action is Action.APPROVE and self.submitter is party:
                assert answer.json()["type"].endswith(":own-review"), answer.text
            else:
                caller.must(answer)
                if action is Action.SUBMIT:
                    self.submitter = party
                self._apply(action, known.target, known.live_after)

        def _apply(self, action: Action, target: State, live: bool) -> None:
            self.state, self.live = target, live
            if action is Action.APPROVE:
                self.in_force = self.ever = self.draft
                self.version += 1
                self.draft = ""
            elif action in (Action.REVISE, Action.REOPEN):
                self.draft = self.in_force or self.ever or ""
            elif action in (Action.DISCARD, Action.WITHDRAW):
                self.draft = ""
            if action is Action.WITHDRAW:
                self.in_force = None

        @rule()
        def write(self) -> None:
            self.titles += 1
            title = f"第 {self.titles} 稿"
            read = office.provider.get(f"/resources/{self.code}")
            draft = {**terms_of(office), "code": self.code, "title": title}
            answer = office.provider.put(f"/resources/{self.code}/draft", draft, if_match=read.headers["ETag"])
            if self.state in (State.DRAFT, State.IN_REVISION):
                office.provider.must(answer)
                self.draft = title
            else:
                assert answer.status_code == 409

        @rule(action=st.sampled_from(Action))
        def strangers_do_nothing(self, action: Action) -> None:
            answer = stranger.provider.step(self.code, action.value, "因故", match="*")
            assert answer.status_code == (403 if self.live else 404)

        @invariant()
        def everyone_sees_what_is_in_force_and_no_more(self) -> None:
            inside = office.provider.get(f"/resources/{self.code}").json()
            assert inside["state"] == self.state and inside["version"] == self.version
            assert (inside["draft"] or {"title": ""})["title"] == self.draft
            outside = stranger.consumer.get(f"/resources/{self.code}")
            assert outside.status_code == (200 if self.live else 404)
            if self.live:
                seen = outside.json()
                assert seen["published"]["title"] == self.in_force and seen["state"] == "published"
                assert seen["draft"] is None and seen["actions"] == [] and seen["tasks"] == []

    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=12, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_all_defects_are_told_at_once_and_in_the_callers_language(place: Place) -> None:
    office = place.office(responsible=None)
    form = terms_of(
        office,
        sharing_type="conditional",
        grade="important",
        openness={"open": True},
        category="999",
        service_item="nothing",
        related=["nowhere"],
        items=[item("name", "string", key=True), item("name")],
        rules=[{"id": "one", "kind": "pattern", "items": ["name"], "parameters": {"pattern": "("}}],
    )
    office.provider.must(office.provider.post("/resources", form), 201)
    refused = office.provider.step(form["code"], "submit")
    assert refused.status_code == 422 and refused.headers["content-type"] == "application/problem+json"
    pointers = {error["pointer"] for error in refused.json()["errors"]}
    assert pointers >= {
        "/sharing_conditions", "/category", "/service_item", "/related", "/items/0/nullable",
        "/items/1/name", "/items/1/column", "/rules/0", "/department",
    }  # fmt: skip
    chinese = place.caller("provider", department=office.slug, language="zh-CN").step(form["code"], "submit")
    assert chinese.json()["title"] == "资源不能发布" and chinese.headers["content-language"] == "zh-CN"
    assert all(any("一" <= c <= "鿿" for c in error["detail"]) for error in chinese.json()["errors"])


@pytest.mark.parametrize(("term", "value"), [("classified", True), ("grade", "core")])
def test_what_may_never_enter_is_refused_as_a_draft_already(place: Place, term: str, value: object) -> None:
    office = place.office()
    form = terms_of(office)
    refused = office.provider.post("/resources", {**form, term: value})
    assert refused.status_code == 422 and refused.json()["errors"][0]["pointer"] == f"/{term}"
    assert office.provider.get(f"/resources/{form['code']}").status_code == 404
    office.provider.must(office.provider.post("/resources", form), 201)
    changed = office.provider.put(f"/resources/{form['code']}/draft", {**form, term: value}, if_match="*")
    assert changed.status_code == 422 and changed.json()["errors"][0]["pointer"] == f"/{term}"


def test_nobody_reviews_what_they_submitted(place: Place) -> None:
    office = place.office()
    both = place.caller("administrator", "provider", department=office.slug)
    form = terms_of(office)
    both.must(both.post("/resources", form), 201)
    both.must(both.step(form["code"], "submit"))
    refused = both.step(form["code"], "approve")
    assert refused.status_code == 409 and refused.json()["type"].endswith(":own-review")
    told = [one.get(f"/resources/{form['code']}").json() for one in (both, place.reviewer)]
    assert [one["submitted_by"] for one in told] == [both.get("/me").json()["name"]] * 2
    assert ["approve" in one["actions"] for one in told] == [False, True]
    place.reviewer.must(place.reviewer.step(form["code"], "approve"))


def test_a_review_has_a_clock_in_working_days_and_a_return_gives_reasons(place: Place) -> None:
    office = place.office()
    form = terms_of(office)
    office.provider.must(office.provider.post("/resources", form), 201)
    code = form["code"]
    (review,) = office.provider.must(office.provider.step(code, "submit"))["tasks"]
    wanted = place.operator.must(place.operator.get("/place/due", working_days=2, start=review["started_on"]))
    assert (review["clock"], review["due_on"], review["overdue"]) == ("review", wanted["due_on"], False)
    assert place.reviewer.step(code, "return").status_code == 422
    returned = place.reviewer.must(place.reviewer.step(code, "return", "摘要不完整，缺少更新来源。"))
    (mending,) = returned["tasks"]
    assert mending["clock"] == "update" and mending["assignee"] == "李正"
    steps = office.provider.must(office.provider.get(f"/resources/{code}/steps"))
    assert [step["action"] for step in steps] == ["submit", "return"]
    assert steps[1]["reason"] == "摘要不完整，缺少更新来源。"


def test_a_hand_over_moves_the_open_work_and_keeps_one_responsible_person(place: Place) -> None:
    office = place.office(responsible="甲")
    form = terms_of(office)
    office.provider.must(office.provider.post("/resources", form), 201)
    office.provider.must(office.provider.step(form["code"], "submit"))
    place.reviewer.must(place.reviewer.step(form["code"], "return", "请补充"))
    path = f"/departments/{office.slug}/appointments"
    office.provider.must(office.provider.post(path, {"role": "responsible", "name": "乙", "post": "副局长"}), 201)
    (task,) = office.provider.must(office.provider.get("/tasks"))
    assert task["assignee"] == "乙"
    people = office.provider.must(office.provider.get(path))
    assert [(one["name"], one["until"] is None) for one in people if one["until"] is None] == [("乙", True)]
    tomorrow = office.provider.post(path, {"role": "responsible", "name": "丙", "since": "2999-01-01"})
    assert tomorrow.status_code == 422 and tomorrow.json()["errors"][0]["pointer"] == "/since"


def test_versions_can_be_compared_in_words(place: Place, office: Office) -> None:
    code = place.published(office, title="原名")
    place.revise(office, code, title="新名", items=[key_item(), item("name"), item("phone")])
    place.publish(office, code)
    found: list[dict[str, Any]] = place.operator.must(
        place.operator.get(f"/resources/{code}/differences", before=1, after=2)
    )
    assert {one["pointer"]: one["kind"] for one in found} == {"/title": "changed", "/items/phone": "added"}
    versions = place.operator.must(place.operator.get(f"/resources/{code}/versions"))
    assert [one["contract_version"] for one in versions] == ["1.0.0", "1.1.0"]
    draft = office.consumer.get(f"/resources/{code}/differences", before=1)
    assert draft.status_code == 403


def test_a_higher_grade_reopens_grants_and_core_is_refused(place: Place, office: Office) -> None:
    code = place.published(office, sharing_type="conditional", sharing_conditions="按职责使用")
    path = f"/resources/{code}/grade"
    assert place.operator.post(path, {"grade": "core", "reason": "上级要求"}, if_match="*").status_code == 422
    raised = place.operator.must(
        place.operator.post(path, {"grade": "important", "reason": "含重要数据"}, if_match="*")
    )
    assert raised["version"] == 2 and raised["regraded_at"] is not None and raised["contract_version"] == "1.0.1"
    lowered = place.operator.must(place.operator.post(path, {"grade": "general", "reason": "复核"}, if_match="*"))
    assert lowered["regraded_at"] == raised["regraded_at"]
