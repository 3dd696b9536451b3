"""What leads to a resource: the terms of its published state.

t:<word>    a word of its title                   g:<signs>   one or two neighbouring Chinese signs
w:<word>    a word of anything it says            i:<letters> initials, from a word of its title on
e:<text>    its whole title, or one of its codes  f:<facet>=<value>
k:<code>    its code        r:<code> a resource that it names as related        s:<code> its service item
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from services.catalog.domain.resource import PublishedResource
from services.catalog.search.words import Cutter, grams, is_chinese, plain, runs, title_initials

FACETS = ("department", "category", "sharing_type", "grade", "update_cycle", "channel")
LONGEST_INITIALS = 6
_LONGEST_EXACT = 200

Document = Mapping[str, Any]


def document_of(resource: PublishedResource) -> dict[str, Any]:
    """What the search keeps of a resource: what it finds it by, and what it shows."""
    return {
        "code": resource.code,
        "catalogue_code": resource.catalogue_code,
        "title": resource.title,
        "abstract": resource.abstract,
        "department": resource.department,
        "department_name": resource.department_name or resource.department,
        "category": [{"code": step.code, "name": step.name} for step in resource.category],
        "sharing_type": resource.sharing_type.value,
        "grade": resource.grade.value,
        "update_cycle": resource.update_cycle.value,
        "channel": [channel.value for channel in resource.sharing_channels],
        "scenario": resource.scenario,
        "service_item": {"code": resource.service_item.code, "name": resource.service_item.name}
        if resource.service_item
        else None,
        "related": list(resource.related),
        "keywords": list(resource.keywords),
        "items": [{"name": item.name, "title": item.title} for item in resource.items],
        "published_at": resource.published_at.isoformat(),
    }


def squeezed(text: str) -> str:
    """`text` without what parts its words, for comparing whole titles and codes."""
    return "".join(runs(text))[:_LONGEST_EXACT]


def facet_term(field: str, value: str) -> str:
    return f"f:{field}={value}"


def facet_values(document: Document) -> dict[str, dict[str, str]]:
    """By facet, the values that a resource counts for and what each is called; a category counts for those above it."""
    return {
        "department": {document["department"]: document["department_name"]},
        "category": {step["code"]: step["name"] for step in document["category"]},
        **{name: {document[name]: document[name]} for name in ("sharing_type", "grade", "update_cycle")},
        "channel": {channel: channel for channel in document["channel"]},
    }


def use_rank(uses: int) -> int:
    """How use ranks: by its order of magnitude (0, 1, 2 to 3, 4 to 7, …), so that a few more uses change nothing."""
    return uses.bit_length()


def use_term(uses: int) -> str:
    return facet_term("use", f"{use_rank(uses):02d}")


class Indexer:
    """Makes the terms of documents with one cutter; texts that many resources share are cut once."""

    def __init__(self, cutter: Cutter) -> None:
        self._cutter = cutter
        self._words = lru_cache(maxsize=50_000)(self._cut)
        self._grams = lru_cache(maxsize=50_000)(lambda text: frozenset(grams(text)))

    def _cut(self, text: str) -> frozenset[str]:
        return frozenset(token.word for token in self._cutter.tokens(text))

    def terms(self, document: Document) -> set[str]:
        title = document["title"]
        found = {f"t:{word}" for word in self._words(title)}
        found |= {f"w:{word}" for text in self._texts(document) for word in self._words(text)}
        found |= {f"g:{gram}" for text in self._short_texts(document) for gram in self._grams(text)}
        letters = title_initials(self._cutter.tokens(title), title, LONGEST_INITIALS)
        found |= {f"i:{one}" for one in letters}
        exact = (squeezed(title), squeezed(document["code"]), squeezed(document["catalogue_code"]))
        found |= {f"e:{one}" for one in exact if one}
        found |= {f"k:{document['code']}", *(f"r:{code}" for code in document["related"])}
        if document["service_item"]:
            found.add(f"s:{document['service_item']['code']}")
        return found | {
            facet_term(field, value) for field, values in facet_values(document).items() for value in values
        }

    def subject_words(self, document: Document) -> set[str]:
        """The Chinese words of its title, keywords and items: what a resource is about."""
        texts = (document["title"], *document["keywords"], *(item["title"] for item in document["items"]))
        return {word for text in texts for word in self._words(text) if len(word) > 1 and is_chinese(word)}

    @staticmethod
    def _short_texts(document: Document) -> Iterable[str]:
        yield document["title"]
        yield document["department_name"]
        yield from document["keywords"]
        for item in document["items"]:
            yield item["title"]

    def _texts(self, document: Document) -> Iterable[str]:
        yield from self._short_texts(document)
        yield document["abstract"]
        yield document["scenario"] or ""
        yield document["code"]
        if document["service_item"]:
            yield document["service_item"]["name"]
        for step in document["category"]:
            yield step["name"]
        for item in document["items"]:
            yield item["name"]


def words_of(terms: Iterable[str]) -> set[str]:
    """The words among `terms`."""
    return {term[2:] for term in terms if term.startswith("w:")}


def is_word(text: str) -> bool:
    """Whether the cutter can keep `text` whole: 2 to 24 signs that nothing parts."""
    kept = plain(text)
    return 2 <= len(kept) <= 24 and runs(kept) == [kept]
