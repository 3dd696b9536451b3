"""Importing contracts that other tools wrote: a document in the Open Data Contract Standard becomes a draft.

It is taken in whole or not at all, and published as any other draft is: by review.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import ValidationError
from sqlalchemy import select

from services.catalog import store
from services.catalog.api.files import body_up_to
from services.catalog.api.forms import ResourceOut, TermsForm
from services.catalog.api.resources import NEVER, DefectOut, begin, rewrite, shown
from services.catalog.catalogue import Catalogue, taken
from services.catalog.domain.lifecycle import Action, State
from services.catalog.domain.resource import Terms, entry_defects
from services.catalog.exports import contract_yaml, odcs
from services.catalog.publication import record_of, take
from services.core import identity
from services.core.conditional import IfMatch, etag, require_match
from services.core.defects import Defect
from services.core.forms import Slug, Strict
from services.core.idempotency import IdempotentRoute
from services.core.identity import Provider
from services.core.problems import language_of, refuse, validation_words
from services.core.words import Words, in_language

_TITLE = Words("The contract cannot be imported", "合约无法导入")
_NO_OBJECT = Words("is no JSON object", "不是 JSON 对象")
_DOCUMENT = {
    "requestBody": {
        "required": True,
        "content": {"application/yaml": {"schema": {"type": "object"}, "example": {"apiVersion": "v3.1.0"}}},
    }
}

Document = Annotated[bytes, Depends(body_up_to(contract_yaml.MAX_BYTES, _TITLE))]


class ContractImportOut(Strict):
    """The resource with its new draft, and what of the document has no place in a catalogue (pointers into it)."""

    resource: ResourceOut
    left_out: list[DefectOut]


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(prefix="/resources/imports", tags=["resources"], route_class=IdempotentRoute)

    @routes.post(
        "/odcs",
        status_code=201,
        openapi_extra=_DOCUMENT,
        responses={200: {"model": ContractImportOut, "description": "The draft of a resource that was there"}},
    )
    def import_odcs(
        viewer: Provider,
        request: Request,
        response: Response,
        data: Document,
        code: Annotated[Slug | None, Query(description="The resource's code, if not the document's.")] = None,
        if_match: IfMatch = None,
    ) -> ContractImportOut:
        """Make a draft of an ODCS 3 document (YAML): of a new resource, or in the place of the draft there is.

        One in force gets a revision. With anything wrong nothing is changed, and all of it is told (422): of a document
        that cannot be read with pointers into it, of terms that no draft holds with pointers into the form of a draft.
        """
        try:
            imported = odcs.read(data)
        except odcs.ContractRefused as refused:
            refuse("contract-invalid", _TITLE, refused.defects)
            raise
        terms = imported.terms if code is None else replace(imported.terms, code=code)
        terms = _storable(terms)
        if not viewer.provides_for(terms.department):
            why = Words("You work on resources of your own department only.", "只能处理本部门的资源。")
            raise identity.refuse(request, viewer, why)
        refuse("resource-invalid", NEVER, entry_defects(terms))
        with catalogue.session() as session, session.begin():
            query = select(store.Resource).where(store.Resource.code == terms.code)
            resource = session.scalars(query.with_for_update()).one_or_none()
            if resource is None:
                resource = begin(catalogue, session, viewer, terms)
            elif resource.department != terms.department:
                raise taken("resource", terms.code)
            else:
                require_match(if_match, resource.revision)
                if State(resource.state) is State.PUBLISHED:
                    take(catalogue, session, viewer, resource, Action.REVISE)
                rewrite(resource, terms)
                response.status_code = 200
            response.headers["ETag"] = etag(resource.revision)
            response.headers["Location"] = f"{request.url.path.removesuffix('imports/odcs')}{terms.code}"
            language = language_of(request)
            return ContractImportOut(
                resource=shown(session, viewer, resource),
                left_out=[
                    DefectOut(pointer=one.pointer, detail=in_language(one.detail, language))
                    for one in imported.left_out
                ],
            )

    return routes


def _storable(terms: Terms) -> Terms:
    """The terms as a form would have brought them: lengths, letters and numbers that a draft may hold."""
    record = record_of(terms)
    wrong = []
    for place, rule in enumerate(record["rules"]):
        try:
            rule["parameters"] = json.loads(rule["parameters"])
        except (ValueError, RecursionError):
            wrong.append(Defect(f"/rules/{place}/parameters", _NO_OBJECT))
    refuse("contract-invalid", _TITLE, wrong)
    try:
        return TermsForm.model_validate(record).terms()
    except ValidationError as invalid:
        defects = [
            Defect("/" + "/".join(str(step) for step in error["loc"]), validation_words(error))
            for error in invalid.errors()
        ]
        refuse("contract-invalid", _TITLE, defects)
        raise
