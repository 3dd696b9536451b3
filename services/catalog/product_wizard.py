"""The wizard for data products: what mounting a resource on a view would meet, told before anything is done.

The view is evaluated once, for a bounded time. Nothing of the rows is kept, and nothing leaves but masked: by the
sensitivity of the item, or by that of what it is computed from where this is graver.
"""

from __future__ import annotations

import time
from collections.abc import Container, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.catalog.domain import product
from services.catalog.domain.drop import Fault
from services.catalog.domain.lineage import in_force
from services.catalog.domain.mount import Column, handling_defects, may_be_mounted
from services.catalog.domain.product import Input, NotAView, Origin, View
from services.catalog.domain.resource import Item, Terms
from services.catalog.wizard import SAMPLE_ROWS, SHOWN_ROWS, RuleTried, Shown, masked, try_rules
from services.catalog.workroom import Moment, ViewFailed, Workroom
from services.core import quality, workroom
from services.core.defects import Defect
from services.core.settings import Settings
from services.core.words import Words

TRIAL_SECONDS = 10.0

Grants = Mapping[str, Mapping[str, Any] | None]
"""Grants (values of `demand.grants`) by the names that a view calls them; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductPreview:
    """What the wizard found; `defects` keep the resource from being mounted. `view` is None where it is none.

    `seconds` is how long the view took for the sample.
    """

    view: View | None = None
    columns: Mapping[str, Column]
    defects: Sequence[Defect]
    rows: Sequence[Mapping[str, Shown]]
    sampled: int
    seconds: float
    rules: Sequence[RuleTried]

    def also(self, defect: Defect) -> ProductPreview:
        return replace(self, defects=[*self.defects, defect])


def inputs_of(grants: Grants) -> dict[str, Input]:
    """What a view may read by these grants."""
    return {
        name: Input(
            schema=workroom.schema_of(grant["department"]),
            table=workroom.table_of(grant["id"]),
            items={item["name"]: item["mask"] is not None for item in grant["items"]},
        )
        for name, grant in grants.items()
        if grant is not None
    }


def grants_defects(grants: Grants, department: str, moment: datetime) -> list[Defect]:
    """What keeps grants from being read by a product of `department`."""
    return [
        defect
        for name, grant in grants.items()
        for defect in product.grant_defects(
            name, grant, department, in_force=grant is not None and in_force(grant, moment)
        )
    ]


def look(
    settings: Settings,
    terms: Terms,
    text: str,
    grants: Grants,
    inputs: Mapping[str, Terms],
    lists: quality.CodeLists,
    moment: datetime,
) -> ProductPreview:
    """What mounting `terms` on the view that `text` says would meet; raises WorkroomUnreachable.

    `inputs` are the terms in force of the resources of the grants. Where a grant may not be read, no row is.
    """
    found = ProductPreview(columns={}, defects=(), rows=(), sampled=0, seconds=0.0, rules=())
    if not may_be_mounted(terms):
        return replace(found, defects=handling_defects(terms))
    defects = grants_defects(grants, terms.department, moment)
    held = {
        name: grant if grant and grant["department"] == terms.department else None for name, grant in grants.items()
    }
    try:
        view = product.read(text, inputs_of(held))
    except NotAView as error:
        return replace(found, defects=[*defects, *error.defects])
    unheld = bool(defects)
    defects += product.mapping_defects(terms, view.columns)
    defects += product.handling_defects(terms, view.columns, inputs)
    found = replace(found, view=view, defects=defects)
    if unheld:
        return found
    with closing(Workroom(settings)) as room, room.moment(terms.department, TRIAL_SECONDS) as asked:
        try:
            return _tried(found, view, asked, terms, held, inputs, lists, moment)
        except ViewFailed as failed:
            words = Words(f"the view {failed.words}", f"视图{failed.words.zh}")
            return replace(found, defects=[*defects, Defect("/product/sql", words)])


def _tried(
    found: ProductPreview,
    view: View,
    asked: Moment | None,
    terms: Terms,
    grants: Grants,
    inputs: Mapping[str, Terms],
    lists: quality.CodeLists,
    moment: datetime,
) -> ProductPreview:
    """What evaluating the view finds; raises ViewFailed and WorkroomUnreachable."""
    ids = [str(grant["id"]) for grant in grants.values() if grant is not None]
    missing = not_come(asked.places(ids) if asked is not None else (), grants)
    if asked is None or missing:
        return replace(found, defects=[*found.defects, *missing])
    columns = asked.describe(view.statement)
    unfit = product.type_defects(terms, columns)
    filled = [item for item in terms.items if item.column in columns]
    wrong = {defect.pointer for defect in unfit}
    sound = [item for item in filled if f"/items/{terms.items.index(item)}/type" not in wrong]
    begun = time.monotonic()
    names, values = asked.rows(view.statement, SAMPLE_ROWS)
    seconds = time.monotonic() - begun
    # keys clash only where all of the key is there to be compared
    part = replace(terms, items=sound)
    rows, faults = product.rows_of(part, names, values)
    if {item.name for item in sound if item.key} != {item.name for item in terms.items if item.key}:
        faults = [fault for fault in faults if fault.column]
    tried, broken_rules = try_rules(terms, lists, list(rows.values()), moment)
    unread = {(fault.row, fault.column) for fault in faults}
    as_shown = [_as_shown(item, view.columns.get(item.column, frozenset()), inputs) for item in sound]
    return replace(
        found,
        columns=columns,
        defects=[*found.defects, *unfit, *_defects_of(terms, faults), *broken_rules],
        rows=[
            {item.name: "***" if (number, item.name) in unread else masked(item, row[item.name]) for item in as_shown}
            for number, row in list(rows.items())[:SHOWN_ROWS]
        ],
        sampled=len(rows),
        seconds=seconds,
        rules=tried,
    )


def not_come(there: Container[str], grants: Grants) -> list[Defect]:
    """The inputs of which no row has come into the workroom yet; `there` are the grants of which some have."""
    words = Words("no row of this grant has come yet", "尚未收到该授权的任何数据")
    return [
        Defect(f"/product/inputs/{name}", words)
        for name, grant in grants.items()
        if grant is not None and grant["id"] not in there
    ]


def _as_shown(item: Item, origins: frozenset[Origin], inputs: Mapping[str, Terms]) -> Item:
    """The item with the gravest sensitivity of what it is computed from."""
    graver = product.gravest(origins, inputs)
    return (
        item if graver is None else replace(item, sensitivity=product.higher(item.sensitivity, graver[0].sensitivity))
    )


def _defects_of(terms: Terms, faults: Sequence[Fault]) -> list[Defect]:
    """The faults of the sample's rows, one defect for each that is said of an item (or of rows), with how many rows."""
    places = {item.name: index for index, item in enumerate(terms.items)}
    counts: dict[tuple[str, Words], int] = {}
    for fault in faults:
        named = fault.column in places
        pointer = f"/items/{places[fault.column]}/rows" if named else "/product/rows"
        words = fault.words if named else Words("has the key of another row", "主键重复")
        counts[pointer, words] = counts.get((pointer, words), 0) + 1
    return [
        Defect(pointer, Words(f"{words} ({count} rows of the sample)", f"{words.zh}（抽样中 {count} 行）"))
        for (pointer, words), count in counts.items()
    ]
