"""Code schemes: how the code of a resource (信息资源代码) is made from its category and a sequence number.

Places have their own; a scheme says what prefix a resource's code has and how prefix and number become a code. The
catalogue numbers each prefix from 1 and never gives a number twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


class NoCode(Exception):
    """A resource to which the scheme cannot give a code; the message says why."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a scheme may look at: the path of category codes from the class down, the department, its division."""

    category: Sequence[str]
    department_uscc: str
    division: str | None


@dataclass(frozen=True, slots=True)
class Scheme:
    name: str
    prefix: Callable[[Subject], str]
    code: Callable[[str, int], str]


def _national_prefix(subject: Subject) -> str:
    """类 1 digit, 项 2, 目 3, 细目 any: the code of a category holds those of the levels above it (编制指南 2017)."""
    if not subject.category:
        raise NoCode("it has no category")
    return subject.category[-1]


def _divisional_prefix(subject: Subject) -> str:
    if not subject.division:
        raise NoCode("its department has no administrative division")
    return f"{subject.division}-{_national_prefix(subject)}"


SCHEMES: Mapping[str, Scheme] = {
    # the separator and the width of the number are of this project until a place says otherwise [check]
    "national": Scheme("national", _national_prefix, lambda prefix, number: f"{prefix}/{number:06d}"),
    "divisional": Scheme("divisional", _divisional_prefix, lambda prefix, number: f"{prefix}-{number:05d}"),
    "departmental": Scheme(
        "departmental", lambda subject: subject.department_uscc, lambda prefix, number: f"{prefix}/{number:06d}"
    ),
}
DEFAULT_SCHEME = "national"
UNCATEGORISED = "000"


def prefix_of(scheme: Scheme, subject: Subject) -> str:
    """The prefix of a resource's code; one that has no place in the scheme yet is numbered apart."""
    try:
        return scheme.prefix(subject)
    except NoCode:
        return UNCATEGORISED
