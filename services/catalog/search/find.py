"""Searching the catalogue: one function that answers with hits, facets, total and a cursor.

Hits are ranked by how they match (whole title or code, words of the title, words of anything), within that by the
order of magnitude of use, within that in the order in which they were first published. Run it in a transaction of its
own; in one with REPEATABLE READ all its parts speak of one moment.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import and_, or_

from sqlalchemy import ColumnElement, literal_column, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from services.catalog.search import bits, query
from services.catalog.search.highlight import Marked, Sought, excerpt
from services.catalog.search.index import cutter, database
from services.catalog.search.query import Clause, Known, Question, Vocabulary
from services.catalog.search.store import (
    SearchLabel,
    SearchPosting,
    SearchResource,
    SearchSpelling,
    SearchState,
    SearchWord,
    among,
)
from services.catalog.search.terms import FACETS, LONGEST_INITIALS, Document, squeezed
from services.catalog.search.words import Cutter, pinyin

_COMPLETIONS = 60
_ITEMS_SHOWN = 5
_RELATED_TERMS = 16


class CursorInvalid(ValueError):
    """The cursor is not one that a search gave."""


class FacetUnknown(ValueError):
    """There is no such facet to filter by."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A resource that was found; `items` are those that match, at most five."""

    code: str
    title: Marked
    abstract: Marked
    items: tuple[tuple[str, Marked], ...]
    uses: int
    document: Document


@dataclass(frozen=True, slots=True)
class FacetValue:
    """How many of the hits a choice would leave, given the choices made in the other facets."""

    value: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Found:
    """`understood` says how the text was read where it was not found as typed; `next` is the cursor of what follows."""

    hits: tuple[Hit, ...]
    total: int
    facets: Mapping[str, Sequence[FacetValue]] = field(default_factory=dict)
    next: str | None = None
    understood: str | None = None


# -- what a process keeps: the sets of the facets, as long as the index does not change --------------------------------


@dataclass(frozen=True, slots=True)
class _Facets:
    revision: int
    sets: Mapping[str, Mapping[str, int]]
    labels: Mapping[tuple[str, str], str]

    @property
    def everything(self) -> int:
        return reduce(or_, self.sets.get("use", {}).values(), 0)


_kept: dict[str, _Facets] = {}
_keeping = threading.Lock()


def _facets(session: Session) -> _Facets:
    # what this very transaction changed may still be rolled back: nothing of it is kept
    mine: ColumnElement[bool] = literal_column("xmin::text = pg_current_xact_id_if_assigned()::xid::text")
    revision, rebuilt, unsure = session.execute(select(SearchState.revision, SearchState.rebuilt, mine)).one()
    where = database(session)
    kept = _kept.get(where)
    if kept is not None and kept.revision == revision and not unsure:
        return kept
    if kept is None or not rebuilt <= kept.revision <= revision or unsure:
        kept = _Facets(-1, {}, {})
    changed = select(SearchPosting.term, SearchPosting.chunk, SearchPosting.members).where(
        SearchPosting.term >= "f:", SearchPosting.term < "f;", SearchPosting.revision > kept.revision
    )
    sets = {name: dict(values) for name, values in kept.sets.items()}
    for term, chunk, members in session.execute(changed):
        name, _, value = term[2:].partition("=")
        values = sets.setdefault(name, {})
        values[value] = bits.replaced(values.get(value, 0), chunk, members)
    rows = session.execute(select(SearchLabel.field, SearchLabel.value, SearchLabel.label))
    labels = {(name, value): label for name, value, label in rows}
    made = _Facets(revision, sets, labels)
    if not unsure:
        with _keeping:
            newest = _kept.get(where)
            if newest is None or newest.revision < revision:
                _kept[where] = made
    return made


# -- the index as a question sees it ---------------------------------------------------------------------------------


def _vocabulary(session: Session) -> Vocabulary:
    columns = (SearchWord.word, SearchWord.pinyin)

    def by_pinyin(sounds: Iterable[str]) -> dict[str, list[Known]]:
        found: dict[str, list[Known]] = defaultdict(list)
        for word, sound in session.execute(select(*columns).where(among(SearchWord.pinyin, sounds))):
            found[sound].append(Known(word, sound))
        return found

    def by_prefix(column: InstrumentedAttribute[str], beginning: str) -> list[Known]:
        after = beginning[:-1] + chr(ord(beginning[-1]) + 1)
        matching = select(*columns).where(column >= beginning, column < after)
        rows = session.execute(matching.order_by(column).limit(_COMPLETIONS))
        return [Known(word, sound) for word, sound in rows]

    def by_initials(letters: str) -> list[Known]:
        if len(letters) < 2:
            return []
        rows = session.execute(select(*columns).where(SearchWord.initials == letters).limit(_COMPLETIONS))
        return [Known(word, sound) for word, sound in rows]

    def by_form(forms: Iterable[str]) -> dict[str, list[Known]]:
        # joined to the words in the database, hundreds of forms would be planned as a scan of all words
        found: dict[str, list[Known]] = defaultdict(list)
        for form, word in session.execute(
            select(SearchSpelling.form, SearchSpelling.word).where(among(SearchSpelling.form, forms))
        ):
            found[form].append(Known(word, pinyin(word)))
        return found

    def existing(words: Iterable[str]) -> set[str]:
        return set(session.scalars(select(SearchWord.word).where(among(SearchWord.word, words))))

    return Vocabulary(
        by_pinyin=by_pinyin,
        by_beginning=partial(by_prefix, SearchWord.word),
        by_pinyin_prefix=partial(by_prefix, SearchWord.pinyin),
        by_initials=by_initials,
        by_form=by_form,
        existing=existing,
    )


def _sets(session: Session, terms: Iterable[str]) -> dict[str, int]:
    parts: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    postings = select(SearchPosting.term, SearchPosting.chunk, SearchPosting.members)
    for term, chunk, members in session.execute(postings.where(among(SearchPosting.term, terms))):
        parts[term].append((chunk, members))
    return {term: bits.joined(chunks) for term, chunks in parts.items()}


@dataclass(frozen=True, slots=True)
class _Match:
    """Sets of resources: whole title or code, title, anywhere (each holds the one before)."""

    exact: int = 0
    title: int = 0
    anywhere: int = 0


def _match(session: Session, question: Question, whole: str) -> _Match:
    if not question.parts:
        return _Match()
    wanted = {f"e:{whole}"}
    for clause in question.clauses():
        wanted |= {f"{kind}:{word}" for word in clause.words for kind in "tw"} | {f"g:{one}" for one in clause.grams}
        if clause.initials:
            wanted.add(f"i:{clause.initials[:LONGEST_INITIALS]}")
    sets = _sets(session, wanted)

    def met(clause: Clause, kind: str) -> int:
        found = reduce(or_, (sets.get(f"{kind}:{word}", 0) for word in clause.words), 0)
        if clause.initials:
            found |= sets.get(f"i:{clause.initials[:LONGEST_INITIALS]}", 0)
        if kind == "w":
            found |= reduce(or_, (sets.get(f"g:{gram}", 0) for gram in clause.grams), 0)
        return found

    def all_met(kind: str) -> int:
        parts = [
            reduce(or_, (reduce(and_, (met(clause, kind) for clause in reading)) for reading in readings))
            for readings in question.parts
        ]
        return reduce(and_, parts)

    exact = sets.get(f"e:{whole}", 0)
    title = all_met("t") | exact
    return _Match(exact, title, all_met("w") | title)


def _ask(session: Session, text: str, cut: Cutter, *, typing: bool) -> tuple[Question, _Match, bool]:
    """The question, what matches it, and whether it had to be read otherwise than typed."""
    stretches, vocabulary = query.asked(text), _vocabulary(session)
    whole = squeezed(text)
    question = query.strict(stretches, cut, vocabulary, typing=typing)
    match = _match(session, question, whole)
    if match.anywhere or not stretches:
        return question, match, False
    signs = query.by_signs(stretches, cut, vocabulary)
    # signs across words find what was cut otherwise; a single word that is not there must not be found by them
    # (市长 is not in 南京市长江大桥)
    if any(len(cut.words(run)) > 1 for run in stretches):
        match = _match(session, signs, whole)
        if match.anywhere:
            return signs, match, False
    mended = query.corrected(stretches, vocabulary)
    if mended is not None:
        match = _match(session, mended, whole)
        if match.anywhere:
            return mended, match, True
    return (*_nearly(session, signs), True)


def _nearly(session: Session, signs: Question) -> tuple[Question, _Match]:
    """What holds all but two of the neighbouring signs of a long text: as many as one wrong sign spoils."""
    clauses = list(signs.clauses())
    pairs = sorted({gram for clause in clauses for gram in clause.grams if len(gram) == 2})
    if len(pairs) < 4 or any(not clause.grams for clause in clauses):
        return signs, _Match()
    sets = _sets(session, (f"g:{pair}" for pair in pairs))
    return signs, _Match(0, 0, bits.at_least(list(sets.values()), len(pairs) - 2) if sets else 0)


_WARMING = ("人口信息", "renkou", "rkxx", "仁口信息")


# -- the answer ------------------------------------------------------------------------------------------------------


def search(
    session: Session,
    text: str = "",
    *,
    filters: Mapping[str, Sequence[str]] | None = None,
    limit: int = 20,
    cursor: str | None = None,
    typing: bool = False,
    facets: bool = True,
    titles: bool = False,
) -> Found:
    """Resources that hold all words of `text` (all resources where it has none), narrowed by `filters`.

    With `typing` the last word may be a beginning only; with `titles` only titles (and codes) count.
    A filter names a facet and the values that will do. Facets are counted over all hits, each without its own filter.
    Raises CursorInvalid and FacetUnknown.
    """
    chosen = {name: values for name, values in (filters or {}).items() if values}
    if unknown := set(chosen) - set(FACETS):
        raise FacetUnknown(", ".join(sorted(unknown)))
    after = _after(cursor)
    known = _facets(session)
    cut, _ = cutter(session)
    if query.asked(text):
        question, match, mended = _ask(session, text, cut, typing=typing)
    else:
        question, match, mended = Question((), ""), _Match(0, 0, known.everything if not text.strip() else 0), False
    if titles:
        match = _Match(match.exact, match.title, match.title)
    allowed = {
        name: reduce(or_, (known.sets.get(name, {}).get(value, 0) for value in values), 0)
        for name, values in chosen.items()
    }
    hits = reduce(and_, allowed.values(), match.anywhere)
    ranked = _ranked(hits, match, known.sets.get("use", {}), after)
    page = [place for place, _ in zip(ranked, range(limit + 1), strict=False)]
    following = _cursor(page[limit - 1]) if len(page) > limit else None
    return Found(
        hits=tuple(_shown(session, [ordinal for _, _, ordinal in page[:limit]], question, cut)),
        total=hits.bit_count(),
        facets={name: _counted(name, known, match.anywhere, allowed) for name in FACETS} if facets else {},
        next=following,
        understood=question.written if mended and hits else None,
    )


def warm(session: Session) -> None:
    """Have loaded what the first question of a process would wait for: the dictionary, pinyin, the statements."""
    for text in _WARMING:
        search(session, text)


def _ranked(
    hits: int, match: _Match, by_use: Mapping[str, int], after: tuple[int, int, int] | None
) -> Iterator[tuple[int, int, int]]:
    """`(tier, order of use, ordinal)` of the hits in their order, from behind `after` on."""
    tiers = (match.exact, match.title & ~match.exact, ~match.title)
    for tier, inside in enumerate(tiers):
        for name in sorted(by_use, reverse=True):
            use = int(name)
            if after is not None and (tier, -use) < (after[0], -after[1]):
                continue
            start = after[2] if after is not None and (tier, use) == after[:2] else -1
            for ordinal in bits.members(hits & inside & by_use[name], start):
                yield tier, use, ordinal


def _counted(name: str, known: _Facets, hits: int, allowed: Mapping[str, int]) -> list[FacetValue]:
    others = reduce(and_, (one for other, one in allowed.items() if other != name), hits)
    counts = ((value, (one & others).bit_count()) for value, one in known.sets.get(name, {}).items())
    found = [FacetValue(value, known.labels.get((name, value), value), count) for value, count in counts if count]
    return sorted(found, key=lambda one: (-one.count, one.value))


def _shown(session: Session, ordinals: Sequence[int], question: Question, cut: Cutter) -> Iterator[Hit]:
    rows = session.execute(
        select(SearchResource.ordinal, SearchResource.code, SearchResource.uses, SearchResource.document).where(
            SearchResource.ordinal.in_(ordinals)
        )
    )
    by_ordinal = {row.ordinal: row for row in rows}
    sought = Sought(
        frozenset(word for clause in question.clauses() for word in clause.words),
        frozenset(gram for clause in question.clauses() for gram in clause.grams),
        frozenset(clause.initials for clause in question.clauses() if clause.initials),
    )
    for ordinal in ordinals:
        if ordinal not in by_ordinal:
            continue
        row = by_ordinal[ordinal]
        document = row.document
        items = [(item["name"], sought.marked(cut, item["title"])) for item in document["items"]]
        yield Hit(
            code=row.code,
            title=sought.marked(cut, document["title"], title=True),
            abstract=excerpt(sought.marked(cut, document["abstract"])),
            items=tuple(item for item in items if item[1].ranges)[:_ITEMS_SHOWN],
            uses=row.uses,
            document=document,
        )


def _cursor(place: tuple[int, int, int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _after(cursor: str | None) -> tuple[int, int, int] | None:
    if cursor is None:
        return None
    try:
        tier, use, ordinal = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise CursorInvalid(cursor) from error
    if any(type(one) is not int or not 0 <= one < 2**31 for one in (tier, use, ordinal)):
        raise CursorInvalid(cursor)
    return tier, use, ordinal


# -- suggestions and relations ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A title that what was typed may become."""

    code: str
    title: Marked


def suggest(session: Session, text: str, limit: int = 10) -> list[Suggestion]:
    """Titles that the text may become, best first; of resources with one title the most used one."""
    if not query.asked(text):
        return []
    found = search(session, text, limit=limit * 2, typing=True, facets=False, titles=True)
    first: dict[str, Suggestion] = {}
    for hit in found.hits:
        first.setdefault(hit.title.text, Suggestion(hit.code, hit.title))
    return list(first.values())[:limit]


@dataclass(frozen=True, slots=True)
class Relation:
    """A resource that has to do with another, and why: `declared`, `service_item`, `category`, `items`."""

    code: str
    title: str
    department_name: str
    reasons: tuple[str, ...]


def related(session: Session, code: str, limit: int = 10) -> list[Relation] | None:
    """Published resources related to a resource, closest first; None where no such resource is published.

    First those that it names, or that name it, then those that share most of the words that are rarest in its title and
    items.
    """
    own = session.execute(
        select(SearchResource.ordinal, SearchResource.document).where(SearchResource.code == code)
    ).one_or_none()
    if own is None:
        return None
    known = _facets(session)
    document = own.document
    others = ~(1 << own.ordinal)
    category = document["category"][-1]["code"] if document["category"] else None
    same_category = known.sets.get("category", {}).get(category, 0) & others if category else 0
    service_item = document["service_item"]["code"] if document["service_item"] else None
    wanted = [f"r:{code}", *(f"k:{one}" for one in document["related"])]
    wanted += [f"s:{service_item}"] if service_item else []
    _, indexer = cutter(session)
    shared = [f"w:{word}" for word in sorted(indexer.subject_words(document))]
    sets = _sets(session, [*wanted, *shared])
    declared = reduce(or_, (sets.get(term, 0) for term in wanted if not term.startswith("s:")), 0) & others
    served = sets.get(f"s:{service_item}", 0) & others if service_item else 0
    rare = sorted((sets.get(term, 0) & others for term in shared), key=int.bit_count)
    rare = [one for one in rare if one][:_RELATED_TERMS]
    near = bits.at_least(rare, max(2, len(rare) // 3))
    order: list[int] = []
    for one in (declared, served, *(bits.at_least(rare, count) for count in range(len(rare), 1, -1)), same_category):
        for ordinal in bits.members(one):
            if len(order) >= limit:
                break
            if ordinal not in order:
                order.append(ordinal)
    rows = session.execute(
        select(SearchResource.ordinal, SearchResource.code, SearchResource.document).where(
            SearchResource.ordinal.in_(order)
        )
    )
    by_ordinal = {row.ordinal: row for row in rows}
    reasons = (("declared", declared), ("service_item", served), ("category", same_category), ("items", near))
    return [
        Relation(
            code=by_ordinal[ordinal].code,
            title=by_ordinal[ordinal].document["title"],
            department_name=by_ordinal[ordinal].document["department_name"],
            reasons=tuple(reason for reason, one in reasons if one >> ordinal & 1) or ("items",),
        )
        for ordinal in order
        if ordinal in by_ordinal
    ]
