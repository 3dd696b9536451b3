"""What a search asks for, read from what somebody typed.

A question is a conjunction of clauses, one a word; a clause is met by any of its alternatives. Letters may be a word, a
code, pinyin of one or several words (`renkouxinxi`), or initials: such a stretch has several readings, and any will do.
Where nothing answers the question as typed, `corrected` reads it again and allows one slip a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import OSA

from services.catalog.search.words import (
    Cutter,
    is_chinese,
    misspellings,
    neighbours,
    pinyin,
    runs,
    syllables,
)

_LONGEST_CHINESE, _LONGEST_LETTERS = 8, 16
_RUNS, _LONGEST_TEXT = 8, 100


@dataclass(frozen=True, slots=True)
class Clause:
    """Met by a resource that holds one of `words`, the signs of one of `grams`, or whose title has `initials`."""

    words: frozenset[str] = frozenset()
    grams: frozenset[str] = frozenset()
    initials: str | None = None


Reading = tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """For each stretch of the text its readings; `written` is the text as it was understood."""

    parts: Sequence[Sequence[Reading]]
    written: str

    def clauses(self) -> Iterable[Clause]:
        return (clause for readings in self.parts for reading in readings for clause in reading)


@dataclass(frozen=True, slots=True)
class Known:
    """A word of the index and its pinyin."""

    word: str
    pinyin: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """How the words of the index are looked up; all take many at once."""

    by_pinyin: Callable[[Iterable[str]], Mapping[str, Sequence[Known]]]
    by_beginning: Callable[[str], Sequence[Known]]
    by_pinyin_prefix: Callable[[str], Sequence[Known]]
    by_initials: Callable[[str], Sequence[Known]]
    by_form: Callable[[Iterable[str]], Mapping[str, Sequence[Known]]]
    existing: Callable[[Iterable[str]], set[str]]


def asked(text: str) -> list[str]:
    """The stretches of `text` that are searched for; a text beyond all measure is cut short."""
    return runs(text[:_LONGEST_TEXT])[:_RUNS]


def strict(stretches: Sequence[str], cutter: Cutter, vocabulary: Vocabulary, *, typing: bool) -> Question:
    """The question as typed; while somebody is still `typing`, the last word may be a beginning only."""
    parts: list[list[Reading]] = []
    for place, run in enumerate(stretches):
        last = typing and place == len(stretches) - 1
        if is_chinese(run):
            reading = _chinese(run, cutter, vocabulary, last=last)
            if reading:
                parts.append([reading])
        else:
            parts.append(_letters(run, vocabulary, last=last))
    return Question(parts, " ".join(stretches))


def by_signs(stretches: Sequence[str], cutter: Cutter, vocabulary: Vocabulary) -> Question:
    """The question by neighbouring signs, for words that are cut one way in the text and another in the question."""
    parts: list[list[Reading]] = []
    for run in stretches:
        if is_chinese(run):
            parts.append([tuple(Clause(grams=frozenset({gram})) for gram in neighbours(run) or [run])])
        else:
            parts.append(_letters(run, vocabulary, last=False))
    return Question(parts, " ".join(stretches))


def _chinese(run: str, cutter: Cutter, vocabulary: Vocabulary, *, last: bool) -> Reading:
    def begun(word: str) -> frozenset[str]:
        return frozenset({word, *(one.word for one in vocabulary.by_beginning(word))})

    if len(run) == 1:
        return (Clause(begun(run) if last else frozenset({run}), frozenset({run})),)
    clauses, place = [], 0
    words = cutter.words(run)
    for number, word in enumerate(words):
        place = max(run.find(word, place), 0)
        end = place + len(word)
        beside: set[str] = set()
        if len(word) == 1:
            # a sign that stands alone here (号 after 身份证) is part of a longer word in many a text (号码)
            beside = {run[max(place - 1, 0) : end] if place else run[:2]}
        ended = not last or number < len(words) - 1
        clauses.append(Clause(frozenset({word}) if ended else begun(word), frozenset(beside)))
        place = end
    return tuple(clauses)


def _letters(run: str, vocabulary: Vocabulary, *, last: bool) -> list[Reading]:
    known = [*vocabulary.by_pinyin([run]).get(run, ()), *vocabulary.by_initials(run)]
    if len(run) >= (2 if last else 3):
        known += vocabulary.by_pinyin_prefix(run)
    readings: list[Reading] = [(Clause(frozenset({run, *(one.word for one in known)}), initials=run),)]
    joined = _segmented(run, vocabulary) if len(run) >= 4 else None
    if joined:
        readings.append(joined)
    return readings


def _segmented(run: str, vocabulary: Vocabulary) -> Reading | None:
    """`run` as the pinyin of several words; the last may be a beginning."""
    pieces = {
        run[start:end]
        for start in range(len(run))
        for end in range(start + 2, min(start + _LONGEST_LETTERS, len(run)) + 1)
    } - {run}
    heard = vocabulary.by_pinyin(pieces)
    best: dict[int, tuple[int, Reading]] = {0: (0, ())}
    for end in range(1, len(run) + 1):
        ways = [
            (best[start][0] + 1, (*best[start][1], Clause(frozenset(one.word for one in heard[run[start:end]]))))
            for start in range(max(0, end - _LONGEST_LETTERS), end)
            if start in best and run[start:end] in heard
        ]
        if ways:
            best[end] = min(ways, key=lambda way: way[0])
    if len(run) in best:
        return best[len(run)][1]
    reached = max(best)
    beginning = vocabulary.by_pinyin_prefix(run[reached:]) if reached > 0 and len(run) - reached >= 2 else ()
    if not beginning:
        return None
    return (*best[reached][1], Clause(frozenset(one.word for one in beginning)))


# -- slips -----------------------------------------------------------------------------------------------------------

_HOMOPHONE, _SLIP = 2, 3


def corrected(stretches: Sequence[str], vocabulary: Vocabulary) -> Question | None:
    """The question with each word that the index does not know replaced by those that sound alike or differ by one
    sign; None where a stretch cannot be read that way."""
    parts: list[list[Reading]] = []
    written = []
    for run in stretches:
        found = _mended(run, vocabulary)
        if found is None:
            return None
        reading, text = found
        parts.append([reading])
        written.append(text)
    return Question(parts, " ".join(written))


def _mended(run: str, vocabulary: Vocabulary) -> tuple[Reading, str] | None:
    """The reading of `run` that costs least, over all ways to part it."""
    longest = _LONGEST_CHINESE if is_chinese(run) else _LONGEST_LETTERS + 1
    shortest = 1 if is_chinese(run) else 2
    pieces = {
        run[start:end]
        for start in range(len(run))
        for end in range(start + shortest, min(start + longest, len(run)) + 1)
    }
    ways = _ways(pieces, vocabulary)
    best: dict[int, tuple[int, Reading, str]] = {0: (0, (), "")}
    for end in range(1, len(run) + 1):
        options = [
            (cost + best[start][0] + 1, (*best[start][1], Clause(words)), best[start][2] + text)
            for start in range(max(0, end - longest), end)
            if start in best and run[start:end] in ways
            for cost, words, text in [ways[run[start:end]]]
        ]
        if options:
            best[end] = min(options, key=lambda option: option[0])
    return best[len(run)][1:] if len(run) in best else None


def _ways(pieces: set[str], vocabulary: Vocabulary) -> dict[str, tuple[int, frozenset[str], str]]:
    """For each piece that can be read: what it costs, the words it may be, and the likeliest of them."""
    sounds = {piece: "".join(syllables(sign)[0] for sign in piece) for piece in pieces if is_chinese(piece)}
    sounds |= {piece: piece for piece in pieces if not is_chinese(piece)}
    exact = vocabulary.existing(pieces)
    heard = vocabulary.by_pinyin({*sounds.values(), *(pinyin(piece) for piece in sounds)})
    forms = {piece: misspellings(piece) for piece in pieces if len(piece) >= (2 if is_chinese(piece) else 3)}
    near = vocabulary.by_form({form for several in forms.values() for form in several})
    ways: dict[str, tuple[int, frozenset[str], str]] = {}
    for piece in sorted(pieces):
        if piece in exact:
            ways[piece] = (0, frozenset({piece}), piece)
            continue
        alike = [one for one in heard.get(sounds[piece], ()) if len(one.word) == len(piece) or not is_chinese(piece)]
        if alike and len(piece) > 1:
            cost = _HOMOPHONE if is_chinese(piece) else 0
            ways[piece] = (cost, frozenset(one.word for one in alike), alike[0].word)
            continue
        slips = [one for form in sorted(forms.get(piece, ())) for one in near.get(form, ()) if _one_slip(piece, one)]
        if slips:
            ways[piece] = (_SLIP, frozenset(one.word for one in slips), slips[0].word)
    return ways


def _one_slip(piece: str, known: Known) -> bool:
    """Whether one wrong, missing, extra or swapped sign parts `piece` from the word, or from its pinyin."""
    target = known.word if is_chinese(piece) == is_chinese(known.word) else known.pinyin
    if is_chinese(piece) and len(known.word) != len(piece) and min(len(piece), len(known.word)) < 3:
        return False
    return OSA.distance(piece, target, score_cutoff=1) <= 1
