"""Which column fills which information item: what the mount wizard proposes, and why.

A proposal is made only where it is the one possible at its level: from the column that the item names, over equal
names, comments and spellings (pinyin), down to the only column of a type that is left. The order of items and columns
does not matter, and no column is proposed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from pypinyin import Style, lazy_pinyin

from services.catalog.domain.mount import Column, item_type_of
from services.catalog.domain.resource import Item


class Reason(StrEnum):
    """Why a column is proposed for an item."""

    DECLARED = "declared"  # the item names the column
    NAME = "name"  # the column has the item's name
    COMMENT = "comment"  # the column's comment is the item's title
    SPELLING = "spelling"  # the same but for case and underscores
    PINYIN = "pinyin"  # the item's title in pinyin
    INITIALS = "initials"  # the initials of the title's pinyin
    TYPE = "type"  # the only column left of the item's type


class Confidence(StrEnum):
    CERTAIN = "certain"
    LIKELY = "likely"
    GUESS = "guess"


CONFIDENCE: Mapping[Reason, Confidence] = {
    Reason.DECLARED: Confidence.CERTAIN,
    Reason.NAME: Confidence.CERTAIN,
    Reason.COMMENT: Confidence.LIKELY,
    Reason.SPELLING: Confidence.LIKELY,
    Reason.PINYIN: Confidence.LIKELY,
    Reason.INITIALS: Confidence.GUESS,
    Reason.TYPE: Confidence.GUESS,
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """The column proposed for an item; `column` and `reason` are None where there is none to propose."""

    item: str
    column: str | None
    reason: Reason | None

    @property
    def confidence(self) -> Confidence | None:
        return CONFIDENCE[self.reason] if self.reason else None


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


@cache
def _pinyin(title: str) -> str:
    return _plain("".join(lazy_pinyin(title, style=Style.NORMAL, errors="default", v_to_u=False)))


@cache
def _initials(title: str) -> str:
    return _plain("".join(lazy_pinyin(title, style=Style.FIRST_LETTER, errors="default")))


def _means(comment: str | None, title: str) -> bool:
    """Whether a comment says the title, alone or before an explanation (姓名：登记时的姓名)."""
    said = (comment or "").strip()
    rest = said.removeprefix(title.strip())
    return bool(said) and rest != said and not rest[:1].isalnum()


Fits = Callable[[Item, Column, Collection[str]], bool]

_LEVELS: Sequence[tuple[Reason, Fits]] = (
    (Reason.DECLARED, lambda item, column, key: column.name == item.column),
    (Reason.NAME, lambda item, column, key: column.name == item.name),
    (Reason.COMMENT, lambda item, column, key: _alike(item, column) and _means(column.comment, item.title)),
    (
        Reason.SPELLING,
        lambda item, column, key: (
            _alike(item, column)
            and bool(_plain(column.name))
            and _plain(column.name) in (_plain(item.name), _plain(item.column))
        ),
    ),
    (
        Reason.PINYIN,
        lambda item, column, key: (
            _alike(item, column) and bool(_plain(column.name)) and _plain(column.name) == _pinyin(item.title)
        ),
    ),
    (
        Reason.INITIALS,
        lambda item, column, key: (
            _alike(item, column) and len(_plain(column.name)) > 1 and _plain(column.name) == _initials(item.title)
        ),
    ),
    (Reason.TYPE, lambda item, column, key: _alike(item, column) and item.key == (column.name in key)),
)


def _alike(item: Item, column: Column) -> bool:
    return item_type_of(column.type) is item.type


def propose(items: Sequence[Item], columns: Sequence[Column], key: Collection[str]) -> list[Proposal]:
    """A proposal for each of `items`, in their order; `key` holds the columns of the table's primary key.

    A level decides only what it decides without choosing: one item wants one column, and no other item wants it.
    """
    found: dict[int, tuple[str, Reason]] = {}
    taken: set[str] = set()
    for reason, fits in _LEVELS:
        wanted = {
            index: [column.name for column in columns if column.name not in taken and fits(item, column, key)]
            for index, item in enumerate(items)
            if index not in found
        }
        suitors: dict[str, int] = {}
        for names in wanted.values():
            for name in names:
                suitors[name] = suitors.get(name, 0) + 1
        for index, names in wanted.items():
            if len(names) == 1 and suitors[names[0]] == 1:
                found[index] = (names[0], reason)
                taken.add(names[0])
    return [Proposal(item.name, *found.get(index, (None, None))) for index, item in enumerate(items)]
