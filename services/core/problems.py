"""Errors over HTTP as problem details (RFC 9457), the same from every service, in the caller's language.

A service raises `Problem` (or a subclass named for what went wrong); validation errors, unknown routes and failures
nobody foresaw take the same form, so that a caller has one shape to read. Texts given as `Words` are told in Chinese or
English as `Accept-Language` asks; without it, in English.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException

from services.core.defects import Defect
from services.core.words import Words, in_language

log = structlog.get_logger()

TYPE_PREFIX = "urn:tongshu:problem:"
MEDIA_TYPE = "application/problem+json"

# The body of every error, for OpenAPI.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "description": "What kind of problem: stable, for programs."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong here and what to do, in the caller's language."},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "Each thing to mend.",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
    "examples": [
        {
            "type": "urn:tongshu:problem:resource-unknown",
            "title": "没有该资源",
            "status": 404,
            "detail": "没有资源“population”。",
            "instance": "/api/catalog/v1/resources/population",
        }
    ],
}


class Problem(Exception):
    """Something the caller can understand and mend.

    `slug` is stable (it makes the `type`), `errors` points at the fields: `{"pointer": "/items/0", "detail": …}`;
    `more` holds further members of the answer.
    """

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.slug, self.title, self.detail, self.errors = status, slug, title, detail, list(errors)
        self.headers, self.more = dict(headers or {}), dict(more or {})


def language_of(request: Request) -> str:
    """`zh` or `en`, whichever `Accept-Language` likes better (RFC 9110, 12.5.4); `en` where it likes neither."""
    best, liked = "en", 0.0
    for part in request.headers.get("accept-language", "").split(","):
        tag, _, parameters = part.partition(";")
        language = tag.strip().lower().split("-")[0]
        weight = parameters.strip().removeprefix("q=") or "1"
        try:
            value = float(weight)
        except ValueError:
            continue
        if language in ("zh", "en") and value > liked:
            best, liked = language, value
    return best


def answer(request: Request, problem: Problem) -> JSONResponse:
    """The problem as an HTTP answer, in the caller's language."""
    language = language_of(request)
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + problem.slug,
        "title": in_language(problem.title, language),
        "status": problem.status,
        "detail": in_language(problem.detail, language),
        "instance": request.url.path,
        **problem.more,
    }
    if problem.errors:
        body["errors"] = [
            {name: in_language(text, language) for name, text in error.items()} for error in problem.errors
        ]
    headers = {"Content-Language": "zh-CN" if language == "zh" else "en", "Vary": "Accept-Language", **problem.headers}
    return JSONResponse(body, problem.status, headers=headers, media_type=MEDIA_TYPE)


# What pydantic says of a field, in Chinese; by its error type, with the numbers it gives.
_ZH = {
    "missing": "缺少必填项",
    "extra_forbidden": "不认识的字段",
    "json_invalid": "不是有效的 JSON",
    "string_type": "应为文本",
    "string_too_short": "至少 {min_length} 个字符",
    "string_too_long": "至多 {max_length} 个字符",
    "string_pattern_mismatch": "格式不符合 {pattern}",
    "int_type": "应为整数",
    "int_parsing": "应为整数",
    "int_from_float": "应为整数",
    "float_parsing": "应为数字",
    "bool_type": "应为 true 或 false",
    "bool_parsing": "应为 true 或 false",
    "list_type": "应为列表",
    "dict_type": "应为对象",
    "model_type": "应为对象",
    "model_attributes_type": "应为对象",
    "enum": "只能是 {expected}",
    "literal_error": "只能是 {expected}",
    "greater_than_equal": "不得小于 {ge}",
    "greater_than": "应大于 {gt}",
    "less_than_equal": "不得大于 {le}",
    "less_than": "应小于 {lt}",
    "too_long": "至多 {max_length} 项",
    "too_short": "至少 {min_length} 项",
    "date_from_datetime_parsing": "应为日期（YYYY-MM-DD）",
    "date_parsing": "应为日期（YYYY-MM-DD）",
    "date_type": "应为日期（YYYY-MM-DD）",
    "datetime_parsing": "应为时间（RFC 3339）",
    "datetime_from_date_parsing": "应为时间（RFC 3339）",
    "timezone_aware": "时间应带时区",
}


def validation_words(error: Mapping[str, Any]) -> Words:
    """What a pydantic error says, in both languages."""
    try:
        zh = _ZH.get(error["type"], "取值不符合要求").format(**error.get("ctx", {}))
    except (KeyError, IndexError):
        zh = "取值不符合要求"
    return Words(str(error["msg"]), zh)


def _invalid(invalid: RequestValidationError) -> Problem:
    errors = [
        {"pointer": "/" + "/".join(str(step) for step in error["loc"][1:]), "detail": validation_words(error)}
        for error in invalid.errors()
    ]
    return Problem(422, "invalid-request", Words("The request is not valid", "请求无效"), joined(errors), errors=errors)


def joined(errors: Sequence[Mapping[str, str]]) -> Words:
    """All errors in one sentence."""
    return Words(
        "; ".join(f"{error['pointer']}: {error['detail']}" for error in errors),
        "；".join(f"{error['pointer']}：{in_language(error['detail'], 'zh')}" for error in errors),
    )


def unknown(what: str, zh: str, name: object) -> Problem:
    """The 404 problem of a `what`, in Chinese `zh`, that is not there."""
    detail = Words(f"There is no {what} {str(name)!r}.", f"没有{zh}“{name}”。")
    return Problem(404, f"{what}-unknown", Words(f"No such {what}", f"没有该{zh}"), detail)


def refuse(slug: str, title: Words, defects: Iterable[Defect]) -> None:
    """Raises a 422 problem that tells all `defects`; does nothing where there are none."""
    errors = [{"pointer": defect.pointer, "detail": defect.detail} for defect in defects]
    if errors:
        raise Problem(422, slug, title, joined(errors), errors=errors)


_HTTP = {
    401: ("not-signed-in", "未登录"),
    403: ("not-allowed", "无权操作"),
    404: ("not-found", "不存在"),
    405: ("method-not-allowed", "不支持的方法"),
}


def install(app: FastAPI) -> None:
    """Make `app` answer every error as problem details."""

    @app.exception_handler(Problem)
    def on_problem(request: Request, problem: Problem) -> JSONResponse:
        return answer(request, problem)

    @app.exception_handler(RequestValidationError)
    def on_invalid(request: Request, invalid: RequestValidationError) -> JSONResponse:
        return answer(request, _invalid(invalid))

    @app.exception_handler(DataError)
    def on_unstorable(request: Request, error: DataError) -> JSONResponse:
        detail = Words(
            "A value cannot be stored: it holds a character that no text has, or is out of range.",
            "某个值无法保存：含有非法字符，或超出范围。",
        )
        return answer(request, Problem(422, "value-invalid", Words("A value is not valid", "取值无效"), detail))

    @app.exception_handler(HTTPException)
    def on_http(request: Request, error: HTTPException) -> JSONResponse:
        slug, zh = _HTTP.get(error.status_code, ("http-error", "请求无法处理"))
        title = Words(slug.replace("-", " "), zh)
        detail = Words(str(error.detail), zh)
        return answer(request, Problem(error.status_code, slug, title, detail, headers=error.headers))

    @app.exception_handler(Exception)
    def on_failure(request: Request, error: Exception) -> JSONResponse:
        log.error("request failed", path=request.url.path, exc_info=error)
        detail = Words(
            "The exchange could not do this; the fault is noted in its log. Try again, or tell its operators.",
            "操作未能完成，故障已记入日志。请重试，或联系运维人员。",
        )
        return answer(request, Problem(500, "internal", Words("Internal error", "内部错误"), detail))
