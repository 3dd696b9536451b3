"""Reconciliation: what a grant's consumer has against what it should have.

Asking writes a row; the process that reads the departments' databases works them off (`runner.py`).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.sync import store
from services.sync.events import Publisher


def ask(
    session: Session,
    publisher: Publisher,
    grant: Mapping[str, Any],
    provider: str,
    by: str,
    now: datetime,
    *,
    heal: bool,
) -> store.Reconciliation:
    """Have a grant reconciled."""
    one = store.Reconciliation(
        id=uuid.uuid4().hex[:12], grant=grant["id"], resource=grant["resource"], department=grant["department"],
        provider=provider, thread=grant["thread"], heal=heal, state="requested", asked_by=by, asked_at=now,
        ended_at=None, reason="", replay=None, report=None,
    )  # fmt: skip
    session.add(one)
    facts = {"reconciliation": one.id, "heal": str(heal).lower()}
    publisher.happened(session, "reconciliation_asked", one.grant, one.department, one.thread, by, facts)
    return one
