"""Somebody whom another place vouches for (OpenID Connect), as the exchange takes them: claims become roles.

Which value of which claim is which role, and which names the department, are settings of the place. Who has none of
the values that are mapped has no role here, and is not let in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.core.identity import INSTALLATIONS_OWN, OF_A_DEPARTMENT, Role

_LOGIN = re.compile(r"[a-z][a-z0-9._-]{1,39}")
_SLUG = re.compile(r"[a-z][a-z0-9_]{0,39}")


class NotTaken(Exception):
    """The claims make nobody who may come in: one sentence that says why, for the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What the claims say of a person; `subject` is who it is for good, whatever the names become."""

    subject: str
    login: str
    name: str
    department: str | None
    roles: tuple[Role, ...]


def parsed_roles(setting: str) -> dict[str, Role]:
    """`value=role` pairs between commas. Raises ValueError for what is none."""
    pairs = (pair.partition("=") for pair in setting.split(",") if pair.strip())
    return {value.strip(): Role(role.strip()) for value, _, role in pairs}


def mapped(
    claims: Mapping[str, Any], *, login: str, roles: str, department: str, known_roles: Mapping[str, Role]
) -> Mapped:
    """The person of `claims`, read from the claims of these names. Raises NotTaken."""
    found = str(_at(claims, login) or "").split("@")[0].lower()
    if not _LOGIN.fullmatch(found) or found in INSTALLATIONS_OWN:
        raise NotTaken(f"the claim {login} is no login name")
    told = _at(claims, roles)
    values: Sequence[Any] = told if isinstance(told, list) else str(told or "").split()
    held = tuple(sorted({known_roles[str(value)] for value in values if str(value) in known_roles}))
    if not held:
        raise NotTaken(f"the claim {roles} gives no role here")
    whose = str(_at(claims, department) or "") or None
    if whose is not None and not _SLUG.fullmatch(whose):
        raise NotTaken(f"the claim {department} is no department's short name")
    if whose is None and OF_A_DEPARTMENT & set(held):
        raise NotTaken(f"the claim {department} names none, and the roles act for one")
    name = str(claims.get("name") or found)[:200]
    return Mapped(subject=f"{claims['iss']}#{claims['sub']}", login=found, name=name, department=whose, roles=held)


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim at a path with dots in it (`realm_access.roles`), or of that very name."""
    if path in claims:
        return claims[path]
    at: Any = claims
    for step in path.split("."):
        at = at.get(step) if isinstance(at, Mapping) else None
    return at
