"""What the mount wizards tell alike, whatever they have looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from services.catalog.domain.mapping import Confidence, Proposal, Reason
from services.catalog.wizard import RuleTried
from services.core.defects import Defect
from services.core.forms import Strict
from services.core.words import in_language


class ProposalOut(Strict):
    """The column proposed for an item, why, and how sure that is; null where there is none to propose."""

    item: str
    column: str | None
    reason: Reason | None
    confidence: Confidence | None


class DefectOut(Strict):
    pointer: str
    detail: str


class RuleTriedOut(Strict):
    rule: str
    severity: str
    items: list[str]
    broken: Annotated[int, Field(description="Rows of the sample that break it.")]
    detail: str


def proposals_out(found: Sequence[Proposal]) -> list[ProposalOut]:
    return [ProposalOut.model_validate(one) for one in found]


def defects_out(found: Sequence[Defect], language: str) -> list[DefectOut]:
    return [DefectOut(pointer=one.pointer, detail=in_language(one.detail, language)) for one in found]


def rules_out(found: Sequence[RuleTried], language: str) -> list[RuleTriedOut]:
    return [
        RuleTriedOut(
            rule=one.rule, severity=one.severity, items=list(one.items), broken=one.broken,
            detail=in_language(one.words, language),
        )
        for one in found
    ]  # fmt: skip
