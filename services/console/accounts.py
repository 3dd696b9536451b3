"""Local accounts: who may sign in with a password, and what administrators do with accounts.

Everything here works on the database and hashes passwords, so it blocks: call it from a thread.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.console.domain import lockout, password
from services.console.domain.claims import Mapped
from services.console.domain.lockout import Failures
from services.console.events import NOBODY_KNOWN, Publisher
from services.console.store import Account, SignInFailures
from services.core.defects import Defect
from services.core.identity import INSTALLATIONS_OWN, OF_A_DEPARTMENT, Role
from services.core.problems import Problem, refuse, unknown
from services.core.words import Words

FIRST_LOGIN = "admin"
LOGIN = re.compile(r"[a-z][a-z0-9._-]{1,39}")
_BY_ITSELF = "console"


class SignInFailed(Problem):
    """Unknown, wrong or disabled: nobody is told which."""

    def __init__(self) -> None:
        super().__init__(
            401,
            "sign-in-failed",
            Words("Not signed in", "登录失败"),
            Words(
                "Login name or password is wrong, or the account is disabled.", "登录名或密码有误，或者账号已被停用。"
            ),
        )


class SignInLocked(Problem):
    """Too many failures under this name, whether there is such an account or not."""

    def __init__(self, wait: timedelta) -> None:
        seconds = max(1, round(wait.total_seconds()))
        super().__init__(
            429,
            "sign-in-locked",
            Words("Wait before you try again", "请稍后再试"),
            Words(
                f"There were too many failures under this name. Try again in {seconds} seconds.",
                f"该登录名失败次数过多，请在 {seconds} 秒后再试。",
            ),
            headers={"Retry-After": str(seconds)},
            more={"retry_after_seconds": seconds},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who has an account, as a session knows them."""

    login: str
    name: str
    department: str | None
    roles: tuple[Role, ...]
    language: str
    must_change: bool
    epoch: int
    is_local: bool = True


class Change(TypedDict, total=False):
    """What an administrator changes of an account; what is not there stays as it is."""

    name: str
    department: str | None
    roles: Sequence[Role]
    disabled: bool


class Accounts:
    """The accounts of an exchange. `allowed_failures` in a row lock a name for a while."""

    def __init__(self, sessions: Callable[[], Session], publisher: Publisher, allowed_failures: int) -> None:
        self.session, self._publisher, self._allowed = sessions, publisher, allowed_failures
        self._hasher = PasswordHasher()
        # what a password is held against where there is no account, so that it takes as long
        self._nobodys_hash = self._hasher.hash(secrets.token_urlsafe(24))

    def plant(self, first_password: str) -> None:
        """The first administrator of an exchange that has no account yet."""
        with self.session() as session, session.begin():
            if session.scalar(select(func.count()).select_from(Account)):
                return
            form = {"login": FIRST_LOGIN, "name": "系统管理员", "department": None, "roles": [Role.ADMINISTRATOR]}
            self._add(session, form, first_password, _BY_ITSELF)

    # -- signing in ---------------------------------------------------------------------------------------------------

    def check(self, login: str, given: str) -> Person:
        """Whose password this is. Raises SignInFailed and SignInLocked.

        A try is counted as a failure before it is looked at, and taken back when it was none: so many tries at the same
        time are no way around the count.
        """
        if not LOGIN.fullmatch(login):
            self._fits(self._nobodys_hash, given)
            raise SignInFailed
        failures = self._charge(login)
        with self.session() as session:
            account = session.get(Account, login)
            known = (account.password_hash if account else None) or self._nobodys_hash
        fits = self._fits(known, given)
        with self.session() as session, session.begin():
            account = session.get(Account, login, with_for_update=True)
            if account is None or not fits or account.disabled or account.password_hash != known:
                self._tell_failure(session, login, account, failures)
            else:
                session.execute(delete(SignInFailures).where(SignInFailures.login == login))
                account.last_signed_in_at = _now()
                if self._hasher.check_needs_rehash(known):
                    account.password_hash = self._hasher.hash(given)
                self._tell(session, "signed_in", account, account.login)
                return person_of(account)
        raise SignInFailed

    def vouched(self, found: Mapped) -> Person:
        """Somebody whom the identity provider vouches for, with the rights that it tells now.

        Raises SignInFailed for one who is disabled here, or called as somebody else is.
        """
        with self.session() as session, session.begin():
            account = session.scalar(select(Account).where(Account.subject == found.subject).with_for_update())
            if account is None and session.get(Account, found.login) is None:
                form = {"login": found.login, "subject": found.subject, "must_change": False}
                account = self._add(session, {**form, **_told_by(found)}, None, found.login)
            if account is None or account.disabled:
                self._publisher.happened(session, "sign_in_failed", NOBODY_KNOWN, actor="", facts={})
                known = None
            else:
                known = self._renew(session, account, found)
        if known is None:
            raise SignInFailed
        return known

    def _renew(self, session: Session, account: Account, found: Mapped) -> Person:
        before = (account.department, account.roles)
        for name, value in _told_by(found).items():
            setattr(account, name, value)
        if before != (account.department, account.roles):
            account.epoch += 1
            account.revision += 1
            self._tell(session, "account_changed", account, account.login, {"roles": ",".join(account.roles)})
        account.last_signed_in_at = _now()
        self._tell(session, "signed_in", account, account.login)
        return person_of(account)

    def not_vouched(self) -> None:
        """Keep account of somebody who came from the identity provider and was not let in."""
        with self.session() as session, session.begin():
            self._publisher.happened(session, "sign_in_failed", NOBODY_KNOWN, actor="", facts={"by": "openid"})

    def signed_out(self, login: str) -> None:
        with self.session() as session, session.begin():
            account = session.get(Account, login)
            if account is not None:
                self._tell(session, "signed_out", account, login)

    def is_current(self, person: Person) -> bool:
        """Whether the account is still what `person` says: nothing has happened that ends sessions."""
        with self.session() as session:
            account = session.get(Account, person.login)
            return account is not None and account.epoch == person.epoch

    def person(self, login: str) -> Person:
        with self.session() as session:
            return person_of(_need(session, login))

    # -- what people change of their own ------------------------------------------------------------------------------

    def change_password(self, login: str, current: str, new: str) -> Person:
        """Raises 422 problems for a wrong password and for a new one that is not good enough, and SignInLocked."""
        defects = password.defects_of(new, login)
        if new == current:
            defects.append(Defect("/new", Words("is the same as before", "与原密码相同")))
        refuse("password-invalid", Words("The new password cannot be taken", "新密码不符合要求"), defects)
        failures = self._charge(login)
        with self.session() as session:
            known = _own_password(_need(session, login))
        fits, fresh = self._fits(known, current), self._hasher.hash(new)
        with self.session() as session, session.begin():
            account = _need(session, login, lock=True)
            if fits and account.password_hash == known and not account.disabled:
                session.execute(delete(SignInFailures).where(SignInFailures.login == login))
                account.password_hash, account.must_change = fresh, False
                account.epoch += 1
                account.revision += 1
                self._tell(session, "password_changed", account, login)
                return person_of(account)
            self._tell_failure(session, login, account, failures)
        words = Words("is not your present password", "与当前密码不符")
        title = Words("The present password is wrong", "当前密码有误")
        raise Problem(422, "password-wrong", title, words, errors=[{"pointer": "/current", "detail": words}])

    def choose_language(self, login: str, language: str) -> Person:
        with self.session() as session, session.begin():
            account = _need(session, login, lock=True)
            account.language = language
            return person_of(account)

    # -- what administrators do ---------------------------------------------------------------------------------------

    def add(self, login: str, name: str, department: str | None, roles: Sequence[Role], by: str) -> tuple[Account, str]:
        """A new account, and its one-time password. Raises problems for what cannot be."""
        defects = _defects(department, roles)
        if login in INSTALLATIONS_OWN:
            defects.append(Defect("/login", Words("is the installation's own", "为系统保留名称")))
        refuse("account-invalid", Words("The account is not valid", "账号信息无效"), defects)
        first = _one_time_password()
        with self.session() as session, session.begin():
            if session.get(Account, login) is not None:
                title = Words("The account exists", "账号已存在")
                detail = Words(f"There is an account {login!r} already.", f"登录名“{login}”已被使用。")
                raise Problem(409, "account-exists", title, detail)
            form = {"login": login, "name": name, "department": department, "roles": list(roles)}
            return self._add(session, form, first, by), first

    def change(self, login: str, asked: Change, by: str, require: Callable[[Account], None]) -> tuple[Account, bool]:
        """The account as it is then, and whether its sessions have to end. `require` refuses what has passed."""
        with self.session() as session, session.begin():
            account = _need(session, login, lock=True)
            require(account)
            if asked.keys() - {"disabled"}:
                _own_password(account)
            before = (account.department, account.roles, account.disabled)
            department = asked.get("department", account.department)
            roles = asked.get("roles", [Role(role) for role in account.roles])
            refuse("account-invalid", Words("The account is not valid", "账号信息无效"), _defects(department, roles))
            account.name, account.disabled = asked.get("name", account.name), asked.get("disabled", account.disabled)
            account.department, account.roles = department, sorted(set(roles))
            account.revision += 1
            ends = before != (account.department, account.roles, account.disabled)
            if ends:
                self._guard_administration(session, account, by)
                account.epoch += 1
            session.flush()
            facts = {"roles": ",".join(account.roles), "disabled": str(account.disabled).lower()}
            self._tell(session, "account_changed", account, by, facts)
            return account, ends

    def reset_password(self, login: str, by: str) -> str:
        """A new one-time password of an account; the one before is no longer good."""
        first = _one_time_password()
        hashed = self._hasher.hash(first)
        with self.session() as session, session.begin():
            account = _need(session, login, lock=True)
            _own_password(account)
            account.password_hash, account.must_change = hashed, True
            account.epoch += 1
            account.revision += 1
            session.execute(delete(SignInFailures).where(SignInFailures.login == login))
            self._tell(session, "password_reset", account, by)
        return first

    def unlock(self, login: str, by: str) -> Account:
        with self.session() as session, session.begin():
            account = _need(session, login, lock=True)
            session.execute(delete(SignInFailures).where(SignInFailures.login == login))
            self._tell(session, "account_unlocked", account, by)
            return account

    def denied(self, login: str, department: str | None, what: str) -> None:
        """Keep account of somebody who was refused `what` (method and path)."""
        with self.session() as session, session.begin():
            self._publisher.happened(
                session, "access_denied", what, actor=login, department=department or "", facts={"what": what}
            )

    # -- how ----------------------------------------------------------------------------------------------------------

    def _charge(self, login: str) -> Failures:
        """Count a try; raises SignInLocked where nobody may try."""
        now = _now()
        with self.session() as session, session.begin():
            forgotten = SignInFailures.last_at < now - lockout.FORGOTTEN_AFTER
            session.execute(delete(SignInFailures).where(forgotten))
            fresh = insert(SignInFailures).values(login=login, count=0, last_at=now)
            session.execute(fresh.on_conflict_do_nothing())
            row = session.get_one(SignInFailures, login, with_for_update=True)
            before = Failures(row.count, row.last_at, row.locked_until)
            if wait := lockout.locked_for(before, now):
                raise SignInLocked(wait)
            after = lockout.after_failure(before, now, self._allowed)
            row.count, row.last_at, row.locked_until = after.count, after.last_at, after.locked_until
            return after

    def _fits(self, known: str, given: str) -> bool:
        try:
            return self._hasher.verify(known, given)
        except (VerifyMismatchError, InvalidHashError):
            return False

    def _tell_failure(self, session: Session, login: str, account: Account | None, failures: Failures) -> None:
        facts = {"failures": str(failures.count)}
        if account is None:
            self._publisher.happened(session, "sign_in_failed", NOBODY_KNOWN, actor="", facts=facts)
            return
        self._tell(session, "sign_in_failed", account, login, facts)
        if failures.locked_until is not None:
            self._tell(session, "account_locked", account, login, facts)

    def _add(self, session: Session, form: Mapping[str, Any], first_password: str | None, by: str) -> Account:
        hashed = self._hasher.hash(first_password) if first_password else None
        account = Account(
            **{"must_change": True, **form}, language="zh-CN", password_hash=hashed, disabled=False, epoch=1,
            revision=1, created_by=by, created_at=_now(),
        )  # fmt: skip
        session.add(account)
        session.flush()
        self._tell(session, "account_made", account, by, {"roles": ",".join(account.roles)})
        return account

    def _tell(
        self, session: Session, event: str, account: Account, actor: str, facts: dict[str, str] | None = None
    ) -> None:
        department = account.department or ""
        self._publisher.happened(session, event, account.login, actor=actor, department=department, facts=facts)

    @staticmethod
    def _guard_administration(session: Session, account: Account, by: str) -> None:
        """Nobody takes the exchange's administration away, by mistake or from himself."""
        if account.login == by:
            title = Words("This is your own account", "不能修改自己的权限")
            detail = Words(
                "Another administrator has to change your rights or disable you.",
                "您自己的权限变更或停用，须由其他管理员操作。",
            )
            raise Problem(409, "own-account", title, detail)
        session.flush()
        able = select(func.count()).where(Account.roles.contains([Role.ADMINISTRATOR.value]), ~Account.disabled)
        if not session.scalar(able):
            title = Words("This is the last administrator", "这是最后一位管理员")
            detail = Words("Somebody has to stay who can administer accounts.", "至少须保留一位可用的管理员。")
            raise Problem(409, "last-administrator", title, detail)


def person_of(account: Account) -> Person:
    return Person(
        login=account.login, name=account.name, department=account.department,
        roles=tuple(Role(role) for role in account.roles), language=account.language, must_change=account.must_change,
        epoch=account.epoch, is_local=account.subject is None,
    )  # fmt: skip


def _told_by(found: Mapped) -> dict[str, Any]:
    roles = [role.value for role in found.roles]
    return {"name": found.name, "department": found.department, "roles": roles}


def _own_password(account: Account) -> str:
    """The hash of its password; raises a 409 problem for somebody whom the identity provider vouches for."""
    if account.password_hash is None:
        title = Words("The account is kept elsewhere", "该账号由统一身份认证管理")
        detail = Words(
            "Password, name and rights of this account are the identity provider's.",
            "该账号的密码、姓名和权限由统一身份认证管理，请在其系统中修改。",
        )
        raise Problem(409, "account-elsewhere", title, detail)
    return account.password_hash


def _defects(department: str | None, roles: Sequence[Role]) -> list[Defect]:
    if department is None and OF_A_DEPARTMENT & set(roles):
        detail = Words("a provider or consumer acts for a department", "提供方、使用方须属于某个部门")
        return [Defect("/department", detail)]
    return []


def _need(session: Session, login: str, *, lock: bool = False) -> Account:
    found = session.get(Account, login, with_for_update=True if lock else None)
    if found is None:
        raise unknown("account", "账号", login)
    return found


def _one_time_password() -> str:
    return secrets.token_urlsafe(12)


def _now() -> datetime:
    return datetime.now(UTC)
