"""Data products (数据产品): a view in SQL over resources that are granted to its department, read before it ever runs.

What is understood is one SELECT over inputs (and over SELECTs in FROM and WITH), joined by equal columns, with
expressions and aggregates from a list. Whatever is not on the list is refused, so nothing has to be known of what a
database can do besides. Every column is traced to the items that it is computed from, and what runs is generated from
what was understood, with each name qualified: the text that somebody wrote reaches no database.

A view tells the same whenever its inputs are the same: no clock, no chance, no order of rows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

from services.catalog.domain.drop import Fault, Row, Unfit, clashes, value_of
from services.catalog.domain.mount import Column, item_type_of
from services.catalog.domain.resource import Item, Sensitivity, SharingType, Terms
from services.core.defects import Defect
from services.core.words import Words

# what somebody wrote may name a person, and is nothing for a log
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

MAX_SQL = 10_000
_DIALECT = "postgres"
_SQL = "/product/sql"
_INPUTS = "/product/inputs"
_DEEPEST = 100

Origin = tuple[str, str]
"""An input, by the name that the view calls it, and one of its items."""

# What may stand in a view, and of what decides where rows come from: with which parts.
_PARTS: dict[type[exp.Expr], frozenset[str]] = {
    exp.Select: frozenset(
        {"expressions", "from_", "joins", "where", "group", "having", "distinct", "with_", "operation_modifiers"}
    ),
    exp.With: frozenset({"expressions"}),
    exp.CTE: frozenset({"this", "alias"}),
    exp.From: frozenset({"this"}),
    exp.Table: frozenset({"this", "alias"}),
    exp.Subquery: frozenset({"this", "alias"}),
    exp.TableAlias: frozenset({"this"}),
    exp.Join: frozenset({"this", "side", "kind", "on"}),
    exp.Group: frozenset({"expressions"}),
    exp.Distinct: frozenset({"expressions"}),
    exp.Column: frozenset({"this", "table"}),
    exp.Cast: frozenset({"this", "to"}),
    exp.DataType: frozenset({"this", "expressions"}),
}
_PART_NAMES = {"db": "schema.name", "columns": "AS name(column, …)", "method": "NATURAL JOIN"}
_EXPRESSIONS: tuple[type[exp.Expr], ...] = (
    exp.Where, exp.Having, exp.Alias, exp.Identifier, exp.Star, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.Var,
    exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between, exp.Like,
    exp.NullSafeEQ, exp.NullSafeNEQ, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.DPipe, exp.Case, exp.If,
    exp.DataTypeParam,
    exp.Abs, exp.Ceil, exp.Coalesce, exp.Concat, exp.Extract, exp.Floor, exp.Greatest, exp.Least, exp.Left, exp.Length,
    exp.Lower, exp.Nullif, exp.Right, exp.Round, exp.SplitPart, exp.StrPosition, exp.Substring, exp.TimestampTrunc,
    exp.Trim, exp.Upper,
    exp.Avg, exp.Count, exp.Filter, exp.LogicalAnd, exp.LogicalOr, exp.Max, exp.Min, exp.Sum,
)  # fmt: skip
_TYPES = frozenset(
    {
        exp.DType.BIGINT, exp.DType.BOOLEAN, exp.DType.DATE, exp.DType.DECIMAL, exp.DType.DOUBLE, exp.DType.INT,
        exp.DType.SMALLINT, exp.DType.TEXT, exp.DType.TIMESTAMPTZ, exp.DType.VARCHAR,
    }
)  # fmt: skip
_FIELDS = frozenset({"year", "quarter", "month", "week", "day", "dow", "isodow", "doy", "isoyear", "hour"})
_LONGEST_NAME = 63
_SENSITIVITIES = (Sensitivity.OPEN, Sensitivity.INTERNAL, Sensitivity.PERSONAL, Sensitivity.SECRET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A grant as a view may read it: the table that holds its rows, and its items, each with whether it is masked."""

    schema: str
    table: str
    items: Mapping[str, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A view that was understood: what runs, and what each of its columns is computed from."""

    statement: str
    columns: Mapping[str, frozenset[Origin]]


class NotAView(Exception):
    """What somebody wrote is no view; `defects` tell all that is against it."""

    def __init__(self, defects: Sequence[Defect]) -> None:
        super().__init__("; ".join(str(one.detail) for one in defects))
        self.defects = defects


def read(text: str, inputs: Mapping[str, Input]) -> View:
    """The view that `text` says over `inputs`, by the names it calls them; raises NotAView."""
    reading = _Reading(inputs)
    select = reading.parse(text)
    relation = reading.select(select, {})
    if not reading.defects:
        for name in sorted(set(inputs) - reading.used):
            reading.tell(None, Words(f"input {name} is not read", f"未使用输入“{name}”"), f"{_INPUTS}/{name}")
    if reading.defects:
        raise NotAView(reading.defects)
    return View(statement=select.sql(_DIALECT, identify=True, comments=False), columns=relation.columns)


@dataclass(frozen=True, slots=True)
class _Relation:
    """What stands in FROM: its columns, each with what it is computed from, and those that show a mask."""

    columns: dict[str, frozenset[Origin]]
    masked: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Reading:
    inputs: Mapping[str, Input]
    defects: list[Defect] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def tell(self, node: exp.Expr | None, words: Words, pointer: str = _SQL) -> None:
        line = next((one.meta["line"] for one in node.walk() if "line" in one.meta), None) if node is not None else None
        if line is not None:
            words = Words(f"line {line}: {words}", f"第 {line} 行：{words.zh}")
        defect = Defect(pointer, words)
        if defect not in self.defects:
            self.defects.append(defect)

    # -- what may be said at all -------------------------------------------------------------------------------------

    def parse(self, text: str) -> exp.Select:
        """The one SELECT that the text is, all of it from the list; raises NotAView where it is none."""
        try:
            statements = [one for one in sqlglot.parse(text, read=_DIALECT) if one is not None]
        except (SqlglotError, RecursionError) as error:
            self.tell(None, _not_sql(error))
            raise NotAView(self.defects) from error
        if len(statements) != 1:
            words = Words(
                f"holds {len(statements)} statements, and must hold one", f"含 {len(statements)} 条语句，只能有一条"
            )
            self.tell(None, words)
            raise NotAView(self.defects)
        (statement,) = statements
        if not isinstance(statement, exp.Select):
            self.tell(None, Words("is not one SELECT", "须为一条 SELECT 语句"))
            raise NotAView(self.defects)
        if _depth(statement) > _DEEPEST:
            self.tell(None, Words("is nested too deeply", "嵌套过深"))
            raise NotAView(self.defects)
        statement = normalize_identifiers(statement, dialect=_DIALECT)
        for node in statement.walk():
            self._look(node)
        return statement

    def _look(self, node: exp.Expr) -> None:
        """Tell what of a node is not on the list; its parts are looked at by themselves."""
        parts = _PARTS.get(type(node))
        if not _is_listed(node):
            self.tell(node, _not_allowed(node))
        if parts is not None:
            for name in sorted(name for name, value in node.args.items() if value and name not in parts):
                # a part that may stand nowhere is told by itself
                if all(_is_listed(one) for one in _those(node.args[name])):
                    what = _PART_NAMES.get(name, name.rstrip("_").replace("_", " "))
                    self.tell(node, Words(f"{what} is not allowed in a data product", f"数据产品中不允许使用 {what}"))
        match node:
            case exp.Star() if not isinstance(node.parent, exp.Count):
                self.tell(node.parent, Words("name each column: * is not allowed", "须逐一写明列名，不允许使用 *"))
            case exp.DataType() if node.this not in _TYPES:
                self.tell(node.parent, _not_allowed(node))
            case exp.Var() if not _is_field(node):
                self.tell(node.parent, _not_allowed(node))
            case exp.Identifier() if len(node.name.encode()) > _LONGEST_NAME:
                self.tell(node, Words(f"{node.name} is too long for a name", f"名称“{node.name}”过长"))
            case exp.Subquery() | exp.Select() if not _is_relation(node):
                words = Words(
                    "a SELECT stands in FROM, JOIN or WITH, and not in an expression",
                    "子查询只能出现在 FROM、JOIN 或 WITH 中，不能出现在表达式中",
                )
                self.tell(node, words)

    # -- where rows come from ----------------------------------------------------------------------------------------

    def select(self, node: exp.Select, known: Mapping[str, _Relation]) -> _Relation:
        """What a SELECT gives; `known` are the names that WITH has given so far."""
        known = dict(known)
        with_ = node.args.get("with_")
        for cte in with_.expressions if with_ is not None else ():
            if isinstance(cte.this, exp.Select):
                known[cte.alias] = self.select(cte.this, known)
        scope: dict[str, _Relation] = {}
        from_ = node.args.get("from_")
        if from_ is None:
            self.tell(node, Words("reads no input: FROM is missing", "缺少 FROM，未读取任何输入"))
        else:
            self._join(from_.this, scope, known)
        for join in node.args.get("joins") or ():
            name = self._join(join.this, scope, known)
            self._look_at_join(join, name, scope)
        columns: dict[str, frozenset[Origin]] = {}
        masked = set()
        for projection in node.expressions:
            name = projection.alias_or_name if isinstance(projection, exp.Alias | exp.Column) else ""
            said, origins = _short(projection), self._trace(projection, scope)
            if not name and not isinstance(projection, exp.Star):
                self.tell(projection, Words(f"give {said} a name: … AS name", f"请为 {said} 命名：… AS 列名"))
            elif name in columns:
                self.tell(projection, Words(f"column {name} is there twice", f"列“{name}”重复"))
            if self._shows_mask(projection, scope):
                masked.add(name)
            columns[name] = origins
        group = node.args.get("group")
        for one in group.expressions if group is not None else ():
            # a column that the view itself names may be meant, which has been traced
            if not (isinstance(one, exp.Column) and not one.table and one.name in columns and not _owners(one, scope)):
                self._trace(one, scope)
        for part in ("where", "having"):
            if node.args.get(part) is not None:
                self._trace(node.args[part], scope)
        return _Relation(columns, frozenset(masked))

    def _join(self, node: exp.Expr, scope: dict[str, _Relation], known: Mapping[str, _Relation]) -> str:
        """Take what stands in FROM or JOIN into the scope, under the name it has there."""
        name, relation = node.alias_or_name, _Relation({})
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            called = node.name
            if called in known:
                relation = known[called]
            elif called in self.inputs:
                relation = self._input(node, called)
            else:
                among = ", ".join(sorted({*self.inputs, *known})) or "none"
                self.tell(
                    node, Words(f"{called!r} is no input; there are: {among}", f"没有输入“{called}”，可用的有：{among}")
                )
        elif isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select):
            relation = self.select(node.this, known)
            if not name:
                self.tell(node, Words("give the SELECT in FROM a name", "请为 FROM 中的子查询命名"))
        if name in scope:
            self.tell(node, Words(f"the name {name} is there twice", f"名称“{name}”重复"))
        scope[name] = relation
        return name

    def _input(self, node: exp.Table, called: str) -> _Relation:
        """An input's columns; what runs reads the table that holds its rows."""
        found = self.inputs[called]
        self.used.add(called)
        node.set("alias", exp.TableAlias(this=exp.to_identifier(node.alias_or_name, quoted=True)))
        node.set("this", exp.to_identifier(found.table, quoted=True))
        node.set("db", exp.to_identifier(found.schema, quoted=True))
        columns = {item: frozenset({(called, item)}) for item in found.items}
        return _Relation(columns, frozenset(item for item, is_masked in found.items.items() if is_masked))

    def _look_at_join(self, join: exp.Join, name: str, scope: Mapping[str, _Relation]) -> None:
        on = join.args.get("on")
        if join.side not in ("", "LEFT", "RIGHT", "FULL") or join.kind not in ("", "INNER", "OUTER"):
            what = f"{join.side} {join.kind} JOIN".strip()
            self.tell(join, Words(f"{what} is not allowed in a data product", f"数据产品中不允许使用 {what}"))
        if on is None:
            words = Words(f"join {name} by a key: JOIN … ON {name}.… = …", f"须按键关联 {name}：JOIN … ON {name}.… = …")
            self.tell(join, words)
            return
        self._trace(on, scope)
        by_key = False
        for one in _conjuncts(on):
            if not isinstance(one, exp.EQ):
                continue
            left, right = one.this, one.expression
            if isinstance(left, exp.Column) and isinstance(right, exp.Column) and left.table != right.table:
                by_key |= name in (left.table, right.table)
                for column in (left, right):
                    if column.name in scope.get(column.table, _Relation({})).masked:
                        words = Words(
                            f"{column.table}.{column.name} is masked by its grant: nothing is joined by a mask",
                            f"{column.table}.{column.name} 按授权已脱敏，不能用于关联",
                        )
                        self.tell(column, words)
        if not by_key:
            words = Words(
                f"{name} is not joined by a key: one of the conditions must be {name}.… = (a column of another)",
                f"{name} 未按键关联：须有条件 {name}.… =（另一输入的列）",
            )
            self.tell(join, words)

    # -- what a column is computed from ------------------------------------------------------------------------------

    def _trace(self, node: exp.Expr, scope: Mapping[str, _Relation]) -> frozenset[Origin]:
        """What an expression is computed from; each of its columns is told by its full name from here on."""
        origins: frozenset[Origin] = frozenset()
        for column in node.find_all(exp.Column):
            if isinstance(column.this, exp.Star):
                continue
            owners = _owners(column, scope)
            if len(owners) == 1:
                column.set("table", exp.to_identifier(owners[0], quoted=True))
                origins |= scope[owners[0]].columns[column.name]
            elif not owners:
                self.tell(column, _no_column(column, scope))
            else:
                among = " / ".join(sorted(owners))
                words = Words(
                    f"{column.name} is in {among}: say which", f"“{column.name}”在 {among} 中都有，请写明是哪一个"
                )
                self.tell(column, words)
        return origins

    def _shows_mask(self, projection: exp.Expr, scope: Mapping[str, _Relation]) -> bool:
        return any(
            column.name in scope.get(column.table, _Relation({})).masked for column in projection.find_all(exp.Column)
        )


def _owners(column: exp.Column, scope: Mapping[str, _Relation]) -> list[str]:
    among = [column.table] if column.table else list(scope)
    return [name for name in among if name in scope and column.name in scope[name].columns]


def _no_column(column: exp.Column, scope: Mapping[str, _Relation]) -> Words:
    if column.table and column.table not in scope:
        return Words(f"there is no {column.table} here", f"此处没有“{column.table}”")
    known = scope[column.table].columns if column.table else {n: () for one in scope.values() for n in one.columns}
    among, what = ", ".join(sorted(known)) or "none", _short(column)
    return Words(f"{what} is not granted; there are: {among}", f"未授权 {what}，可用的有：{among}")


def _is_relation(node: exp.Subquery | exp.Select) -> bool:
    parent = node.parent
    return parent is None or isinstance(parent, exp.From | exp.Join | exp.CTE | exp.Subquery)


def _conjuncts(node: exp.Expr) -> list[exp.Expr]:
    node = node.unnest()
    return [*_conjuncts(node.this), *_conjuncts(node.expression)] if isinstance(node, exp.And) else [node]


def _those(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_listed(node: Any) -> bool:
    return not isinstance(node, exp.Expr) or type(node) in _PARTS or type(node) in _EXPRESSIONS


def _is_field(node: exp.Var) -> bool:
    """Whether a bare word is the part of a date that is asked for."""
    return isinstance(node.parent, exp.Extract | exp.TimestampTrunc) and node.name.lower() in _FIELDS


def _depth(root: exp.Expr) -> int:
    deepest, level = 0, [root]
    while level:
        deepest += 1
        level = [child for node in level for child in node.iter_expressions()]
    return deepest


def _short(node: exp.Expr) -> str:
    text = node.sql(_DIALECT, comments=False)
    return text if len(text) <= 60 else text[:60] + "…"


def _not_allowed(node: exp.Expr) -> Words:
    what = _short(node)
    if isinstance(node, exp.Func):
        return Words(f"the function in {what} is not allowed in a data product", f"数据产品中不允许使用函数：{what}")
    return Words(f"{what} is not allowed in a data product", f"数据产品中不允许使用：{what}")


def _not_sql(error: Exception) -> Words:
    told = getattr(error, "errors", None)
    if not told:
        return Words("cannot be read as SQL", "不是有效的 SQL")
    line, column, near = told[0].get("line"), told[0].get("col"), told[0].get("highlight")
    return Words(
        f"cannot be read as SQL: line {line}, column {column}, near {near!r}",
        f"不是有效的 SQL：第 {line} 行第 {column} 列，“{near}”附近",
    )


# -- what a product must be like -------------------------------------------------------------------------------------


def mapping_defects(terms: Terms, columns: Iterable[str]) -> list[Defect]:
    """Items that no column of the view fills, and columns that fill no item."""
    given = list(columns)
    defects = []
    for index, item in enumerate(terms.items):
        if item.column not in given:
            words = Words(f"the view has no column {item.column!r}", f"视图中没有列“{item.column}”")
            defects.append(Defect(f"/items/{index}/column", words))
    wanted = {item.column for item in terms.items}
    for name in given:
        if name not in wanted:
            words = Words(f"column {name} is no item of the resource", f"列“{name}”不是该资源的信息项")
            defects.append(Defect(_SQL, words))
    return defects


def type_defects(terms: Terms, columns: Mapping[str, Column]) -> list[Defect]:
    """Items whose column in the view, as the database describes it, is of another type."""
    defects = []
    for index, item in enumerate(terms.items):
        column = columns.get(item.column)
        if column is not None and item_type_of(column.type) is not item.type:
            words = Words(
                f"column {column.name} is {column.type}, which does not fit {item.type.value}: CAST it",
                f"列“{column.name}”的类型是 {column.type}，与信息项类型 {item.type.value} 不符，请用 CAST 转换",
            )
            defects.append(Defect(f"/items/{index}/type", words))
    return defects


def handling_defects(
    terms: Terms, columns: Mapping[str, Iterable[Origin]], inputs: Mapping[str, Terms]
) -> list[Defect]:
    """Where a product is handled less strictly than what it is computed from (GB/T 43697-2024: the higher holds).

    `inputs` are the terms in force of the resources behind the inputs, by the names that the view calls them.
    """
    defects = []
    highest = max(inputs.values(), key=_grade, default=terms)
    if _grade(highest) > _grade(terms):
        level = f" {highest.grade_level}" if highest.grade_level else ""
        words = Words(
            f"must be at least {highest.grade.value}{level}, the grade of {highest.code}",
            f"不得低于输入资源 {highest.code} 的级别（{highest.grade.value}{level}）",
        )
        defects.append(Defect("/grade", words))
    for one in inputs.values():
        if one.sharing_type is SharingType.CONDITIONAL and terms.sharing_type is SharingType.UNCONDITIONAL:
            words = Words(
                f"must be conditional, for {one.code} is", f"输入资源 {one.code} 为有条件共享，产品不得无条件共享"
            )
            defects.append(Defect("/sharing_type", words))
        if terms.openness.open and not one.openness.open:
            words = Words(f"{one.code} is not open to society", f"输入资源 {one.code} 不向社会开放，产品不得开放")
            defects.append(Defect("/openness/open", words))
    for index, item in enumerate(terms.items):
        source = gravest(columns.get(item.column, ()), inputs)
        if source is not None and higher(item.sensitivity, source[0].sensitivity) is not item.sensitivity:
            words = Words(
                f"must be at least {source[0].sensitivity.value}: it comes from {source[1]}.{source[0].name}",
                f"不得低于 {source[0].sensitivity.value}：其来自 {source[1]}.{source[0].name}",
            )
            defects.append(Defect(f"/items/{index}/sensitivity", words))
    return defects


def gravest(origins: Iterable[Origin], inputs: Mapping[str, Terms]) -> tuple[Item, str] | None:
    """The most sensitive of these items, and the input that it is of; None where there is none."""
    found = [
        (item, name) for name, source in origins if name in inputs and (item := _item(inputs[name], source)) is not None
    ]
    return max(found, key=lambda one: _SENSITIVITIES.index(one[0].sensitivity), default=None)


def higher(one: Sensitivity, other: Sensitivity) -> Sensitivity:
    return max(one, other, key=_SENSITIVITIES.index)


def _grade(terms: Terms) -> tuple[int, int]:
    return terms.grade.rank, terms.grade_level or 0


def _item(terms: Terms, name: str) -> Item | None:
    return next((item for item in terms.items if item.name == name), None)


def grant_defects(name: str, grant: Mapping[str, Any] | None, department: str, *, in_force: bool) -> list[Defect]:
    """What keeps a grant (a value of `demand.grants`) from being read by a product of `department`."""
    pointer = f"{_INPUTS}/{name}"
    if grant is None or grant["department"] != department:
        # whether others hold such a grant is nobody's business
        return [Defect(pointer, Words("the department holds no such grant", "本部门没有此授权"))]
    defects = []
    if not in_force:
        words = Words(
            f"grant {grant['id']} on {grant['resource']} is not in force ({grant['state']})",
            f"资源 {grant['resource']} 的授权 {grant['id']} 不在有效期内（{grant['state']}）",
        )
        defects.append(Defect(pointer, words))
    if "product" not in grant["channels"]:
        words = Words(
            f"grant {grant['id']} was not given for data products: apply for the channel product",
            f"授权 {grant['id']} 不含“数据产品定制”共享方式，请另行申请",
        )
        defects.append(Defect(pointer, words))
    return defects


# -- the rows of a view ----------------------------------------------------------------------------------------------


def rows_of(terms: Terms, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> tuple[dict[int, Row], list[Fault]]:
    """The rows of a view whose columns are called `names`, by their number from 1, and all that is wrong with them.

    A row with faults is among the rows too: what does not fit is None there.
    """
    places = [(item, names.index(item.column)) for item in terms.items]
    found: dict[int, Row] = {}
    faults: list[Fault] = []
    for number, values in enumerate(rows, 1):
        row: dict[str, Any] = {}
        for item, place in places:
            try:
                row[item.name] = _value(item, values[place])
            except Unfit as unfit:
                row[item.name] = None
                faults.append(Fault(number, item.name, unfit.words))
            else:
                if row[item.name] is None and (item.key or not item.nullable):
                    faults.append(Fault(number, item.name, Words("must be there", "必填")))
        found[number] = row
    return found, [*faults, *clashes(terms, found)]


def _value(item: Item, given: Any) -> Any:
    """A value of a column, whose type is that of the item, as the contract has it; raises Unfit."""
    match given:
        case None:
            return None
        case Decimal():
            return value_of(item, str(given), UTC)
        case float() if not isfinite(given):
            raise Unfit.of(item)
        case datetime():
            return given.astimezone(UTC)
    return given
