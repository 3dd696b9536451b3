"""Quality rules of a contract: what a row must be like, as data.

A rule has a kind, the items it is about, parameters (JSON) and a severity. All rules but two judge a row by itself:
`unique` looks at all rows that one checker has seen, and `consistent` (two resources say the same of one entity) holds
of any row here, for only who knows both resources can tell (`services/sync/comparing`). A rule says nothing of a value
that is missing: that is for `required` to say. Patterns are RE2's, so no pattern and no row can make a check slow.

| kind | items | parameters |
|---|---|---|
| required | one or more | |
| pattern | one text | `{"pattern": RE2}`, matched against the whole value |
| range | one number, date or timestamp | `{"min": …, "max": …}`, either may be left out |
| enumeration | one | `{"values": […]}` |
| code_list | one text | `{"list": name}` |
| check_digit | one text | `{"scheme": "uscc" or "citizen_id"}` |
| unique | one or more, together | |
| compare | two of one type | `{"operator": "<", "<=", "=", "!=", ">=" or ">"}` |
| freshness | one timestamp or date | `{"max_age_seconds": …}` |
| consistent | one that joins, then those compared | `{"resource": code, "items": [its own, in the same order]}` |

Every kind takes `{"when": row filter}` too: the rule then holds only for rows that the filter matches.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import re2

from services.core.identifiers import IdentifierError, check_citizen_id, check_uscc
from services.core.rowfilter import Filter, FilterError
from services.core.rowfilter import parse as parse_filter
from services.core.words import Words

Row = Mapping[str, Any]
Types = Mapping[str, str]
CodeLists = Mapping[str, Collection[str]]

MAX_PATTERN = 500
MAX_VALUES = 5_000
_RE2_MEMORY = 1 << 20
_ORDERED = ("integer", "decimal", "double", "date", "timestamp")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, "=": operator.eq, "!=": operator.ne, ">=": operator.ge, ">": operator.gt,
}  # fmt: skip


class RuleError(Exception):
    """A rule that cannot be: the message (`Words`) says why, and how it should be."""

    def __init__(self, words: Words) -> None:
        super().__init__(words)
        self.words = words


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that a row breaks."""

    rule: str
    severity: str
    items: tuple[str, ...]
    words: Words


Check = Callable[[Row, datetime], bool]
Parameters = dict[str, Any]
Made = tuple[Check, Words]


@dataclass(frozen=True, slots=True)
class _Compiled:
    rule: str
    severity: str
    items: tuple[str, ...]
    holds: Check
    when: Filter | None
    words: Words


class Checker:
    """The rules of one contract, ready to judge rows. `unique` remembers the rows it has seen: one checker a batch."""

    def __init__(self, rules: Sequence[_Compiled]) -> None:
        self._rules = rules

    def check(self, row: Row, now: datetime) -> list[Broken]:
        """The rules that `row` breaks; its values are of their items' types, None where there is none."""
        return [
            Broken(rule.rule, rule.severity, rule.items, rule.words)
            for rule in self._rules
            if (rule.when is None or rule.when.matches(row)) and not rule.holds(row, now)
        ]


def compile_rules(rules: Sequence[Mapping[str, Any]], types: Types, code_lists: CodeLists) -> Checker:
    """A checker of `rules` (as `catalog.resources` has them); raises RuleError for the first that cannot be."""
    return Checker([compile_rule(rule, types, code_lists) for rule in rules])


def compile_rule(rule: Mapping[str, Any], types: Types, code_lists: CodeLists) -> _Compiled:
    """One rule made ready; raises RuleError."""
    parameters = _parameters(rule["parameters"])
    items = tuple(rule["items"])
    for item in items:
        if item not in types:
            raise RuleError(Words(f"there is no item {item!r}", f"没有信息项“{item}”"))
    if not items or len(set(items)) != len(items):
        raise RuleError(Words("names its items, each once", "须列出所涉信息项，且不得重复"))
    when = None
    if (text := parameters.pop("when", None)) is not None:
        try:
            when = parse_filter(_text("when", text))
            when.check(types)
        except FilterError as error:
            raise RuleError(Words(f"when: {error}", f"适用条件有误：{error}")) from error
    make = _KINDS.get(rule["kind"])
    if make is None:
        raise RuleError(Words(f"there is no kind {rule['kind']!r}", f"没有“{rule['kind']}”这种规则"))
    holds, words = make(items, types, parameters, code_lists)
    if parameters:
        extra = ", ".join(sorted(parameters))
        raise RuleError(Words(f"does not know the parameter {extra}", f"不认识的参数：{extra}"))
    if rule.get("message"):
        words = Words(rule["message"])
    return _Compiled(rule["id"], rule["severity"], items, holds, when, words)


def _parameters(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}", parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise RuleError(Words("its parameters are not JSON", "参数不是有效的 JSON")) from error
    if not isinstance(found, dict):
        raise RuleError(Words("its parameters are not an object", "参数应为 JSON 对象"))
    return found


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise RuleError(Words(f"{name} is a text", f"参数 {name} 应为文本"))
    return value


def _take(parameters: dict[str, Any], name: str) -> Any:
    if name not in parameters:
        raise RuleError(Words(f"needs the parameter {name}", f"缺少参数 {name}"))
    return parameters.pop(name)


def _one(items: tuple[str, ...], types: Types, *kinds: str) -> str:
    if len(items) != 1:
        raise RuleError(Words("is about one item", "只能针对一个信息项"))
    if kinds and types[items[0]] not in kinds:
        listed = ", ".join(kinds)
        raise RuleError(
            Words(f"is for {listed}; {items[0]} is a {types[items[0]]}", f"只适用于 {listed} 类型，{items[0]} 不是")
        )
    return items[0]


def _required(items: tuple[str, ...], types: Types, parameters: Parameters, lists: CodeLists) -> Made:
    def holds(row: Row, now: datetime) -> bool:
        return all(row.get(item) is not None and row[item] != "" for item in items)

    return holds, Words("must be there", "不能为空")


def _pattern(items: tuple[str, ...], types: Types, parameters: Parameters, lists: CodeLists) -> Made:
    item, text = _one(items, types, "string"), _text("pattern", _take(parameters, "pattern"))
    if len(text) > MAX_PATTERN:
        raise RuleError(Words(f"its pattern is longer than {MAX_PATTERN}", f"正则表达式不得超过 {MAX_PATTERN} 个字符"))
    options = re2.Options()
    options.max_mem, options.log_errors = _RE2_MEMORY, False
    try:
        compiled = re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise RuleError(Words(f"its pattern is none (RE2): {reason}", f"正则表达式有误（RE2）：{reason}")) from error

    def holds(row: Row, now: datetime) -> bool:
        return row.get(item) is None or compiled.fullmatch(row[item]) is not None

    return holds, Words(f"does not fit {text}", f"不符合格式 {text}")


def bound(value: Any, kind: str) -> Any:
    """The least or most value of a range over items of type `kind`; raises RuleError."""
    try:
        if isinstance(value, bool):
            raise ValueError
        if kind == "date":
            return date.fromisoformat(value)
        if kind == "timestamp":
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise ValueError
            return moment.astimezone(UTC)
        number = Decimal(value)
        if not number.is_finite():
            raise ValueError
    except (ValueError, TypeError, InvalidOperation, OverflowError) as error:
        raise RuleError(Words(f"{value!r} is no bound for a {kind}", f"“{value}”不能作为 {kind} 的界限")) from error
    return number


def _range(items: tuple[str, ...], types: Types, parameters: Parameters, lists: CodeLists) -> Made:
    item = _one(items, types, *_ORDERED)
    bounds = {name: bound(parameters.pop(name), types[item]) for name in ("min", "max") if name in parameters}
    if not bounds:
        raise RuleError(Words("needs min or max", "至少给出 min 或 max"))
    least, most = bounds.get("min"), bounds.get("max")
    if least is not None and most is not None and least > most:
        raise RuleError(Words("its min is greater than its max", "min 大于 max"))

    def holds(row: Row, now: datetime) -> bool:
        value = row.get(item)
        if value is None:
            return True
        return bool((least is None or value >= least) and (most is None or value <= most))

    said = [(f"at least {least}", f"不小于 {least}")] if least is not None else []
    said += [(f"at most {most}", f"不大于 {most}")] if most is not None else []
    en, zh = " and ".join(one for one, _ in said), "且".join(one for _, one in said)
    return holds, Words(f"must be {en}", f"应{zh}")


def _enumeration(items: tuple[str, ...], types: Types, parameters: Parameters, lists: CodeLists) -> Made:
    item, values = _one(items, types, "string", "integer", "boolean"), _take(parameters, "values")
    if not isinstance(values, list) or not 1 <= len(values) <= MAX_VALUES:
        raise RuleError(
            Words(f"its values are a list of 1 to {MAX_VALUES}", f"values 应为 1 至 {MAX_VALUES} 个值的列表")
        )
    wanted: type = {"string": str, "integer": int, "boolean": bool}[types[item]]
    if any(type(value) is not wanted for value in values):
        raise RuleError(Words(f"its values are not all {types[item]}", f"values 应全部为 {types[item]}"))
    allowed = frozenset(values)

    def holds(row: Row, now: datetime) -> bool:
        return row.get(item) is None or row[item] in allowed

    shown = ", ".join(str(value) for value in values[:10]) + (", …" if len(values) > 10 else "")
    return holds, Words(f"must be one of {shown}", f"只能是：{shown}")


def _code_list(items: tuple[str, ...], types: Types, parameters: Parameters, lists: CodeLists) -> Made:
    item, name = _one(items, types, "string"), _text("list", _take(parameters, "list"))
    if name not in lists:
        raise RuleError(Words(f"there is no code list {name!r}", f"没有代码集“{name}”"))
    codes = lists[name]

    def holds(row: Row, now: datetime) -> bool:
        return row.get(item) is None or row[item] in codes

    return holds, Words(f"is not a code of {name}", f"不在代码集“{name}”中")


def _check_digit(items: tuple[str, ...], types: Types, parameters: Parameters, lists: CodeLists) -> Made:
    item, scheme = _one(items, types, "string"), _take(parameters, "scheme")
    if scheme not in ("uscc", "citizen_id"):
        raise RuleError(Words("its scheme is uscc or citizen_id", "scheme 只能是 uscc 或 citizen_id"))

    def holds(row: Row, now: datetime) -> bool:
        value = row.get(item)
        if value is None:
            return True
        try:
            if scheme == "uscc":
                check_uscc(value)
            else:
                check_citizen_id(value, now.date())
        except IdentifierError:
            return False
        return True

    zh = "统一社会信用代码" if scheme == "uscc" else "公民身份号码"
    name = "unified social credit code" if scheme == "uscc" else "citizen ID number"
    return holds, Words(f"is not a valid {name}", f"不是有效的{zh}")


def _unique(items: tuple[str, ...], types: Types, parameters: Parameters, lists: CodeLists) -> Made:
    seen: set[tuple[Any, ...]] = set()

    def holds(row: Row, now: datetime) -> bool:
        value = tuple(row.get(item) for item in items)
        if None in value:
            return True
        if value in seen:
            return False
        seen.add(value)
        return True

    return holds, Words("is there already", "重复")


def _compare(items: tuple[str, ...], types: Types, parameters: Parameters, lists: CodeLists) -> Made:
    sign = _take(parameters, "operator")
    if sign not in _COMPARE:
        raise RuleError(Words(f"its operator is one of {' '.join(_COMPARE)}", f"operator 只能是 {' '.join(_COMPARE)}"))
    if len(items) != 2:
        raise RuleError(Words("is about two items", "须针对两个信息项"))
    first, second = items
    numbers = {"integer", "decimal"}
    if types[first] != types[second] and not {types[first], types[second]} <= numbers:
        raise RuleError(Words(f"{first} and {second} are of two types", f"{first} 与 {second} 类型不同"))
    if sign not in ("=", "!=") and types[first] not in (*_ORDERED, "string"):
        raise RuleError(Words(f"a {types[first]} has no order", f"{types[first]} 没有大小之分"))
    compare = _COMPARE[sign]

    def holds(row: Row, now: datetime) -> bool:
        left, right = row.get(first), row.get(second)
        return left is None or right is None or compare(left, right)

    return holds, Words(f"{first} must be {sign} {second}", f"应满足 {first} {sign} {second}")


def _freshness(items: tuple[str, ...], types: Types, parameters: Parameters, lists: CodeLists) -> Made:
    item, seconds = _one(items, types, "timestamp", "date"), _take(parameters, "max_age_seconds")
    if type(seconds) is not int or not 0 < seconds < 10 * 366 * 86_400:
        raise RuleError(Words("max_age_seconds is a number of seconds", "max_age_seconds 应为秒数"))
    age = timedelta(seconds=seconds)

    def holds(row: Row, now: datetime) -> bool:
        value = row.get(item)
        if value is None:
            return True
        return bool(value >= now - age) if isinstance(value, datetime) else bool(value >= (now - age).date())

    return holds, Words(f"is older than {seconds} s", f"早于 {seconds} 秒前")


def _consistent(items: tuple[str, ...], types: Types, parameters: Parameters, lists: CodeLists) -> Made:
    resource, theirs = _text("resource", _take(parameters, "resource")), _take(parameters, "items")
    if len(items) < 2:
        raise RuleError(Words("names what joins and what is compared", "须先列出关联项，再列出比对项"))
    if not isinstance(theirs, list) or len(theirs) != len(items) or not all(isinstance(one, str) for one in theirs):
        raise RuleError(
            Words(f"its items are {len(items)} of the other resource", f"items 应为另一资源的 {len(items)} 个信息项")
        )
    return lambda row, now: True, Words(f"must be as in {resource}", f"应与“{resource}”一致")


_KINDS: Mapping[str, Callable[[tuple[str, ...], Types, Parameters, CodeLists], Made]] = {
    "required": _required,
    "pattern": _pattern,
    "range": _range,
    "enumeration": _enumeration,
    "code_list": _code_list,
    "check_digit": _check_digit,
    "unique": _unique,
    "compare": _compare,
    "freshness": _freshness,
    "consistent": _consistent,
}


class NotAValue(Exception):
    """A JSON value that is not one of its item's type."""


def value_of(kind: str, value: Any) -> Any:
    """A value of an item of type `kind` from its JSON; numbers and money may be texts. Raises NotAValue."""
    if value is None:
        return None
    try:
        match kind:
            case "string" if isinstance(value, str):
                return value
            case "boolean" if isinstance(value, bool):
                return value
            case "integer" if isinstance(value, int | str) and not isinstance(value, bool):
                return int(value)
            case "decimal" if isinstance(value, int | str | float | Decimal) and not isinstance(value, bool):
                number = Decimal(str(value))
                if number.is_finite():
                    return number
            case "double" if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
                return float(value)
            case "date" if isinstance(value, str):
                return date.fromisoformat(value)
            case "timestamp" if isinstance(value, str):
                moment = datetime.fromisoformat(value)
                if moment.tzinfo is not None:
                    return moment.astimezone(UTC)
    except (ValueError, InvalidOperation, OverflowError):
        pass
    raise NotAValue(f"{value!r} is not a {kind}")
