"""Accounts: who may sign in with a password here, and as what. For administrators.

A one-time password is in the answer that makes it and nowhere else, so these posts are never answered from memory (no
Idempotency-Key): one that was lost on the way is replaced by another.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field
from sqlalchemy import or_, select
from sqlalchemy.orm import Session as DatabaseSession
from starlette.concurrency import run_in_threadpool

from services.console.accounts import Accounts, Change
from services.console.admission import SignedIn
from services.console.api.session import Language, Login
from services.console.entrance import Entrance
from services.console.forwarding import Forwarding
from services.console.sessions import Session
from services.console.store import Account, SignInFailures
from services.core.conditional import IfMatch, etag, require_match
from services.core.defects import Defect
from services.core.forms import Name, Slug, Strict
from services.core.identity import Role
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import refuse, unknown
from services.core.words import Words

Administrator = Annotated[Session, Depends(SignedIn(frozenset({Role.ADMINISTRATOR})))]
Roles = Annotated[list[Role], Field(min_length=1, max_length=5, examples=[["provider", "consumer"]])]
Search = Annotated[str | None, Query(min_length=1, max_length=100, description="Part of the login name or the name.")]


class AccountForm(Strict):
    login: Login
    name: Name
    department: Slug | None = None
    roles: Roles


class ChangeForm(Strict):
    """What is not there stays as it is."""

    name: Name | None = None
    department: Slug | None = None
    roles: Roles | None = None
    disabled: bool | None = None


class AccountOut(Strict):
    login: str
    name: str
    department: str | None
    roles: list[Role]
    language: Language
    must_change_password: bool
    disabled: bool
    failures: int
    locked_until: datetime | None
    last_signed_in_at: datetime | None
    created_by: str
    created_at: datetime
    revision: int
    local: bool


class AccountMade(AccountOut):
    """With the one-time password, which is never shown again."""

    password: str


class OneTimePassword(Strict):
    password: str


def router(entrance: Entrance, forwarding: Forwarding) -> APIRouter:
    routes = APIRouter(tags=["accounts"])
    accounts = entrance.accounts

    async def require_department(asker: Session, department: str | None) -> None:
        if department is not None and not await forwarding.is_there(asker, f"/api/catalog/v1/departments/{department}"):
            defect = Defect("/department", Words("is no department of the catalogue", "目录中没有该部门"))
            refuse("account-invalid", Words("The account is not valid", "账号信息无效"), [defect])

    @routes.get("/accounts")
    def list_accounts(
        asker: Administrator, q: Search = None, limit: Limit = 100, cursor: Cursor = None
    ) -> Page[AccountOut]:
        """All accounts."""
        query = select(Account)
        if q is not None:
            query = query.where(or_(*(part.icontains(q, autoescape=True) for part in (Account.login, Account.name))))
        with accounts.session() as session:
            rows, following = page(session, query, [Account.login], limit, cursor)
            return Page(items=[shown(session, row) for row in rows], next=following)

    @routes.post("/accounts", status_code=201)
    async def make_account(form: AccountForm, asker: Administrator, response: Response) -> AccountMade:
        """Make an account; its one-time password is in this answer and nowhere else."""
        await require_department(asker, form.department)
        by = asker.person.login
        made, password = await entrance.hashing(
            lambda: accounts.add(form.login, form.name, form.department, form.roles, by)
        )
        response.headers["ETag"] = etag(made.revision)
        told = await run_in_threadpool(read, accounts, form.login)
        return AccountMade(**told.model_dump(), password=password)

    @routes.get("/accounts/{login}")
    def read_account(login: Login, asker: Administrator, response: Response) -> AccountOut:
        """One account."""
        told = read(accounts, login)
        response.headers["ETag"] = etag(told.revision)
        return told

    @routes.patch("/accounts/{login}")
    async def change_account(
        login: Login, form: ChangeForm, asker: Administrator, response: Response, if_match: IfMatch = None
    ) -> AccountOut:
        """Change an account. Other rights, and disabling, end its sessions."""
        asked = Change(**form.model_dump(exclude_unset=True))  # type: ignore[typeddict-item]
        refuse("account-invalid", Words("The account is not valid", "账号信息无效"), _not_null(form))
        await require_department(asker, asked.get("department"))

        by, match = asker.person.login, lambda account: require_match(if_match, account.revision)
        changed, ends = await run_in_threadpool(accounts.change, login, asked, by, match)
        # again for one that was disabled before, lest its sessions could not be reached then
        if ends or changed.disabled:
            await entrance.end_all(login)
        told = await run_in_threadpool(read, accounts, login)
        response.headers["ETag"] = etag(told.revision)
        return told

    @routes.post("/accounts/{login}/password")
    async def reset_password(login: Login, asker: Administrator) -> OneTimePassword:
        """Give an account a new one-time password; its sessions end."""
        by = asker.person.login
        password = await entrance.hashing(lambda: accounts.reset_password(login, by))
        await entrance.end_all(login)
        return OneTimePassword(password=password)

    @routes.post("/accounts/{login}/unlock")
    def unlock(login: Login, asker: Administrator) -> AccountOut:
        """Forget the failures under an account's name."""
        accounts.unlock(login, asker.person.login)
        return read(accounts, login)

    return routes


def read(accounts: Accounts, login: str) -> AccountOut:
    """The account; raises a 404 problem where there is none."""
    with accounts.session() as session:
        found = session.get(Account, login)
        if found is None:
            raise unknown("account", "账号", login)
        return shown(session, found)


def shown(session: DatabaseSession, account: Account) -> AccountOut:
    failures = session.get(SignInFailures, account.login)
    locked_until = failures.locked_until if failures else None
    return AccountOut(
        login=account.login, name=account.name, department=account.department,
        roles=[Role(role) for role in account.roles], language=account.language,
        must_change_password=account.must_change, disabled=account.disabled, failures=failures.count if failures else 0,
        locked_until=locked_until if locked_until and locked_until > datetime.now(UTC) else None,
        last_signed_in_at=account.last_signed_in_at, created_by=account.created_by, created_at=account.created_at,
        revision=account.revision, local=account.subject is None,
    )  # fmt: skip


def _not_null(form: ChangeForm) -> list[Defect]:
    names = [name for name in ("name", "roles", "disabled") if name in form.model_fields_set]
    words = Words("must not be null", "不能为空")
    return [Defect(f"/{name}", words) for name in names if getattr(form, name) is None]
