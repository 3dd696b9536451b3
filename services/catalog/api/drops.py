"""Files that fill a resource: each is compared with what is there, and the difference flows as changes."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated

from confluent_kafka import KafkaException
from fastapi import APIRouter, Query, Request
from pydantic import Field

from services.catalog import tabular
from services.catalog.api.filling import need_kind, own
from services.catalog.api.imports import FILE_BODY, Body, unreadable_file
from services.catalog.catalogue import Catalogue, missing, now
from services.catalog.domain.drop import Fault, judged, key_of, read
from services.catalog.domain.resource import MountKind, terms_of
from services.catalog.filedrop import Target, fill
from services.catalog.publication import broker_refused, code_lists, make_topic
from services.core.avro import RegistryUnavailable
from services.core.calendar import PLACE
from services.core.forms import Strict
from services.core.idempotency import IdempotentRoute
from services.core.identity import Provider
from services.core.problems import Problem, joined
from services.core.words import Words

_TITLE = Words("The file cannot be taken in", "文件无法接收")
_MOST = 1_000


class Mode(StrEnum):
    """What a file says: the full state, or rows that are new or have changed."""

    FULL = "full"
    CHANGES = "changes"


class TakenOut(Strict):
    """What a file has changed. `warnings` counts how often each quality rule was broken that only warns."""

    format: str
    rows: int
    created: int
    updated: int
    deleted: int
    unchanged: Annotated[int, Field(description="Rows of the file that were there already as they are.")]
    warnings: dict[str, int]


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(tags=["mounts"], route_class=IdempotentRoute)

    @routes.post("/resources/{code}/mount/files", openapi_extra=FILE_BODY)
    def take_file(
        code: str,
        viewer: Provider,
        request: Request,
        data: Body,
        mode: Annotated[Mode, Query(description="`full`: what the file does not name is deleted.")] = Mode.FULL,
    ) -> TakenOut:
        """Fill a resource from a file (CSV in UTF-8 or GBK, or Excel) whose header names the items.

        All of the difference flows, in one transaction, or nothing. A file with faults changes nothing: the answer
        (422) tells them all, pointers reading `/<row>/<item>`.
        """
        with catalogue.session() as session, session.begin():
            # locked until the end: one file of a resource at a time
            resource = own(session, viewer, request, code, lock=True)
            if resource.mount is None or resource.published is None:
                raise missing("mount", code)
            need_kind(resource, MountKind.FILE)
            terms, system = terms_of(resource.published), str(resource.mount["system"])
            try:
                written, table = tabular.read(data)
            except tabular.Unreadable as error:
                raise unreadable_file(error, _TITLE) from error
            rows, faults = read(terms, table, PLACE)
            broken, warnings = judged(terms, code_lists(session), rows, faults, now(), header=1)
            _refuse(sorted([*faults, *broken], key=lambda fault: fault.row))
            given = {key_of(terms, row): row for row in rows.values()}
            target = Target(terms, system, *make_topic(catalogue, terms, system))
            try:
                found = fill(catalogue.settings, catalogue.registry, target, given, full=mode is Mode.FULL)
            except KafkaException as error:
                raise broker_refused(error) from error
            except RegistryUnavailable as error:
                title = Words("The registry does not answer", "模式注册中心无响应")
                detail = Words("The schema registry does not answer; try again.", "模式注册中心没有响应，请重试。")
                raise Problem(503, "registry-unavailable", title, detail, headers={"Retry-After": "5"}) from error
            count = {op: sum(change.op == op for change in found) for op in "cud"}
            taken = TakenOut(
                format=written, rows=len(rows), created=count["c"], updated=count["u"], deleted=count["d"],
                unchanged=len(rows) - count["c"] - count["u"], warnings=warnings,
            )  # fmt: skip
            facts = {"file": hashlib.sha256(data).hexdigest(), "mode": mode.value}
            facts |= {name: str(getattr(taken, name)) for name in ("rows", "created", "updated", "deleted")}
            catalogue.publisher.happened(session, "mount_file_taken", code, resource.department, viewer.name, facts)
            return taken

    return routes


def _refuse(faults: list[Fault]) -> None:
    """Raises a 422 problem that tells the faults, the first thousand one by one; does nothing where there are none."""
    if not faults:
        return
    errors = [{"pointer": fault.pointer, "detail": fault.words} for fault in faults[:_MOST]]
    detail = Words(
        f"The file has {len(faults)} faults; nothing of it was taken in. {joined(errors[:10])}",
        f"文件有 {len(faults)} 处错误，未接收任何内容。{joined(errors[:10]).zh}",
    )
    raise Problem(422, "file-invalid", _TITLE, detail, errors=errors, more={"faults": len(faults)})
