"""Resources (政务数据资源): writing, reviewing and publishing them, their versions and contracts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.catalog import store
from services.catalog.api.forms import MountOut, ResourceOut, RuleForm, ServiceLevelForm, TaskOut, TermsForm, form_of
from services.catalog.catalogue import Catalogue, missing, need, now, readable, taken
from services.catalog.domain.contract import change
from services.catalog.domain.difference import Kind, differences
from services.catalog.domain.lifecycle import EDITABLE, TRANSITIONS, Action, State
from services.catalog.domain.resource import Grade, Terms, entry_defects, terms_of
from services.catalog.mounting import clear, end
from services.catalog.publication import (
    code_lists,
    defects_of,
    draft_of,
    new_code,
    open_to,
    overdue,
    parties,
    record_of,
    regrade,
    rule_defects,
    take,
)
from services.core import identity, quality
from services.core.calendar import today
from services.core.conditional import IfMatch, etag, require_match
from services.core.defects import Defect
from services.core.forms import Json, Note, Slug, Strict
from services.core.idempotency import IdempotentRoute
from services.core.identity import Administrator, Anyone, Insider, Provider, Role, Viewer
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem, language_of, refuse
from services.core.words import Words, in_language

MAX_TRIAL_ROWS = 1_000
NEVER = Words("This never enters the catalogue", "此类数据不得进入目录")


class StepForm(Strict):
    """A step of the life cycle; some need a reason."""

    action: Annotated[Action, Field(examples=["submit"])]
    reason: Note | None = None


class StepOut(Strict):
    action: str
    source: str
    target: str
    actor: str
    reason: str | None
    at: datetime


class DefectOut(Strict):
    pointer: str
    detail: str


class CheckOut(Strict):
    """What publishing the draft would meet: what keeps it from that, and what it would mean to consumers."""

    defects: list[DefectOut]
    change: str | None
    reasons: list[str]


class VersionOut(Strict):
    version: int
    contract_version: str
    published_at: datetime


class VersionDetail(VersionOut):
    terms: TermsForm


class DifferenceOut(Strict):
    pointer: str
    kind: Kind
    before: Any
    after: Any
    words: str


class ContractOut(Strict):
    """The contract in force: the Avro schema of a row, and what a row must be like."""

    version: str
    subject: str | None
    schema_id: int | None
    row: Annotated[dict[str, Any] | None, Field(description="The Avro schema.")]
    rules: list[RuleForm]
    service_level: ServiceLevelForm
    published_at: datetime | None


class GradeForm(Strict):
    grade: Grade
    grade_level: Annotated[int, Field(ge=1, le=9)] | None = None
    reason: Annotated[str, Field(min_length=1, max_length=2_000)]


class TrialForm(Strict):
    """Sample rows as JSON: dates and times as text, decimals as text or numbers. Nothing of them is kept."""

    rows: Annotated[
        list[dict[str, Any]],
        Field(min_length=1, max_length=MAX_TRIAL_ROWS, examples=[[{"id_number": "11010519491231002X"}]]),
        Json,
    ]
    rules: Annotated[list[RuleForm], Field(max_length=500)] | None = None


class BrokenOut(Strict):
    row: int
    rule: str
    severity: str
    items: list[str]
    detail: str


class TrialOut(Strict):
    rows: int
    good: int
    broken: list[BrokenOut]


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(prefix="/resources", tags=["resources"], route_class=IdempotentRoute)

    def visible(session: Session, viewer: Viewer, code: str, *, lock: bool = False) -> store.Resource:
        query = readable(viewer).where(store.Resource.code == code)
        found = session.scalars(query.with_for_update() if lock else query).one_or_none()
        if found is None:
            raise missing("resource", code)
        return found

    def own(session: Session, viewer: Viewer, request: Request, code: str, *, lock: bool = False) -> store.Resource:
        """The resource, if the viewer writes for its department."""
        found = visible(session, viewer, code, lock=lock)
        if not viewer.provides_for(found.department):
            why = Words("You work on resources of your own department only.", "只能处理本部门的资源。")
            raise identity.refuse(request, viewer, why)
        return found

    def answer(session: Session, viewer: Viewer, resource: store.Resource, response: Response) -> ResourceOut:
        response.headers["ETag"] = etag(resource.revision)
        return shown(session, viewer, resource)

    @routes.post("", status_code=201)
    def draft_resource(form: TermsForm, viewer: Provider, request: Request, response: Response) -> ResourceOut:
        """Begin a resource as a draft, and give it its catalogue code. Nobody else sees it until it is published."""
        if not viewer.provides_for(form.department):
            why = Words("You work on resources of your own department only.", "只能处理本部门的资源。")
            raise identity.refuse(request, viewer, why)
        terms = form.terms()
        refuse("resource-invalid", NEVER, entry_defects(terms))
        with catalogue.session() as session, session.begin():
            kept = begin(catalogue, session, viewer, terms)
            response.headers["Location"] = f"{request.url.path}/{form.code}"
            return answer(session, viewer, kept, response)

    @routes.get("")
    def list_resources(
        viewer: Anyone,
        department: Annotated[Slug | None, Query()] = None,
        state: Annotated[State | None, Query(description="For those who work on them.")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[ResourceOut]:
        """The resources that the caller may see: what is in force, and the caller's own department's drafts."""
        query = readable(viewer)
        if department is not None:
            query = query.where(store.Resource.department == department)
        with catalogue.session() as session:
            if state is not None:
                query = query.where(store.Resource.state == state.value)
                if not viewer.sees_all():
                    query = query.where(store.Resource.department == (viewer.department or ""))
            rows, following = page(session, query, [store.Resource.code], limit, cursor)
            tasks = open_tasks(session, [row.code for row in rows if works_on(viewer, row)])
            return Page(items=[shown(session, viewer, row, tasks) for row in rows], next=following)

    @routes.get("/{code}")
    def read_resource(code: str, viewer: Anyone, response: Response) -> ResourceOut:
        """One resource."""
        with catalogue.session() as session:
            return answer(session, viewer, visible(session, viewer, code), response)

    @routes.put("/{code}/draft")
    def write_draft(
        code: str, form: TermsForm, viewer: Provider, request: Request, response: Response, if_match: IfMatch = None
    ) -> ResourceOut:
        """Put another draft in the place of the one there is."""
        with catalogue.session() as session, session.begin():
            resource = own(session, viewer, request, code, lock=True)
            require_match(if_match, resource.revision)
            _check_editable(resource)
            detail = Words("is not changed: it is what others know the resource by", "不可修改")
            fixed = {"code": resource.code, "department": resource.department}
            changed = [Defect(f"/{name}", detail) for name, value in fixed.items() if getattr(form, name) != value]
            refuse("resource-invalid", Words("The draft is not valid", "草稿无效"), changed)
            terms = form.terms()
            refuse("resource-invalid", NEVER, entry_defects(terms))
            rewrite(resource, terms)
            return answer(session, viewer, resource, response)

    @routes.get("/{code}/check")
    def check_draft(code: str, viewer: Provider, request: Request) -> CheckOut:
        """All that keeps the draft from being published, and what it would mean to those who use the contract."""
        language = language_of(request)
        with catalogue.session() as session:
            resource = own(session, viewer, request, code)
            terms = draft_of(resource)
            found = change(terms_of(resource.published), terms) if resource.published else None
            return CheckOut(
                defects=[
                    DefectOut(pointer=defect.pointer, detail=in_language(defect.detail, language))
                    for defect in defects_of(session, terms)
                ],
                change=found.bump.value if found else None,
                reasons=[in_language(reason, language) for reason in found.reasons] if found else [],
            )

    @routes.post("/{code}/steps")
    def take_step(
        code: str, form: StepForm, viewer: Provider, request: Request, response: Response, if_match: IfMatch = None
    ) -> ResourceOut:
        """Take a step of the life cycle: submit, recall, return, approve, revise, discard, withdraw, reopen.

        Submitting, recalling and discarding are the provider's; returning and approving the administrator's, who is not
        whoever submitted; revising, withdrawing and reopening either's.
        """
        with catalogue.session() as session, session.begin():
            resource = visible(session, viewer, code, lock=True)
            if not _may_step(viewer, resource, form.action):
                why = Words(f"The step {form.action} of this resource is not yours.", "您无权对该资源执行此步骤。")
                raise identity.refuse(request, viewer, why)
            require_match(if_match, resource.revision)
            take(catalogue, session, viewer, resource, form.action, form.reason)
            left = end(catalogue, session, viewer, resource) if form.action is Action.WITHDRAW else None
            session.flush()
            done = answer(session, viewer, resource, response)
        if left is not None:
            clear(catalogue, code, left)
        return done

    @routes.post("/{code}/grade")
    def regrade_resource(
        code: str, form: GradeForm, viewer: Administrator, response: Response, if_match: IfMatch = None
    ) -> ResourceOut:
        """Change the grade of what is in force at once. A higher one re-opens all grants; core is withdrawn instead."""
        with catalogue.session() as session, session.begin():
            resource = visible(session, viewer, code, lock=True)
            require_match(if_match, resource.revision)
            regrade(catalogue, session, viewer, resource, form.grade, form.grade_level)
            session.add(
                store.Step(
                    resource=code, action="regrade", source=resource.state, target=resource.state,
                    actor=viewer.name, reason=form.reason, at=now(),
                )
            )  # fmt: skip
            session.flush()
            return answer(session, viewer, resource, response)

    @routes.get("/{code}/steps")
    def read_steps(code: str, viewer: Insider, request: Request) -> list[StepOut]:
        """What was done with the resource, and why; not for other departments."""
        with catalogue.session() as session:
            if not works_on(viewer, visible(session, viewer, code)):
                why = Words(
                    "You see the steps of your own department's resources only.", "只能查看本部门资源的办理过程。"
                )
                raise identity.refuse(request, viewer, why)
            query = select(store.Step).where(store.Step.resource == code).order_by(store.Step.id)
            return [StepOut.model_validate(row) for row in session.scalars(query)]

    @routes.get("/{code}/versions")
    def list_versions(code: str, viewer: Anyone) -> list[VersionOut]:
        """The versions that were published."""
        with catalogue.session() as session:
            visible(session, viewer, code)
            query = select(store.Version).where(store.Version.resource == code).order_by(store.Version.version)
            return [_version(row) for row in session.scalars(query)]

    @routes.get("/{code}/versions/{version}")
    def read_version(code: str, version: Annotated[int, Field(ge=1, le=2**31 - 1)], viewer: Anyone) -> VersionDetail:
        """One version, as it was published."""
        with catalogue.session() as session:
            visible(session, viewer, code)
            row = _find_version(session, code, version)
            return VersionDetail(**_version(row).model_dump(), terms=form_of(row.terms))

    @routes.get("/{code}/differences")
    def read_differences(
        code: str,
        viewer: Anyone,
        request: Request,
        before: Annotated[int, Query(ge=1, le=2**31 - 1)],
        after: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="The draft, without it.")] = None,
    ) -> list[DifferenceOut]:
        """What differs between two versions, or between a version and the draft (for those who may see that)."""
        language = language_of(request)
        with catalogue.session() as session:
            resource = visible(session, viewer, code)
            first = terms_of(_find_version(session, code, before).terms)
            if after is not None:
                second = terms_of(_find_version(session, code, after).terms)
            elif works_on(viewer, resource):
                second = draft_of(resource)
            else:
                why = Words("The draft is for those who work on it.", "草稿仅供编制、审核人员查看。")
                raise identity.refuse(request, viewer, why)
        return [
            DifferenceOut(**{**_fields(one), "words": in_language(one.words, language)})
            for one in differences(first, second)
        ]

    @routes.get("/{code}/contract")
    def read_contract(code: str, viewer: Anyone) -> ContractOut:
        """The contract in force."""
        with catalogue.session() as session:
            resource = visible(session, viewer, code)
        if resource.published is None or resource.contract is None:
            raise missing("resource", code)
        form, kept = form_of(resource.published), resource.contract
        return ContractOut(
            version=kept["version"],
            subject=kept.get("subject"),
            schema_id=kept.get("schema_id"),
            row=json.loads(kept["schema"]) if "schema" in kept else None,
            rules=form.rules,
            service_level=form.service_level,
            published_at=kept.get("published_at"),
        )

    @routes.post("/{code}/trial")
    def try_rules(code: str, form: TrialForm, viewer: Provider, request: Request) -> TrialOut:
        """Try quality rules on sample rows: those given, else the draft's, else those in force."""
        language = language_of(request)
        with catalogue.session() as session:
            resource = own(session, viewer, request, code)
            terms = terms_of(resource.published) if resource.published and not resource.draft else draft_of(resource)
            lists = code_lists(session)
        if form.rules is not None:
            record = record_of(terms)
            record["rules"] = [
                {**rule.model_dump(mode="json"), "parameters": json.dumps(rule.parameters, ensure_ascii=False)}
                for rule in form.rules
            ]
            terms = terms_of(record)
        refuse("rules-invalid", Words("The rules are not valid", "质量规则无效"), rule_defects(terms, lists))
        broken = list(_try(terms, lists, form.rows, language))
        return TrialOut(rows=len(form.rows), good=len(form.rows) - len({one.row for one in broken}), broken=broken)

    return routes


def begin(catalogue: Catalogue, session: Session, viewer: Viewer, terms: Terms) -> store.Resource:
    """A new resource whose draft is `terms`, with its catalogue code; raises a 409 problem where its code is taken."""
    department = need(session, store.Department, terms.department, "department")
    kept = store.Resource(
        code=terms.code,
        catalogue_code=new_code(session, department, terms.category),
        department=terms.department,
        state=State.DRAFT.value,
        draft=record_of(terms),
        version=0,
        revision=1,
        updated_at=now(),
    )
    session.add(kept)
    try:
        session.flush()
    except IntegrityError as error:
        raise taken("resource", terms.code) from error
    catalogue.publisher.happened(session, "resource_drafted", terms.code, terms.department, viewer.name, {})
    return kept


def rewrite(resource: store.Resource, terms: Terms) -> None:
    """Put `terms` in the place of the draft of a locked resource; raises a 409 problem where none may be written."""
    _check_editable(resource)
    resource.draft = record_of(terms)
    resource.revision += 1
    resource.updated_at = now()


def _check_editable(resource: store.Resource) -> None:
    if State(resource.state) not in EDITABLE:
        raise Problem(
            409,
            "not-editable",
            Words("It cannot be written just now", "当前不可编辑"),
            Words(
                f"A resource in state {resource.state} is not written: begin a revision, or recall it first.",
                "该资源当前不可编辑：请先发起修订，或撤回审核。",
            ),
        )


def works_on(viewer: Viewer, resource: store.Resource) -> bool:
    """Whether the viewer may see what is not published of the resource."""
    return viewer.sees_all() or (Role.PROVIDER in viewer.roles and viewer.department == resource.department)


def shown(
    session: Session, viewer: Viewer, resource: store.Resource, tasks: list[TaskOut] | None = None
) -> ResourceOut:
    """The resource as the viewer may know it: to others it is simply published, whatever is being written.

    `tasks` are open tasks that were read before (of this and other resources); without them they are read here.
    """
    inside = works_on(viewer, resource)
    if tasks is None:
        tasks = open_tasks(session, [resource.code]) if inside else []
    return ResourceOut(
        code=resource.code,
        catalogue_code=resource.catalogue_code,
        department=resource.department,
        state=State(resource.state) if inside else State.PUBLISHED,
        version=resource.version,
        contract_version=resource.contract["version"] if resource.published and resource.contract else None,
        published=form_of(resource.published) if resource.published else None,
        draft=form_of(resource.draft) if inside and resource.draft else None,
        submitted_by=resource.submitted_by if inside else None,
        mount=MountOut.model_validate(resource.mount) if resource.mount else None,
        first_published_at=resource.first_published_at,
        published_at=resource.published_at,
        regraded_at=resource.regraded_at,
        updated_at=resource.updated_at if inside else resource.published_at or resource.updated_at,
        actions=open_to(viewer, resource) if inside else [],
        tasks=[task for task in tasks if inside and task.resource == resource.code],
    )


def open_tasks(session: Session, codes: Sequence[str]) -> list[TaskOut]:
    """The open tasks of these resources, those due first before the others."""
    query = select(store.Task).where(store.Task.resource.in_(codes), store.Task.closed_at.is_(None))
    return [task_out(session, task) for task in session.scalars(query.order_by(store.Task.due_on))]


def task_out(session: Session, task: store.Task) -> TaskOut:
    assignee = session.get(store.Appointment, task.assignee) if task.assignee else None
    return TaskOut(
        resource=task.resource,
        department=task.department,
        clock=task.clock,
        started_on=task.started_on,
        due_on=task.due_on,
        provisional=task.provisional,
        overdue=overdue(task, today()),
        assignee=assignee.name if assignee else None,
    )


def _may_step(viewer: Viewer, resource: store.Resource, action: Action) -> bool:
    """Whether the step is the viewer's, be it possible now or not (then the answer is what is possible)."""
    return any(step.action is action and step.by & parties(viewer, resource) for step in TRANSITIONS.values())


def _fields(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ("pointer", "kind", "before", "after")}


def _find_version(session: Session, code: str, version: int) -> store.Version:
    found = session.get(store.Version, (code, version))
    if found is None:
        raise missing("version", version)
    return found


def _version(row: store.Version) -> VersionOut:
    contract = row.contract or {"version": "1.0.0"}
    return VersionOut(version=row.version, contract_version=contract["version"], published_at=row.published_at)


def _try(terms: Terms, lists: quality.CodeLists, rows: list[dict[str, Any]], language: str) -> Iterable[BrokenOut]:
    types = {item.name: item.type.value for item in terms.items}
    checker, moment = quality.compile_rules([asdict(rule) for rule in terms.rules], types, lists), now()
    for number, row in enumerate(rows):
        values: dict[str, Any] = dict.fromkeys(types)
        wrong: set[str] = set()
        for name, value in row.items():
            if name not in types:
                words = Words("is no item of the resource", "不是该资源的信息项")
                yield _broken(number, "type", [name], in_language(words, language))
                continue
            try:
                values[name] = quality.value_of(types[name], value)
            except quality.NotAValue:
                wrong.add(name)
                words = Words(f"is not a {types[name]}", f"不是 {types[name]} 类型的值")
                yield _broken(number, "type", [name], in_language(words, language))
        for one in checker.check(values, moment):
            if not wrong & set(one.items):
                yield BrokenOut(
                    row=number, rule=one.rule, severity=one.severity, items=list(one.items),
                    detail=in_language(one.words, language),
                )  # fmt: skip


def _broken(row: int, rule: str, items: list[str], detail: str) -> BrokenOut:
    return BrokenOut(row=row, rule=rule, severity="error", items=items, detail=detail)
