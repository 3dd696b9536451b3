"""Objections as they are kept: raised, answered, and closed by the delivery that corrects the record.

What a record says is personal data: it is kept under the vault key and shown to the two departments only; events hold
keyed references and digests.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from hashlib import sha256
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.core.calendar import PLACE, due
from services.core.settings import Settings
from services.demand import store, timekeeping
from services.demand.domain import objection as domain
from services.demand.domain.objection import Action, Claim, Outcome, State
from services.demand.events import Publisher
from services.demand.norms import norm
from services.demand.noticing import tell_of
from services.demand.timekeeping import AUTHORITY

_BY = "tongshu"


class Registrar:
    """Keeps objections and tells of them; `secret` makes the references, `vault` keeps what records say."""

    def __init__(self, publisher: Publisher, vault: Fernet, secret: bytes) -> None:
        self._publisher, self._vault, self._secret = publisher, vault, secret

    def raise_(
        self,
        session: Session,
        grant: store.Grant,
        provider: str,
        key: Mapping[str, str],
        claims: Sequence[Claim],
        explanation: str,
        begin: Mapping[int, int],
        by: str,
        now: datetime,
    ) -> store.Objection:
        """A new objection to a record of `grant`; corrections count from the offsets `begin` of its topic on."""
        record = domain.reference(self._secret, grant.resource, key)
        earlier = self.earlier(session, record)
        days = norm(session, "objections").working_days
        due_on, provisional = due(now.astimezone(PLACE).date(), days, timekeeping.calendar(session))
        content = {"key": dict(key), "items": [asdict(claim) for claim in claims], "explanation": explanation}
        made = store.Objection(
            id=uuid.uuid4().hex[:12],
            grant=grant.id,
            thread=grant.thread,
            resource=grant.resource,
            department=grant.department,
            provider=provider,
            topic=grant.topic,
            record=record,
            items=[claim.item for claim in claims],
            sealed=self._vault.encrypt(json.dumps(content, ensure_ascii=False).encode()),
            state=State.OPEN,
            round=len(earlier) + 1,
            due_on=due_on,
            provisional=provisional,
            overdue=False,
            scanned={str(partition): offset for partition, offset in begin.items()},
            raised_by=by,
            raised_at=now,
            revision=1,
        )
        session.add(made)
        session.flush()
        facts = {"due_on": due_on.isoformat(), "items": ",".join(made.items), "round": str(made.round)}
        self._tell(session, made, "objection_raised", by, facts, now)
        return made

    def earlier(self, session: Session, record: str) -> list[str]:
        """Objections to the same record before, oldest first."""
        query = select(store.Objection.id).where(store.Objection.record == record)
        return list(session.scalars(query.order_by(store.Objection.number)))

    def opened(self, objection: store.Objection) -> dict[str, Any]:
        """What the record says and should say: `{key, items, explanation}`."""
        content: dict[str, Any] = json.loads(self._vault.decrypt(objection.sealed))
        return content

    def claims(self, objection: store.Objection) -> tuple[dict[str, str], list[Claim]]:
        content = self.opened(objection)
        return content["key"], [Claim(**one) for one in content["items"]]

    def answer(
        self, session: Session, objection: store.Objection, action: Action, reason: str, by: str, now: datetime
    ) -> None:
        """Take a step of a locked objection; whether it may be taken is decided by who calls."""
        objection.state, _ = domain.TRANSITIONS[State(objection.state), action]
        objection.answered_by, objection.answered_at, objection.reason = by, now, reason
        objection.revision += 1
        facts = {"in_time": "false" if self.is_late(objection, now) else "true"}
        if reason:
            facts["reason_digest"] = sha256(reason.encode()).hexdigest()
        self._tell(session, objection, f"objection_{_PAST[action]}", by, facts, now)

    def close(
        self, session: Session, objection: store.Objection, outcome: Outcome, proof: Mapping[str, Any], now: datetime
    ) -> None:
        """Close a locked objection with the delivery that corrected the record."""
        objection.state, objection.outcome = State.CLOSED, outcome
        objection.proof, objection.closed_at = dict(proof), now
        objection.revision += 1
        facts = {name: str(value) for name, value in proof.items()}
        facts |= {"outcome": outcome.value, "in_time": "false" if self.is_late(objection, now) else "true"}
        self._tell(session, objection, "objection_closed", _BY, facts, now)

    def note_overdue(self, session: Session, now: datetime) -> None:
        """Tell, once, of each objection that nobody has answered in time."""
        is_late = store.Objection.due_on < now.astimezone(PLACE).date()
        query = select(store.Objection).where(
            store.Objection.state == State.OPEN, store.Objection.overdue.is_(False), is_late
        )
        for one in session.scalars(query.with_for_update()):
            one.overdue = True
            one.revision += 1
            self._tell(session, one, "objection_overdue", _BY, {"due_on": one.due_on.isoformat()}, now)

    @staticmethod
    def is_late(objection: store.Objection, now: datetime) -> bool:
        """Whether this would be after the clock ran out; what was answered in time stays so."""
        return (objection.answered_at or now).astimezone(PLACE).date() > objection.due_on

    def _tell(
        self, session: Session, one: store.Objection, event: str, by: str, facts: dict[str, str], now: datetime
    ) -> None:
        for department in _TOLD[event](one):
            due = {"clock": "verify", "due_on": one.due_on.isoformat()} if event in _WITH_CLOCK else {}
            tell_of(session, one.id, one.resource, department, event, now, due)
        facts |= {"grant": one.grant, "resource": one.resource, "provider": one.provider, "record": one.record}
        self._publisher.happened(session, event, one.id, one.department, one.thread, by, facts)


def registrar(here: Settings, publisher: Publisher) -> Registrar:
    """The registrar of this exchange: its references are made with a secret that comes from the vault key."""
    key = here.secret("demand_vault_key").encode()
    return Registrar(publisher, Fernet(key), sha256(b"references of objections" + key).digest())


# Who gets a notice of what.
_TOLD: Mapping[str, Callable[[store.Objection], tuple[str, ...]]] = {
    "objection_raised": lambda one: (one.provider,),
    "objection_withdrawn": lambda one: (one.provider,),
    "objection_overdue": lambda one: (one.provider, AUTHORITY),
    "objection_accepted": lambda one: (one.department,),
    "objection_refused": lambda one: (one.department,),
    "objection_closed": lambda one: (one.department, one.provider),
}
_WITH_CLOCK = frozenset({"objection_raised", "objection_overdue"})
_PAST = {Action.ACCEPT: "accepted", Action.REFUSE: "refused", Action.WITHDRAW: "withdrawn"}
