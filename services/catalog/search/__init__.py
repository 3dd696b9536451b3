"""Search over the published catalogue: Chinese words, pinyin, initials, slips, facets; kept in Postgres.

`index`, `remove` and `used` keep it, in the transaction of what they follow; `search`, `suggest` and `related` ask it.
Why sets of bits and not the database's own full text: docs/decisions/0004-catalogue-search.md.
"""

from services.catalog.search.find import related, search, suggest, warm
from services.catalog.search.index import add_words, in_use, index, is_new, own_words, rebuild, remove, used
from services.catalog.search.terms import is_word

__all__ = [
    "add_words", "in_use", "index", "is_new", "is_word", "own_words", "rebuild", "related", "remove", "search",
    "suggest", "used", "warm",
]  # fmt: skip
