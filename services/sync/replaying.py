"""Asking for a replay: a grant is delivered once more what its consumer has lost or doubts."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.core.avro import Registry
from services.core.quality import NotAValue, value_of
from services.sync import store
from services.sync.events import Publisher
from services.sync.relay.manifest import key_digest


class NotAKey(Exception):
    """A key that no record of the grant can have; the message says why."""


def ask(
    session: Session,
    publisher: Publisher,
    grant: Mapping[str, Any],
    by: str,
    now: datetime,
    *,
    since: datetime | None = None,
    keys: Sequence[bytes] = (),
    ghosts: Sequence[tuple[int, int]] = (),
    read_to: Mapping[int, int] | None = None,
    reconciliation: str | None = None,
) -> store.Replay:
    """Have all of `grant` replayed, or changes from a time on, or the rows whose keys have these digests.

    `ghosts` are records of the share topic whose rows the source does not have; it was read up to `read_to` for them.
    """
    one = store.Replay(
        id=uuid.uuid4().hex[:12],
        grant=grant["id"],
        resource=grant["resource"],
        department=grant["department"],
        thread=grant["thread"],
        mode="keys" if keys or ghosts else "since" if since else "all",
        since=since,
        keys=[key.hex() for key in keys],
        ghosts=[{"partition": partition, "offset": offset} for partition, offset in ghosts],
        read_to=[{"partition": partition, "offset": offset} for partition, offset in (read_to or {}).items()],
        reconciliation=reconciliation,
        state="requested",
        asked_by=by,
        asked_at=now,
        ended_at=None,
        records=0,
        served=[],
        partitions=None,
    )
    session.add(one)
    publisher.replay(session, one, "replay_asked", by)
    return one


def under_way(session: Session, grant: str) -> store.Replay | None:
    """The replay of a grant that has not ended."""
    query = select(store.Replay).where(store.Replay.grant == grant, store.Replay.ended_at.is_(None)).limit(1)
    return session.scalars(query).first()


def digest_of(
    registry: Registry, secret: bytes, grant: Mapping[str, Any], resource: Mapping[str, Any], key: Mapping[str, Any]
) -> bytes:
    """What stands for a key as the grant's records have it, from its items as JSON; `secret` is the grant's.

    Raises NotAKey and RegistryUnavailable.
    """
    subject = f"{grant['topic']}-key"
    schema = registry.latest(subject)
    if schema is None:
        raise NotAKey("nothing has been delivered yet")
    names = [field["name"] for field in schema["fields"]]
    if sorted(names) != sorted(key):
        raise NotAKey(f"a key is made of {', '.join(names)}")
    in_clear = {item["name"] for item in grant["items"] if item["mask"] is None}
    kinds = {item["name"]: item["type"] if item["name"] in in_clear else "string" for item in resource["items"]}
    try:
        record = {name: value_of(kinds[name], key[name]) for name in names}
        return key_digest(secret, registry.encode(registry.register(subject, schema), record))
    except (NotAValue, ValueError, TypeError) as error:
        raise NotAKey("a value is not of its item's type") from error
