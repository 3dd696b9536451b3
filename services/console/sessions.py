"""Sessions: who is signed in, in Redis, where they may be lost.

A browser holds 256 random bits. Redis knows them by their SHA-256 only, and the person's API token encrypted under
them: whoever reads Redis can use neither. A session ends when nothing was done for a while (the key's time to live),
and, whatever is done, at a set hour.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Awaitable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from cryptography.fernet import Fernet
from redis.asyncio import Redis

from services.console.accounts import Person
from services.core.identity import Role, Viewer

_KEY, _OF_A_PERSON = "console:session:", "console:sessions-of:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who is signed in. `id` is the browser's secret, `token` opens the services in the person's name."""

    id: str
    person: Person
    token: str
    token_id: str
    begun_at: datetime
    ends_at: datetime
    idle: timedelta

    @property
    def csrf(self) -> str:
        """What a request that changes something has to show: only a page that could read it can."""
        return base64.urlsafe_b64encode(hmac.digest(self.id.encode(), b"csrf", "sha256")).decode().rstrip("=")

    @property
    def idle_ends_at(self) -> datetime:
        """When it ends if nothing is done from now on."""
        return min(datetime.now(UTC) + self.idle, self.ends_at)

    @property
    def viewer(self) -> Viewer:
        return Viewer(self.person.login, frozenset(self.person.roles), self.person.department)


class Sessions:
    """All sessions. Every method raises RedisError when Redis does not answer."""

    def __init__(self, redis: Redis, *, idle: timedelta) -> None:
        self._redis, self._idle = redis, idle

    async def begin(self, person: Person, token: str, token_id: str, ends_at: datetime) -> Session:
        now = datetime.now(UTC)
        made = Session(
            id=secrets.token_urlsafe(32), person=person, token=token, token_id=token_id, begun_at=now, ends_at=ends_at,
            idle=self._idle,
        )  # fmt: skip
        await self._keep(made, now)
        return made

    async def find(self, session_id: str, *, is_active: bool = True) -> Session | None:
        """The session; None when there is none or it has ended. One that `is_active` goes on for a while."""
        key = _key(session_id)
        kept = await (self._redis.getex(key, ex=self._idle) if is_active else self._redis.get(key))
        if kept is None:
            return None
        found = _read(session_id, kept, self._idle)
        return found if found.ends_at > datetime.now(UTC) else None

    async def update(self, session: Session, person: Person) -> Session:
        """The same session of a person of whom something has changed that ends none."""
        changed = replace(session, person=person)
        await self._keep(changed, datetime.now(UTC))
        return changed

    async def end(self, session: Session) -> None:
        key = _key(session.id)
        async with self._redis.pipeline(transaction=True) as together:
            together.delete(key)
            together.srem(_OF_A_PERSON + session.person.login, key)
            await together.execute()

    async def end_all(self, login: str) -> list[str]:
        """End all sessions of a person; the ids of their tokens, which have to end too."""
        keys = await cast(Awaitable[set[bytes]], self._redis.smembers(_OF_A_PERSON + login))
        if not keys:
            return []
        kept = await self._redis.mget(list(keys))
        async with self._redis.pipeline(transaction=True) as together:
            together.delete(*keys)
            together.srem(_OF_A_PERSON + login, *keys)
            await together.execute()
        return [str(json.loads(one)["token_id"]) for one in kept if one is not None]

    async def _keep(self, session: Session, now: datetime) -> None:
        whose = _OF_A_PERSON + session.person.login
        key, left = _key(session.id), session.ends_at - now
        async with self._redis.pipeline(transaction=True) as together:
            together.set(key, _written(session), ex=min(self._idle, left))
            together.sadd(whose, key)
            # keys of sessions that ended by themselves stay until the person's last has
            together.expire(whose, left)
            await together.execute()


def _key(session_id: str) -> str:
    return _KEY + hashlib.sha256(session_id.encode()).hexdigest()


def _cipher(session_id: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hmac.digest(session_id.encode(), b"token", "sha256")))


def _written(session: Session) -> str:
    return json.dumps(
        {
            "person": asdict(session.person),
            "token": _cipher(session.id).encrypt(session.token.encode()).decode(),
            "token_id": session.token_id,
            "begun_at": session.begun_at.isoformat(),
            "ends_at": session.ends_at.isoformat(),
        }
    )


def _read(session_id: str, kept: bytes | str, idle: timedelta) -> Session:
    told: dict[str, Any] = json.loads(kept)
    person = told["person"]
    return Session(
        id=session_id,
        person=Person(**{**person, "roles": tuple(Role(role) for role in person["roles"])}),
        token=_cipher(session_id).decrypt(told["token"].encode()).decode(),
        token_id=told["token_id"],
        begun_at=datetime.fromisoformat(told["begun_at"]),
        ends_at=datetime.fromisoformat(told["ends_at"]),
        idle=idle,
    )
