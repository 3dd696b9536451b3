"""Identifiers with check digits: unified social credit codes and citizen ID numbers."""

from __future__ import annotations

from datetime import date

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECK = "10X98765432"


class IdentifierError(Exception):
    """What is wrong with an identifier; the message does not repeat it."""


def uscc_check_digit(first: str) -> str:
    """The 18th character of a unified social credit code from its first 17 (GB 32100-2015)."""
    total = sum(
        _USCC_ALPHABET.index(character) * weight for character, weight in zip(first, _USCC_WEIGHTS, strict=True)
    )
    return _USCC_ALPHABET[-total % 31]


def check_uscc(code: str) -> None:
    """Raises IdentifierError unless `code` is a unified social credit code (GB 32100-2015)."""
    if len(code) != 18:
        raise IdentifierError(f"a unified social credit code has 18 characters, this one has {len(code)}")
    for position, character in enumerate(code, 1):
        if character not in _USCC_ALPHABET:
            raise IdentifierError(f"character {position} cannot stand in a unified social credit code: {character!r}")
    if uscc_check_digit(code[:17]) != code[17]:
        raise IdentifierError("the check digit of the unified social credit code is wrong")


def citizen_id_check_digit(first: str) -> str:
    """The 18th character of a citizen ID number from its first 17 digits (GB 11643-1999)."""
    return _ID_CHECK[sum(int(digit) * weight for digit, weight in zip(first, _ID_WEIGHTS, strict=True)) % 11]


def check_citizen_id(code: str, today: date) -> None:
    """Raises IdentifierError unless `code` is a citizen ID number of somebody born by `today` (GB 11643-1999)."""
    if len(code) != 18:
        raise IdentifierError(f"a citizen ID number has 18 characters, this one has {len(code)}")
    if not (code[:17].isascii() and code[:17].isdigit() and code[17] in _ID_CHECK):
        raise IdentifierError("a citizen ID number has 17 digits and then a digit or X")
    try:
        born = date(int(code[6:10]), int(code[10:12]), int(code[12:14]))
    except ValueError as error:
        raise IdentifierError("the birth date in the citizen ID number does not exist") from error
    if born > today:
        raise IdentifierError("the birth date in the citizen ID number lies in the future")
    if citizen_id_check_digit(code[:17]) != code[17]:
        raise IdentifierError("the check digit of the citizen ID number is wrong")
