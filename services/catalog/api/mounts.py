"""Mounts (挂接): tying a resource to where its data really is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from confluent_kafka import KafkaException
from fastapi import APIRouter, Query, Request, Response
from pydantic import ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.catalog import store
from services.catalog.api.filling import WriterCredentials, need_kind, open_topic, own
from services.catalog.api.forms import MountOut, ResourceOut
from services.catalog.api.previews import (
    DefectOut,
    ProposalOut,
    RuleTriedOut,
    defects_out,
    proposals_out,
    rules_out,
)
from services.catalog.api.products import ProductForm, ProductOut, tried
from services.catalog.api.products import out_of as product_out_of
from services.catalog.api.resources import shown
from services.catalog.api.upstreams import UpstreamForm, UpstreamOut, looked, out_of, refuse_form
from services.catalog.catalogue import Catalogue, database_of, missing, need, now, readable, unreachable
from services.catalog.connector import change_topic, connector_config, connector_name
from services.catalog.domain.condition import condition
from services.catalog.domain.drift import Condition, Kind, Weight, finding_of
from services.catalog.domain.mount import (
    Table,
    TableKind,
    content_defects,
    handling_defects,
    item_type_of,
    may_be_mounted,
    mount_defects,
    nullable_required,
)
from services.catalog.domain.reread import State, reread_of
from services.catalog.domain.resource import ItemType, MountKind, Terms, terms_of
from services.catalog.drift import first_state
from services.catalog.mounting import MAKING, clear, end, intend, stands
from services.catalog.publication import broker_refused, code_lists, draft_of, make_topic, tell
from services.catalog.resnapshot import ask
from services.catalog.source import Reading, SourceDatabase, SourceUnreachable, TableMissing, source_of
from services.catalog.wizard import SAMPLE_ROWS, content_of, look, server_defects
from services.core import identity
from services.core.conditional import IfMatch, etag, require_match
from services.core.connect import ConnectRefused
from services.core.defects import Defect
from services.core.forms import Name, Plain, Slug, Strict
from services.core.idempotency import IdempotentRoute
from services.core.identity import Provider, Role, Viewer, may
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem, language_of, refuse
from services.core.rowfilter import Filter, FilterError, parse
from services.core.words import Words, in_language

Watcher = Annotated[Viewer, may(Role.ADMINISTRATOR, Role.PROVIDER, Role.OPS, Role.AUDITOR)]
Overseers = Annotated[Viewer, may(Role.ADMINISTRATOR, Role.OPS, Role.AUDITOR)]
# a mount's state and its resource are told as they were together
_ONE_MOMENT = {"isolation_level": "REPEATABLE READ"}
_CANNOT = Words("The resource cannot be mounted there", "资源不能挂接到此处")


class MountForm(Strict):
    """What of which system is to fill the resource: a table, its own writing to a topic, files, its API, or a view."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"system": "public_security", "schema": "population", "table": "person"},
                {"kind": "topic", "system": "public_security"},
                {"kind": "file", "system": "public_security"},
                {"kind": "api", "system": "public_security", "upstream": {"url": "https://api.example.gov.cn/persons"}},
                {
                    "kind": "product",
                    "system": "statistics",
                    "product": {
                        "sql": "SELECT household, count(*) AS people FROM person GROUP BY household",
                        "inputs": {"person": "0a1b2c3d4e5f"},
                    },
                },
            ]
        }
    )

    kind: MountKind = MountKind.TABLE
    system: Slug
    schema_name: Annotated[Name | None, Field(alias="schema", description="Of a table.")] = None
    table: Annotated[Name | None, Field(description="Of a table.")] = None
    upstream: Annotated[UpstreamForm | None, Field(description="Of an API.")] = None
    product: Annotated[ProductForm | None, Field(description="Of a data product.")] = None

    def defects(self) -> list[Defect]:
        """What belongs to a kind is given where that kind is meant, and only there."""
        given = {
            "/schema": self.schema_name, "/table": self.table, "/upstream": self.upstream, "/product": self.product,
        }  # fmt: skip
        kinds = {
            MountKind.TABLE: {"/schema", "/table"}, MountKind.API: {"/upstream"}, MountKind.PRODUCT: {"/product"},
        }  # fmt: skip
        wanted = kinds.get(self.kind, set())
        required, extra = Words("Field required", "缺少必填项"), Words("Extra inputs are not permitted", "不认识的字段")
        return [
            Defect(pointer, required if pointer in wanted else extra)
            for pointer, value in given.items()
            if (value is None) == (pointer in wanted)
        ]


class MountedOut(ResourceOut):
    """The resource as it is mounted. `credentials` are for a system that fills its topic: they are shown only here."""

    credentials: WriterCredentials | None = None


class PreviewForm(Strict):
    """A table to try; `columns` tries another column for some items than the draft names."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"system": "public_security", "schema": "population", "table": "person", "columns": {"name": "xm"}}
            ]
        }
    )

    system: Slug
    schema_name: Annotated[Name, Field(alias="schema")]
    table: Name
    columns: Annotated[dict[Slug, Name], Field(default_factory=dict, max_length=2_000)]


class FindingOut(Strict):
    """What is not as it should be with a mount: `object` names it, `items` are the information items it touches."""

    kind: Kind
    object: Annotated[str, Field(examples=["population.person.name"])]
    weight: Annotated[Weight, Field(description="`stop` ends delivery until it is mended.")]
    items: list[str]
    detail: str
    since: datetime | None
    last_seen: datetime | None


class RereadOut(Strict):
    """Rows that are read again, or were. `rows` is exact at the end and in whole chunks before."""

    id: str
    since: datetime
    state: State
    rows: int
    estimate: Annotated[int | None, Field(description="How many rows the source takes its table to have.")]
    some: Annotated[bool, Field(description="Whether only rows are read that a filter matches.")]
    missed: Annotated[bool, Field(description="Whether changes were missed: what is gone is deleted afterwards.")]


class MountStatus(Strict):
    """How a mount is. `checked_at` is when its source was last looked at, null before the first time."""

    resource: str
    department: str
    mount: MountOut
    condition: Condition
    checked_at: datetime | None
    retained_bytes: Annotated[int | None, Field(description="How much log the source keeps for it.")]
    reread: Annotated[RereadOut | None, Field(description="Of a table: the last that was read again.")] = None
    upstream: Annotated[UpstreamOut | None, Field(description="Of an API.")] = None
    product: Annotated[ProductOut | None, Field(description="Of a data product.")] = None
    findings: list[FindingOut]


class ClearanceOut(Strict):
    """Remains of a mount that are still to be removed from a source or the broker, and why they could not be yet."""

    resource: str
    system: str
    kind: MountKind
    connector_deleted: bool
    not_before: datetime
    error: str | None
    created_at: datetime


class ResnapshotForm(Strict):
    """Which rows to read again: those that a row filter over key items matches, all without one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"filter": 'id_number starts with "3206"'}, {}]})

    filter: Annotated[str, Field(min_length=1, max_length=4_000), Plain] | None = None


class ResnapshotOut(Strict):
    """Under which id reading again is told of, and the filter as it was understood."""

    id: str
    filter: str | None


class ColumnOut(Strict):
    name: str
    type: str
    item_type: Annotated[ItemType | None, Field(description="Of an item that it fills; null where no item can.")]
    nullable: bool
    key: bool
    comment: str | None


class PreviewOut(Strict):
    """What mounting would meet. `rows` are masked by the items' sensitivity; nothing else of the table is shown."""

    kind: TableKind
    comment: str | None
    columns: list[ColumnOut]
    proposals: list[ProposalOut]
    defects: Annotated[list[DefectOut], Field(description="What keeps the resource from being mounted.")]
    warnings: list[DefectOut]
    rows: list[dict[str, Any]]
    sampled: int
    rules: list[RuleTriedOut]


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(tags=["mounts"], route_class=IdempotentRoute)

    @routes.post("/resources/{code}/mount/preview")
    def preview_mount(code: str, form: PreviewForm, viewer: Provider, request: Request) -> PreviewOut:
        """Try a table for a resource: its columns, a proposed mapping, all defects, ten masked rows, the rules' result.

        The draft is tried, or what is in force where there is none. Nothing is changed, here or there.
        """
        language = language_of(request)
        with catalogue.session() as session:
            resource = own(session, viewer, request, code)
            system = need(session, store.InformationSystem, form.system, "system")
            _same_department(resource, system)
            terms = draft_of(resource) if resource.draft or not resource.published else terms_of(resource.published)
            lists = code_lists(session)
        terms = _with_columns(terms, form.columns)
        try:
            with database_of(catalogue, system).reading() as reading:
                found = look(reading, terms, form.schema_name, form.table, lists, now())
        except TableMissing as error:
            raise _no_table(error) from error
        except SourceUnreachable as error:
            raise unreachable(error) from error
        return PreviewOut(
            kind=found.table.kind,
            comment=found.table.comment,
            columns=[
                ColumnOut(
                    name=one.name, type=one.type, item_type=item_type_of(one.type), nullable=one.nullable,
                    key=one.name in found.table.key, comment=one.comment,
                )
                for one in found.table.columns.values()
            ],
            proposals=proposals_out(found.proposals),
            defects=defects_out(found.defects, language),
            warnings=defects_out(found.warnings, language),
            rows=[dict(row) for row in found.rows],
            sampled=found.sampled,
            rules=rules_out(found.rules, language),
        )  # fmt: skip

    @routes.put("/resources/{code}/mount")
    def mount_resource(
        code: str, form: MountForm, viewer: Provider, request: Request, response: Response, if_match: IfMatch = None
    ) -> MountedOut:
        """Tie a resource to a table, a topic that its system fills itself, files that are sent, an API, or a view.

        The resource is marked as mounted only when all that it needs is there (a table's connector runs); what will not
        do is removed again. For a topic the answer holds the credentials to fill it, this once.
        """
        refuse("invalid-request", Words("The request is not valid", "请求无效"), form.defects())
        with catalogue.session() as session:
            resource = own(session, viewer, request, code)
            system = need(session, store.InformationSystem, form.system, "system")
        require_match(if_match, resource.revision)
        terms = _mountable(resource, system)
        table: Table | None = None
        credentials: WriterCredentials | None = None
        was_mounted = False
        if form.schema_name is not None and form.table is not None:
            table = _table(database_of(catalogue, system), terms, form.schema_name, form.table)
        else:
            refuse("mount-invalid", _CANNOT, handling_defects(terms))
        if form.upstream is not None:
            refuse_form(form.upstream)
            with catalogue.session() as session:
                lists = code_lists(session)
            refuse("mount-invalid", _CANNOT, looked(catalogue, terms, lists, form.upstream).defects)
        product: store.Product | None = None
        if form.product is not None:
            grants, found = form.product.grants(catalogue), tried(catalogue, terms, form.product)
            refuse("mount-invalid", _CANNOT, found.defects)
            product = form.product.kept(code, grants, found)
        _prepare(catalogue, code, system.code, form.kind)
        where: dict[str, Any] = {"kind": form.kind.value, "system": system.code}
        where |= {"schema": "", "table": "", "connector": ""}
        try:
            if table is not None:
                made, was_mounted = _connected(catalogue, code, system, table)
                where |= made
            elif form.kind is MountKind.TOPIC:
                credentials = open_topic(catalogue, terms, system.code)
                where["topic"] = credentials.topic
            else:
                where["topic"] = make_topic(catalogue, terms, system.code)[0]
                if form.kind is MountKind.FILE:
                    where["endpoint"] = f"{request.url.path}/files"
                if form.upstream is not None:
                    where["endpoint"] = form.upstream.endpoint
                if product is not None:
                    where["inputs"] = sorted({one["resource"] for one in product.inputs.values()})
            with catalogue.session() as session, session.begin():
                kept = session.get_one(store.Resource, code, with_for_update=True)
                _mountable(kept, system)  # it may have been withdrawn while the connector came up
                stands(session, code, system.code)
                state = first_state(code, kept.version, table)
                state.reread = was_mounted
                session.add(state)
                if form.upstream is not None:
                    session.add(form.upstream.kept(catalogue, code))
                if product is not None:
                    session.add(product)
                kept.mount = where
                kept.revision += 1
                session.flush()
                tell(catalogue, session, kept, "resource_mounted")
                facts = {name: str(value) for name, value in where.items() if value}
                catalogue.publisher.happened(session, "resource_mounted", code, kept.department, viewer.name, facts)
                response.headers["ETag"] = etag(kept.revision)
                return MountedOut(**dict(shown(session, viewer, kept)), credentials=credentials)
        except Problem:
            _abandon(catalogue, code, system.code)
            raise

    @routes.delete("/resources/{code}/mount")
    def unmount_resource(
        code: str, viewer: Provider, request: Request, response: Response, if_match: IfMatch = None
    ) -> ResourceOut:
        """Untie a resource from its table, topic or files: nothing flows any more, and the source keeps no log for it.

        Connector, slot and publication, or the user that fills the topic, are removed at once, or as soon as the source
        or the broker answers again.
        """
        with catalogue.session() as session, session.begin():
            resource = own(session, viewer, request, code, lock=True)
            if resource.mount is None:
                raise missing("mount", code)
            require_match(if_match, resource.revision)
            system = end(catalogue, session, viewer, resource)
            resource.revision += 1
            session.flush()
            if resource.published is not None:
                tell(catalogue, session, resource, "resource_unmounted")
            response.headers["ETag"] = etag(resource.revision)
            done = shown(session, viewer, resource)
        if system is not None:
            clear(catalogue, code, system)
        return done

    @routes.get("/resources/{code}/mount")
    def read_mount(code: str, viewer: Watcher, request: Request) -> MountStatus:
        """How the mount of a resource is: what has drifted, since when, and whether it was stopped for that."""
        language = language_of(request)
        with catalogue.session() as session:
            session.connection(execution_options=_ONE_MOMENT)
            resource = session.scalars(readable(viewer).where(store.Resource.code == code)).one_or_none()
            if resource is None:
                raise missing("resource", code)
            if not (viewer.sees_all() or Role.OPS in viewer.roles or viewer.provides_for(resource.department)):
                why = Words("You see mounts of your own department only.", "只能查看本部门的挂接。")
                raise identity.refuse(request, viewer, why)
            if resource.mount is None:
                raise missing("mount", code)
            state, upstream = session.get(store.MountState, code), session.get(store.Upstream, code)
            return _status(resource, state, upstream, session.get(store.Product, code), language)

    @routes.post("/resources/{code}/mount/resnapshot", status_code=202)
    def resnapshot_mount(code: str, form: ResnapshotForm, viewer: Provider, request: Request) -> ResnapshotOut:
        """Have rows of the mounted table read again, all or those a filter over key items matches.

        Changes go on flowing once the connector has started again, and nothing is written to the source. Consumers get
        the rows as reads.
        """
        with catalogue.session() as session, session.begin():
            resource = own(session, viewer, request, code, lock=True)
            state = session.get(store.MountState, code)
            if resource.mount is None or resource.published is None or state is None:
                raise missing("mount", code)
            need_kind(resource, MountKind.TABLE)
            if state.condition == Condition.STOPPED.value:
                detail = Words(
                    f"The mount of {code} is stopped: {resource.mount.get('halted')}", "挂接已停止，请先修复。"
                )
                raise Problem(409, "mount-stopped", Words("The mount is stopped", "挂接已停止"), detail)
            terms = terms_of(resource.published)
            wanted = _row_filter(terms, form.filter) if form.filter is not None else None
            try:
                where = _where(catalogue, session, resource, terms, wanted) if wanted else None
                asked = ask(catalogue, session, resource, state, where, patience_seconds=30)
            except SourceUnreachable as error:
                raise unreachable(error) from error
            except (ConnectRefused, KafkaException) as error:
                title = Words("The connector is not ready", "连接器未就绪")
                detail = Words(f"{connector_name(code)}: {error}", f"{connector_name(code)}：{error}")
                raise Problem(502, "connector-failed", title, detail) from error
            facts = {"id": asked, "rows": "some" if wanted else "all"}
            catalogue.publisher.happened(session, "mount_reread", code, resource.department, viewer.name, facts)
        return ResnapshotOut(id=asked, filter=str(wanted) if wanted else None)

    @routes.get("/mounts")
    def list_mounts(
        viewer: Overseers,
        request: Request,
        condition: Annotated[Condition | None, Query(description="Only those that are so.")] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[MountStatus]:
        """How all mounts are, for whoever runs the exchange."""
        language = language_of(request)
        query = select(store.MountState)
        if condition is not None:
            query = query.where(store.MountState.condition == condition.value)
        with catalogue.session() as session:
            session.connection(execution_options=_ONE_MOMENT)
            rows, following = page(session, query, [store.MountState.resource], limit, cursor)
            resources = {row.resource: session.get_one(store.Resource, row.resource) for row in rows}
            upstreams_of = select(store.Upstream).where(store.Upstream.resource.in_(resources))
            upstreams = {one.resource: one for one in session.scalars(upstreams_of)}
            products_of = select(store.Product).where(store.Product.resource.in_(resources))
            products = {one.resource: one for one in session.scalars(products_of)}
            items = [
                _status(resources[code], row, upstreams.get(code), products.get(code), language)
                for row in rows
                for code in (row.resource,)
            ]
            return Page(items=items, next=following)

    @routes.get("/clearances")
    def list_clearances(viewer: Overseers) -> list[ClearanceOut]:
        """What mounts that ended have left in their sources and could not be removed yet, the oldest 500."""
        query = select(store.Clearance).order_by(store.Clearance.created_at).limit(500)
        with catalogue.session() as session:
            return [ClearanceOut.model_validate(row) for row in session.scalars(query)]

    return routes


def _row_filter(terms: Terms, text: str) -> Filter:
    """The filter that `text` says; raises a 422 problem unless it is one over key items."""
    try:
        found = parse(text)
        found.check({item.name: item.type.value for item in terms.items if item.key})
    except FilterError as error:
        detail = Words(f"is no filter over key items: {error}", f"不是针对主键信息项的有效筛选条件：{error}")
        refuse("filter-invalid", Words("The filter is not valid", "筛选条件无效"), [Defect("/filter", detail)])
        raise
    return found


def _where(catalogue: Catalogue, session: Session, resource: store.Resource, terms: Terms, wanted: Filter) -> str:
    """The filter in the source's SQL; raises SourceUnreachable, and a 422 problem when the table is gone."""
    mount = resource.mount or {}
    system = session.get_one(store.InformationSystem, mount["system"])
    try:
        with source_of(system, catalogue.vault).reading() as reading:
            table = reading.describe(mount["schema"], mount["table"])
    except TableMissing as error:
        raise _no_table(error) from error
    columns = {item.name: table.columns[item.column] for item in terms.items if item.column in table.columns}
    if gone := sorted(wanted.items() - set(columns)):
        detail = Words(f"the column of {', '.join(gone)} is gone", f"{'、'.join(gone)} 的字段已不存在")
        refuse("filter-invalid", Words("The filter is not valid", "筛选条件无效"), [Defect("/filter", detail)])
    return condition(wanted, columns)


def _table(source: SourceDatabase, terms: Terms, schema: str, name: str) -> Table:
    """The table, if the resource may be mounted on it; raises a problem with all that is against it."""
    try:
        with source.reading() as reading:
            table = reading.describe(schema, name)
            refuse("mount-invalid", _CANNOT, _defects(reading, terms, table))
            return table
    except TableMissing as error:
        raise _no_table(error) from error
    except SourceUnreachable as error:
        raise unreachable(error) from error


def _connected(
    catalogue: Catalogue, code: str, system: store.InformationSystem, table: Table
) -> tuple[dict[str, str], bool]:
    """Make a table's change topic and its connector, and wait until it runs: where that is; raises a 502 problem.

    Also whether the topic was there already: what was deleted since is to be found then.
    """
    topic = change_topic(catalogue.settings, system.code, table.schema, table.name)
    connector = connector_name(code)
    try:
        was_mounted = catalogue.has_topic(topic.name)
        catalogue.make_topic(topic)
        catalogue.connect.put(
            connector,
            connector_config(
                catalogue.settings, source_of(system, catalogue.vault),
                resource=code, system=system.code, schema=table.schema, table=table.name,
            ),
        )  # fmt: skip
        catalogue.connect.wait_until_running(connector, 60)
    except KafkaException as error:
        raise broker_refused(error) from error
    except ConnectRefused as error:
        title = Words("The connector does not run", "连接器无法运行")
        detail = Words(f"{connector}: {error}", f"{connector}：{error}")
        raise Problem(502, "connector-failed", title, detail) from error
    where = {"schema": table.schema, "table": table.name, "topic": topic.name, "connector": connector}
    return where, was_mounted


def _prepare(catalogue: Catalogue, code: str, system: str, kind: MountKind) -> None:
    """Put on record that a mount is being made; raises a 409 problem while what was before it is not cleared."""
    with catalogue.session() as session:
        query = select(store.Clearance).where(store.Clearance.resource == code)
        left = [(one.system, one.connector_deleted, one.not_before) for one in session.scalars(query)]
    for where, connector_deleted, not_before in left:
        if connector_deleted and where != system:
            continue
        # what is due far from now is the record of another request that makes a mount just now
        reason = "" if not_before > now() + MAKING / 2 else clear(catalogue, code, where)
        if reason is not None:
            title = Words("An earlier mount is not cleared away yet", "先前的挂接尚未清理完毕")
            detail = Words(
                f"Resource {code} is being mounted or unmounted at {where}; try again in a while. {reason}".strip(),
                f"资源 {code} 在 {where} 上的挂接正在建立或清理，请稍后重试。{reason}",
            )
            raise Problem(409, "mount-clearing", title, detail, headers={"Retry-After": "30"})
    try:
        with catalogue.session() as session, session.begin():
            intend(session, code, system, kind)
    except IntegrityError as error:
        detail = Words(f"Resource {code} is being mounted.", f"资源 {code} 正在挂接。")
        raise Problem(409, "mount-clearing", Words("It is being mounted", "正在挂接"), detail) from error


def _abandon(catalogue: Catalogue, code: str, system: str) -> None:
    """Take away again what was made for a mount that will not be; what cannot be now, the watch will."""
    with catalogue.session() as session, session.begin():
        clearance = session.get(store.Clearance, (code, system), with_for_update=True)
        if clearance is not None:
            clearance.not_before = now()
    clear(catalogue, code, system)


def _status(
    resource: store.Resource,
    state: store.MountState | None,
    upstream: store.Upstream | None,
    product: store.Product | None,
    language: str,
) -> MountStatus:
    findings = [finding_of(one) for one in state.findings] if state else []
    return MountStatus(
        resource=resource.code,
        department=resource.department,
        mount=MountOut.model_validate(resource.mount or {}),
        condition=Condition(state.condition) if state else Condition.OK,
        checked_at=state.checked_at if state else None,
        retained_bytes=state.retained_bytes if state else None,
        reread=RereadOut.model_validate(reread_of(state.reading)) if state and state.reading else None,
        upstream=out_of(upstream),
        product=product_out_of(product),
        findings=[
            FindingOut(
                kind=one.kind, object=one.object, weight=one.weight, items=list(one.items),
                detail=in_language(one.words, language), since=one.since, last_seen=one.last_seen,
            )
            for one in findings
        ],
    )  # fmt: skip


def _no_table(error: TableMissing) -> Problem:
    return Problem(422, "mount-invalid", _CANNOT, Words(str(error), f"没有该表：{error}"))


def _with_columns(terms: Terms, columns: dict[str, str]) -> Terms:
    """The terms with other columns under these items; raises a 422 problem for an item that is not there."""
    unknown = sorted(set(columns) - {item.name for item in terms.items})
    detail = Words("the resource has no such item", "该资源没有此信息项")
    refuse("mount-invalid", _CANNOT, [Defect(f"/columns/{name}", detail) for name in unknown])
    return replace(terms, items=[replace(item, column=columns.get(item.name, item.column)) for item in terms.items])


def _defects(reading: Reading, terms: Terms, table: Table) -> list[Defect]:
    """All that keeps the resource from being mounted, as the wizard would tell it."""
    defects = mount_defects(terms, table) + server_defects(reading.readiness())[0]
    if not may_be_mounted(terms):
        return defects
    sample = reading.sample(table, nullable_required(terms, table), SAMPLE_ROWS)
    return defects + content_defects(terms, table, content_of(reading, terms, table, {}, sample))[0]


def _same_department(resource: store.Resource, system: store.InformationSystem) -> None:
    if system.department != resource.department:
        detail = Words(
            f"System {system.code} belongs to {system.department}, resource {resource.code} to {resource.department}.",
            f"信息系统 {system.code} 属于 {system.department}，资源 {resource.code} 属于 {resource.department}。",
        )
        raise Problem(422, "mount-invalid", _CANNOT, detail)


def _mountable(resource: store.Resource, system: store.InformationSystem) -> Terms:
    if resource.published is None:
        detail = Words("Only what is published is mounted.", "资源发布后才能挂接。")
        raise Problem(409, "not-published", _CANNOT, detail)
    _same_department(resource, system)
    if resource.mount is not None:
        topic = resource.mount["topic"]
        detail = Words(f"Resource {resource.code} is mounted on {topic} already.", f"资源已挂接到 {topic}。")
        raise Problem(409, "mount-exists", Words("The resource is mounted", "资源已挂接"), detail)
    return terms_of(resource.published)
