"""Who is asking: the bearer of the operator's token, for now the only identity an API knows.

Every route is closed unless it asks for a viewer; the probes of health (`/healthz`, `/readyz`, `/metrics`) are open.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from services.core.problems import Problem
from services.core.settings import settings

_bearer = HTTPBearer(auto_error=False, description="The operator's token")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who was recognised; `name` is what the audit log will say."""

    name: str


def operator(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Viewer:
    """The operator of the exchange; raises a 401 problem for anybody else."""
    expected = settings().secret("operator_token")
    if credentials is None or not hmac.compare_digest(credentials.credentials.encode(), expected.encode()):
        detail = "This needs the operator's token: send it as `Authorization: Bearer …`."
        raise Problem(401, "not-signed-in", "Not signed in", detail)
    return Viewer("operator")


Operator = Annotated[Viewer, Depends(operator)]
