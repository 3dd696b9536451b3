"""The life of a resource, step by step: what `domain/lifecycle.py` allows, done in one transaction each.

A step locks the resource, changes it, closes and opens the work that hangs on it, writes what happened and what the
others must know; all of it commits together. Publishing registers the contract's schema before it commits: a schema
that is registered though the step then fails is there already when it is tried again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, datetime
from typing import Any

from confluent_kafka import KafkaException
from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.catalog import search, store
from services.catalog.catalogue import Catalogue, calendar, now
from services.catalog.connector import change_topic
from services.catalog.domain import coding, product
from services.catalog.domain.contract import Bump, Change, change, next_version, schema_of, subject
from services.catalog.domain.envelope import key_schema, value_schema
from services.catalog.domain.lifecycle import Action, By, Clock, State, Transition, actions, transition
from services.catalog.domain.resource import (
    CategoryStep,
    Contract,
    Grade,
    PublishedResource,
    ServiceItem,
    Terms,
    mount_of,
    publication_defects,
    terms_of,
)
from services.core import quality
from services.core.avro import RegistryUnavailable, SchemaRefused
from services.core.calendar import due, today
from services.core.defects import Defect
from services.core.identity import OPERATOR, Role, Viewer
from services.core.problems import Problem, refuse
from services.core.words import Words

_STATES = {
    State.DRAFT: "草稿", State.IN_REVIEW: "审核中", State.PUBLISHED: "已发布", State.IN_REVISION: "修订中",
    State.WITHDRAWN: "已撤销",
}  # fmt: skip
_ACTIONS = {
    Action.SUBMIT: "提交审核", Action.RECALL: "撤回", Action.RETURN: "退回", Action.APPROVE: "审核通过",
    Action.REVISE: "修订", Action.DISCARD: "放弃修改", Action.WITHDRAW: "撤销发布", Action.REOPEN: "重新编制",
}  # fmt: skip
_EVENTS = {
    Action.SUBMIT: "resource_submitted", Action.RECALL: "resource_recalled", Action.RETURN: "resource_returned",
    Action.APPROVE: "resource_published", Action.REVISE: "revision_begun", Action.DISCARD: "draft_discarded",
    Action.WITHDRAW: "resource_withdrawn", Action.REOPEN: "resource_reopened",
}  # fmt: skip


def record_of(terms: Terms) -> dict[str, Any]:
    """Terms as they are kept."""
    kept: dict[str, Any] = json.loads(json.dumps(asdict(terms), ensure_ascii=False))
    return kept


def digest_of(terms: Terms) -> str:
    text = json.dumps(record_of(terms), ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def parties(viewer: Viewer, resource: store.Resource) -> set[By]:
    """As whom `viewer` may take steps of `resource`."""
    found = set()
    if viewer.provides_for(resource.department):
        found.add(By.PROVIDER)
    if Role.ADMINISTRATOR in viewer.roles:
        found.add(By.REVIEWER)
    return found


def open_to(viewer: Viewer, resource: store.Resource) -> list[Action]:
    """The steps that `viewer` may take now."""
    state, live, mine = State(resource.state), resource.published is not None, parties(viewer, resource)
    possible = [found for action in actions(state, live) if (found := transition(state, live, action))]
    own = _submitted(viewer, resource)
    return [step.action for step in possible if step.by & mine and not (step.action is Action.APPROVE and own)]


def _submitted(viewer: Viewer, resource: store.Resource) -> bool:
    """Whether it was `viewer` who submitted the draft, and who therefore does not publish it."""
    return viewer.name == resource.submitted_by and viewer.name != OPERATOR


def take(
    catalogue: Catalogue,
    session: Session,
    viewer: Viewer,
    resource: store.Resource,
    action: Action,
    reason: str | None = None,
) -> None:
    """Take a step of a resource that the session has locked; raises a problem when it may not be taken.

    Whether `viewer` may take it at all (`open_to`) is for the caller to ask first.
    """
    step = transition(State(resource.state), resource.published is not None, action)
    if step is None:
        raise _no_step(resource, action)
    if step.needs_reason and not (reason or "").strip():
        detail = Words("say why, once and completely", "请一次性完整说明理由")
        refuse("reason-missing", Words("A reason is needed", "须说明理由"), [Defect("/reason", detail)])
    facts: dict[str, str] = {}
    match action:
        case Action.SUBMIT:
            _submit(catalogue, session, viewer, resource)
        case Action.APPROVE:
            facts = _approve(catalogue, session, viewer, resource)
        case Action.REVISE:
            resource.draft = resource.published
        case Action.DISCARD:
            resource.draft, resource.submitted_by = None, None
        case Action.WITHDRAW:
            _withdraw(catalogue, session, resource)
        case Action.REOPEN:
            resource.draft = _last_terms(session, resource)
        case Action.RECALL | Action.RETURN:
            pass
    _record(session, viewer, resource, step, reason)
    facts = {"state": step.target.value, "version": str(resource.version), **facts}
    catalogue.publisher.happened(session, _EVENTS[action], resource.code, resource.department, viewer.name, facts)


def _no_step(resource: store.Resource, action: Action) -> Problem:
    state = State(resource.state)
    possible = actions(state, resource.published is not None)
    en = ", ".join(possible) or "nothing"
    zh = "、".join(_ACTIONS[one] for one in possible) or "无"
    return Problem(
        409,
        "step-impossible",
        Words("Not possible in this state", "当前状态不允许此操作"),
        Words(
            f"A resource in state {state.value} has no step {action.value}; possible: {en}.",
            f"资源处于“{_STATES[state]}”，不能{_ACTIONS[action]}；可以：{zh}。",
        ),
    )


def _record(
    session: Session,
    viewer: Viewer,
    resource: store.Resource,
    step: Transition,
    reason: str | None,
) -> None:
    moment = now()
    resource.state, resource.updated_at = step.target.value, moment
    resource.revision += 1
    session.add(
        store.Step(
            resource=resource.code,
            action=step.action.value,
            source=step.source.value,
            target=step.target.value,
            actor=viewer.name,
            reason=reason,
            at=moment,
        )
    )
    if step.stops:
        stopped = update(store.Task).where(
            store.Task.resource == resource.code, store.Task.clock.in_(step.stops), store.Task.closed_at.is_(None)
        )
        session.execute(stopped.values(closed_at=moment))
    if step.starts:
        start_clock(session, resource, step.starts)


def start_clock(session: Session, resource: store.Resource, clock: Clock) -> None:
    """Open the work whose clock this is; it is the data authority's (review) or the department's."""
    length = session.get_one(store.ClockLength, clock.value)
    begun = today()
    due_on, provisional = due(begun, length.working_days, calendar(session))
    mine = clock is not Clock.REVIEW
    session.add(
        store.Task(
            resource=resource.code,
            department=resource.department,
            assignee=_worker(session, resource.department) if mine else None,
            clock=clock.value,
            started_on=begun,
            due_on=due_on,
            provisional=provisional,
            opened_at=now(),
        )
    )


def _worker(session: Session, department: str) -> Any:
    """Who does a department's work: its handler, or its responsible person where there is none."""
    current = select(store.Appointment).where(
        store.Appointment.department == department, store.Appointment.until.is_(None)
    )
    by_role = {row.role: row.id for row in session.scalars(current)}
    return by_role.get("handler", by_role.get("responsible"))


# -- what is checked -------------------------------------------------------------------------------------------------


def draft_of(resource: store.Resource) -> Terms:
    """The draft; raises a 409 problem where there is none."""
    if resource.draft is None:
        raise Problem(
            409, "no-draft", Words("There is no draft", "没有草稿"),
            Words(f"Resource {resource.code} has no draft; begin a revision first.", "该资源没有草稿，请先发起修订。"),
        )  # fmt: skip
    return terms_of(resource.draft)


DIVISIONS = "GB/T 2260"
"""The code list that the divisions of today are."""


def code_lists(session: Session) -> dict[str, frozenset[str]]:
    """The codes of every list; the divisions of today are one of them."""
    found = {row.name: frozenset(row.entries) for row in session.scalars(select(store.CodeList))}
    day = today()
    current = select(store.Division.code).where(
        store.Division.valid_from <= day, or_(store.Division.valid_to.is_(None), store.Division.valid_to > day)
    )
    return {DIVISIONS: frozenset(session.scalars(current)), **found}


def rule_defects(terms: Terms, lists: quality.CodeLists) -> list[Defect]:
    """What is wrong with the contract's quality rules."""
    types = {item.name: item.type.value for item in terms.items}
    defects = []
    seen: set[str] = set()
    for index, rule in enumerate(terms.rules):
        if rule.id in seen:
            detail = Words(f"there are two rules {rule.id!r}", f"规则“{rule.id}”重复")
            defects.append(Defect(f"/rules/{index}/id", detail))
        seen.add(rule.id)
        try:
            quality.compile_rule(asdict(rule), types, lists)
        except quality.RuleError as error:
            defects.append(Defect(f"/rules/{index}", error.words))
    return defects


def defects_of(session: Session, terms: Terms) -> list[Defect]:
    """All that keeps the draft from being published: its own defects, and what it names that is not there."""
    defects = publication_defects(terms)
    lists = code_lists(session)
    defects += rule_defects(terms, lists)
    for index, item in enumerate(terms.items):
        if item.code_list and item.code_list not in lists:
            detail = Words(f"there is no code list {item.code_list!r}", f"没有代码集“{item.code_list}”")
            defects.append(Defect(f"/items/{index}/code_list", detail))
    if terms.category and session.get(store.Category, terms.category) is None:
        detail = Words(f"there is no category {terms.category!r}", f"没有分类“{terms.category}”")
        defects.append(Defect("/category", detail))
    if terms.service_item:
        item_row = session.get(store.ServiceItem, terms.service_item)
        if item_row is None or item_row.department != terms.department:
            detail = Words(
                f"the department has no service item {terms.service_item!r}", f"本部门没有事项“{terms.service_item}”"
            )
            defects.append(Defect("/service_item", detail))
    related = set(terms.related)
    known = set(
        session.scalars(
            select(store.Resource.code).where(store.Resource.code.in_(related), store.Resource.published.is_not(None))
        )
    )
    for code in sorted(related - known):
        detail = Words(f"there is no published resource {code!r}", f"没有已发布的资源“{code}”")
        defects.append(Defect("/related", detail))
    defects += product_defects(session, terms)
    if not _has_responsible(session, terms.department):
        detail = Words(
            "the department has no responsible person now: appoint one first", "该部门没有现任责任人，请先登记责任人"
        )
        defects.append(Defect("/department", detail))
    return defects


def product_defects(session: Session, terms: Terms) -> list[Defect]:
    """What keeps a mounted data product from having these terms: its view's columns, and how its inputs are handled."""
    kept = session.get(store.Product, terms.code)
    if kept is None:
        return []
    columns = columns_of(kept)
    return product.mapping_defects(terms, columns) + product.handling_defects(terms, columns, inputs_of(session, kept))


def columns_of(kept: store.Product) -> dict[str, list[product.Origin]]:
    """What each column of a data product's view is computed from."""
    return {name: [(origin[0], origin[1]) for origin in origins] for name, origins in kept.columns.items()}


def inputs_of(session: Session, kept: store.Product) -> dict[str, Terms]:
    """The terms in force of a data product's inputs, by the names that its view calls them; without those withdrawn."""
    return inputs_in_force(session, {name: one["resource"] for name, one in kept.inputs.items()})


def inputs_in_force(session: Session, resources: Mapping[str, str]) -> dict[str, Terms]:
    """The terms in force of resources, by the names under which they are given."""
    query = select(store.Resource).where(store.Resource.code.in_(resources.values()))
    found = {one.code: one.published for one in session.scalars(query) if one.published is not None}
    return {name: terms_of(found[code]) for name, code in resources.items() if code in found}


def _has_responsible(session: Session, department: str) -> bool:
    current = select(func.count()).where(
        store.Appointment.department == department,
        store.Appointment.role == "responsible",
        store.Appointment.until.is_(None),
    )
    return session.scalar(current) == 1


_CANNOT = Words("The resource cannot be published", "资源不能发布")


# -- submitting, and the notice of a breaking change -----------------------------------------------------------------


def _submit(catalogue: Catalogue, session: Session, viewer: Viewer, resource: store.Resource) -> None:
    terms = draft_of(resource)
    refuse("resource-invalid", _CANNOT, defects_of(session, terms))
    resource.submitted_by = viewer.name
    if resource.published is None:
        return
    found = change(terms_of(resource.published), terms)
    if found.bump is Bump.MAJOR:
        _notify(catalogue, session, viewer, resource, terms, found)


def _notify(
    catalogue: Catalogue, session: Session, viewer: Viewer, resource: store.Resource, terms: Terms, found: Change
) -> None:
    """Tell the consumers what will break, once for each draft; a notice of an earlier draft is closed."""
    digest, moment = digest_of(terms), now()
    for notice in session.scalars(
        select(store.Notice).where(store.Notice.resource == resource.code, store.Notice.closed_at.is_(None))
    ):
        if notice.draft_digest == digest:
            return
        notice.closed_at = moment
    consumers = sorted(catalogue.consumers(resource.code))
    if not consumers:
        return
    length = session.get_one(store.ClockLength, Clock.NOTICE.value)
    deadline, _ = due(today(), length.working_days, calendar(session))
    version = _contract_version(resource)
    notice = store.Notice(
        resource=resource.code,
        from_version=version,
        to_version=next_version(version, Bump.MAJOR),
        draft_digest=digest,
        reasons=[{"en": str(reason), "zh": reason.zh} for reason in found.reasons],
        deadline=deadline,
        created_at=moment,
    )
    session.add(notice)
    session.flush()
    for consumer in consumers:
        session.add(store.Acknowledgement(notice=notice.id, department=consumer))
    facts = {
        "notice": str(notice.id),
        "from": notice.from_version,
        "to": notice.to_version,
        "deadline": deadline.isoformat(),
        "consumers": ",".join(consumers),
    }
    catalogue.publisher.happened(session, "contract_notice", resource.code, resource.department, viewer.name, facts)


def _contract_version(resource: store.Resource) -> str:
    return str((resource.contract or {"version": "1.0.0"})["version"])


def _settle_notice(catalogue: Catalogue, session: Session, resource: store.Resource, terms: Terms) -> None:
    """Raises a 409 problem while a consumer has neither acknowledged the breaking change nor let its time run out."""
    consumers = catalogue.consumers(resource.code)
    notice = session.scalars(
        select(store.Notice).where(
            store.Notice.resource == resource.code,
            store.Notice.draft_digest == digest_of(terms),
            store.Notice.closed_at.is_(None),
        )
    ).one_or_none()
    if notice is None:
        if not consumers:
            return
        detail = Words(
            "Consumers came after this draft was submitted: recall it and submit it again, so that they are told.",
            "提交之后有新的使用部门：请撤回后重新提交，以便通知其变更。",
        )
        raise Problem(409, "notice-missing", Words("Consumers do not know of this", "使用部门尚未收到通知"), detail)
    ready = set(
        session.scalars(
            select(store.Acknowledgement.department).where(
                store.Acknowledgement.notice == notice.id, store.Acknowledgement.acknowledged_at.is_not(None)
            )
        )
    )
    waiting = sorted(consumers - ready)
    if waiting and today() <= notice.deadline:
        raise Problem(
            409,
            "notice-open",
            Words("Consumers have not acknowledged", "使用部门尚未确认"),
            Words(
                f"The change breaks what {', '.join(waiting)} use; they have until {notice.deadline} to acknowledge.",
                f"此变更影响 {'、'.join(waiting)}，须其确认，或待 {notice.deadline} 期满。",
            ),
            more={"notice": str(notice.id), "waiting_for": waiting, "deadline": notice.deadline.isoformat()},
        )
    notice.closed_at = now()


# -- publishing and withdrawing --------------------------------------------------------------------------------------


def _approve(catalogue: Catalogue, session: Session, viewer: Viewer, resource: store.Resource) -> dict[str, str]:
    terms = draft_of(resource)
    if _submitted(viewer, resource):
        detail = Words("Whoever submitted a draft does not review it.", "提交人不得审核自己提交的内容。")
        raise Problem(409, "own-review", Words("Somebody else must review this", "须由他人审核"), detail)
    refuse("resource-invalid", _CANNOT, defects_of(session, terms))
    before = terms_of(resource.published) if resource.published else _last_in_force(session, resource)
    found = change(before, terms) if before else Change(Bump.MAJOR, ())
    if resource.published and found.bump is Bump.MAJOR:
        _settle_notice(catalogue, session, resource, terms)
    last = _last_contract_version(session, resource)
    publish(catalogue, session, viewer, resource, terms, next_version(last, found.bump))
    return {"contract_version": _contract_version(resource), "change": found.bump.value, "grade": terms.grade.value}


def publish(
    catalogue: Catalogue, session: Session, viewer: Viewer, resource: store.Resource, terms: Terms, version: str
) -> None:
    """Put `terms` in force as the next version of the resource, under contract `version`."""
    moment = now()
    before = terms_of(resource.published) if resource.published else _last_in_force(session, resource)
    if before and _more_sensitive(before, terms):
        resource.regraded_at = moment
        facts = {"from": before.grade.value, "to": terms.grade.value}
        catalogue.publisher.happened(
            session, "resource_regraded", resource.code, resource.department, viewer.name, facts
        )
    resource.version += 1
    resource.published, resource.draft, resource.submitted_by = record_of(terms), None, None
    resource.published_at = moment
    resource.first_published_at = resource.first_published_at or moment
    resource.updated_at = moment
    resource.contract = _register(catalogue, terms, version, moment.isoformat())
    if resource.mount and mount_of(resource.mount).kind.is_filled:
        register_envelope(catalogue, terms, str(resource.mount["topic"]))
    session.flush()
    session.add(
        store.Version(
            resource=resource.code,
            version=resource.version,
            terms=resource.published,
            contract=resource.contract,
            published_at=moment,
            published_by=viewer.name,
        )
    )
    tell(catalogue, session, resource, "resource_published")


def _more_sensitive(before: Terms, after: Terms) -> bool:
    return (after.grade.rank, after.grade_level or 0) > (before.grade.rank, before.grade_level or 0)


def _register(catalogue: Catalogue, terms: Terms, version: str, moment: str) -> dict[str, Any]:
    schema, name = schema_of(terms), subject(terms.code, version)
    try:
        schema_id = catalogue.registry.register(name, schema, "FULL")
    except SchemaRefused as error:
        detail = Words(f"The schema registry refuses the contract: {error}", f"模式注册中心拒绝该契约：{error}")
        raise Problem(409, "contract-refused", Words("The contract is not compatible", "契约不兼容"), detail) from error
    except RegistryUnavailable as error:
        raise _no_registry() from error
    text = json.dumps(schema, ensure_ascii=False, sort_keys=True)
    return {"version": version, "subject": name, "schema_id": schema_id, "schema": text, "published_at": moment}


def register_envelope(catalogue: Catalogue, terms: Terms, topic: str) -> tuple[int, int]:
    """The ids of key and value schema in which `topic` is to be filled under these terms; raises a 503 problem.

    Where the contract breaks readers they break too: that has been agreed upon when it comes into force.
    """
    try:
        return (
            catalogue.registry.replace(f"{topic}-key", key_schema(terms, topic), "FULL"),
            catalogue.registry.replace(f"{topic}-value", value_schema(terms, topic), "FULL"),
        )
    except RegistryUnavailable as error:
        raise _no_registry() from error


def make_topic(catalogue: Catalogue, terms: Terms, system: str) -> tuple[str, int, int]:
    """Make a resource's change topic and register its schemas: its name and their ids; raises a 502 or 503 problem."""
    topic = change_topic(catalogue.settings, system, terms.code)
    try:
        catalogue.make_topic(topic)
    except KafkaException as error:
        raise broker_refused(error) from error
    return topic.name, *register_envelope(catalogue, terms, topic.name)


def broker_refused(error: KafkaException) -> Problem:
    reason = error.args[0].str() or error.args[0].name()
    detail = Words(f"The broker does not do it: {reason}", f"消息系统未能完成：{reason}")
    return Problem(502, "broker-refused", Words("The broker refuses", "消息系统拒绝"), detail)


def _no_registry() -> Problem:
    detail = Words("The schema registry does not answer; try again.", "模式注册中心没有响应，请重试。")
    title = Words("The registry does not answer", "模式注册中心无响应")
    return Problem(503, "registry-unavailable", title, detail, headers={"Retry-After": "5"})


def adopt(catalogue: Catalogue) -> int:
    """Give what was published before contracts were registered its contract, and tell the others; how many these were.

    Without it the topic would hold those resources as their first schema knew them, until each is next changed.
    """
    old = select(store.Resource).where(
        store.Resource.published.is_not(None), ~store.Resource.contract.has_key("schema")
    )
    with catalogue.session() as session, session.begin():
        found = session.scalars(old.with_for_update()).all()
        for resource in found:
            terms = terms_of(resource.published or {})
            moment = (resource.published_at or now()).isoformat()
            resource.contract = _register(catalogue, terms, _contract_version(resource), moment)
            last = session.get_one(store.Version, (resource.code, resource.version))
            last.contract = resource.contract
            tell(catalogue, session, resource, "resource_published")
        return len(found)


def adopt_lists(catalogue: Catalogue) -> None:
    """Tell the others of the lines of the lists that were taken in before there was a topic for them."""
    tables: Sequence[Any] = (store.Power, store.ServiceItem, store.DataItem)
    for table in tables:
        with catalogue.session() as session, session.begin():
            lines = session.scalars(select(table).where(~table.told).with_for_update()).all()
            for line in lines:
                line.told = True
            catalogue.publisher.lines(session, lines, "list_imported")


def make_findable(sessions: Callable[[], Session]) -> None:
    """Let be found what was published before there was a search."""
    with sessions() as session, session.begin():
        if search.is_new(session):
            in_force = session.scalars(select(store.Resource).where(store.Resource.published.is_not(None))).all()
            search.rebuild(session, [state_of(session, resource) for resource in in_force])


def _withdraw(catalogue: Catalogue, session: Session, resource: store.Resource) -> None:
    moment = now()
    for notice in session.scalars(
        select(store.Notice).where(store.Notice.resource == resource.code, store.Notice.closed_at.is_(None))
    ):
        notice.closed_at = moment
    resource.published, resource.draft, resource.submitted_by = None, None, None
    catalogue.publisher.resource_gone(session, resource.code, "resource_withdrawn")
    search.remove(session, resource.code)


def regrade(
    catalogue: Catalogue, session: Session, viewer: Viewer, resource: store.Resource, grade: Grade, level: int | None
) -> None:
    """Change the grade of what is in force at once: a new version with nothing else changed.

    Raises a problem when the resource may not be in force with that grade (core: withdraw it instead).
    """
    if resource.published is None:
        raise _no_step(resource, Action.REVISE)
    terms = replace(terms_of(resource.published), grade=grade, grade_level=level)
    refuse("resource-invalid", _CANNOT, publication_defects(terms) + product_defects(session, terms))
    draft, submitted_by = resource.draft, resource.submitted_by
    publish(catalogue, session, viewer, resource, terms, next_version(_contract_version(resource), Bump.PATCH))
    if draft is not None:
        resource.draft, resource.submitted_by = {**draft, "grade": grade.value, "grade_level": level}, submitted_by
    resource.revision += 1


def _versions(session: Session, resource: store.Resource) -> Sequence[store.Version]:
    query = select(store.Version).where(store.Version.resource == resource.code)
    return session.scalars(query.order_by(store.Version.version.desc()).limit(1)).all()


def _last_in_force(session: Session, resource: store.Resource) -> Terms | None:
    """What was last in force of a resource that is not in force now."""
    return next((terms_of(version.terms) for version in _versions(session, resource)), None)


def _last_terms(session: Session, resource: store.Resource) -> dict[str, Any]:
    last = _last_in_force(session, resource)
    if last is None:
        detail = Words("It was never published: write a new one.", "该资源从未发布，请新建。")
        raise Problem(409, "never-published", Words("There is nothing to reopen", "没有可恢复的内容"), detail)
    return record_of(last)


def _last_contract_version(session: Session, resource: store.Resource) -> str | None:
    return next((str((version.contract or {})["version"]) for version in _versions(session, resource)), None)


# -- what the others get to know -------------------------------------------------------------------------------------


def tell(catalogue: Catalogue, session: Session, resource: store.Resource, event: str) -> None:
    """Tell the others the full state of a resource in force, and let it be found so."""
    state = state_of(session, resource)
    catalogue.publisher.resource(session, state, event)
    search.index(session, state)


def category_path(session: Session, code: str | None) -> list[store.Category]:
    """The categories from the class down to `code`; as far as there are any."""
    path: list[store.Category] = []
    while code is not None and (found := session.get(store.Category, code)) is not None:
        path.insert(0, found)
        code = found.parent
    return path


def state_of(session: Session, resource: store.Resource) -> PublishedResource:
    """The full state of a resource in force."""
    if resource.published is None or resource.published_at is None:
        raise ValueError(f"{resource.code} is not in force")
    terms = terms_of(resource.published)
    department = session.get_one(store.Department, resource.department)
    service_item = session.get(store.ServiceItem, terms.service_item) if terms.service_item else None
    power = session.get(store.Power, service_item.power) if service_item else None
    kept = {
        name: getattr(terms, name)
        for name in (
            "code", "title", "abstract", "department", "sharing_type", "sharing_conditions", "sharing_channels",
            "legal_basis", "grade", "grade_level", "data_class", "update_cycle", "format", "openness", "related",
            "scenario", "provision_channel", "keywords", "items", "rules", "service_level",
        )
    }  # fmt: skip
    return PublishedResource(
        **kept,
        catalogue_code=resource.catalogue_code,
        department_uscc=department.uscc,
        department_name=department.name,
        department_name_en=department.name_en,
        division=department.division,
        version=resource.version,
        contract_version=_contract_version(resource),
        regraded_at=resource.regraded_at,
        category=tuple(CategoryStep(code=step.code, name=step.name) for step in category_path(session, terms.category)),
        service_item=ServiceItem(
            code=service_item.code, name=service_item.name, power_code=power.code, power_name=power.name
        )
        if service_item and power
        else None,
        contract=contract_of(resource.contract),
        mount=mount_of(resource.mount) if resource.mount else None,
        first_published_at=resource.first_published_at or resource.published_at,
        published_at=resource.published_at,
        updated_at=resource.updated_at,
    )


def contract_of(kept: dict[str, Any] | None) -> Contract | None:
    """The contract as it is kept; None for one from before schemas were registered."""
    if not kept or "schema" not in kept:
        return None
    return Contract(**{**kept, "published_at": datetime.fromisoformat(kept["published_at"])})


def restate(catalogue: Catalogue, session: Session, codes: Sequence[str], event: str) -> None:
    """Tell the others anew of the resources in force among `codes`, because something around them has changed."""
    in_force = select(store.Resource).where(store.Resource.code.in_(codes), store.Resource.published.is_not(None))
    # all are locked before the first takes the lock of the index: steps take the two in this order
    for resource in session.scalars(in_force.order_by(store.Resource.code).with_for_update()).all():
        resource.updated_at = now()
        tell(catalogue, session, resource, event)


# -- codes -----------------------------------------------------------------------------------------------------------


def new_code(session: Session, department: store.Department, category: str | None) -> str:
    """The next code of the place's scheme; no number is ever given twice."""
    chosen = session.get(store.Policy, "code_scheme")
    scheme = coding.SCHEMES[chosen.value if chosen else coding.DEFAULT_SCHEME]
    path = tuple(step.code for step in category_path(session, category))
    prefix = coding.prefix_of(scheme, coding.Subject(path, department.uscc, department.division))
    sequence = insert(store.CodeSequence).values(scheme=scheme.name, prefix=prefix, last=1)
    raised = sequence.on_conflict_do_update(
        index_elements=["scheme", "prefix"], set_={"last": store.CodeSequence.last + 1}
    ).returning(store.CodeSequence.last)
    number = session.scalars(raised).one()
    return scheme.code(prefix, number)


def overdue(task: store.Task, day: date) -> bool:
    return task.closed_at is None and task.due_on < day
