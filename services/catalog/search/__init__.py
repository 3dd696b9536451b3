"""Search over the published catalogue: Chinese words, pinyin, initials, slips, facets; kept in Postgres.

`index`, `remove` and `used` keep it, in the transaction of what they follow; `search`, `suggest` and `related` ask it.
Why sets of bits and not the database's own full text: docs/decisions/0004-catalogue-search.md.
"""

from services.catalog.search.find import related, search, suggest
from services.catalog.search.index import add_words, in_use, index, is_new, rebuild, remove, used

__all__ = ["add_words", "in_use", "index", "is_new", "rebuild", "related", "remove", "search", "suggest", "used"]
