"""Signing in by the place's own identity provider: OpenID Connect, authorization code with PKCE.

What begins here is kept in Redis for ten minutes under its `state`, and bound to the browser that began by a cookie:
nobody can have somebody else finish it. The ID token is checked by the provider's published keys: signature, issuer,
audience, time and nonce.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

import httpx
import structlog
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from redis.asyncio import Redis

from services.console.domain.claims import Mapped, NotTaken, mapped, parsed_roles
from services.core.settings import Settings

log = structlog.get_logger()

_KEY = "console:openid:"
_BEGUN_SECONDS = 600
_DISCOVERED_SECONDS = 3_600.0
_KEYS_SECONDS = 60.0
_LEEWAY_SECONDS = 60
_ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "EdDSA")


class NotVouched(Exception):
    """The provider does not vouch for whoever comes back from it, or cannot be asked: one sentence for the log."""


@dataclass(frozen=True, slots=True)
class Begun:
    """Where the browser goes, and the secret by which it is known when it comes back."""

    url: str
    secret: str


class OpenId:
    """The provider at `oidc_issuer`. Every method raises RedisError when Redis does not answer."""

    def __init__(self, settings: Settings, client: httpx.AsyncClient, redis: Redis) -> None:
        """Raises ValueError for a mapping of roles that is none, and OSError for a secret that cannot be read."""
        self._settings, self._client, self._redis = settings, client, redis
        self._roles = parsed_roles(settings.oidc_roles)
        file = settings.oidc_client_secret_file
        self._secret = file.read_text().strip() if file else None
        self._discovered: tuple[float, dict[str, Any]] = (0.0, {})
        self._keys: tuple[float, KeySet | None] = (0.0, None)

    async def begin(self, redirect_uri: str) -> Begun:
        """Send somebody to the provider. Raises NotVouched when it cannot be asked."""
        provider = await self._provider()
        state, nonce, verifier, secret = (secrets.token_urlsafe(32) for _ in range(4))
        begun = {"nonce": nonce, "verifier": verifier, "browser": _digest(secret), "redirect_uri": redirect_uri}
        await self._redis.set(_KEY + _digest(state), json.dumps(begun), ex=_BEGUN_SECONDS)
        async with self._oauth(redirect_uri) as oauth:
            url, _ = oauth.create_authorization_url(
                provider["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier
            )
        return Begun(str(url), secret)

    async def finish(self, state: str, code: str, issuer: str | None, secret: str) -> Mapped:
        """Who came back. Raises NotVouched."""
        kept = await self._redis.getdel(_KEY + _digest(state))
        begun = json.loads(kept) if kept else None
        if begun is None or not hmac.compare_digest(begun["browser"], _digest(secret)):
            raise NotVouched("nothing of this kind was begun in this browser")
        provider = await self._provider()
        if issuer is not None and issuer != provider["issuer"]:
            raise NotVouched("another provider answers")
        try:
            async with self._oauth(begun["redirect_uri"]) as oauth:
                token = await oauth.fetch_token(
                    provider["token_endpoint"], grant_type="authorization_code", code=code,
                    code_verifier=begun["verifier"],
                )  # fmt: skip
        except (httpx.HTTPError, OAuthError, ValueError) as error:
            raise NotVouched(f"the provider gives no token: {error}") from error
        claims = await self._claims(provider, str(token.get("id_token", "")), begun["nonce"])
        here = self._settings
        try:
            return mapped(
                claims, login=here.oidc_login_claim, roles=here.oidc_roles_claim, department=here.oidc_department_claim,
                known_roles=self._roles,
            )  # fmt: skip
        except NotTaken as error:
            raise NotVouched(str(error)) from error

    async def _claims(self, provider: dict[str, Any], id_token: str, nonce: str) -> dict[str, Any]:
        registry = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": provider["issuer"]},
            aud={"essential": True, "value": self._settings.oidc_client_id},
            sub={"essential": True},
            exp={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        failure = "there is no ID token"
        # once more by fresh keys: the provider may have changed them
        for fresh in (False, True):
            try:
                token = jwt.decode(id_token, await self._key_set(provider, fresh=fresh), algorithms=_ALGORITHMS)
                registry.validate(token.claims)
            except (JoseError, ValueError) as error:
                failure = str(error)
                continue
            return dict(token.claims)
        raise NotVouched(f"the ID token does not hold: {failure}")

    async def _provider(self) -> dict[str, Any]:
        at, known = self._discovered
        if known and time.monotonic() - at < _DISCOVERED_SECONDS:
            return known
        issuer = self._settings.oidc_issuer.rstrip("/")
        told = await self._read(f"{issuer}/.well-known/openid-configuration")
        if str(told.get("issuer", "")).rstrip("/") != issuer:
            raise NotVouched("the provider calls itself otherwise than the setting does")
        self._discovered = (time.monotonic(), told)
        return told

    async def _key_set(self, provider: dict[str, Any], *, fresh: bool) -> KeySet:
        at, known = self._keys
        if known is None or (fresh and time.monotonic() - at > _KEYS_SECONDS):
            known = KeySet.import_key_set(await self._read(provider["jwks_uri"]))  # type: ignore[arg-type]
            self._keys = (time.monotonic(), known)
        return known

    async def _read(self, url: str) -> dict[str, Any]:
        try:
            answer = await self._client.get(url, headers={"Accept": "application/json"})
            answer.raise_for_status()
            told = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise NotVouched(f"the provider does not answer: {error}") from error
        if not isinstance(told, dict):
            raise NotVouched("the provider answers something else")
        return told

    def _oauth(self, redirect_uri: str) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            self._settings.oidc_client_id, self._secret, scope="openid profile", redirect_uri=redirect_uri,
            token_endpoint_auth_method="client_secret_basic" if self._secret else "none", code_challenge_method="S256",
            timeout=self._client.timeout, trust_env=False,
        )  # fmt: skip


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
