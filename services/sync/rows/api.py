"""The row API as OpenAPI describes it; the route itself is plain ASGI (`route.py`)."""

from __future__ import annotations

from typing import Any

from services.sync.rows.route import AFTER, BEFORE, MOST_ROWS, MOST_VALUES

PATH = f"{BEFORE}{{code}}{AFTER}"

_ROW = {"id_number": "11010519491231002X", "name": "王**"}
_CODE = {"name": "code", "in": "path", "required": True, "schema": {"type": "string"}, "description": "Resource."}
_GRANT = {
    "name": "grant", "in": "query", "schema": {"type": "string"},
    "description": "The grant that is meant, where several fit.",
}  # fmt: skip
_AFTER = {
    "name": "Tongshu-After", "in": "header", "example": "0:12345",
    "schema": {"type": "string", "pattern": r"^\d+:\d+$"},
    "description": "A delivery (partition:offset of the share topic) that the answer must include: it is waited for, "
    "and answered with 503 when it does not come.",
}  # fmt: skip
_POSITION = {
    "Tongshu-Position": {
        "description": "What the answer shows: by partition, all deliveries before that offset.",
        "schema": {"type": "string"},
        "example": "0:12346",
    }
}
_LATER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_ROWS = {"type": "array", "maxItems": MOST_ROWS, "items": {"type": "object"}}


def _responses(item: dict[str, Any], example: Any) -> dict[str, Any]:
    shape = {"type": "object", "required": ["items"], "properties": {"items": {"type": "array", "items": item}}}
    content = {"application/json": {"schema": shape, "example": {"items": [example]}}}
    return {
        "200": {"description": "The rows, cut and masked as delivered.", "headers": _POSITION, "content": content},
        "429": {"description": "The grant's limit is reached.", "headers": _LATER, "content": _PROBLEM},
        "503": {"description": "The rows are being read again.", "headers": _LATER, "content": _PROBLEM},
        "4XX": {"description": "A problem, told in the caller's language (RFC 9457)", "content": _PROBLEM},
    }


OPERATIONS: dict[str, Any] = {
    "get": {
        "summary": "Look rows up by one query key",
        "description": "`?item=value`: an item that the contract declares a query key and the grant shows in clear. "
        "An empty list says that no granted row has the value.",
        "operationId": "look_up_rows",
        "tags": ["rows"],
        "parameters": [
            _CODE,
            {"name": "item", "in": "query", "required": True, "schema": {"type": "object"}, "style": "form",
             "explode": True, "description": "A query key and its value.", "example": {"id_number": _ROW["id_number"]}},
            _GRANT,
            _AFTER,
        ],
        "responses": _responses({"type": "object"}, _ROW),
    },
    "post": {
        "summary": "Look rows up by many values of one query key",
        "operationId": "look_up_many_rows",
        "tags": ["rows"],
        "parameters": [_CODE, _AFTER],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["item", "values"],
                        "additionalProperties": False,
                        "properties": {
                            "item": {"type": "string"},
                            "values": {"type": "array", "items": {"type": "string"}, "maxItems": MOST_VALUES},
                            "grant": {"type": "string"},
                        },
                    },
                    "example": {"item": "id_number", "values": [_ROW["id_number"]]},
                }
            },
        },
        "responses": _responses(
            {
                "type": "object",
                "required": ["value", "rows"],
                "properties": {"value": {"type": "string"}, "rows": _ROWS},
            },
            {"value": _ROW["id_number"], "rows": [_ROW]},
        ),
    },
}  # fmt: skip
for _operation in OPERATIONS.values():
    # a department by its API key or the token of a consumer; everybody else is denied
    _operation["x-roles"] = ["consumer"]
    _operation["security"] = [{"HTTPBearer": []}]
