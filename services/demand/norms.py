"""The place's norms as they are kept."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from services.demand import store
from services.demand.domain.norms import value_of


def norm(session: Session, name: str) -> Any:
    """The norm `name` in force; raises KeyError where there is none of that name."""
    kept = session.get(store.Norm, name)
    return value_of(name, kept.value if kept else None)
