"""Keeping the index: in the transaction that publishes, so that a search sees what is published and nothing else.

`index` and `remove` take the lock of the index until the transaction ends: call them last in it.
"""

from __future__ import annotations

import json
import threading
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import psycopg
from sqlalchemy import Text, cast, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from services.catalog.domain.resource import PublishedResource
from services.catalog.search import bits
from services.catalog.search.store import (
    SearchLabel,
    SearchLexeme,
    SearchPosting,
    SearchResource,
    SearchSpelling,
    SearchState,
    SearchWord,
    among,
)
from services.catalog.search.terms import Indexer, document_of, facet_values, use_term, words_of
from services.catalog.search.words import Cutter, initials, pinyin, plain, spelling_forms

_cutters: dict[tuple[str, int], tuple[Cutter, Indexer]] = {}
_making = threading.Lock()


def cutter(session: Session) -> tuple[Cutter, Indexer]:
    """The cutter with the words of the place as they are now, and the indexer that goes with it."""
    # ids are given under the lock of the index and never twice, so the last one says which words there are
    last = session.scalar(select(func.max(SearchLexeme.id))) or 0
    key = (database(session), last)
    with _making:
        if key not in _cutters:
            made = Cutter(own_words(session))
            _cutters.clear()
            _cutters[key] = (made, Indexer(made))
        return _cutters[key]


def database(session: Session) -> str:
    """Which database a session is on, for what a process keeps of it."""
    return str(session.get_bind().engine.url)


def index(session: Session, published: PublishedResource) -> None:
    """Let `published` be found from the commit of the session's transaction on, in place of what it said before."""
    revision = _lock(session)
    _, indexer = cutter(session)
    document = document_of(published)
    terms = indexer.terms(document)
    found = session.scalar(select(SearchResource).where(SearchResource.code == published.code))
    if found is None:
        found = SearchResource(code=published.code, uses=0, document=document, terms=sorted(terms))
        session.add(found)
        session.flush()
        _change(session, revision, found.ordinal, add=terms | {use_term(0)}, take=set())
    else:
        before = set(found.terms)
        found.document, found.terms = document, sorted(terms)
        _change(session, revision, found.ordinal, add=terms - before, take=before - terms)
    _learn(session, words_of(terms))
    labels = [
        {"field": field, "value": value, "label": label}
        for field, values in facet_values(document).items()
        for value, label in values.items()
    ]
    told = upsert(SearchLabel)
    session.execute(
        told.on_conflict_do_update(
            index_elements=["field", "value"],
            set_={"label": told.excluded.label},
            where=SearchLabel.label != told.excluded.label,
        ),
        labels,
    )
    session.flush()


def remove(session: Session, code: str) -> None:
    """Let a resource no longer be found (it was withdrawn); does nothing where there is none."""
    revision = _lock(session)
    found = session.scalar(select(SearchResource).where(SearchResource.code == code))
    if found is None:
        return
    _change(session, revision, found.ordinal, add=set(), take={*found.terms, use_term(found.uses)})
    session.delete(found)
    session.flush()


def used(session: Session, uses: Mapping[str, int]) -> None:
    """Set how often resources are used, by code; codes that are not published are passed over."""
    if min(uses.values(), default=0) < 0:
        raise ValueError("a use cannot be less than none")
    kept = select(SearchResource.ordinal, SearchResource.code, SearchResource.uses).where(
        among(SearchResource.code, uses)
    )
    changed = [row for row in session.execute(kept.order_by(SearchResource.ordinal)) if row.uses != uses[row.code]]
    revision = _lock(session) if changed else 0
    for ordinal, code, before in changed:
        counted = update(SearchResource).where(SearchResource.ordinal == ordinal).values(uses=uses[code])
        still = session.execute(counted.returning(SearchResource.ordinal)).one_or_none()
        if still and use_term(before) != use_term(uses[code]):
            _change(session, revision, ordinal, add={use_term(uses[code])}, take={use_term(before)})


def in_use(session: Session) -> set[str]:
    """The codes of what was used at all."""
    return set(session.scalars(select(SearchResource.code).where(SearchResource.uses > 0)))


def is_new(session: Session) -> bool:
    """Whether nothing was ever indexed: what was published before there was a search is to be filled in (`rebuild`)."""
    return session.scalar(select(SearchState.revision)) == 0


def own_words(session: Session) -> list[str]:
    """The words that the place has added, in the order in which it did."""
    return list(session.scalars(select(SearchLexeme.word).order_by(SearchLexeme.id)))


def add_words(session: Session, words: Iterable[str]) -> None:
    """Let the cutter keep `words` whole (each must be one: `is_word`), and cut again what holds one of them."""
    kept = list(map(plain, words))
    revision = _lock(session)
    session.execute(upsert(SearchLexeme).on_conflict_do_nothing(), [{"word": word} for word in kept])
    _, fresh = cutter(session)
    for ordinal in sorted(_holding(session, kept)):
        found = session.get_one(SearchResource, ordinal)
        before, terms = set(found.terms), fresh.terms(found.document)
        found.terms = sorted(terms)
        _change(session, revision, ordinal, add=terms - before, take=before - terms)
        _learn(session, words_of(terms))
    session.flush()


def rebuild(session: Session, resources: Iterable[PublishedResource], uses: Mapping[str, int] | None = None) -> None:
    """Make the index anew of all that is published, as a reader does that starts from the topics.

    Counts of use are kept, or those given by code in `uses`.
    """
    revision = _lock(session)
    session.execute(update(SearchState).values(rebuilt=revision))
    cut, _ = cutter(session)
    indexer = Indexer(cut)
    counts = select(SearchResource.code, SearchResource.uses).where(SearchResource.uses > 0)
    used_before = uses if uses is not None else {row.code: row.uses for row in session.execute(counts)}
    for table in (SearchPosting, SearchResource, SearchWord, SearchSpelling, SearchLabel):
        session.execute(delete(table))
    postings: dict[str, array[int]] = defaultdict(lambda: array("I"))
    labels: dict[tuple[str, str], str] = {}
    driver = session.connection().connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    last = -1
    with (
        driver.cursor() as cursor,
        cursor.copy("copy catalog.search_resources (ordinal, code, uses, document, terms) from stdin") as rows,
    ):
        for ordinal, resource in enumerate(resources):
            last, document = ordinal, document_of(resource)
            terms, count = indexer.terms(document), used_before.get(resource.code, 0)
            rows.write_row((ordinal, resource.code, count, json.dumps(document, ensure_ascii=False), sorted(terms)))
            for term in (*terms, use_term(count)):
                postings[term].append(ordinal)
            for field, values in facet_values(document).items():
                labels |= {(field, value): label for value, label in values.items()}
    sequence = "select setval(pg_get_serial_sequence('catalog.search_resources', 'ordinal'), :last, :used)"
    session.execute(text(sequence), {"last": max(last, 0), "used": last >= 0})
    _copy(driver, "search_postings (term, chunk, members, revision)", _chunked(postings, revision))
    words = sorted(words_of(postings))
    _copy(driver, "search_words (word, pinyin, initials)", ((word, pinyin(word), initials(word)) for word in words))
    _copy(
        driver,
        "search_spellings (form, word)",
        ((form, word) for word in words for form in sorted(spelling_forms(word))),
    )
    _copy(driver, "search_labels (field, value, label)", ((*key, label) for key, label in sorted(labels.items())))


def _chunked(postings: dict[str, array[int]], revision: int) -> Iterable[tuple[str, int, bytes, int]]:
    for term, ordinals in sorted(postings.items()):
        for chunk, several in groupby(ordinals, lambda ordinal: bits.place(ordinal)[0]):
            content = bytearray(bits.CHUNK_BYTES)
            for ordinal in several:
                bit = bits.place(ordinal)[1]
                content[bit >> 3] |= 1 << (bit & 7)
            yield term, chunk, bytes(content), revision


def _copy(driver: psycopg.Connection[Any], where: str, rows: Iterable[Sequence[Any]]) -> None:
    with driver.cursor() as cursor, cursor.copy(f"copy catalog.{where} from stdin".encode()) as copy:
        for row in rows:
            copy.write_row(row)


def _lock(session: Session) -> int:
    """The new revision of the index. Changes follow one another, so that revisions are committed in their order."""
    raised = update(SearchState).values(revision=SearchState.revision + 1).returning(SearchState.revision)
    return session.execute(raised.execution_options(synchronize_session=False)).scalar_one()


def _change(session: Session, revision: int, ordinal: int, *, add: set[str], take: set[str]) -> None:
    chunk, bit = bits.place(ordinal)
    if add:
        session.execute(
            text(
                "insert into catalog.search_postings as kept (term, chunk, members, revision)"
                " select unnest(cast(:terms as text[])), :chunk, :single, :revision"
                " on conflict (term, chunk) do update"
                " set members = set_bit(kept.members, :bit, 1), revision = :revision"
            ),
            {"terms": sorted(add), "chunk": chunk, "single": bits.single(bit), "bit": bit, "revision": revision},
        )
    if take:
        gone = (SearchPosting.chunk == chunk) & SearchPosting.term.in_(sorted(take))
        session.execute(
            update(SearchPosting)
            .where(gone)
            .values(members=func.set_bit(SearchPosting.members, bit, 0), revision=revision)
            .execution_options(synchronize_session=False)
        )
        session.execute(
            delete(SearchPosting)
            # an empty facet stays: searches that know its old members learn of the change by the revision
            .where(gone, func.bit_count(SearchPosting.members) == 0, ~SearchPosting.term.startswith("f:"))
            .execution_options(synchronize_session=False)
        )


def _learn(session: Session, words: set[str]) -> None:
    """Keep words that were not there before. They stay when their last resource goes: alone they lead nowhere."""
    known = set(session.scalars(select(SearchWord.word).where(among(SearchWord.word, words))))
    new = sorted(words - known)
    spelt = [{"form": form, "word": word} for word in new for form in sorted(spelling_forms(word))]
    if new:
        heard = [{"word": word, "pinyin": pinyin(word), "initials": initials(word)} for word in new]
        session.execute(insert(SearchWord), heard)
    if spelt:
        session.execute(insert(SearchSpelling), spelt)


def _holding(session: Session, words: Iterable[str]) -> set[int]:
    """The resources that may hold one of `words`; a scan, for words are added rarely."""
    said = func.lower(func.normalize(cast(SearchResource.document, Text), text("NFKC")))
    found: set[int] = set()
    for word in words:
        found |= set(session.scalars(select(SearchResource.ordinal).where(func.strpos(said, word) > 0)))
    return found
