"""How the index is kept: tables `search_*` of schema `catalog`.

Only what is published is ever here. A set of resources (services/catalog/search/bits.py) per term; the terms of a
resource lie beside it, so that a later version takes exactly its own bits away again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Identity,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    any_,
    cast,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from services.catalog.store import Base

# Comparing bytes makes prefixes a range of the index, whatever the language of the database.
WORD = Text(collation="C")


class SearchResource(Base):
    """A published resource as the search shows it, with the terms that lead to it and how often it was used."""

    __tablename__ = "search_resources"
    ordinal: Mapped[int] = mapped_column(Integer, Identity(start=0, minvalue=0), primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    uses: Mapped[int] = mapped_column(BigInteger, default=0)
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    terms: Mapped[list[str]] = mapped_column(ARRAY(Text))


class SearchPosting(Base):
    """Which resources of a chunk a term leads to; `revision` is that of the index when it last changed."""

    __tablename__ = "search_postings"
    term: Mapped[str] = mapped_column(WORD, primary_key=True)
    chunk: Mapped[int] = mapped_column(Integer, primary_key=True)
    members: Mapped[bytes] = mapped_column(LargeBinary)
    revision: Mapped[int] = mapped_column(BigInteger)


class SearchWord(Base):
    """A word that was ever published, and how it sounds; it steers searches and is never shown by itself."""

    __tablename__ = "search_words"
    word: Mapped[str] = mapped_column(WORD, primary_key=True)
    pinyin: Mapped[str] = mapped_column(WORD)
    initials: Mapped[str] = mapped_column(WORD)
    __table_args__ = (Index("ix_search_words_pinyin", "pinyin"), Index("ix_search_words_initials", "initials"))


class SearchSpelling(Base):
    """A form that a misspelt word has in common with the right one."""

    __tablename__ = "search_spellings"
    form: Mapped[str] = mapped_column(WORD, primary_key=True)
    word: Mapped[str] = mapped_column(WORD, primary_key=True)


class SearchLabel(Base):
    """What a value of a facet is called."""

    __tablename__ = "search_labels"
    field: Mapped[str] = mapped_column(String(20), primary_key=True)
    value: Mapped[str] = mapped_column(Text, primary_key=True)
    label: Mapped[str] = mapped_column(Text)


class SearchLexeme(Base):
    """A word of the place that the general dictionary does not know."""

    __tablename__ = "search_lexicon"
    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    word: Mapped[str] = mapped_column(WORD, unique=True)


class SearchState(Base):
    """One row: the revision of the index, raised by each change; its lock makes changes follow one another.

    `rebuilt` is the revision at which the whole index was last made anew.
    """

    __tablename__ = "search_state"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger)
    rebuilt: Mapped[int] = mapped_column(BigInteger)


def among(column: InstrumentedAttribute[str], values: Iterable[str]) -> ColumnElement[bool]:
    """One parameter however many values: a long IN would be written, sent and planned value by value."""
    return column == any_(cast(sorted(set(values)), ARRAY(Text)))
