"""Figures, scores and bulletins of a period, and the norms behind them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import Field, ValidationError
from sqlalchemy import select

from services.core.calendar import today
from services.core.conditional import IfMatch, etag, require_match
from services.core.forms import Slug, Strict
from services.core.idempotency import IdempotentRoute
from services.core.identity import Administrator, Anyone
from services.core.problems import Problem, joined, language_of, validation_words
from services.core.words import Words
from services.demand import figures, store
from services.demand.bulletin import bulletin
from services.demand.demand_store import DepartmentName
from services.demand.demands import Demands
from services.demand.domain import assessment as domain
from services.demand.domain.assessment import Assessment, Period, PeriodUnknown, Rate
from services.demand.domain.norms import NORMS, Weights, value_of
from services.demand.norms import norm

PeriodName = Annotated[
    str,
    Path(pattern=r"^2[0-9]{3}(-(0[1-9]|1[0-2])|-Q[1-4])?$", examples=["2026-11", "2026-Q4", "2026"]),
]
NormName = Annotated[str, Path(pattern="^[a-z_]{1,40}$", examples=["weights"])]


class RateOut(Strict):
    value: Annotated[float | None, Field(description="null: there was nothing to rate.")]
    part: float
    whole: float


class AssessmentOut(Strict):
    department: Annotated[str, Field(description="Empty: not assigned to any.")]
    on_demand: RateOut
    minute_level: RateOut
    timeliness: RateOut
    answers: RateOut
    quality: RateOut
    use: RateOut
    satisfaction: RateOut
    provided: Annotated[int, Field(description="Records delivered of its resources.")]
    received: Annotated[int, Field(description="Records delivered to it.")]
    objections: int
    feedback: int
    score: Annotated[float | None, Field(description="Of 100, by the weights in force.")]


class PeriodOut(Strict):
    period: str
    begin: datetime
    end: datetime
    total: AssessmentOut
    departments: list[AssessmentOut]


class NormOut(Strict):
    name: str
    value: dict[str, Any]


def router(demands: Demands) -> APIRouter:
    routes = APIRouter(tags=["assessment"], route_class=IdempotentRoute)

    @routes.get("/assessments/{period}")
    def read_assessment(
        period: PeriodName, viewer: Anyone, department: Annotated[Slug | None, Query()] = None
    ) -> PeriodOut:
        """The figures of a month, quarter or year. A department sees its own and the whole place's."""
        span = _period(period)
        with demands.session() as session:
            found = figures.assessments(session, span)
            weights = norm(session, "weights")
        mine = viewer.department
        shown = {
            name: one
            for name, one in found.items()
            if (viewer.sees_all() or name == mine) and department in (None, name)
        }
        return PeriodOut(
            period=span.name,
            begin=span.begin,
            end=span.end,
            total=_shown("", domain.total(found), weights),
            departments=[_shown(name, one, weights) for name, one in shown.items()],
        )

    @routes.get(
        "/bulletins/{period}",
        response_class=HTMLResponse,
        responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
    )
    def read_bulletin(period: PeriodName, viewer: Anyone, request: Request) -> HTMLResponse:
        """The bulletin of a period to read and print, in the caller's language."""
        span, language = _period(period), language_of(request)
        with demands.session() as session:
            found = figures.assessments(session, span)
            days = figures.daily_records(figures.days_of(session, span), span, today())
            weights = norm(session, "weights")
            names = {
                one.slug: one.name if language == "zh" else one.name_en
                for one in session.scalars(select(DepartmentName))
            }
        page = bulletin(span, found, days, names, weights, language, datetime.now(UTC))
        headers = {"Content-Language": "zh-CN" if language == "zh" else "en", "Vary": "Accept-Language"}
        return HTMLResponse(page, headers=headers)

    @routes.get("/norms")
    def list_norms(viewer: Anyone) -> list[NormOut]:
        """What the place has decided of figures, feedback and objections."""
        with demands.session() as session:
            return [NormOut(name=name, value=norm(session, name).model_dump()) for name in NORMS]

    @routes.get("/norms/{name}")
    def read_norm(name: NormName, viewer: Anyone, response: Response) -> NormOut:
        _require_norm(name)
        with demands.session() as session:
            kept = session.get(store.Norm, name)
            response.headers["ETag"] = etag(kept.revision if kept else 0)
            return NormOut(name=name, value=value_of(name, kept.value if kept else None).model_dump())

    @routes.put("/norms/{name}")
    def write_norm(
        name: NormName,
        value: Annotated[dict[str, Any], Body(examples=[{"records": 5_000, "days": 30}])],
        viewer: Administrator,
        response: Response,
        if_match: IfMatch = None,
    ) -> NormOut:
        """Decide a norm; what is left out gets its default."""
        _require_norm(name)
        try:
            decided = value_of(name, value)
        except ValidationError as error:
            errors = [
                {"pointer": "/" + "/".join(str(step) for step in one["loc"]), "detail": validation_words(one)}
                for one in error.errors()
            ]
            title = Words("The norm is not valid", "参数无效")
            raise Problem(422, "norm-invalid", title, joined(errors), errors=errors) from error
        with demands.session() as session, session.begin():
            kept = session.get(store.Norm, name, with_for_update=True)
            require_match(if_match, kept.revision if kept else 0)
            if kept is None:
                kept = store.Norm(name=name, value={}, revision=0)
                session.add(kept)
            kept.value, kept.revision = decided.model_dump(), kept.revision + 1
            facts = {field: str(number) for field, number in kept.value.items()}
            demands.publisher.happened(session, "norm_decided", name, "", name, viewer.name, facts)
            session.flush()
            response.headers["ETag"] = etag(kept.revision)
            return NormOut(name=name, value=kept.value)

    return routes


def _period(name: str) -> Period:
    try:
        return domain.period_of(name)
    except PeriodUnknown as error:
        detail = Words(f"{error}.", f"“{name}”不是有效的月（2026-11）、季度（2026-Q4）或年（2026）。")
        raise Problem(404, "period-unknown", Words("No such period", "没有该统计期"), detail) from error


def _require_norm(name: str) -> None:
    if name not in NORMS:
        detail = Words(f"There is no norm {name!r}; there are {', '.join(NORMS)}.", f"没有参数“{name}”。")
        raise Problem(404, "norm-unknown", Words("No such norm", "没有该参数"), detail)


def _rate(rate: Rate) -> RateOut:
    return RateOut(value=rate.value, part=rate.part, whole=rate.whole)


def _shown(department: str, one: Assessment, weights: Weights) -> AssessmentOut:
    return AssessmentOut(
        department=department,
        **{name: _rate(rate) for name, rate in one.rates.items()},
        provided=one.provided,
        received=one.received,
        objections=one.objections,
        feedback=one.feedback,
        score=one.score(weights),
    )
