"""Grants (授权): what may be granted of a resource.

A grant can ask for less than the resource and never for more. All that is wrong with one is told at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.core import masks, rowfilter


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that must be mended; `pointer` names the field as a JSON pointer."""

    pointer: str
    detail: str


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
    known = {item["name"]: item for item in resource["items"]}
    return (
        found + _item_defects(asked, known, important=resource["grade"] == "important") + _filter_defects(asked, known)
    )


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
        rowfilter.parse(asked.row_filter).check({name: item["type"] for name, item in known.items()})
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
