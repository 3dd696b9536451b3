"""The auditors' API, `/api/audit/v1`: the signed checkpoint and the key to check it with."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from services.audit.domain.note import verifier_key
from services.audit.sequencer import ORIGIN, Sequencer


def router(sequencer: Sequencer) -> APIRouter:
    """The routes over `sequencer`; both are public, as proofs are."""
    routes = APIRouter(prefix="/api/audit/v1")

    @routes.get("/checkpoint", response_class=PlainTextResponse)
    def checkpoint() -> str:
        """What the log vouches for now (C2SP tlog-checkpoint)."""
        return sequencer.checkpoint()

    @routes.get("/key", response_class=PlainTextResponse)
    def key() -> str:
        """The public key as verifiers configure it (C2SP signed-note)."""
        return verifier_key(ORIGIN, sequencer.public_key())

    return routes
