"""Where in a text the words of a search stand. Places, not markup: who shows them decides how."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from services.catalog.search.words import Cutter, letters_of, plain

_EXCERPT = 120


@dataclass(frozen=True, slots=True)
class Marked:
    """A text, and the `[start, end)` of each match in it."""

    text: str
    ranges: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Sought:
    """What is to be marked: words, neighbouring signs, and initials (in titles)."""

    words: frozenset[str]
    grams: frozenset[str]
    initials: frozenset[str]

    def marked(self, cutter: Cutter, text: str, *, title: bool = False) -> Marked:
        shown = plain(text)
        # most texts of a page hold nothing that is sought, and cutting is what costs
        here = {word for word in self.words if word in shown}
        spans = [(token.start, token.end) for token in cutter.tokens(text) if token.word in here] if here else []
        if len(shown) == len(text):
            spans += _places(shown, self.grams)
        if title and self.initials:
            letters, places = letters_of(text)
            spans += [(places[start], places[end - 1] + 1) for start, end in _places(letters, self.initials)]
        return Marked(text, _merged(spans))


def _places(text: str, sought: Collection[str]) -> list[tuple[int, int]]:
    found = []
    for one in sought:
        start = text.find(one)
        while start >= 0:
            found.append((start, start + len(one)))
            start = text.find(one, start + 1)
    return found


def _merged(spans: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def excerpt(marked: Marked) -> Marked:
    """The part of a long text around its first match."""
    if len(marked.text) <= _EXCERPT:
        return marked
    start = max(marked.ranges[0][0] - _EXCERPT // 4, 0) if marked.ranges else 0
    end = start + _EXCERPT
    inside = tuple((max(a, start) - start, min(b, end) - start) for a, b in marked.ranges if a < end and b > start)
    return Marked(marked.text[start:end], inside)
