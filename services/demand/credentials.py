"""Credentials that follow from grants: departments' users on the broker, and API keys for rows.

Each is told once, when it is made. A user's password is kept under the service's vault key, so that a user that was
altered by hand is put back without its clients noticing; of an API key only the digest is kept.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from hashlib import sha256

from sqlalchemy.orm import Session

from services.core.kafka import SCRAM_ITERATIONS
from services.demand import store
from services.demand.demands import Demands
from services.demand.domain.provisioning import MECHANISM, user_of

# The broker tells of a password only how often it was hashed. Each of ours has a number of its own, so that a password
# which somebody else has set shows.
_MARKS = 4_096


def issue(demands: Demands, session: Session, department: str, by: str) -> str:
    """A new password of the department's user, which replaces the one before. Raises KafkaException."""
    kept = session.get(store.BrokerUser, department, with_for_update=True)
    password = secrets.token_urlsafe(24)
    marks = [SCRAM_ITERATIONS + n for n in range(_MARKS) if kept is None or SCRAM_ITERATIONS + n != kept.iterations]
    if kept is None:
        kept = store.BrokerUser(department=department)
        session.add(kept)
    kept.iterations, kept.issued_at = secrets.choice(marks), datetime.now(UTC)
    kept.sealed = demands.vault.encrypt(password.encode())
    session.flush()
    facts = {"username": user_of(department)}
    demands.publisher.happened(session, "credentials_issued", department, department, department, by, facts)
    # last: should the transaction fail after it, what is kept is put back on the broker
    demands.broker.set_user(department, password, kept.iterations)
    return password


def restore(demands: Demands, kept: store.BrokerUser, found: frozenset[tuple[str, int]]) -> None:
    """Put a department's user back on the broker as it is kept. Raises KafkaException."""
    demands.broker.remove_user(user_of(kept.department), [name for name, _ in found if name != MECHANISM])
    demands.broker.set_user(kept.department, demands.vault.decrypt(kept.sealed).decode(), kept.iterations)


def new_api_key(grant: str) -> tuple[str, str]:
    """`(key, digest)` of a new API key of a grant: the key is told once, the digest is kept."""
    key = f"tk_{grant}_{secrets.token_urlsafe(32)}"
    return key, sha256(key.encode()).hexdigest()
