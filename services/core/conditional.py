"""Changes on condition: an entity tag names the state a caller has seen, `If-Match` says to change that one only.

So that nobody overwrites what somebody else has written meanwhile (RFC 9110, 13.1.1; RFC 6585, 3).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Header

from services.core.problems import Problem
from services.core.words import Words

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=200,
        description="The `ETag` of the state to change; `*` for whatever it is by now.",
        examples=['"3"'],
    ),
]


def etag(revision: int) -> str:
    """The entity tag of the `revision`th state of a thing."""
    return f'"{revision}"'


def require_match(given: str | None, revision: int) -> None:
    """Raises a 428 problem without `If-Match`, a 412 one when it names another state than the present one."""
    if given is None:
        raise Problem(
            428,
            "condition-missing",
            Words("Say which state you change", "缺少 If-Match"),
            Words(
                "Send the ETag of what you have read as `If-Match`, so that no other change is lost.",
                "请在 `If-Match` 中提供读取时得到的 ETag，以免覆盖他人的修改。",
            ),
        )
    tags = {tag.strip() for tag in given.split(",")}
    if "*" not in tags and etag(revision) not in tags:
        raise Problem(
            412,
            "changed-meanwhile",
            Words("It has changed meanwhile", "内容已被他人修改"),
            Words(
                "Somebody has changed this since you read it: read it again, then repeat your change.",
                "您读取之后内容已变化：请重新读取后再修改。",
            ),
            headers={"ETag": etag(revision)},
        )
