"""What people are told, in English and in Chinese: one value, so that no layer on the way has to know the language."""

from __future__ import annotations


class Words(str):
    """A sentence in English (the value itself: what logs and exceptions show) that also knows its Chinese."""

    __slots__ = ("zh",)
    zh: str

    def __new__(cls, en: str, zh: str | None = None) -> Words:
        made = super().__new__(cls, en)
        made.zh = zh if zh is not None else en
        return made

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        return (str(self), self.zh)


def in_language(text: str, language: str) -> str:
    """`text` in `language` (`zh` or `en`); a plain string is what it is."""
    return text.zh if language == "zh" and isinstance(text, Words) else str(text)
