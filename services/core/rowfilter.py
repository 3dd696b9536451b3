"""Row filters: which rows of a resource a grant may see.

A filter is text in a small typed language, parsed once when the grant is made and never executed as code:

    region within "320600" and status in ("alive", "moved_out") and not birth_date < date "1990-01-01"

Logic is SQL's: a comparison with a value that is missing is unknown, and a row is seen only when the filter is true.

`within` is about administrative divisions (GB/T 2260): what the item's code once named lies today in the division, or
is it. Which codes do is not the filter's to know: it is `resolved` before it judges rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

MAX_LENGTH = 4_000
MAX_DEPTH = 50
MAX_CONDITIONS = 200

Value = str | int | Decimal | bool | date | datetime
Row = Mapping[str, object]
Truth = bool | None


class FilterError(Exception):
    """A filter that is not well formed, or does not fit the resource; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Compare:
    item: str
    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class In:
    item: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Within:
    item: str
    division: str


@dataclass(frozen=True, slots=True)
class IsNull:
    item: str


@dataclass(frozen=True, slots=True)
class Not:
    inner: Node


@dataclass(frozen=True, slots=True)
class Join:
    """`word` is `and` or `or`."""

    word: str
    left: Node
    right: Node


Condition = Compare | In | Within | IsNull
Node = Condition | Not | Join

_OPERATORS: dict[str, Callable[[object, object], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,  # type: ignore[operator]
    "<=": lambda a, b: a <= b,  # type: ignore[operator]
    ">": lambda a, b: a > b,  # type: ignore[operator]
    ">=": lambda a, b: a >= b,  # type: ignore[operator]
    "starts with": lambda a, b: str(a).startswith(str(b)),
}
_ZH = {
    "=": "等于",
    "!=": "不等于",
    "<": "小于",
    "<=": "不大于",
    ">": "大于",
    ">=": "不小于",
    "starts with": "开头为",
}
_EN = {
    "=": "is",
    "!=": "is not",
    "<": "is less than",
    "<=": "is at most",
    ">": "is greater than",
    ">=": "is at least",
    "starts with": "starts with",
}


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter. `str()` gives its canonical text, which parses to an equal filter."""

    root: Node

    def __str__(self) -> str:
        return _text(self.root)

    def items(self) -> frozenset[str]:
        """The items it looks at, granted or not."""
        return frozenset(node.item for node in _walk(self.root) if isinstance(node, Condition))

    def check(self, types: Mapping[str, str]) -> None:
        """Raises FilterError when an item is not in `types` or is compared with a value of another type.

        So does a division that is not resolved: only grants know of those.
        """
        for node in _walk(self.root):
            if isinstance(node, Not | Join):
                continue
            if node.item not in types:
                raise FilterError(f"the resource has no item {node.item!r}")
            if isinstance(node, Compare):
                _check_comparison(node, types[node.item])
            elif isinstance(node, Within):
                raise FilterError(f"which codes lie in {node.division} is not known here")
            elif isinstance(node, In):
                for value in node.values:
                    _check_value(node.item, types[node.item], value)

    def divisions(self) -> frozenset[str]:
        """The administrative divisions in which rows must lie."""
        return frozenset(node.division for node in _walk(self.root) if isinstance(node, Within))

    def resolved(self, codes: Mapping[str, Collection[str]]) -> Filter:
        """The filter in which each division stands for its `codes`; raises FilterError where it has none there."""
        return Filter(_resolved(self.root, codes))

    def matches(self, row: Row) -> bool:
        """Whether `row` (item → str, int, Decimal, bool, date, aware datetime or None) may be seen."""
        return _truth(self.root, row) is True

    def explain(self, lang: str, labels: Mapping[str, str]) -> str:
        """The filter in plain words, `lang` zh or en; `labels` are the items' names for people."""
        return _words(self.root, lang, labels)


def parse(text: str) -> Filter:
    """The filter that `text` says; raises FilterError with the position (from 1) and what was expected there."""
    if len(text) > MAX_LENGTH:
        raise FilterError(f"a filter has at most {MAX_LENGTH} characters, this one has {len(text)}")
    return Filter(_Parser(text).parse())


# -- reading ---------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\["\\])*")|(?P<number>-?[0-9]+(?:\.[0-9]+)?)|(?P<word>[a-z_][a-z0-9_]*)
    |(?P<sign><=|>=|!=|[=<>(),]))""",
    re.VERBOSE,
)
_DIVISION = re.compile(r'"[0-9]{6}"')
_KEYWORDS = frozenset(
    {"and", "or", "not", "in", "is", "null", "starts", "with", "true", "false", "date", "timestamp", "within"}
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._next = 0
        self._depth = 0
        self._conditions = 0

    def parse(self) -> Node:
        node = self._either()
        if self._peek().kind != "end":
            raise self._expected("`and`, `or` or the end")
        return node

    def _either(self) -> Node:
        node = self._both()
        while self._take("or"):
            node = Join("or", node, self._both())
        return node

    def _both(self) -> Node:
        node = self._one()
        while self._take("and"):
            node = Join("and", node, self._one())
        return node

    def _one(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FilterError(f"the filter is nested more than {MAX_DEPTH} deep")
        try:
            if self._take("not"):
                return Not(self._one())
            if self._take("("):
                node = self._either()
                self._require(")")
                return node
            return self._condition()
        finally:
            self._depth -= 1

    def _condition(self) -> Node:
        token = self._peek()
        if token.kind != "word" or token.text in _KEYWORDS:
            raise self._expected("the name of an item, `not` or `(`")
        self._next += 1
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise FilterError(f"the filter has more than {MAX_CONDITIONS} conditions")
        item = token.text
        if self._take("is"):
            negated = self._take("not")
            self._require("null")
            return Not(IsNull(item)) if negated else IsNull(item)
        if self._take("in"):
            return In(item, self._values())
        if self._take("within"):
            return Within(item, self._division())
        if self._take("starts"):
            self._require("with")
            return Compare(item, "starts with", self._value())
        sign = self._peek()
        if sign.kind != "sign" or sign.text not in _OPERATORS:
            raise self._expected("=, !=, <, <=, >, >=, `in`, `within`, `starts with` or `is`")
        self._next += 1
        return Compare(item, sign.text, self._value())

    def _values(self) -> tuple[Value, ...]:
        self._require("(")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._require(")")
        return tuple(values)

    def _value(self) -> Value:
        token = self._peek()
        self._next += 1
        if token.kind == "string":
            return _unquoted(token.text)
        if token.kind == "number":
            return Decimal(token.text) if "." in token.text else int(token.text)
        if token.text in ("true", "false"):
            return token.text == "true"
        if token.text in ("date", "timestamp") and self._peek().kind == "string":
            return self._time(token.text)
        self._next -= 1
        raise self._expected("a value")

    def _division(self) -> str:
        token = self._peek()
        if token.kind != "string" or not _DIVISION.fullmatch(token.text):
            raise self._expected('a division\'s code in quotes, such as "320600"')
        self._next += 1
        return _unquoted(token.text)

    def _time(self, kind: str) -> date | datetime:
        token = self._peek()
        self._next += 1
        try:
            if kind == "date":
                return date.fromisoformat(_unquoted(token.text))
            moment = datetime.fromisoformat(_unquoted(token.text))
        except ValueError as error:
            raise FilterError(f"at {token.position}: {token.text} is not a {kind}") from error
        if moment.tzinfo is None:
            raise FilterError(f"at {token.position}: {token.text} does not say its time zone")
        try:
            return moment.astimezone(UTC)
        except OverflowError as error:
            raise FilterError(f"at {token.position}: {token.text} is out of range") from error

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, text: str) -> bool:
        token = self._peek()
        if token.kind in ("word", "sign") and token.text == text:
            self._next += 1
            return True
        return False

    def _require(self, text: str) -> None:
        if not self._take(text):
            raise self._expected(f"`{text}`")

    def _expected(self, what: str) -> FilterError:
        token = self._peek()
        found = "the end" if token.kind == "end" else token.text
        return FilterError(f"at {token.position}: expected {what}, found {found}")


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            fault = "the text is not closed" if text[start] == '"' else f"{text[start]!r} does not belong here"
            raise FilterError(f"at {start + 1}: {fault}")
        kind = str(match.lastgroup)
        yield _Token(kind, match[kind], match.start(kind) + 1)
        position = match.end()
    yield _Token("end", "", end + 1)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


# -- checking and judging --------------------------------------------------------------------------------------------

_TYPE_OF_VALUE: dict[type, frozenset[str]] = {
    str: frozenset({"string"}),
    int: frozenset({"integer", "decimal"}),
    Decimal: frozenset({"decimal"}),
    bool: frozenset({"boolean"}),
    date: frozenset({"date"}),
    datetime: frozenset({"timestamp"}),
}


def _check_value(item: str, kind: str, value: Value) -> None:
    if kind not in _TYPE_OF_VALUE[type(value)]:
        raise FilterError(f"{item!r} is a {kind} and cannot be compared with {_literal(value)}")


def _check_comparison(node: Compare, kind: str) -> None:
    _check_value(node.item, kind, node.value)
    if node.operator == "starts with" and kind != "string":
        raise FilterError(f"{node.item!r} is a {kind}: only text starts with something")
    if kind == "boolean" and node.operator not in ("=", "!="):
        raise FilterError(f"{node.item!r} is true or false: it is not {node.operator} anything")


def _truth(node: Node, row: Row) -> Truth:
    match node:
        case Compare(item, operator, value):
            found = row[item]
            return None if found is None else _OPERATORS[operator](found, value)
        case In(item, values):
            found = row[item]
            return None if found is None else found in values
        case Within(_, division):
            raise FilterError(f"which codes lie in {division} is not known here")
        case IsNull(item):
            return row[item] is None
        case Not(inner):
            truth = _truth(inner, row)
            return None if truth is None else not truth
        case Join(word, left, right):
            settles = word == "or"
            first = _truth(left, row)
            if first is settles:
                return settles
            second = _truth(right, row)
            if second is settles:
                return settles
            return None if first is None or second is None else not settles


def _resolved(node: Node, codes: Mapping[str, Collection[str]]) -> Node:
    match node:
        case Within(item, division):
            if division not in codes:
                raise FilterError(f"which codes lie in {division} is not known here")
            return In(item, tuple(sorted(codes[division])))
        case Not(inner):
            return Not(_resolved(inner, codes))
        case Join(word, left, right):
            return Join(word, _resolved(left, codes), _resolved(right, codes))
        case _:
            return node


def _walk(node: Node) -> Iterator[Node]:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        yield one
        if isinstance(one, Not):
            waiting.append(one.inner)
        elif isinstance(one, Join):
            waiting += [one.left, one.right]


# -- writing ---------------------------------------------------------------------------------------------------------


def _literal(value: Value) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return f'timestamp "{value.isoformat()}"'
    if isinstance(value, date):
        return f'date "{value.isoformat()}"'
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)


def _text(node: Node) -> str:
    match node:
        case Compare(item, operator, value):
            return f"{item} {operator} {_literal(value)}"
        case In(item, values):
            return f"{item} in ({', '.join(map(_literal, values))})"
        case Within(item, division):
            return f"{item} within {_literal(division)}"
        case IsNull(item):
            return f"{item} is null"
        case Not(IsNull(item)):
            return f"{item} is not null"
        case Not(inner):
            return f"not {_text(inner)}" if not isinstance(inner, Join) else f"not ({_text(inner)})"
        case Join(word, left, right):
            first, second = _text(left), _text(right)
            if word == "and" and isinstance(left, Join) and left.word == "or":
                first = f"({first})"
            if isinstance(right, Join) and (word == "and" or right.word == word):
                second = f"({second})"
            return f"{first} {word} {second}"


def _words(node: Node, lang: str, labels: Mapping[str, str]) -> str:
    zh = lang == "zh"
    match node:
        case Compare(item, operator, value):
            name = labels.get(item, item)
            return f"{name}{_ZH[operator]}{_shown(value, zh)}" if zh else f"{name} {_EN[operator]} {_shown(value, zh)}"
        case In(item, values):
            listed = ("、" if zh else ", ").join(_shown(value, zh) for value in values)
            return f"{labels.get(item, item)}为{listed}之一" if zh else f"{labels.get(item, item)} is one of {listed}"
        case Within(item, division):
            name = labels.get(item, item)
            return f"{name}现属行政区划{_shown(division, zh)}" if zh else f"{name} now lies in division {division}"
        case IsNull(item):
            return f"{labels.get(item, item)}为空" if zh else f"{labels.get(item, item)} is missing"
        case Not(inner):
            return f"并非（{_words(inner, lang, labels)}）" if zh else f"not ({_words(inner, lang, labels)})"
        case Join(word, left, right):
            joint = ("，且" if word == "and" else "，或") if zh else f" {word} "
            sides = []
            for side in (left, right):
                words = _words(side, lang, labels)
                mixed = isinstance(side, Join) and side.word != word
                sides.append((f"（{words}）" if zh else f"({words})") if mixed else words)
            return joint.join(sides)


def _shown(value: Value, zh: bool) -> str:
    if isinstance(value, bool):
        return ("是" if value else "否") if zh else ("true" if value else "false")
    if isinstance(value, str):
        return f"“{value}”"
    return str(value)
