"""Tokens for those who are signed in: asked of the catalogue, by the one right that the console has of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import httpx
import structlog

from services.console.accounts import Person
from services.core.problems import Problem
from services.core.words import Words

log = structlog.get_logger()


class CatalogueAway(Problem):
    """The catalogue does not answer, so nobody can be let in just now."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "catalogue-away",
            Words("Nobody can sign in just now", "暂时无法登录"),
            Words(
                "The catalogue, which says what you may do, does not answer. Try again in a moment.",
                "目录服务暂时没有响应，无法确认您的权限，请稍后再试。",
            ),
            headers={"Retry-After": "5"},
        )


@dataclass(frozen=True, slots=True)
class Issued:
    """A token that was made."""

    id: str
    token: str


class Tokens:
    """The catalogue as the console asks it."""

    def __init__(self, client: httpx.AsyncClient, catalog_url: str, secret: str) -> None:
        self._client, self._url = client, f"{catalog_url}/api/catalog/v1/sessions"
        self._headers = {"Authorization": f"Bearer {secret}"}

    async def issue(self, person: Person, until: datetime) -> Issued:
        """A token of `person`, good until then. Raises CatalogueAway, and a 409 problem for one it does not take."""
        form = {
            "name": person.login, "department": person.department, "roles": person.roles,
            "expires_at": until.isoformat(),
        }  # fmt: skip
        try:
            answer = await self._client.post(self._url, json=form, headers=self._headers)
        except httpx.HTTPError as error:
            log.warning("the catalogue makes no token just now", reason=str(error))
            raise CatalogueAway from error
        if answer.status_code in (404, 422):
            raise Problem(
                409,
                "account-unusable",
                Words("The account cannot be used", "账号无法使用"),
                Words(
                    "Its department is not in the catalogue; an administrator has to put the account right.",
                    "账号所属部门不在目录中，请联系管理员更正。",
                ),
            )
        if answer.is_error:
            log.warning("the catalogue makes no token just now", status=answer.status_code)
            raise CatalogueAway
        made = answer.json()
        return Issued(made["id"], made["token"])

    async def revoke(self, token_id: str) -> None:
        """End a token. One that cannot be ended now is known to nobody any more, and ends by itself."""
        try:
            answer = await self._client.delete(f"{self._url}/{token_id}", headers=self._headers)
        except httpx.HTTPError as error:
            log.warning("a token was not revoked", token=token_id, reason=str(error))
            return
        if answer.is_error and answer.status_code != 404:
            log.warning("a token was not revoked", token=token_id, status=answer.status_code)
