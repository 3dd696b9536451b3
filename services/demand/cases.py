"""The life of a demand, step by step: what `domain/demand.py` allows, done in one transaction each.

A step locks the demand, changes it, starts and stops its clocks, writes what happened and who is told; all of it
commits together. Steps that the exchange takes by itself (`by_itself`) follow in the same transaction, so that what is
granted by rule is approved in the moment it is submitted. What then follows on the broker is done after the commit
(`services/demand/fulfilment.py`), and may be done again.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from services.core.defects import Defect
from services.core.identity import Role, Viewer
from services.core.problems import Problem, refuse
from services.core.words import Words
from services.demand import demand_store as store
from services.demand import divisions, evaluation, timekeeping
from services.demand import store as grant_store
from services.demand.domain import demand_terms as terms_of_demands
from services.demand.domain import feedback
from services.demand.domain import grant as grants
from services.demand.domain.demand import (
    TRANSITIONS,
    Action,
    By,
    Level,
    Need,
    Papers,
    Path,
    Standing,
    State,
    Transition,
    after,
    by_itself,
    may_approve,
    possible,
    transition,
)
from services.demand.domain.demand_terms import Kind, Terms
from services.demand.events import Publisher
from services.demand.noticing import tell
from services.demand.timekeeping import AUTHORITY

Resources = Callable[[str], Mapping[str, Any] | None]

THE_RULE = "tongshu"
_STATES = {
    State.DRAFT: "草稿", State.SUBMITTED: "已提交", State.ACCEPTED: "已受理", State.RETURNED: "待补正",
    State.IN_REVIEW: "供给部门审核中", State.APPROVED: "已批准", State.REFUSED: "不予共享",
    State.DISPUTED: "争议协调中",
    State.PROVISIONING: "开通中", State.DELIVERING: "供数中", State.EVALUATED: "已评价", State.CLOSED: "已办结",
    State.WITHDRAWN: "已撤回", State.EXPIRED: "已到期",
}  # fmt: skip
_ACTIONS = {
    Action.SUBMIT: "提交", Action.ACCEPT: "受理", Action.MATCH: "匹配供给部门", Action.CATALOGUE: "关联已编目资源",
    Action.RETURN: "退回补正", Action.SUPPLEMENT: "补正", Action.APPROVE: "批准", Action.REFUSE: "不予共享",
    Action.DISPUTE: "提出异议", Action.ESCALATE: "提请上级协调", Action.OVERTURN: "撤销原决定",
    Action.UPHOLD: "维持原决定",
    Action.HAND_IN: "补办手续", Action.CONFIRM: "确认手续", Action.EVALUATE: "评价", Action.CLOSE: "办结",
    Action.REVOKE: "收回", Action.WITHDRAW: "撤回",
}  # fmt: skip


def state_name(state: State) -> str:
    """The state in Chinese."""
    return _STATES[state]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a step was given by whoever takes it."""

    reason: str | None = None
    legal_basis: str | None = None
    defects: Sequence[Mapping[str, str]] = ()
    supplier: str | None = None
    resource: str | None = None
    items: Sequence[str] = ()
    masks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rating: int | None = None

    def record(self) -> dict[str, Any]:
        """What of it is there."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True, slots=True)
class Desk:
    """What steps work with: `resources` gives a resource in force, or None; `close` ends a department's reading."""

    publisher: Publisher
    resources: Resources
    close: Callable[[str, str], None]


def new_id(now: datetime) -> str:
    """An id that sorts by the moment of its making."""
    return f"{int(now.timestamp() * 1_000):011x}{secrets.token_hex(3)}"


def terms_of(demand: store.Demand) -> Terms:
    return Terms(
        # what was matched and catalogued since is catalogued data like any other
        kind=Kind.CATALOGUED if demand.resource else Kind(demand.kind),
        department=demand.department,
        resource=demand.resource,
        wanted=demand.wanted,
        items=demand.items,
        masks=demand.masks,
        row_filter=demand.row_filter,
        channels=demand.channels,
        table=demand.table,
        purpose=demand.purpose,
        legal_basis=demand.legal_basis,
        until=demand.until,
        emergency=demand.emergency,
    )


def standing_of(demand: store.Demand) -> Standing:
    return Standing(
        state=State(demand.state),
        path=Path(demand.path),
        supplied=demand.supplier is not None,
        named=demand.resource is not None,
        interrupted=State(demand.interrupted) if demand.interrupted else None,
        returned=demand.returned,
        approvals=tuple(demand.approvals),
        needed=demand.needed,
        level=Level(demand.level),
        ruled=demand.ruled,
        papers=Papers(demand.papers),
    )


def _settle(demand: store.Demand, standing: Standing) -> None:
    """Keep where the demand stands; supplier and resource are the step's own affair."""
    demand.state, demand.path = standing.state.value, standing.path.value
    demand.interrupted = standing.interrupted.value if standing.interrupted else None
    demand.returned, demand.approvals = standing.returned, list(standing.approvals)
    demand.level, demand.ruled, demand.papers = standing.level.value, standing.ruled, standing.papers.value


def parties(viewer: Viewer, demand: store.Demand) -> set[By]:
    """As whom `viewer` may take steps of `demand`; nobody decides for a department that is not the viewer's own."""
    found = set()
    if Role.CONSUMER in viewer.roles and viewer.department == demand.department:
        found.add(By.APPLICANT)
    if Role.PROVIDER in viewer.roles and viewer.department is not None and viewer.department == demand.supplier:
        found.add(By.SUPPLIER)
    if Role.ADMINISTRATOR in viewer.roles:
        found.add(By.AUTHORITY)
    return found


def readable(viewer: Viewer) -> Select[store.Demand]:
    """Demands that `viewer` may see: own department's, those it supplies, all but drafts for authority and auditors."""
    query, drafts = select(store.Demand), store.Demand.state == State.DRAFT.value
    if viewer.sees_all():
        return query.where(~drafts)
    own = store.Demand.department == (viewer.department or "")
    supplied = (store.Demand.supplier == (viewer.department or "")) & ~drafts
    return query.where(or_(own, supplied))


def open_to(viewer: Viewer, demand: store.Demand) -> list[Action]:
    """The steps that `viewer` may take now."""
    mine, standing = parties(viewer, demand), standing_of(demand)
    return [
        step.action
        for step in possible(standing)
        if step.by & mine
        and (step.action is not Action.APPROVE or may_approve(standing, viewer.name, demand.applicants))
    ]


def take(
    desk: Desk, session: Session, viewer: Viewer, demand: store.Demand, action: Action, given: Given, now: datetime
) -> None:
    """Take a step of a demand that the session has locked, and those that follow by rule; raises a problem.

    Whether the step is the viewer's at all (`is_of`) is for the caller to ask first.
    """
    standing = standing_of(demand)
    step = transition(standing, action)
    if step is None:
        raise _no_step(demand, action)
    party = min(step.by & parties(viewer, demand), default=None)
    if party is None:
        raise _not_yours(action)
    refuse("step-incomplete", Words("The step lacks something", "缺少必填内容"), _lacking(step, given))
    _prepare(desk, session, viewer, demand, standing, action, given, now)
    move(desk, session, demand, step, viewer.name, party, given, now)


def take_by_rule(desk: Desk, session: Session, demand: store.Demand, action: Action, why: str, now: datetime) -> bool:
    """Take a step of the exchange's own, for the reason `why`; False where there is none (any more)."""
    step = transition(standing_of(demand), action)
    if step is None or By.RULE not in step.by:
        return False
    move(desk, session, demand, step, THE_RULE, By.RULE, Given(reason=why), now)
    return True


def is_of(viewer: Viewer, demand: store.Demand, action: Action) -> bool:
    """Whether `action` is the viewer's in some state, be it possible now or not."""
    return any(step.action is action and step.by & parties(viewer, demand) for step in TRANSITIONS)


def move(
    desk: Desk,
    session: Session,
    demand: store.Demand,
    step: Transition,
    person: str,
    party: By,
    given: Given,
    now: datetime,
) -> None:
    """Take `step`, which is there, and the steps that follow by rule."""
    standing = standing_of(demand)
    if step.action in (Action.REOPEN, Action.LOSE):
        _look_again(desk, demand, step.action)
    _settle(demand, after(standing, step, person))
    demand.revision, demand.updated_at = demand.revision + 1, now
    session.add(
        store.Step(
            demand=demand.id, action=step.action.value, source=step.source.value, target=step.target.value,
            actor=person, party=party.value, given=given.record(), at=now,
        )
    )  # fmt: skip
    _turn_clocks(session, demand, step, now)
    _end_grant(desk, session, demand, step, person, now)
    if step.action is Action.EVALUATE and given.rating is not None:
        _rate(desk, session, demand, given.rating, given.reason or "", person, now)
    desk.publisher.demand(session, demand, step.event, person, {"action": step.action, "party": party})
    for told in sorted(step.tells):
        department = _department_of(demand, told)
        if department is not None:
            tell(session, demand, department, step.event, now)
    following = by_itself(standing_of(demand))
    if following is not None:
        move(desk, session, demand, following, THE_RULE, By.RULE, Given(), now)


def _turn_clocks(session: Session, demand: store.Demand, step: Transition, now: datetime) -> None:
    timekeeping.stop(session, demand, step.stops, now)
    if step.pauses:
        timekeeping.pause(session, demand, now)
    if step.resumes:
        timekeeping.resume(session, demand, now)
    if step.starts is not None:
        timekeeping.start(session, demand, step.starts, now)
    timekeeping.show(session, demand, now)


# Steps after which nothing flows any more, and what becomes of a grant that is in force then.
_ENDS = {
    Action.WITHDRAW: grants.State.REVOKED, Action.CLOSE: grants.State.REVOKED, Action.REVOKE: grants.State.REVOKED,
    Action.END: grants.State.REVOKED, Action.REFUSE: grants.State.REVOKED, Action.LAPSE: grants.State.EXPIRED,
    Action.LOSE: grants.State.REVOKED, Action.REOPEN: grants.State.REOPENED,
}  # fmt: skip


def _end_grant(
    desk: Desk, session: Session, demand: store.Demand, step: Transition, person: str, now: datetime
) -> None:
    ending = _ENDS.get(step.action)
    if ending is None or demand.grant is None:
        return
    grant = session.get_one(grant_store.Grant, demand.grant, with_for_update=True)
    if grant.state == grants.State.ACTIVE:
        # the broker first: were it the other way round, a crash in between would leave the topic open for good
        desk.close(grant.topic, grant.department)
        grant.state, grant.updated_at = ending, now
        desk.publisher.grant(session, grant, f"grant_{ending}", person, f"its demand: {step.action}")


def _rate(
    desk: Desk, session: Session, demand: store.Demand, score: int, said: str, person: str, now: datetime
) -> None:
    """An evaluation is feedback on what the demand was granted."""
    grant = session.get(grant_store.Grant, demand.grant) if demand.grant else None
    if grant is not None:
        rating = feedback.Given(score=score, reasons=frozenset(), effect=said, comment="")
        evaluation.give(session, desk.publisher, grant, rating, person, now)


def _department_of(demand: store.Demand, party: By) -> str | None:
    if party is By.APPLICANT:
        return demand.department
    return demand.supplier if party is By.SUPPLIER else AUTHORITY


def _lacking(step: Transition, given: Given) -> list[Defect]:
    wanted = {
        Need.REASON: ((given.reason or "").strip(), Words("say why, once and completely", "请一次性完整说明理由")),
        Need.LEGAL_BASIS: (
            (given.legal_basis or "").strip(), Words("name the law or document it rests on", "须注明法律法规或文件依据")
        ),
        Need.DEFECTS: (given.defects, Words("tell all that is missing, once and completely", "请一次性告知补正内容")),
        Need.SUPPLIER: (given.supplier, Words("name the department that supplies it", "请指定供给部门")),
        Need.RESOURCE: (given.resource, Words("name the catalogued resource", "请指定已编目的资源")),
        Need.RATING: (given.rating, Words("rate it from 1 to 5", "请给出 1 至 5 分的评价")),
    }  # fmt: skip
    return [Defect(f"/{need}", wanted[need][1]) for need in sorted(step.needs) if not wanted[need][0]]


def _prepare(
    desk: Desk,
    session: Session,
    viewer: Viewer,
    demand: store.Demand,
    standing: Standing,
    action: Action,
    given: Given,
    now: datetime,
) -> None:
    """What a step asks and changes beyond its state; raises a problem."""
    match action:
        case Action.SUBMIT | Action.SUPPLEMENT:
            _check_terms(desk, session, demand, now)
            demand.applicants = sorted({*demand.applicants, viewer.name})
            if action is Action.SUBMIT:
                _choose_path(desk, demand)
                demand.submitted_at = now
        case Action.MATCH:
            _check_supplier(session, demand, given)
            demand.supplier, demand.resource = given.supplier, None
        case Action.CATALOGUE:
            _name_resource(desk, demand, given, now)
        case Action.APPROVE:
            if not may_approve(standing, viewer.name, demand.applicants):
                raise _same_person()
            _check_contract(desk, demand, now)
        case Action.HAND_IN:
            demand.legal_basis = given.legal_basis
        case _:
            pass


def _resource_of(desk: Desk, demand: store.Demand) -> Mapping[str, Any] | None:
    return desk.resources(demand.resource) if demand.resource else None


def _check_terms(desk: Desk, session: Session, demand: store.Demand, now: datetime) -> None:
    title = Words("The demand cannot be submitted like this", "申请内容不完整或有误")
    found = terms_of_demands.defects(terms_of(demand), _resource_of(desk, demand), now)
    refuse("demand-invalid", title, [*found, *divisions.defects(session, demand.row_filter)])


def _choose_path(desk: Desk, demand: store.Demand) -> None:
    resource = _resource_of(desk, demand)
    demand.path = terms_of_demands.path_of(terms_of(demand), resource).value
    demand.supplier = resource["department"] if resource else None
    demand.needed = terms_of_demands.approvals_needed(resource)
    demand.grade = resource["grade"] if resource else None


def _check_supplier(session: Session, demand: store.Demand, given: Given) -> None:
    known = session.get(store.DepartmentName, given.supplier)
    words = None
    if known is None:
        words = Words(f"there is no department {given.supplier!r}", f"没有部门“{given.supplier}”")
    elif given.supplier == demand.department:
        words = Words("a department does not supply itself", "供给部门不能是申请部门自身")
    if words is not None:
        refuse("supplier-invalid", Words("It cannot supply this", "供给部门无效"), [Defect("/supplier", words)])


def _name_resource(desk: Desk, demand: store.Demand, given: Given, now: datetime) -> None:
    """The supplier has catalogued what was wanted: the demand is for that from now on."""
    title, resource = Words("This cannot be given", "该资源无法提供"), desk.resources(given.resource or "")
    if resource is None or resource["department"] != demand.supplier:
        words = Words("is not a resource in force of your department", "不是本部门已发布的资源")
        refuse("resource-invalid", title, [Defect("/resource", words)])
        return
    items = list(given.items) or [item["name"] for item in resource["items"]]
    demand.resource, demand.items, demand.masks = resource["code"], items, dict(given.masks)
    refuse("demand-invalid", title, terms_of_demands.grant_defects(terms_of(demand), resource, now))
    demand.needed, demand.grade = terms_of_demands.approvals_needed(resource), resource["grade"]


def _check_contract(desk: Desk, demand: store.Demand, now: datetime) -> None:
    """A demand is approved for what the contract gives now; raises a 409 problem."""
    resource = _resource_of(desk, demand)
    if resource is None:
        detail = Words("The resource was withdrawn; the demand is matched anew.", "资源已撤销，该申请须重新对接。")
        raise Problem(409, "resource-withdrawn", Words("The resource is withdrawn", "资源已撤销"), detail)
    if terms_of_demands.is_higher(resource["grade"], demand.grade):
        detail = Words(
            "The resource was graded higher meanwhile; read the demand again.", "资源级别已提高，请刷新后重新审批。"
        )
        raise Problem(409, "resource-regraded", Words("The grade has changed", "资源级别已变化"), detail)
    defects = terms_of_demands.grant_defects(terms_of(demand), resource, now)
    if defects:
        errors = [{"pointer": one.pointer, "detail": one.detail} for one in defects]
        detail = Words(
            "The contract does not give what is asked for; return it for supplement, or refuse it.",
            "现行契约不能满足该申请，请退回补正或不予共享。",
        )
        raise Problem(
            409, "contract-exceeded", Words("More than the contract gives", "超出契约范围"), detail, errors=errors
        )


def _look_again(desk: Desk, demand: store.Demand, action: Action) -> None:
    """What is decided anew is decided by what the resource is now."""
    if action is Action.LOSE:
        demand.supplier, demand.resource, demand.grade, demand.needed = None, None, None, 1
        return
    resource = _resource_of(desk, demand)
    if resource is not None:
        demand.grade, demand.needed = resource["grade"], terms_of_demands.approvals_needed(resource)


def _no_step(demand: store.Demand, action: Action) -> Problem:
    state = State(demand.state)
    steps = [step.action for step in possible(standing_of(demand)) if step.action in _ACTIONS]
    names = list(dict.fromkeys(steps))
    en, zh = ", ".join(names) or "nothing", "、".join(_ACTIONS[one] for one in names) or "无"
    return Problem(
        409,
        "step-impossible",
        Words("Not possible in this state", "当前状态不允许此操作"),
        Words(
            f"A demand in state {state.value} has no step {action.value} now; possible: {en}.",
            f"申请处于“{_STATES[state]}”，目前不能{_ACTIONS.get(action, action)}；可以：{zh}。",
        ),
    )


def _not_yours(action: Action) -> Problem:
    detail = Words(f"The step {action} of this demand is not yours now.", "目前该步骤不由您办理。")
    return Problem(403, "not-allowed", Words("Not allowed", "无权操作"), detail)


def _same_person() -> Problem:
    detail = Words(
        "Who has applied or approved already does not approve: another person must.",
        "申请人或已审批人不得再次审批，须由另一人审批。",
    )
    return Problem(403, "same-person", Words("Another person must approve", "须由另一人审批"), detail)


def draft(department: str, person: str, now: datetime, values: Mapping[str, Any]) -> store.Demand:
    """A demand that nobody but its department knows of yet."""
    return store.Demand(
        id=new_id(now),
        thread=str(uuid.uuid4()),
        department=department,
        applicants=[person],
        state=State.DRAFT.value,
        path=Path.DECISION.value,
        returned=False,
        approvals=[],
        needed=1,
        level=Level.NONE.value,
        ruled=False,
        papers=Papers.NONE.value,
        overdue=False,
        revision=1,
        created_at=now,
        updated_at=now,
        **values,
    )
