"""Power list → service item list → data list (权力清单、事项清单、数据清单): what a file of each must be like.

A file is judged as a whole: every row, every fault, nothing taken in unless all of it is right. One item has one source
(一数一源): what one department makes, another may only need, unless the reason for an exception is on record.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from services.core.defects import Defect
from services.core.words import Words, in_language

MAX_ROWS = 20_000
ERRORS_TITLE = "错误"


class ListKind(StrEnum):
    POWERS = "powers"
    SERVICE_ITEMS = "service-items"
    DATA_ITEMS = "data-items"


class Use(StrEnum):
    """What a service item does with data: it makes it, or needs it from elsewhere."""

    MAKES = "makes"
    NEEDS = "needs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a file: its name in the API, its title for people, and what its cells may hold."""

    name: str
    title: str
    explanation: str
    required: bool = True
    longest: int = 200
    choices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    kind: ListKind
    title: str
    columns: Sequence[Column]


_CODE = Column(name="code", title="编码", explanation="在本清单中唯一，由字母、数字和 . _ - / 组成", longest=60)
FORMS: Mapping[ListKind, Form] = {
    ListKind.POWERS: Form(
        kind=ListKind.POWERS,
        title="权力清单",
        columns=(
            _CODE,
            Column(name="name", title="权力名称", explanation="与公布的权力清单一致"),
            Column(name="kind", title="权力类型", explanation="如行政许可、行政确认、行政处罚", longest=40),
            Column(name="legal_basis", title="设定依据", explanation="法律法规及条款", longest=2_000),
        ),
    ),
    ListKind.SERVICE_ITEMS: Form(
        kind=ListKind.SERVICE_ITEMS,
        title="事项清单",
        columns=(
            _CODE,
            Column(name="name", title="事项名称", explanation="与政务服务事项一致"),
            Column(name="power", title="所属权力编码", explanation="本部门权力清单中的编码", longest=60),
        ),
    ),
    ListKind.DATA_ITEMS: Form(
        kind=ListKind.DATA_ITEMS,
        title="数据清单",
        columns=(
            _CODE,
            Column(name="name", title="数据项名称", explanation="如“户籍所在地”"),
            Column(name="service_item", title="所属事项编码", explanation="本部门事项清单中的编码", longest=60),
            Column(
                name="use",
                title="产生或需要",
                explanation="填“产生”或“需要”：一个数据项只有一个产生部门（一数一源）",
                longest=10,
                choices={"产生": "makes", "需要": "needs", "makes": "makes", "needs": "needs"},
            ),
            Column(
                name="exception",
                title="例外理由",
                explanation="其他部门已产生同一数据项时，须说明仍由本部门产生的理由",
                required=False,
                longest=2_000,
            ),
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a file. `row` is as a spreadsheet counts (the titles are row 1), `column` a column's name."""

    row: int
    column: str | None
    words: Words


@dataclass(frozen=True, slots=True)
class Line:
    """A row that could be read: its place in the file and its cells by column."""

    row: int
    cells: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is on record already: who has which code, the codes a row may hang under, the source of each data item.

    `sources` maps the compared name of an item to the department that makes it (and its name for people).
    """

    codes: Mapping[str, str]
    above: frozenset[str]
    sources: Mapping[str, tuple[str, str]]


def compared(name: str) -> str:
    """A name as names are compared: width, case, spaces and punctuation do not tell two data items apart."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(character for character in folded if unicodedata.category(character)[0] in "LN")


def read(form: Form, table: Sequence[Sequence[str]]) -> tuple[list[Line], list[Fault]]:
    """The rows of a file whose first is its titles, and all faults of its form."""
    if not table or not any(cell.strip() for cell in table[0]):
        return [], [Fault(1, None, Words("the first row holds the titles of the columns", "第一行应为列标题"))]
    columns, faults = _columns(form, table[0])
    if faults:
        return [], faults
    if len(table) - 1 > MAX_ROWS:
        detail = Words(f"holds more than {MAX_ROWS} rows", f"超过 {MAX_ROWS} 行")
        return [], [Fault(MAX_ROWS + 2, None, detail)]
    lines = []
    for row, cells in enumerate(table[1:], 2):
        if not any(cell.strip() for cell in cells):
            continue
        values: dict[str, str | None] = {}
        for place, column in columns.items():
            value, fault = _cell(column, cells[place] if place < len(cells) else "")
            values[column.name] = value
            faults += [Fault(row, column.name, fault)] if fault else []
        lines.append(Line(row, values))
    if not lines:
        faults.append(Fault(2, None, Words("there is no row", "没有数据行")))
    return lines, faults


def _columns(form: Form, titles: Sequence[str]) -> tuple[dict[int, Column], list[Fault]]:
    by_title = {title: column for column in form.columns for title in (column.title, column.name)}
    found: dict[int, Column] = {}
    faults = []
    for place, title in enumerate(titles):
        known = title.strip().rstrip("*＊").strip()
        if not known or known == ERRORS_TITLE:
            continue
        column = by_title.get(known)
        if column is None:
            faults.append(Fault(1, None, Words(f"there is no column {known!r}", f"没有“{known}”这一列")))
        elif column in found.values():
            faults.append(Fault(1, column.name, Words(f"column {known!r} is there twice", f"“{known}”列重复")))
        else:
            found[place] = column
    for column in form.columns:
        if column.required and column not in found.values():
            detail = Words(f"column {column.name!r} is missing", f"缺少“{column.title}”列")
            faults.append(Fault(1, column.name, detail))
    return found, faults


def _cell(column: Column, text: str) -> tuple[str | None, Words | None]:
    value = text.strip()
    if not value:
        return None, Words("is empty", "不能为空") if column.required else None
    if len(value) > column.longest:
        return None, Words(f"is longer than {column.longest} characters", f"超过 {column.longest} 个字符")
    if any(unicodedata.category(character) in ("Cc", "Cs") and character != "\n" for character in value):
        return None, Words("holds a control character", "含有控制字符")
    if column.name == "code" and not all(c.isascii() and (c.isalnum() or c in "._-/") for c in value):
        return None, Words("holds other characters than letters, digits and . _ - /", "只能含字母、数字和 . _ - /")
    if column.choices:
        if value not in column.choices:
            allowed = "、".join(name for name in column.choices if not name.isascii())
            return None, Words(f"is none of {', '.join(column.choices)}", f"只能填：{allowed}")
        return column.choices[value], None
    return value, None


def check(form: Form, department: str, lines: Sequence[Line], known: Known) -> list[Fault]:
    """What is wrong with rows of `department` in view of what is on record and of each other."""
    faults = []
    codes: dict[str, int] = {}
    makes: dict[str, int] = {}
    for line in lines:
        code = line.cells["code"]
        if code is not None:
            if code in codes:
                detail = Words(f"is in row {codes[code]} already", f"与第 {codes[code]} 行重复")
                faults.append(Fault(line.row, "code", detail))
            elif known.codes.get(code, department) != department:
                detail = Words("is the code of another department", "该编码已被其他部门使用")
                faults.append(Fault(line.row, "code", detail))
            codes.setdefault(code, line.row)
        faults += _above(form, line, known)
        if form.kind is ListKind.DATA_ITEMS:
            faults += _source(department, line, known, makes)
    return faults


def _above(form: Form, line: Line, known: Known) -> list[Fault]:
    name = {ListKind.SERVICE_ITEMS: "power", ListKind.DATA_ITEMS: "service_item"}.get(form.kind)
    value = line.cells.get(name) if name else None
    if name is None or value is None or value in known.above:
        return []
    what = ("power", "权力") if name == "power" else ("service item", "事项")
    detail = Words(f"the department has no {what[0]} {value!r}", f"本部门没有编码为“{value}”的{what[1]}")
    return [Fault(line.row, name, detail)]


def _source(department: str, line: Line, known: Known, makes: dict[str, int]) -> list[Fault]:
    """One item, one source: who makes it already, and whether there is a reason that this one does too."""
    name = line.cells["name"]
    if name is None or line.cells["use"] != Use.MAKES or line.cells.get("exception"):
        return []
    key = compared(name)
    if not key:
        return [Fault(line.row, "name", Words("holds no letter and no digit", "不含文字"))]
    held = known.sources.get(key)
    if held and held[0] != department:
        detail = Words(
            f"{held[1]} ({held[0]}) is its source already: need it, or give the reason for an exception",
            f"一数一源：该数据项的源头部门是{held[1]}（{held[0]}），请改为“需要”，或填写例外理由",
        )
        return [Fault(line.row, "name", detail)]
    if key in makes:
        detail = Words(f"is made in row {makes[key]} already", f"第 {makes[key]} 行已产生同一数据项")
        return [Fault(line.row, "name", detail)]
    makes[key] = line.row
    return []


def defect(fault: Fault) -> Defect:
    """The fault as the API tells it: the pointer is `/<row>/<column>`."""
    pointer = f"/{fault.row}" + (f"/{fault.column}" if fault.column else "")
    return Defect(pointer, fault.words)


def marked(form: Form, table: Sequence[Sequence[str]], faults: Sequence[Fault]) -> list[tuple[list[str], set[int]]]:
    """The file with its faults: each row with a last cell that tells them, and the places of the cells at fault."""
    titles = [title.strip().rstrip("*＊").strip() for title in table[0]] if table else []
    places = {column.name: place for place, title in enumerate(titles) for column in form.columns
              if title in (column.title, column.name)}  # fmt: skip
    kept = [place for place, title in enumerate(titles) if title != ERRORS_TITLE]
    by_row: dict[int, list[Fault]] = {}
    for fault in faults:
        by_row.setdefault(fault.row, []).append(fault)
    by_name = {column.name: column.title for column in form.columns}
    rows = []
    for number, cells in enumerate(table or [[]], 1):
        mine = by_row.get(number, [])
        told = "；".join(
            f"{by_name[fault.column]}：{in_language(fault.words, 'zh')}"
            if fault.column
            else in_language(fault.words, "zh")
            for fault in mine
        )
        shown = [cells[place] if place < len(cells) else "" for place in kept]
        at_fault = {kept.index(places[fault.column]) for fault in mine if fault.column in places}
        told = "；".join(part for part in (ERRORS_TITLE if number == 1 else "", told) if part)
        rows.append(([*shown, told], at_fault))
    return rows
