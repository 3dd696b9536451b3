"""Feedback (应用成效与满意度): what the data was good for, and how satisfied its consumer is, from 1 to 5.

It is asked for after so many records or days, is needed before a grant is renewed, and is never edited: who has changed
their mind gives another. What went into it goes into the audit log as numbers and digests, never as text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.core.defects import Defect
from services.core.words import Words
from services.demand.domain.norms import Feedback as FeedbackNorm


class Reason(StrEnum):
    """Why somebody is satisfied or not; a low score names at least one."""

    COMPLETENESS = "completeness"
    ACCURACY = "accuracy"
    CONSISTENCY = "consistency"
    TIMELINESS = "timeliness"
    AVAILABILITY = "availability"
    SERVICE = "service"


# A score that says that something is wrong.
LOW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A grant's feedback: `score` 1 (bad) to 5 (good), `effect` what the data was used for and with what success."""

    score: int
    reasons: frozenset[Reason]
    effect: str
    comment: str


def defects(given: Given) -> list[Defect]:
    """All that is missing or wrong; empty when it may be taken."""
    found = []
    if not 1 <= given.score <= 5:
        found.append(Defect("/score", Words("is 1 to 5", "应为 1 至 5")))
    if given.score <= LOW and not given.reasons:
        found.append(Defect("/reasons", Words("say what is wrong: name at least one", "请至少说明一项原因")))
    if not given.effect.strip():
        found.append(Defect("/effect", Words("say what the data was good for", "请说明数据的应用成效")))
    return found


def is_due(records: int, since: datetime, now: datetime, norm: FeedbackNorm) -> bool:
    """Whether feedback is to be asked for: `records` and days since the last was given, or since the first delivery."""
    return records > 0 and (records >= norm.records or (now - since).days >= norm.days)


def covers(periods: Iterable[datetime | None], valid_to: datetime | None) -> bool:
    """Whether some feedback was given in the validity that is to be renewed; `periods` are the ends it was given in."""
    return valid_to in set(periods)
