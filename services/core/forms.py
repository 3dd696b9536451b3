"""The kinds of text that the APIs take: bounded, printable, storable; and forms that take no field they do not know."""

from __future__ import annotations

import json
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _printable(text: str) -> str:
    """Refuses what no text of a catalogue holds and no database takes: control characters, halves of a character."""
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t":
            raise ValueError("holds a control character")
    return text


def _encodable(value: Any) -> Any:
    """Refuses JSON that holds halves of characters somewhere inside, or is larger than a form needs."""
    try:
        size = len(json.dumps(value, ensure_ascii=False).encode())
    except (UnicodeEncodeError, RecursionError) as error:
        raise ValueError("holds what cannot be written as UTF-8") from error
    if size > MAX_JSON:
        raise ValueError(f"is larger than {MAX_JSON} bytes")
    return value


MAX_JSON = 1_000_000
Json = AfterValidator(_encodable)
Plain = AfterValidator(_printable)
Name = Annotated[str, Field(min_length=1, max_length=200), Plain]
Text = Annotated[str, Field(min_length=1, max_length=2_000), Plain]
Note = Annotated[str, Field(max_length=2_000), Plain]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", examples=["population"])]
Code = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", from_attributes=True)
