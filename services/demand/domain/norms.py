"""Norms: what a place may decide about figures, feedback and scores. Data of the place; here are the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Norm(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Silence(_Norm):
    """After how many hours without a delivery a grant is silent, by its resource's update cycle."""

    real_time: float = Field(24, gt=0)
    daily: float = Field(72, gt=0)
    weekly: float = Field(14 * 24, gt=0)
    monthly: float = Field(62 * 24, gt=0)
    quarterly: float = Field(184 * 24, gt=0)
    yearly: float = Field(731 * 24, gt=0)

    def hours(self, cycle: str) -> float:
        """Of a cycle that is not among these, the longest."""
        return float(getattr(self, cycle, self.yearly))


class Feedback(_Norm):
    """When feedback on a grant is asked for: after so many records or days, whichever comes first."""

    records: int = Field(10_000, ge=1)
    days: int = Field(30, ge=1)


class Objections(_Norm):
    """Within how many working days the source answers an objection. Source: Order 809 (check)."""

    working_days: int = Field(10, ge=1, le=250)


class MinuteLevel(_Norm):
    """When a grant is satisfied at minute level: its first record in time, and this share of its deliveries."""

    first_record_seconds: float = Field(60, gt=0)
    share: float = Field(0.95, ge=0, le=1)


class Weights(_Norm):
    """What each figure counts in a department's yearly score; in hundredths, together 100."""

    on_demand: float = Field(25, ge=0)
    minute_level: float = Field(15, ge=0)
    answers: float = Field(20, ge=0)
    quality: float = Field(20, ge=0)
    use: float = Field(10, ge=0)
    satisfaction: float = Field(10, ge=0)


NORMS: Mapping[str, type[_Norm]] = {
    "silence": Silence,
    "feedback": Feedback,
    "objections": Objections,
    "minute_level": MinuteLevel,
    "weights": Weights,
}


def value_of(name: str, kept: Mapping[str, Any] | None) -> Any:
    """The norm `name` with what is kept of it; its default where nothing is. Raises KeyError and ValidationError."""
    return NORMS[name].model_validate(dict(kept or {}))
