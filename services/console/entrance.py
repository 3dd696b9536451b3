"""Coming in and going out: what signing in, signing out and a change of rights do to accounts, tokens and sessions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from services.console.accounts import Accounts, Person, SignInFailed
from services.console.openid import NotVouched, OpenId
from services.console.sessions import Session, Sessions
from services.console.tokens import Tokens

T = TypeVar("T")

# a password costs 64 MiB and a core for a moment: those who try are served one after another
_HASHES_AT_A_TIME = 2


class Entrance:
    """The door of the console. A session lasts for `longest` at most; `openid` is another way in, if there is one."""

    def __init__(
        self, accounts: Accounts, sessions: Sessions, tokens: Tokens, longest: timedelta, openid: OpenId | None = None
    ) -> None:
        self.accounts, self.sessions, self.openid = accounts, sessions, openid
        self._tokens, self._longest = tokens, longest
        self._hashing = CapacityLimiter(_HASHES_AT_A_TIME)

    async def hashing(self, work: Callable[[], T]) -> T:
        """Do what hashes a password, when it is its turn."""
        return await to_thread.run_sync(work, limiter=self._hashing)

    async def sign_in(self, login: str, password: str) -> Session:
        """Raises SignInFailed, SignInLocked and CatalogueAway."""
        return await self.enter(await self.hashing(lambda: self.accounts.check(login, password)))

    async def come_back(self, state: str, code: str, issuer: str | None, secret: str) -> Session:
        """A session of somebody who comes back from the identity provider.

        Raises NotVouched, SignInFailed and CatalogueAway.
        """
        assert self.openid is not None
        try:
            found = await self.openid.finish(state, code, issuer, secret)
        except NotVouched:
            await to_thread.run_sync(self.accounts.not_vouched)
            raise
        person = await to_thread.run_sync(self.accounts.vouched, found)
        return await self.enter(person)

    async def enter(self, person: Person) -> Session:
        """A session of somebody who has shown who it is."""
        ends_at = datetime.now(UTC) + self._longest
        issued = await self._tokens.issue(person, ends_at)
        session = await self.sessions.begin(person, issued.token, issued.id, ends_at)
        # what ends sessions may have happened while this one began
        if not await to_thread.run_sync(self.accounts.is_current, person):
            await self._leave(session)
            raise SignInFailed
        return session

    async def sign_out(self, session: Session) -> None:
        await self._leave(session)
        await to_thread.run_sync(self.accounts.signed_out, session.person.login)

    async def change_password(self, session: Session, current: str, new: str) -> Session:
        """A new session, the only one of the person. Raises what `Accounts.change_password` does, and CatalogueAway."""
        login = session.person.login
        person = await self.hashing(lambda: self.accounts.change_password(login, current, new))
        await self.end_all(login)
        return await self.enter(person)

    async def end_all(self, login: str) -> None:
        """End all sessions of a person: the rights or the password that they began with are no longer good."""
        for token_id in await self.sessions.end_all(login):
            await self._tokens.revoke(token_id)

    async def _leave(self, session: Session) -> None:
        await self.sessions.end(session)
        await self._tokens.revoke(session.token_id)
