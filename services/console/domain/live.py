"""What happens, as whoever looks on is told of it: each only what concerns his department, overseers and ops all.

What is told is a reason to look again, not the thing itself: the services decide what is shown then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.core.identity import Role, Viewer

_SEE_ALL = frozenset({Role.ADMINISTRATOR, Role.AUDITOR, Role.OPS})
# whom an event concerns beside the department that it names
_PARTIES = ("supplier", "provider")
# what changes for everybody who looks into the catalogue
_IN_FORCE = frozenset({
    "cn.tongshu.catalog.resource_published.v1", "cn.tongshu.catalog.resource_withdrawn.v1",
    "cn.tongshu.catalog.resource_regraded.v1",
})  # fmt: skip
# refusals are the overseers' affair; tokens come and go with every sign-in; reads of the log would make the page that
# shows it read again, for ever
_OVERSEERS_ONLY = "access_denied"
_NOT_TOLD = ("token_made", "token_revoked", "log_read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that happened; `name` says to what: `demand`, `catalog`, `audit` or `watch`."""

    name: str
    data: Mapping[str, Any]
    concerns: frozenset[str]
    for_everybody: bool = False
    overseers_only: bool = False

    def is_shown_to(self, viewer: Viewer) -> bool:
        if self.overseers_only:
            return viewer.sees_all()
        return self.for_everybody or bool(viewer.roles & _SEE_ALL) or viewer.department in self.concerns


def happening(name: str, event: Mapping[str, Any]) -> Happening | None:
    """What an event of a service's topic (`schemas/avro/*.events.avsc`) is to those who look on; None: nothing."""
    kind, facts = str(event["type"]), event["data"]
    if any(word in kind for word in _NOT_TOLD):
        return None
    data = {
        "type": kind, "subject": event["subject"], "department": event["department"] or None,
        "at": event["occurred_at"].isoformat(), "data": dict(facts),
    }  # fmt: skip
    parties = {str(event["department"]), *(str(facts.get(party, "")) for party in _PARTIES)} - {""}
    overseers_only = name == "audit" or _OVERSEERS_ONLY in kind
    return Happening(
        name=name,
        data=data,
        concerns=frozenset(parties),
        for_everybody=kind in _IN_FORCE,
        overseers_only=overseers_only,
    )


@dataclass(slots=True)
class Delivered:
    """What was delivered under a grant within a second; `owner` is the department that provides the resource."""

    grant: str
    resource: str
    department: str
    owner: str | None
    records: int = 0
    batches: int = 0
    latency_us: list[int] = field(default_factory=list)

    def add(self, manifest: Mapping[str, Any]) -> None:
        self.records += int(manifest["records"])
        self.batches += 1
        # -1 where nothing was measured: rows that were there before
        self.latency_us += [int(us) for us in (manifest["latency_min_us"], manifest["latency_max_us"]) if int(us) >= 0]

    def is_shown_to(self, viewer: Viewer) -> bool:
        return bool(viewer.roles & _SEE_ALL) or viewer.department in (self.department, self.owner)

    def told(self) -> dict[str, Any]:
        return {
            "grant": self.grant, "resource": self.resource, "department": self.department, "records": self.records,
            "batches": self.batches, "latency_ms_min": _milliseconds(self.latency_us, min),
            "latency_ms_max": _milliseconds(self.latency_us, max),
        }  # fmt: skip


def _milliseconds(values: list[int], choose: Any) -> float | None:
    return round(choose(values) / 1_000, 1) if values else None
