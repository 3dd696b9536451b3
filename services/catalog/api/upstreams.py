"""Upstream APIs that fill a resource: how one is described, and what mounting it would meet."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field

from services.catalog import store
from services.catalog.api.filling import own
from services.catalog.api.previews import DefectOut, ProposalOut, RuleTriedOut, defects_out, proposals_out, rules_out
from services.catalog.catalogue import Catalogue, now
from services.catalog.domain.resource import Terms, terms_of
from services.catalog.domain.upstream import Paging, PagingKind, Upstream, upstream_of
from services.catalog.publication import code_lists, draft_of
from services.catalog.upstream import UpstreamFailed, url_of
from services.catalog.upstream_wizard import ApiPreview, look
from services.core import quality
from services.core.calendar import PLACE
from services.core.defects import Defect
from services.core.forms import Slug, Strict
from services.core.idempotency import IdempotentRoute
from services.core.identity import Provider
from services.core.problems import Problem, language_of, refuse
from services.core.reach import networks_of
from services.core.words import Words

Pointer = Annotated[str, Field(max_length=500, pattern=r"^(/([^~/]|~[01])*)*$", examples=["/data/list"])]
Parameter = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9_.\[\]$-]*$", examples=["cursor"])]
_RESERVED = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "te", "upgrade"})


class PagingForm(Strict):
    """How pages are followed: see `kind`. A page that is numbered and holds no row is the end."""

    kind: PagingKind = PagingKind.NONE
    parameter: Annotated[Parameter, Field(description="Of the query: carries the cursor, or the page's number.")] = ""
    pointer: Annotated[Pointer, Field(description="Where an answer holds the next cursor.")] = ""
    first: Annotated[int, Field(ge=0, le=1, description="The number of the first page.")] = 1


class UpstreamForm(Strict):
    """An HTTP API that answers with the full state of a resource, in JSON, over one or more pages.

    Pointers are JSON pointers (RFC 6901). An item that `fields` does not name is the field that its `column` is called.
    `secret` is sent in `header` and shown to nobody.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "https://api.example.gov.cn/persons?size=500",
                    "rows": "/data/list",
                    "paging": {"kind": "cursor", "parameter": "cursor", "pointer": "/data/next"},
                    "fields": {"id_number": "/sfzh", "name": "/person/xm"},
                    "header": "Authorization",
                    "secret": "Bearer …",
                    "every_seconds": 60,
                }
            ]
        }
    )

    url: Annotated[
        str, Field(min_length=1, max_length=2_000, description="No place for a secret: it is kept as it is.")
    ]
    rows: Pointer = ""
    paging: PagingForm = PagingForm()
    fields: Annotated[dict[Slug, Pointer], Field(default_factory=dict, max_length=2_000)]
    header: Annotated[str, Field(max_length=60, pattern=r"^[A-Za-z0-9-]*$")] = "Authorization"
    secret: Annotated[str, Field(min_length=1, max_length=4_000, pattern=r"^[!-~]([ -~]*[!-~])?$")] | None = None
    every_seconds: Annotated[int, Field(ge=1, le=31_622_400, description="How long after an answer to ask again.")] = 60
    may_be_empty: Annotated[
        bool, Field(description="An answer without rows means that there are none; else it changes nothing.")
    ] = False

    def upstream(self) -> Upstream:
        paging = Paging(**self.paging.model_dump())
        return Upstream(**{**self.model_dump(exclude={"secret", "paging"}), "paging": paging})

    def defects(self) -> list[Defect]:
        """What is wrong with the form itself."""
        found = []
        try:
            url_of(self.url)
        except UpstreamFailed as error:
            found.append(Defect("/upstream/url", error.words))
        if self.header.lower() in _RESERVED or (self.secret and not self.header):
            found.append(Defect("/upstream/header", Words("cannot carry a secret", "不能用于携带密钥")))
        missing = Words("Field required", "缺少必填项")
        if self.paging.kind in (PagingKind.CURSOR, PagingKind.PAGE) and not self.paging.parameter:
            found.append(Defect("/upstream/paging/parameter", missing))
        if self.paging.kind is PagingKind.CURSOR and not self.paging.pointer:
            found.append(Defect("/upstream/paging/pointer", missing))
        return found

    def kept(self, catalogue: Catalogue, resource: str) -> store.Upstream:
        """The row that has the API asked, from now on."""
        sealed = catalogue.vault.encrypt(self.secret.encode()) if self.secret else None
        form = asdict(self.upstream())
        return store.Upstream(resource=resource, form=form, secret=sealed, next_at=now(), etag="", last_modified="",
                              version=0, failures=0)  # fmt: skip

    @property
    def endpoint(self) -> str:
        """Where the API is, without its query, which may hold what is nobody's business."""
        return str(url_of(self.url).copy_with(query=None, fragment=None))


class UpstreamOut(Strict):
    """How asking an API has gone. `rows` were in the answer that was taken in last."""

    every_seconds: int
    asked_at: datetime | None
    next_at: datetime
    rows: int | None
    failures: Annotated[int, Field(description="How often in a row it has failed.")]


class ApiFieldOut(Strict):
    """A field of the rows; `type` as a database would call it, empty where the values do not agree."""

    pointer: str
    type: str
    nullable: bool


class ApiPreviewForm(Strict):
    upstream: UpstreamForm


class ApiPreviewOut(Strict):
    """What mounting an API would meet. `rows` are masked by the items' sensitivity."""

    fields: list[ApiFieldOut]
    proposals: Annotated[list[ProposalOut], Field(description="`column` is a field's pointer.")]
    defects: Annotated[list[DefectOut], Field(description="What keeps the resource from being mounted.")]
    rows: list[dict[str, Any]]
    sampled: int
    pages: int
    whole: Annotated[bool, Field(description="Whether these pages were all.")]
    recognised: Annotated[bool, Field(description="Whether the API tells that nothing has changed (ETag).")]
    rules: list[RuleTriedOut]


def refuse_form(form: UpstreamForm) -> None:
    """Raises a 422 problem that tells all that is wrong with the form itself."""
    refuse("invalid-request", Words("The request is not valid", "请求无效"), form.defects())


def looked(catalogue: Catalogue, terms: Terms, lists: quality.CodeLists, form: UpstreamForm) -> ApiPreview:
    """What the wizard finds; raises a 502 problem where the API does not answer as was said."""
    allowed = networks_of(catalogue.settings.upstream_networks)
    try:
        return look(form.upstream(), form.secret, terms, lists, allowed, PLACE, now())
    except UpstreamFailed as failed:
        title = Words("The API does not answer as described", "接口应答与描述不符")
        detail = Words(f"{form.endpoint}: {failed.words}", f"{form.endpoint}：{failed.words.zh}")
        raise Problem(502, "upstream-failed", title, detail) from failed


def out_of(kept: store.Upstream | None) -> UpstreamOut | None:
    if kept is None:
        return None
    return UpstreamOut(
        every_seconds=upstream_of(kept.form).every_seconds, asked_at=kept.asked_at, next_at=kept.next_at,
        rows=kept.rows, failures=kept.failures,
    )  # fmt: skip


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(tags=["mounts"], route_class=IdempotentRoute)

    @routes.post("/resources/{code}/mount/upstream/preview")
    def preview_upstream(code: str, form: ApiPreviewForm, viewer: Provider, request: Request) -> ApiPreviewOut:
        """Try an API for a resource: its fields, a proposed mapping, all defects, ten masked rows, the rules' result.

        The draft is tried, or what is in force where there is none. Two pages are asked for, and nothing is changed.
        """
        language = language_of(request)
        with catalogue.session() as session:
            resource = own(session, viewer, request, code)
            terms = draft_of(resource) if resource.draft or not resource.published else terms_of(resource.published)
            lists = code_lists(session)
        refuse_form(form.upstream)
        found = looked(catalogue, terms, lists, form.upstream)
        return ApiPreviewOut(
            fields=[
                ApiFieldOut(pointer=pointer, type=one.type, nullable=one.nullable)
                for pointer, one in found.fields.items()
            ],
            proposals=proposals_out(found.proposals),
            defects=defects_out(found.defects, language),
            rows=[dict(row) for row in found.rows],
            sampled=found.sampled,
            pages=found.pages,
            whole=found.whole,
            recognised=found.recognised,
            rules=rules_out(found.rules, language),
        )

    return routes
