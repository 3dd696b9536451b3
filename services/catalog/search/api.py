"""Searching over HTTP. Only what is published is found, so whoever is signed in may ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from services.catalog.catalogue import missing
from services.catalog.domain.resource import Channel, Grade, SharingType, UpdateCycle
from services.catalog.exports.labels import CHANNELS, CYCLES, GRADES, SHARING
from services.catalog.search import find
from services.catalog.search.find import CursorInvalid
from services.core.identity import Anyone
from services.core.problems import Problem, language_of
from services.core.words import Words

Code = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Asked = Annotated[
    str, Query(max_length=200, description="Words, pinyin or initials.", examples=["人口", "renkou", "rkxx"])
]
Values = Annotated[list[str], Query(max_length=50)]


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class MarkedOut(Out):
    """A text and where the search matches it; count places in Unicode code points."""

    text: str
    ranges: Annotated[list[tuple[int, int]], Field(description="[start, end) of each match.")]


class ItemHit(Out):
    name: str
    title: MarkedOut


class CategoryOut(Out):
    code: str
    name: str


class HitOut(Out):
    code: str
    title: MarkedOut
    abstract: Annotated[MarkedOut, Field(description="The part of the abstract around the first match.")]
    items: Annotated[list[ItemHit], Field(description="Information items that match, five at most.")]
    department: str
    department_name: str
    category: Annotated[list[CategoryOut], Field(description="From the class down.")]
    sharing_type: SharingType
    grade: Grade
    update_cycle: UpdateCycle
    channels: list[Channel]
    uses: Annotated[int, Field(description="Grants of it in force.")]


class FacetOut(Out):
    value: str
    label: Annotated[
        str, Field(description="What it is called, in the caller's language as far as it has a name there.")
    ]
    count: int


class FoundOut(Out):
    """`understood` is how the text was read where nothing matched it as typed."""

    items: list[HitOut]
    total: int
    facets: dict[str, list[FacetOut]]
    understood: str | None
    next: Annotated[str | None, Field(description="Cursor of the next page; null on the last.")]


class SuggestionOut(Out):
    code: str
    title: MarkedOut


class RelationOut(Out):
    code: str
    title: str
    department_name: str
    reasons: Annotated[list[str], Field(description="declared, service_item, category, items")]


class SuggestionsOut(BaseModel):
    items: list[SuggestionOut]


class RelatedOut(BaseModel):
    items: list[RelationOut]


def router(sessions: Callable[[], Session]) -> APIRouter:
    """The routes over the database that `sessions` opens."""
    routes = APIRouter(tags=["search"])

    @contextmanager
    def moment() -> Iterator[Session]:
        """A session in which all reads are of one moment."""
        with sessions() as session:
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session

    @routes.get("/search")
    def search(
        viewer: Anyone,
        request: Request,
        q: Asked = "",
        department: Values = [],  # noqa: B006
        category: Values = [],  # noqa: B006
        sharing_type: Annotated[list[SharingType], Query()] = [],  # noqa: B006
        grade: Annotated[list[Grade], Query()] = [],  # noqa: B006
        update_cycle: Annotated[list[UpdateCycle], Query()] = [],  # noqa: B006
        channel: Annotated[list[Channel], Query()] = [],  # noqa: B006
        facets: Annotated[bool, Query(description="Whether to count facets; later pages need none.")] = True,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> FoundOut:
        """Find published resources by words of their titles, items and abstracts, by pinyin or by initials.

        Values of one filter are alternatives, filters narrow one another; each facet is counted without its own filter.
        """
        filters: Mapping[str, Any] = {
            "department": department,
            "category": category,
            "sharing_type": sharing_type,
            "grade": grade,
            "update_cycle": update_cycle,
            "channel": channel,
        }
        try:
            with moment() as session:
                found = find.search(session, q, filters=filters, limit=limit, cursor=cursor, facets=facets)
        except CursorInvalid as error:
            why = Words("is not a cursor of this search", "不是本次检索的游标")
            raise Problem(
                422, "cursor-invalid", Words("No such page", "分页游标无效"), why,
                errors=[{"pointer": "/cursor", "detail": why}],
            ) from error  # fmt: skip
        return FoundOut(
            items=[_hit(hit) for hit in found.hits],
            total=found.total,
            facets=_labelled(found.facets, language_of(request)),
            understood=found.understood,
            next=found.next,
        )

    @routes.get("/suggestions")
    def suggestions(viewer: Anyone, q: Asked = "", limit: Annotated[int, Query(ge=1, le=20)] = 10) -> SuggestionsOut:
        """Titles that what was typed so far may become, the most used ones first."""
        with moment() as session:
            found = find.suggest(session, q, limit)
        return SuggestionsOut(items=[SuggestionOut.model_validate(one) for one in found])

    @routes.get("/resources/{code}/related")
    def related(code: Code, viewer: Anyone, limit: Annotated[int, Query(ge=1, le=50)] = 10) -> RelatedOut:
        """Resources that have to do with one, closest first, each with the reasons."""
        with moment() as session:
            found = find.related(session, code, limit)
        if found is None:
            raise missing("resource", code)
        return RelatedOut(items=[RelationOut.model_validate(one) for one in found])

    return routes


_LABELS: Mapping[str, Mapping[Any, str]] = {
    "sharing_type": SHARING, "grade": GRADES, "update_cycle": CYCLES, "channel": CHANNELS,
}  # fmt: skip


def _labelled(facets: Mapping[str, Sequence[find.FacetValue]], language: str) -> dict[str, list[FacetOut]]:
    labels = _LABELS if language == "zh" else {}
    return {
        name: [
            FacetOut(value=one.value, label=labels.get(name, {}).get(one.value, one.label), count=one.count)
            for one in values
        ]
        for name, values in facets.items()
    }


def _hit(hit: find.Hit) -> HitOut:
    document = hit.document
    return HitOut(
        code=hit.code,
        title=MarkedOut.model_validate(hit.title),
        abstract=MarkedOut.model_validate(hit.abstract),
        items=[ItemHit(name=name, title=MarkedOut.model_validate(title)) for name, title in hit.items],
        department=document["department"],
        department_name=document["department_name"],
        category=[CategoryOut(**step) for step in document["category"]],
        sharing_type=document["sharing_type"],
        grade=document["grade"],
        update_cycle=document["update_cycle"],
        channels=document["channel"],
        uses=hit.uses,
    )
