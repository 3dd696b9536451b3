"""The wizard for upstream APIs: what mounting a resource on one would meet, told before anything is done.

It asks for two pages, so that paging is tried too. Nothing of the rows is kept, and nothing leaves but masked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

from services.catalog.domain.drop import Fault, judged
from services.catalog.domain.mapping import Proposal, propose
from services.catalog.domain.mount import Column, handling_defects, may_be_mounted
from services.catalog.domain.resource import Terms
from services.catalog.domain.upstream import Upstream, columns_of, field_of, mapping_defects, pointer_to, read
from services.catalog.upstream import Answer, ask
from services.catalog.wizard import SAMPLE_ROWS, SHOWN_ROWS, RuleTried, Shown, masked, try_rules
from services.core import quality
from services.core.defects import Defect
from services.core.reach import Network
from services.core.words import Words

_PAGES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPreview:
    """What the wizard found; `fields` by pointer, `defects` keep the resource from being mounted."""

    fields: Mapping[str, Column]
    proposals: Sequence[Proposal]
    defects: Sequence[Defect]
    rows: Sequence[Mapping[str, Shown]]
    sampled: int
    pages: int
    whole: bool
    recognised: bool
    rules: Sequence[RuleTried]


def look(
    upstream: Upstream,
    secret: str | None,
    terms: Terms,
    lists: quality.CodeLists,
    allowed: Sequence[Network],
    zone: tzinfo,
    moment: datetime,
) -> ApiPreview:
    """What mounting `terms` on an API would meet; raises UpstreamFailed.

    What may not be mounted at all is not asked.
    """
    if not may_be_mounted(terms):
        defects = handling_defects(terms)
        return ApiPreview(
            fields={}, proposals=(), defects=defects, rows=(), sampled=0, pages=0, whole=False, recognised=False,
            rules=(),
        )  # fmt: skip
    answer = ask(upstream, secret, allowed, pages=_PAGES)
    assert answer is not None, "nothing was known before"
    return _judge(upstream, terms, lists, answer, zone, moment)


def _judge(
    upstream: Upstream, terms: Terms, lists: quality.CodeLists, answer: Answer, zone: tzinfo, moment: datetime
) -> ApiPreview:
    sample = answer.rows[:SAMPLE_ROWS]
    fields = columns_of(sample)
    rows, faults = read(terms, upstream, sample, zone)
    tried, unfit = try_rules(terms, lists, list(rows.values()), moment)
    defects = [*mapping_defects(terms, upstream, sample), *unfit]
    absent = {defect.pointer for defect in defects}
    if not unfit:
        faults = [*faults, *judged(terms, lists, rows, faults, moment)[0]]
    defects += [one for one in _defects_of(terms, faults) if one.pointer.rpartition("/")[0] + "/column" not in absent]
    unread = {(fault.row, fault.column) for fault in faults}
    shown = [
        {
            item.name: "***" if (number, item.name) in unread else masked(item, row[item.name])
            for item in terms.items
        }
        for number, row in list(rows.items())[:SHOWN_ROWS]
    ]  # fmt: skip
    return ApiPreview(
        fields=fields,
        proposals=_proposals(upstream, terms, fields),
        defects=defects,
        rows=shown,
        sampled=len(sample),
        pages=answer.pages,
        whole=answer.whole,
        recognised=bool(answer.validators.etag or answer.validators.last_modified),
        rules=tried,
    )


def _defects_of(terms: Terms, faults: Sequence[Fault]) -> list[Defect]:
    """The faults of the sample's rows, one defect for each that is said of an item (or of rows), with how many rows."""
    places = {item.name: index for index, item in enumerate(terms.items)}
    counts: dict[tuple[str, Words], int] = {}
    for fault in faults:
        pointer = f"/items/{places[fault.column]}/rows" if fault.column in places else "/upstream/rows"
        words = fault.words if fault.column in places else _without_row(fault.words)
        counts[pointer, words] = counts.get((pointer, words), 0) + 1
    return [
        Defect(pointer, Words(f"{words} ({count} rows of the sample)", f"{words.zh}（抽样中 {count} 行）"))
        for (pointer, words), count in counts.items()
    ]


def _without_row(words: Words) -> Words:
    """Rows that clash are one defect, whichever row it is that they clash with."""
    if words.startswith("has the key of row"):
        return Words("has the key of another row", "主键重复")
    return words


def _proposals(upstream: Upstream, terms: Terms, fields: Mapping[str, Column]) -> list[Proposal]:
    """Fields proposed for the items: what is declared counts where it is a field, else as for a table's columns."""
    items = [replace(item, column=field_of(upstream, item)) for item in terms.items]
    columns = [replace(column, name=pointer) for pointer, column in fields.items()]
    # pointers are compared with pointers
    wanted = [replace(item, name=pointer_to(item.name)) for item in items]
    found = propose(wanted, columns, ())
    return [replace(one, item=item.name) for one, item in zip(found, terms.items, strict=True)]
