"""Tables as files that people send and take: CSV in UTF-8 or GBK, and Excel.

What is read is text; what is written cannot act: a cell that a spreadsheet would take for a formula is written as text.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from datetime import date, datetime

import openpyxl
from openpyxl.cell import Cell, MergedCell
from openpyxl.comments import Comment
from openpyxl.styles import Font, PatternFill
from openpyxl.utils.exceptions import InvalidFileException

from services.core.words import Words

MAX_BYTES = 10 * 1024**2
_MAX_UNPACKED = 200 * 1024**2
_MAX_COLUMNS = 100
_MARK = b"\xef\xbb\xbf"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_RED = PatternFill("solid", fgColor="FFFFC7CE")
_BOLD = Font(bold=True)
_CONTROLS = dict.fromkeys((*range(9), 11, 12, *range(14, 32)))

Table = list[list[str]]


class Unreadable(Exception):
    """A file that cannot be read; `words` say why, and `line` where, if that is one place."""

    def __init__(self, words: Words, line: int | None = None) -> None:
        super().__init__(words)
        self.words, self.line = words, line


def read(data: bytes) -> tuple[str, Table]:
    """`("xlsx" or "csv", rows)` of a file; raises Unreadable."""
    if len(data) > MAX_BYTES:
        limit = MAX_BYTES // 1024**2
        raise Unreadable(Words(f"the file is larger than {limit} MiB", f"文件超过 {limit} MiB"))
    if data.startswith(b"PK"):
        return "xlsx", _read_excel(data)
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise Unreadable(Words("this is an old Excel file: save it as .xlsx", "旧版 Excel 文件，请另存为 .xlsx"))
    return "csv", _read_csv(decode(data))


def decode(data: bytes) -> str:
    """The text of a file in UTF-8 or GBK; raises Unreadable with the line for one that is neither or both.

    A few pairs of GBK characters are UTF-8 too (of letters that Chinese hardly uses): a file in which nothing else is
    told apart is taken for GBK.
    """
    used: str | None = None
    if data.startswith(_MARK):
        data, used = data[len(_MARK) :], "UTF-8"
    for number, line in enumerate(data.split(b"\n"), 1):
        if b"\0" in line:
            detail = Words("holds a zero byte: this is not text in UTF-8 or GBK", "含有零字节，不是 UTF-8 或 GBK 文本")
            raise Unreadable(detail, number)
        found = _encoding(line, number)
        if found and used and found != used:
            detail = Words(f"is in {found}, the lines before in {used}", f"编码为 {found}，而之前的行为 {used}")
            raise Unreadable(detail, number)
        used = used or found
    return data.decode("utf-8" if used == "UTF-8" else "gb18030")


def _encoding(line: bytes, number: int) -> str | None:
    """What the line is surely in; None for one that is read as well in the one as in the other."""
    if line.isascii():
        return None
    as_utf8, as_gbk = _decoded(line, "utf-8"), _decoded(line, "gb18030")
    if as_utf8 is None and as_gbk is None:
        raise Unreadable(Words("is neither UTF-8 nor GBK", "既不是 UTF-8 也不是 GBK"), number)
    if as_utf8 is None:
        return "GBK"
    # Chinese takes three bytes a character in UTF-8, and no line of GBK looks like that by chance
    return "UTF-8" if as_gbk is None or max(as_utf8) >= "\u0800" else None


def _decoded(line: bytes, encoding: str) -> str | None:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError:
        return None


def _read_csv(text: str) -> Table:
    table = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if len(row) > _MAX_COLUMNS:
                raise Unreadable(_too_wide(), reader.line_num)
            table.append([_unquoted(cell) for cell in row])
    except csv.Error as error:
        raise Unreadable(Words(f"is not CSV: {error}", f"不是有效的 CSV：{error}"), reader.line_num) from error
    return table


def _too_wide() -> Words:
    return Words(f"has more than {_MAX_COLUMNS} columns", f"超过 {_MAX_COLUMNS} 列")


def _unquoted(cell: str) -> str:
    """A cell without the quote that `write_csv` put before what looks like a formula."""
    return cell[1:] if cell.startswith("'") and _acts(cell) else cell


def _read_excel(data: bytes) -> Table:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MAX_UNPACKED:
                raise Unreadable(Words("the file unpacks to too much", "文件解压后过大"))
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=False)
        table: Table = []
        for row in book.worksheets[0].iter_rows():
            if len(row) > _MAX_COLUMNS:
                raise Unreadable(_too_wide(), len(table) + 1)
            table.append([_text(cell, len(table) + 1) for cell in row])
    except Unreadable:
        raise
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError, SyntaxError, IndexError,
            AttributeError, TypeError, EOFError, NotImplementedError, OverflowError) as error:  # fmt: skip
        # a damaged file makes the library fail in any of these ways
        raise Unreadable(Words("this is not an Excel file (.xlsx)", "不是有效的 Excel 文件（.xlsx）")) from error
    while table and not any(table[-1]):
        table.pop()
    return table


def _text(cell: object, row: int) -> str:
    value = getattr(cell, "value", None)
    if getattr(cell, "data_type", "") == "f":
        detail = Words("holds a formula: put its value there", "含有公式，请改为数值")
        raise Unreadable(detail, row)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return (
            value.date().isoformat()
            if isinstance(value, datetime) and value.time() == value.min.time()
            else value.isoformat()
        )
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def write_csv(rows: Sequence[Sequence[str]]) -> bytes:
    """CSV in UTF-8 that a Chinese Excel opens as such; nothing in it is taken for a formula."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows([[_quoted(cell) for cell in row] for row in rows])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _quoted(cell: str) -> str:
    return f"'{cell}" if _acts(cell) else cell


def _acts(cell: str) -> bool:
    """Whether a spreadsheet may take the cell for a formula, now or once a quote is taken off."""
    return cell.lstrip("'").startswith(_FORMULA)


def write_excel(
    title: str, rows: Sequence[tuple[Sequence[str], set[int]]], notes: Sequence[Sequence[str]] = ()
) -> bytes:
    """An Excel file: each row with the places of the cells to mark in red; `notes` on a second sheet."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title[:31]
    for number, (cells, at_fault) in enumerate(rows, 1):
        for place, text in enumerate(cells):
            cell = sheet.cell(number, place + 1)
            _put(cell, text)
            if number == 1:
                cell.font = _BOLD
            if place in at_fault:
                cell.fill = _RED
                cell.comment = Comment(cells[-1][:1_000], "Tongshu")
    sheet.freeze_panes = "A2"
    if notes:
        second = book.create_sheet("填写说明")
        for number, line in enumerate(notes, 1):
            for place, text in enumerate(line, 1):
                _put(second.cell(number, place), text)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _put(cell: Cell | MergedCell, text: str) -> None:
    cell.value = text.translate(_CONTROLS)
    # text, whatever it begins with, also after somebody edits the cell
    cell.data_type = "s"
    if text.startswith(_FORMULA):
        cell.quotePrefix = True
