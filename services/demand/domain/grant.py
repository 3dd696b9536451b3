"""Grants (授权): what may be granted of a resource.

A grant can ask for less than the resource and never for more. All that is wrong with one is told at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.core import masks, rowfilter
from services.core.defects import Defect
from services.core.words import Words


class State(StrEnum):
    """Whether data may flow, and why it may no longer. Only an active grant changes its state."""

    ACTIVE = "active"
    REVOKED = "revoked"
    EXPIRED = "expired"
    REOPENED = "reopened"


def ending(
    valid_to: datetime | None, decided_at: datetime, resource: Mapping[str, Any] | None, now: datetime
) -> tuple[State, str] | None:
    """How an active grant that was decided at `decided_at` ends, and why; None when it goes on.

    `resource` is its value in `catalog.resources`; None when it is in force no longer. What was decided for a lower
    grade is open again when the grade has risen: it must be decided anew.
    """
    if valid_to is not None and valid_to <= now:
        return State.EXPIRED, f"its time was over at {valid_to.isoformat()}"
    if resource is None:
        return State.REVOKED, "the resource is withdrawn"
    if resource["regraded_at"] is not None and resource["regraded_at"] > decided_at:
        return State.REOPENED, f"the resource is graded {resource['grade']} since {resource['regraded_at'].isoformat()}"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be granted; `masks` holds, by item, how it is shown."""

    department: str
    items: Sequence[str]
    masks: Mapping[str, Mapping[str, Any]]
    row_filter: str | None
    purpose: str
    valid_from: datetime
    valid_to: datetime | None
    channels: Sequence[str] = ("topic",)
    table_target: Mapping[str, str] | None = None


def defects(asked: Asked, resource: Mapping[str, Any]) -> list[Defect]:
    """All that keeps `asked` from being granted on `resource`, a value of `catalog.resources`; empty when it may be."""
    found: list[Defect] = []
    if resource["grade"] == "core" or resource["sharing_type"] == "not_shared":
        found.append(Defect("/resource", "core and not-shared data cannot be granted"))
    if asked.department == resource["department"]:
        found.append(Defect("/department", "a department does not grant its own data to itself"))
    if not asked.purpose.strip():
        found.append(Defect("/purpose", "say what the data will be used for"))
    if asked.valid_to is not None and asked.valid_to <= asked.valid_from:
        found.append(Defect("/valid_to", "lies before the beginning"))
    if not asked.items:
        found.append(Defect("/items", "name at least one item"))
    if not asked.channels:
        found.append(Defect("/channels", "name at least one channel"))
    if "product" in asked.channels and "product" not in resource["sharing_channels"]:
        # what a product is computed from goes on to others, which only its provider can allow
        words = Words("its provider does not offer it for data products", "提供部门未将该资源用于数据产品定制")
        found.append(Defect("/channels", words))
    found += _halted_defects(resource)
    if ("table" in asked.channels) != (asked.table_target is not None):
        found.append(Defect("/table_target", "goes with the channel table, and that with it"))
    known = {item["name"]: item for item in resource["items"]}
    return (
        found + _item_defects(asked, known, important=resource["grade"] == "important") + _filter_defects(asked, known)
    )


def _halted_defects(resource: Mapping[str, Any]) -> list[Defect]:
    """A product whose inputs are no longer granted, or have become stricter, goes to nobody new."""
    mount = resource.get("mount") or {}
    if mount.get("kind") != "product" or mount.get("halted") is None:
        return []
    words = Words(f"the data product is halted: {mount['halted']}", f"数据产品已停止：{mount['halted']}")
    return [Defect("/resource", words)]


def _item_defects(asked: Asked, known: Mapping[str, Any], *, important: bool) -> list[Defect]:
    found: list[Defect] = []
    for index, name in enumerate(asked.items):
        pointer = f"/items/{index}"
        if name not in known:
            found.append(Defect(pointer, f"the resource has no item {name!r}"))
            continue
        if name in asked.items[:index]:
            found.append(Defect(pointer, f"{name!r} is there twice"))
        spec = asked.masks.get(name)
        if spec is not None:
            try:
                masks.parse(spec).result_type(known[name]["type"])
            except masks.MaskError as error:
                found.append(Defect(f"/masks/{name}", str(error)))
        elif known[name]["sensitivity"] == "secret" or (important and known[name]["sensitivity"] == "personal"):
            found.append(Defect(pointer, f"{name!r} is too sensitive to be shown in clear: give it a mask"))
    extra = set(asked.masks) - set(asked.items)
    return found + [Defect(f"/masks/{name}", "masks an item that is not granted") for name in sorted(extra)]


def _filter_defects(asked: Asked, known: Mapping[str, Any]) -> list[Defect]:
    if asked.row_filter is None:
        return []
    try:
        said = rowfilter.parse(asked.row_filter)
        # whether there are such divisions is not the contract's affair
        said.resolved(dict.fromkeys(said.divisions(), ("",))).check(
            {name: item["type"] for name, item in known.items()}
        )
    except rowfilter.FilterError as error:
        return [Defect("/row_filter", str(error))]
    return []


def granted_items(asked: Asked) -> list[dict[str, str | None]]:
    """The items as a grant carries them: masks as canonical JSON."""
    return [
        {
            "name": name,
            "mask": json.dumps(asked.masks[name], ensure_ascii=False, sort_keys=True) if name in asked.masks else None,
        }
        for name in asked.items
    ]
