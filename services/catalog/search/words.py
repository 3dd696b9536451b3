"""Words of Chinese text for the catalogue's search: how it is cut, how it sounds, how it may be misspelt.

A word stands for itself, for its pinyin without tones (人口: renkou) and for its initials (rk). Letters and digits are
words as they are. Nothing here knows of a database.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import rjieba
from pypinyin import lazy_pinyin

_FIELD = Path(__file__).with_name("words.txt")
_RUN = re.compile(r"[㐀-䶿一-鿿豈-﫿〇\U00020000-\U0003ffff]+|[a-z0-9]+")
_LONGEST_WORD = 24
# Often enough for a word of the field to be kept whole, whatever its parts weigh in the general dictionary.
_FREQUENCY = 500_000
# Words that say nothing about what a resource holds.
_EMPTY = frozenset("的和与及或等之其在对为是了")


@dataclass(frozen=True, slots=True)
class Token:
    """A word where it stands: `text[start:end]` of the text that was cut."""

    word: str
    start: int
    end: int


def plain(text: str) -> str:
    """`text` with compatibility forms (full width) and capitals made the same."""
    return unicodedata.normalize("NFKC", text).casefold()


def is_chinese(run: str) -> bool:
    return ord(run[0]) > 0x7F


def runs(text: str) -> list[str]:
    """The stretches of Chinese, and of letters and digits, in `text`; all else only parts them."""
    return _RUN.findall(plain(text))


class Cutter:
    """Cuts text into words by the general dictionary, the field's words and those of the place (`added`)."""

    def __init__(self, added: Iterable[str] = ()) -> None:
        self._dictionary = rjieba.Jieba()
        for word in (*_field_words(), *added):
            self._dictionary.add_word(plain(word), _FREQUENCY, None)

    def words(self, text: str) -> list[str]:
        """The words of `text` in their order, each as long as can be."""
        found: list[str] = []
        for run in runs(text):
            found += self._dictionary.cut(run) if is_chinese(run) else [run]
        return [word[:_LONGEST_WORD] for word in found if word not in _EMPTY]

    def tokens(self, text: str) -> list[Token]:
        """All words of `text` with their places in it; long words also give the shorter ones inside them."""
        shown, places = _plain_with_places(text)
        found = []
        for match in _RUN.finditer(shown):
            run, begin = match[0], match.start()
            cut = self._dictionary.tokenize(run, "search") if is_chinese(run) else [(run, 0, len(run))]
            found += [
                Token(word[:_LONGEST_WORD], places[begin + start], places[begin + end - 1] + 1)
                for word, start, end in cut
                if word not in _EMPTY
            ]
        return found


def _field_words() -> list[str]:
    lines = _FIELD.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _plain_with_places(text: str) -> tuple[str, list[int]]:
    """`plain(text)` sign by sign, and for each sign of it the place in `text` that it came from."""
    signs, places = [], []
    for place, sign in enumerate(text):
        for made in plain(sign):
            signs.append(made)
            places.append(place)
    return "".join(signs), places


@lru_cache(maxsize=100_000)
def syllables(word: str) -> tuple[str, ...]:
    """The pinyin of each sign of `word`, without tones, ü as v; a stretch of letters is one syllable of its own."""
    # lazy_pinyin writes ü as v, as people type it
    return tuple(lazy_pinyin(word))


def pinyin(word: str) -> str:
    return "".join(syllables(word))


def initials(word: str) -> str:
    """The first letter of each syllable."""
    return "".join(syllable[0] for syllable in syllables(word))


def grams(text: str) -> Iterator[str]:
    """Every sign and every two neighbouring signs of the Chinese in `text`."""
    for run in runs(text):
        if is_chinese(run):
            yield from run
            yield from neighbours(run)


def neighbours(run: str) -> list[str]:
    return [run[place : place + 2] for place in range(len(run) - 1)]


def title_initials(tokens: Iterable[Token], text: str, longest: int) -> set[str]:
    """What initials people may type for a title: from the start of any word on, one to `longest` letters."""
    letters, places = letters_of(text)
    starts = {token.start for token in tokens}
    found = set()
    for place, start in enumerate(places):
        if start in starts:
            found |= {letters[place : place + length] for length in range(1, longest + 1)}
    return found


def letters_of(text: str) -> tuple[str, list[int]]:
    """The initials of the Chinese signs (and all letters and digits) of `text`, with the place each came from."""
    letters, found = [], []
    shown, places = _plain_with_places(text)
    for match in _RUN.finditer(shown):
        for place, sign in enumerate(match[0], match.start()):
            letters.append(syllables(sign)[0][0] if is_chinese(sign) else sign)
            found.append(places[place])
    return "".join(letters), found


def misspellings(form: str) -> set[str]:
    """`form` and all that is left when one sign is taken out.

    Two words that one wrong, missing, extra or swapped sign parts have one of these in common (symmetric deletion).
    """
    return {form} | {form[:place] + form[place + 1 :] for place in range(len(form))} - {""}


def spelling_forms(word: str) -> set[str]:
    """Under what a word is to be found when it, or its pinyin, is misspelt once.

    Nothing for what holds digits: the code or number next to another is another thing, not a slip.
    """
    if any(sign.isdigit() for sign in word):
        return set()
    forms = misspellings(word) if 2 <= len(word) <= 10 else set()
    sound = pinyin(word)
    if 4 <= len(sound) <= 20:
        forms |= misspellings(sound)
    return forms
